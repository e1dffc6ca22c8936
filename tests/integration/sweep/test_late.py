"""A run acts on what time it is: nothing is sent once the hours are open again, and no retry turns red into green."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_campaign.sandbox import Fault, ReceivedRequest
from airflow_provider_campaign.sandbox.task_runs import DagRun, Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import A_DAY, A_MINUTE, END, HOURS, Account, Dag, Log, on_monday
from tests.records_guard import RECORDS_PATH

START = on_monday("09:00") + A_DAY
LATE = START + 5 * A_MINUTE
UNVERIFIED: list[dict[str, Any]] = [{"rule": "*", "end": END.isoformat(), "verified_at": None, "live_at_end": []}]
"""What a late run says of the end that it was scheduled for."""


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, calling_hours=HOURS, timeout=300)


@pytest.fixture
def known_dag(dag: Dag, clock: VirtualClock, sandbox: Account) -> Dag:
    """Return a DAG whose run of the evening before has succeeded; nothing was live then."""
    assert dag.guard(END - A_DAY).error is None
    sandbox.clear_requests()
    return dag


class Untold(datetime):
    """When a run was, of which Airflow can't look it up when it is read."""

    def timestamp(self) -> float:
        raise ConnectionError("Airflow's API is away")


def fails_for_the_end(outcome: Outcome) -> None:
    """Check that a late run fails finally, and says which end was missed."""
    assert outcome.is_failed
    assert outcome.is_final
    assert re.search(r"2027-02-01.?21:00", outcome.message)
    assert outcome.result["outcome"] == "failed"


@pytest.mark.parametrize(
    ("verified", "has_state_store"), [("the evening before", True), ("none", False), ("the same end", False)]
)
def test_a_retry_that_is_late_fails_finally_and_names_what_is_left(
    sandbox: Account, known_dag: Dag, verified: str, has_state_store: bool
) -> None:
    begins = END + 20 * A_MINUTE
    if verified == "none":
        known_dag.runner.runs.clear()
    elif verified == "the same end":
        assert known_dag.guard(END).error is None
    known_dag.runner.has_state_store = has_state_store
    for number in range(4):
        sandbox.add_campaign(f"c-{number}", name=f"Sale {number}", stoppable=number < 2)
    run = known_dag.scheduled(begins)
    tries = [run.attempt(at=begins), run.attempt(at=begins + 20 * A_MINUTE)]
    assert all(each.names("c-2") and each.names("c-3") and not each.is_final for each in tries)
    sandbox.clear_requests()
    last = run.attempt(at=LATE)
    assert last.is_final
    assert [campaign_id for campaign_id in ("c-1", "c-2", "c-3") if last.names(campaign_id)] == ["c-2", "c-3"]
    assert sandbox.requests == []
    assert last.result["outcome"] == "failed"


@pytest.mark.parametrize("is_known", [True, False], ids=["a known DAG", "its first run ever"])
def test_a_late_retry_fails_although_no_try_left_a_record(
    sandbox: Account, known_dag: Dag, is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RECORDS_PATH)
    if not is_known:
        known_dag.runner.runs.clear()
    known_dag.runner.has_state_store = False
    sandbox.add_campaign("c-1", stoppable=False)
    run = known_dag.scheduled(END)
    assert run.attempt(at=END).names("c-1")
    sandbox.clear_requests()
    fails_for_the_end(run.attempt(at=LATE))
    assert sandbox.requests == []


def test_a_successful_task_that_is_cleared_in_the_morning_is_skipped(sandbox: Account, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    run = dag.scheduled(END)
    assert run.attempt(at=END).ids("stopped") == ["c-1"]
    sandbox.set_status("c-1", "Active")
    sandbox.clear_requests()
    assert run.attempt(at=LATE).is_skipped
    assert sandbox.requests == []


@pytest.mark.parametrize(("hangs", "most"), [("list", 0), ("stop", 20)])  # those that were under way already
def test_a_request_that_hangs_till_opening_is_the_last(sandbox: Account, known_dag: Dag, hangs: str, most: int) -> None:
    clock, begins = known_dag.clock, START - 2 * A_MINUTE
    clock.go_to(begins)
    sandbox.add(40)
    clock.on(START + timedelta(seconds=30), lambda: sandbox.add_campaign("morning"))

    def hang(request: ReceivedRequest) -> None:
        if request.action == hangs and clock.date < START:
            clock.go_to(START + A_MINUTE)

    sandbox.on_request(hang)
    outcome = known_dag.scheduled(begins).attempt(timeout=900)
    assert sum(request.at >= clock.reading(START) for request in sandbox.received("stop")) <= most
    assert sandbox.campaign("morning").live
    assert "morning" not in outcome.result["incidents"]
    assert outcome.is_failed
    assert sandbox.live - {"morning"} <= set(outcome.ids("failed")) or hangs == "list"
    assert "its calling hours started before it was" in outcome.message or hangs == "list"
    assert "Not verified: the end of * at" in outcome.message


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_with_a_refused_stop_ends_at_the_opening(sandbox: Account, known_dag: Dag, deferrable: bool) -> None:
    """It is not a late one, also where it resumes after the opening, and another run has verified the same end."""
    begins = START - 2 * A_MINUTE
    known_dag.clock.on(START + timedelta(seconds=30), lambda: sandbox.add_campaign("morning"))
    known_dag.clock.go_to(begins)
    sandbox.add_campaign("stuck")
    sandbox.add_fault(Fault("error", action="stop", campaign_id="stuck", count=None))
    known_dag.runner.runs.append(DagRun(known_dag.dag_id, "scheduled", END, began=begins, ended=begins))
    outcome = known_dag.scheduled(begins).attempt(timeout=900, deferrable=deferrable)
    assert known_dag.clock.date < START + A_MINUTE
    assert all(request.at < known_dag.clock.reading(START) for request in sandbox.received("stop"))
    assert outcome.names("stuck")
    assert not outcome.names("morning")


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "the last run is unknown"])
def test_a_closing_that_no_run_has_swept_fails_finally(sandbox: Account, known_dag: Dag, is_known: bool) -> None:
    if not is_known:
        date = Untold.fromtimestamp((END - A_DAY).timestamp(), UTC)
        known_dag.runner.runs[:] = [DagRun(known_dag.dag_id, "scheduled", date, began=date, ended=date)]
    sandbox.add_campaign("c-1")
    late = known_dag.scheduled(END).attempt(at=LATE)
    fails_for_the_end(late)
    assert sandbox.requests == []
    assert late.result["closings"] == UNVERIFIED
    outcome = known_dag.guard(END + A_DAY)  # the next evening is not late
    assert outcome.error is None
    assert outcome.ids("stopped") == ["c-1"]


def test_the_first_run_ever_is_skipped_if_it_is_late_and_has_swept_nothing(sandbox: Account, dag: Dag) -> None:
    """A skipped run is a successful one to Airflow."""
    sandbox.add_campaign("c-1")
    late = dag.scheduled(END - A_DAY).attempt(at=LATE - A_DAY)
    assert late.is_skipped
    assert late.result["closings"] == [{**UNVERIFIED[0], "end": (END - A_DAY).isoformat()}]
    fails_for_the_end(dag.scheduled(END).attempt(at=LATE))
    assert sandbox.requests == []
    assert sandbox.live == {"c-1"}


def test_a_late_run_whose_closing_another_run_has_verified_is_skipped(sandbox: Account, known_dag: Dag) -> None:
    night = END + timedelta(hours=5)  # a guard of the night, while the run of the end hung
    sandbox.add_campaign("c-1")
    assert known_dag.guard(night).ids("stopped") == ["c-1"]
    sandbox.clear_requests()
    assert known_dag.scheduled(night + timedelta(hours=1)).attempt(at=LATE).is_skipped
    assert sandbox.requests == []


def test_a_dry_run_finds_no_incidents_and_sends_no_event(sandbox: Account, known_dag: Dag, caplog: Log) -> None:
    known_dag.guard(END)
    sandbox.add_campaign("c-1")
    outcome = known_dag.guard(END + timedelta(hours=1), dry_run=True, incident_outlet=Asset("incidents"))
    assert outcome.error is None
    assert sandbox.stops == []
    assert outcome.ids("live") == ["c-1"]
    assert outcome.result["incidents"] == outcome.events == []
    assert not re.search("(?i)incident.*c-1", caplog.text)
