"""What was refused once is asked again while there is time, and a record says what happened, not what was meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignSweepFinalError
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.certificates import Authority
from tests.integration.sweep.runs import Dag, live, on_monday, received, stops
from tests.kinds import Connect
from tests.local_server import LocalServer, Reply

HOURS = daily("UTC", ("09:00", "21:00"))


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, campaign_types=("sms",), timeout=300)


@pytest.fixture(params=["v1", "v2", "sonarly"])
def account(request: pytest.FixtureRequest, sandbox: Sandbox, connect: Connect, dag: Dag) -> str:
    """The type of the campaigns of each platform in turn, with the connection made."""
    if request.param == "sonarly":
        connect(sandbox.sonarly_connection())
        return "sonarly"
    connect(sandbox.kore_connection(request.param))
    return "sms"


def add(sandbox: Sandbox, count: int = 10, campaign_type: str = "sms", **details: Any) -> None:
    for number in range(count):
        sandbox.add_campaign(f"c-{number}", campaign_type, **details)


def ids(count: int) -> list[str]:
    return [f"c-{number}" for number in range(count)]


# Asked again.


@pytest.mark.parametrize("conflict_status", [409, 400])
def test_a_campaign_that_was_scheduled_when_it_was_asked_and_then_starts_by_itself_is_stopped(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, conflict_status: int
) -> None:
    sandbox.config.conflict_status = conflict_status
    add(sandbox, 10, stop_delay=60.0)  # so that there are listings after the one that shows it live
    clock.go_to(on_monday("00:10"))
    sandbox.config.list_lag = 3.0
    clock.on(on_monday("00:20"), lambda: sandbox.set_status("c-3", "Scheduled"))
    clock.go_to(on_monday("00:20") + timedelta(seconds=1))  # the list shows it Active still
    sandbox.set_status("c-3", "Active", delay=20.0)
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert live(sandbox) == set()
    assert outcome.ids("stopped") == ids(10)
    assert all(sandbox.campaign(each).stop_requests == 1 for each in ids(10) if each != "c-3")


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden", "bad_request", "not_found", "conflict"])
def test_one_stop_of_ten_that_is_refused_once_is_sent_again(
    sandbox: Sandbox, account: str, dag: Dag, kind: str
) -> None:
    add(sandbox, 10, account)
    sandbox.add_fault(Fault(kind, action="stop", campaign_id="c-3", count=2))  # a request may be repeated at once
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert live(sandbox) == set()
    assert outcome.ids("stopped") == ids(10)
    assert all(sandbox.campaign(each).stop_requests == 1 for each in ids(10))


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden", "bad_request", "not_found", "conflict"])
def test_one_stop_of_ten_that_is_refused_each_time_fails_the_task_and_keeps_its_retries(
    sandbox: Sandbox, dag: Dag, kind: str
) -> None:
    add(sandbox)
    sandbox.add_fault(Fault(kind, action="stop", campaign_id="c-3", count=None))
    outcome = dag.triggered().attempt()
    assert live(sandbox) == {"c-3"}
    assert outcome.names("c-3")
    assert not outcome.is_final
    assert outcome.ids("failed") == ["c-3"]
    assert stops(sandbox).count("c-3") > 1
    assert len(sandbox.requests) < 150


def test_what_the_whole_account_refuses_is_final(sandbox: Sandbox, account: str, dag: Dag) -> None:
    add(sandbox, 10, account)
    sandbox.add_fault(Fault("forbidden", action="stop", count=None))
    outcome = dag.triggered().attempt()
    assert isinstance(outcome.error, CampaignSweepFinalError)
    assert all(outcome.names(each) for each in ids(10))


def test_an_account_that_lets_nobody_list_is_final(sandbox: Sandbox, account: str, dag: Dag) -> None:
    add(sandbox, 3, account)
    sandbox.add_fault(Fault("forbidden", action="list", count=None))
    outcome = dag.triggered().attempt()
    assert isinstance(outcome.error, CampaignAuthError)
    assert outcome.is_final
    assert len(sandbox.requests) <= 4


def test_a_permission_that_comes_back_is_used(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox)
    sandbox.campaign("c-0").stop_delay = 120.0
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-3", count=None))
    clock.at(30, sandbox.clear_faults)
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert outcome.ids("stopped") == ids(10)


# A conflict by another status, and a list that is late.


@pytest.mark.parametrize("answer", ["conflict", "bad_request"])
def test_what_another_client_has_stopped_meanwhile_is_no_failure_however_the_conflict_is_answered(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, answer: str
) -> None:
    sandbox.config.stop_when_stopped = answer  # type: ignore[assignment]
    add(sandbox)
    sandbox.config.list_lag = 3.0
    clock.go_to(on_monday("00:10"))
    sandbox.set_status("c-3", "Stopped")
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert outcome.ids("stopped") == [each for each in ids(10) if each != "c-3"]
    assert outcome.ids("already_stopped") == ["c-3"]


@pytest.mark.parametrize("type_of_all", ["sms", "sonarly"])
def test_a_campaign_that_is_deleted_while_the_list_is_late_is_no_failure(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, dag: Dag, type_of_all: str
) -> None:
    if type_of_all == "sonarly":
        connect(sandbox.sonarly_connection())
    add(sandbox, 10, type_of_all)
    sandbox.config.list_lag = 3.0
    clock.go_to(on_monday("00:10"))
    sandbox.remove_campaign("c-3")
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert outcome.result["failed"] == []
    assert [each for each in outcome.ids("stopped") if each != "c-3"] == [each for each in ids(10) if each != "c-3"]
    assert {row["status"] for row in outcome.result["already_stopped"]} <= {"Deleted"}
    assert clock.passed < 600 + 60


def test_a_list_that_is_late_asks_no_campaign_twice(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox)
    sandbox.config.list_lag = 3.0
    clock.go_to(on_monday("00:10"))
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert outcome.ids("stopped") == ids(10)
    assert all(sandbox.campaign(each).stop_requests == 1 for each in ids(10))


def test_ids_that_are_numbers_are_ids(sandbox: Sandbox, connect: Connect, dag: Dag) -> None:
    connect(sandbox.sonarly_connection())
    sandbox.config.numeric_ids = True
    for number in range(10):
        sandbox.add_campaign(str(1000 + number), "sonarly")
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert live(sandbox) == set()
    assert outcome.ids("stopped") == [str(1000 + number) for number in range(10)]


# What the record says.


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_where_no_connection_is_made_nothing_was_asked_and_no_request_is_counted(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    add(sandbox, 100)
    clock.at(30, sandbox.stop)  # while it waits for the rate limit
    outcome = dag.triggered().attempt()
    assert outcome.is_failed
    sent = {request.campaign_id for request in received(sandbox, "stop")}
    assert 50 <= len(sent) < 100
    assert len(outcome.result["failed"]) >= 100 - len(sent)
    for row in outcome.result["failed"]:
        assert (row["asked_at"] is not None) == (row["campaign_id"] in sent), row
        assert outcome.names(row["campaign_id"])
    assert outcome.result["requests"] == len(sandbox.requests)


def test_a_platform_that_is_down_got_no_request(sandbox: Sandbox, dag: Dag) -> None:
    sandbox.stop()
    outcome = dag.triggered().attempt(timeout=30)
    assert outcome.is_failed
    assert outcome.result["requests"] == 0


def test_a_certificate_that_is_refused_got_no_request(
    connect: Connect, sandbox: Sandbox, dag: Dag, tmp_path: Path
) -> None:
    with LocalServer(lambda _: Reply(b"{}"), Authority(tmp_path).server_context()) as server:
        connect({**sandbox.kore_connection("v2"), "host": server.url})
        outcome = dag.triggered().attempt(timeout=30)
        assert server.requests == []
    assert outcome.is_failed
    assert outcome.result["requests"] == 0


@pytest.mark.parametrize("kind", ["rate_limit", "rate_limit_text"])
def test_what_another_client_stopped_while_ours_was_rate_limited_was_already_stopped(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, kind: str
) -> None:
    add(sandbox)
    sandbox.add_fault(Fault(kind, action="stop", campaign_id="c-3", count=1))
    clock.at(0.2, lambda: sandbox.set_status("c-3", "Stopped"))
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert outcome.ids("already_stopped") == ["c-3"]
    assert outcome.result["refused"] == 1


def test_two_sweeps_at_once_claim_each_stop_once(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, dag: Dag
) -> None:
    add(sandbox, 100)
    sandbox.config.rate_limit = None  # the two have one account, and each keeps to the limit of its own requests
    sandbox.config.list_lag = 300.0  # what one has stopped, the lists of the other show live
    clock.go_to(on_monday("00:10"))
    connect(sandbox.kore_connection("v2"), "another")
    meanwhile: list[Outcome] = []
    clock.on(
        on_monday("00:10") + timedelta(seconds=5),  # the first waits for the rate limit, with half of the stops sent
        lambda: meanwhile.append(dag.triggered().attempt(campaign_conn_id="another", timeout=900)),
    )
    first = dag.triggered().attempt(timeout=900)
    [second] = meanwhile
    assert (first.error, second.error) == (None, None)
    assert live(sandbox) == set()
    assert first.ids("stopped")
    assert second.ids("stopped")
    assert sorted(first.ids("stopped") + second.ids("stopped")) == sorted(ids(100))
    for outcome in (first, second):
        assert set(outcome.ids("stopped", "already_stopped")) == set(ids(100))
    assert len({*stops(sandbox)}) == 100
    assert len(stops(sandbox)) > 100  # each has asked for what the other had stopped


def test_what_was_asked_is_dated_when_it_left(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 70)
    outcome = dag.triggered().attempt()
    left = {request.campaign_id: request.at for request in received(sandbox, "stop")}
    for row in outcome.result["stopped"]:
        asked = clock.reading(moment(row["asked_at"]).astimezone(UTC))
        assert asked == pytest.approx(left[row["campaign_id"]], abs=0.5)


# Schedules.


def add_scheduled(sandbox: Sandbox, count: int) -> None:
    for number in range(count):
        sandbox.add_campaign(
            f"s-{number:03}", status="Scheduled", name=f"Night {number}", schedule={"isSchedulingEnabled": True}
        )


def close(dag: Dag, **arguments: Any) -> Outcome:
    return dag.scheduled(on_monday("21:00")).attempt(
        at=on_monday("21:00"), calling_hours=HOURS, switch_schedules_off=True, **arguments
    )


@pytest.mark.parametrize("count", [101, 150])
def test_more_than_a_page_of_schedules_is_switched_off(sandbox: Sandbox, dag: Dag, count: int) -> None:
    add_scheduled(sandbox, count)
    add(sandbox, 3)
    outcome = close(dag, timeout=1800)
    assert outcome.error is None
    assert outcome.ids("stopped") == ids(3)
    assert not [each.id for each in sandbox.campaigns() if each.schedule.get("isSchedulingEnabled")]
    assert len(outcome.result["may_start"]) == count
    assert {row["status"] for row in outcome.result["may_start"]} == {"Ready"}
    assert {request.status_code for request in sandbox.requests} == {200}


def test_schedules_that_there_was_no_time_to_switch_off_are_named(sandbox: Sandbox, dag: Dag) -> None:
    add_scheduled(sandbox, 150)
    outcome = close(dag, timeout=90)
    on = [each.id for each in sandbox.campaigns() if each.schedule.get("isSchedulingEnabled")]
    assert on
    assert all(outcome.names(each) for each in on)


@pytest.mark.parametrize("how", ["switching", "reading back"])
def test_a_schedule_that_is_not_verified_off_is_named_also_where_a_stop_failed(
    sandbox: Sandbox, dag: Dag, how: str
) -> None:
    add_scheduled(sandbox, 2)
    add(sandbox, 3)
    sandbox.campaign("c-1").stoppable = False
    if how == "switching":
        sandbox.add_fault(Fault("error", action="schedule", count=None))
    else:  # it says that it is off, and it is not
        for number in range(2):
            sandbox.campaign(f"s-{number:03}").enable_schedule = lambda enabled: None  # type: ignore[method-assign]
    outcome = close(dag)
    assert outcome.names("c-1")
    assert outcome.names("s-000")
    assert outcome.names("s-001")
    assert live(sandbox) == {"c-1"}


def test_a_schedule_that_reads_back_as_on_fails_the_task(sandbox: Sandbox, dag: Dag) -> None:
    add_scheduled(sandbox, 2)
    sandbox.campaign("s-001").enable_schedule = lambda enabled: None  # type: ignore[method-assign]
    outcome = close(dag)
    assert outcome.names("s-001")
    assert not outcome.names("s-000")
