"""A run acts on what time it is: nothing is sent once the hours are open again, and no retry turns red into green."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_campaign.exceptions import CampaignSweepError
from airflow_provider_campaign.sandbox import Fault, ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.task_runs import DagRun
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import Dag, live, on_monday, received, stops

END = on_monday("21:00")
START = on_monday("09:00") + timedelta(days=1)
LATE = START + timedelta(minutes=5)
HOURS = daily("UTC", ("09:00", "21:00"))
A_DAY = timedelta(days=1)
UNVERIFIED: list[dict[str, Any]] = [{"rule": "*", "end": END.isoformat(), "verified_at": None, "live_at_end": []}]
"""What a late run says of the end that it was scheduled for."""


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    """Return a DAG that has never run."""
    return Dag(clock, calling_hours=HOURS, timeout=300)


@pytest.fixture
def known_dag(dag: Dag, clock: VirtualClock, sandbox: Sandbox) -> Dag:
    """Return a DAG whose run of the evening before has succeeded; nothing was live then."""
    clock.go_to(END - A_DAY)
    assert dag.scheduled(END - A_DAY).attempt().error is None
    sandbox.clear_requests()
    return dag


def says_which(message: str) -> bool:
    """Return whether a message names the end that was missed, in UTC, however it writes it."""
    return bool(re.search(r"2027-02-01.?21:00", message))


# Tries of one run.


@pytest.mark.parametrize("has_state_store", [True, False], ids=["task state store", "no task state store"])
def test_a_retry_that_begins_when_the_hours_are_open_again_fails_finally_and_names_what_is_left(
    sandbox: Sandbox, known_dag: Dag, has_state_store: bool
) -> None:
    known_dag.runner.has_state_store = has_state_store
    for number in range(4):
        sandbox.add_campaign(f"c-{number}", name=f"Sale {number}", stoppable=number < 2)
    run = known_dag.scheduled(END)
    tries = [run.attempt(at=END), run.attempt(at=END + timedelta(minutes=20))]
    assert all(each.names("c-2") and each.names("c-3") and not each.is_final for each in tries)
    sandbox.clear_requests()
    last = run.attempt(at=LATE)
    assert last.is_failed
    assert last.is_final
    assert last.names("c-2")
    assert last.names("c-3")
    assert not last.names("c-1")
    assert sandbox.requests == []
    assert last.result["outcome"] == "failed"


def test_it_fails_although_no_try_left_a_record(
    sandbox: Sandbox, known_dag: Dag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW__CAMPAIGN__RECORDS_PATH")
    known_dag.runner.has_state_store = False
    sandbox.add_campaign("c-1", stoppable=False)
    run = known_dag.scheduled(END)
    assert run.attempt(at=END).names("c-1")
    sandbox.clear_requests()
    last = run.attempt(at=LATE)
    assert last.is_failed
    assert last.is_final
    assert says_which(last.message)
    assert sandbox.requests == []


def test_a_first_run_whose_retry_is_late_fails_too(sandbox: Sandbox, dag: Dag) -> None:
    sandbox.add_campaign("c-1", stoppable=False)
    run = dag.scheduled(END)
    assert run.attempt(at=END).names("c-1")
    last = run.attempt(at=LATE)
    assert last.is_final
    assert last.names("c-1")


def test_a_task_that_is_cleared_in_the_morning_after_it_has_succeeded_is_skipped(sandbox: Sandbox, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    run = dag.scheduled(END)
    assert run.attempt(at=END).ids("stopped") == ["c-1"]
    sandbox.set_status("c-1", "Active")
    sandbox.clear_requests()
    assert run.attempt(at=LATE).is_skipped
    assert sandbox.requests == []


# A run that hangs until the hours are open.


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_of_the_night_sends_no_stop_once_the_hours_are_open(
    sandbox: Sandbox, clock: VirtualClock, known_dag: Dag, deferrable: bool
) -> None:
    begins = START - timedelta(minutes=2)
    clock.on(START + timedelta(seconds=30), lambda: sandbox.add_campaign("morning"))
    clock.go_to(begins)
    sandbox.add_campaign("stuck")
    sandbox.add_fault(Fault("error", action="stop", campaign_id="stuck", count=None))
    an_hour_ago = DagRun(known_dag.dag_id, "scheduled", begins - A_DAY / 24, began=begins, ended=begins)
    known_dag.runner.runs.append(an_hour_ago)
    outcome = known_dag.scheduled(begins).attempt(timeout=900, deferrable=deferrable)
    clock.go_to(START + timedelta(hours=1))
    assert all(request.at < clock.reading(START) for request in received(sandbox, "stop"))
    assert live(sandbox) == {"stuck", "morning"}
    assert outcome.names("stuck")
    assert not outcome.names("morning")
    assert "morning" not in outcome.result["incidents"]
    assert "morning" not in outcome.ids("stopped", "already_stopped", "failed")


@pytest.mark.parametrize("hangs", ["list", "stop"])
def test_a_request_that_hangs_until_the_hours_are_open_is_followed_by_no_stop(
    sandbox: Sandbox, clock: VirtualClock, known_dag: Dag, hangs: str
) -> None:
    begins = START - timedelta(minutes=2)
    clock.go_to(begins)
    for number in range(40):
        sandbox.add_campaign(f"c-{number:02}")
    clock.on(START + timedelta(seconds=30), lambda: sandbox.add_campaign("morning"))

    def hang(request: ReceivedRequest) -> None:
        if request.action == hangs and clock.date < START:
            clock.go_to(START + timedelta(minutes=1))

    sandbox.on_request(hang)
    outcome = known_dag.scheduled(begins).attempt(timeout=900)
    late = [request for request in received(sandbox, "stop") if request.at >= clock.reading(START)]
    assert len(late) <= (0 if hangs == "list" else 20)  # those that were under way already
    assert sandbox.campaign("morning").live
    assert "morning" not in outcome.result["incidents"]
    named = set(outcome.ids("failed"))
    assert outcome.is_failed
    assert live(sandbox) - {"morning"} <= named or hangs == "list"


def test_a_retry_that_begins_before_the_opening_ends_with_it(
    sandbox: Sandbox, clock: VirtualClock, known_dag: Dag
) -> None:
    sandbox.add_campaign("stuck", stoppable=False)
    run = known_dag.scheduled(END)
    run.attempt(at=END)
    again = run.attempt(at=START - timedelta(minutes=1), timeout=3600)
    assert again.names("stuck")
    assert clock.date < START + timedelta(minutes=1)
    assert all(request.at < clock.reading(START) for request in received(sandbox, "stop"))


# Ends that no run has swept.


def test_an_evening_that_no_run_has_swept_fails_finally_and_says_which(sandbox: Sandbox, known_dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    late = known_dag.scheduled(END).attempt(at=LATE)
    assert late.is_failed
    assert late.is_final
    assert says_which(late.message)
    assert sandbox.requests == []
    assert late.result["outcome"] == "failed"
    assert late.result["closings"] == UNVERIFIED


def test_the_first_run_ever_is_skipped_if_it_is_late(sandbox: Sandbox, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    late = dag.scheduled(END).attempt(at=LATE)
    assert late.is_skipped
    assert sandbox.requests == []
    assert live(sandbox) == {"c-1"}
    assert late.result["closings"] == UNVERIFIED


def test_a_late_run_whose_closing_another_run_has_verified_is_skipped(sandbox: Sandbox, known_dag: Dag) -> None:
    night = known_dag.scheduled(END + timedelta(hours=5))  # a guard of the night, while the run of the end hung
    sandbox.add_campaign("c-1")
    assert night.attempt(at=END + timedelta(hours=5)).ids("stopped") == ["c-1"]
    sandbox.clear_requests()
    late = known_dag.scheduled(END + timedelta(hours=6)).attempt(at=LATE)
    assert late.is_skipped
    assert sandbox.requests == []


def test_an_evening_that_was_skipped_was_swept_by_no_run(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    """A skipped run is a successful one to Airflow."""
    assert dag.scheduled(END - A_DAY).attempt(at=LATE - A_DAY).is_skipped
    late = dag.scheduled(END).attempt(at=LATE)
    assert late.is_failed
    assert says_which(late.message)
    assert sandbox.requests == []


class Untold(datetime):
    """A date that Airflow looks up when it is read, and can't."""

    def isoformat(self, *_: object, **__: object) -> str:
        raise ConnectionError("Airflow's API is away")


@pytest.fixture
def untold_dag(dag: Dag) -> Dag:
    """Return a DAG of which nobody can say when it last ran."""
    date = Untold.fromtimestamp((END - A_DAY).timestamp(), UTC)
    dag.runner.runs.append(DagRun(dag.dag_id, "scheduled", date, began=date, ended=date))
    return dag


def test_when_airflow_can_not_tell_when_it_last_ran_a_run_stops_all_the_same(sandbox: Sandbox, untold_dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    outcome = untold_dag.scheduled(END).attempt(at=END)
    assert outcome.error is None
    assert outcome.ids("stopped") == ["c-1"]


def test_when_airflow_can_not_tell_when_it_last_ran_a_late_run_is_not_the_first(
    sandbox: Sandbox, untold_dag: Dag
) -> None:
    sandbox.add_campaign("c-1")
    late = untold_dag.scheduled(END).attempt(at=LATE)
    assert late.is_failed
    assert says_which(late.message)


def test_a_run_of_the_next_evening_is_not_late(sandbox: Sandbox, known_dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    assert known_dag.scheduled(END).attempt(at=LATE).is_failed
    outcome = known_dag.scheduled(END + A_DAY).attempt(at=END + A_DAY)
    assert outcome.error is None
    assert outcome.ids("stopped") == ["c-1"]


# What a dry run and a deferred one say.


def test_a_dry_run_finds_no_incidents_and_sends_no_event(
    sandbox: Sandbox, known_dag: Dag, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    known_dag.guard(END)
    sandbox.add_campaign("c-1")
    outcome = known_dag.guard(END + timedelta(hours=1), dry_run=True, incident_outlet=Asset("incidents"))
    assert outcome.error is None
    assert stops(sandbox) == []
    assert [row["campaign_id"] for row in outcome.result["live"]] == ["c-1"]
    assert outcome.result["incidents"] == []
    assert outcome.events == []
    assert not re.search("(?i)incident.*c-1", caplog.text)


def test_a_deferred_time_out_names_the_timeout_that_was_given(sandbox: Sandbox, known_dag: Dag) -> None:
    sandbox.add_campaign("c-1", stoppable=False)
    outcome = known_dag.scheduled(END).attempt(at=END, deferrable=True, timeout=900)
    assert isinstance(outcome.error, CampaignSweepError)
    assert outcome.names("c-1")
    assert set(re.findall(r"(?:after|within|in) (\d[\d.]*) s(?:econds)?\b", outcome.message)) <= {"900", "900.0"}
