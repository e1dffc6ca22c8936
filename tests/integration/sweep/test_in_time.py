"""Each campaign is verified stopped before its own end, and none earlier than its window needs."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import (
    Dag,
    ended_at,
    live,
    live_at,
    most_in_a_window,
    on_monday,
    received,
    stops,
)

MARGIN = 60
END = on_monday("21:00")
HOURS = daily("UTC", ("09:00", "21:00"))
SLACK = 40
"""Seconds for lists, and for a window that is not full."""


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, calling_hours=HOURS, margin=MARGIN, timeout=900)


def add(sandbox: Sandbox, count: int, prefix: str = "c", **details: Any) -> None:
    for number in range(count):
        sandbox.add_campaign(f"{prefix}-{number}", ("sms", "voice")[number % 2], **details)


def seconds_before(sandbox: Sandbox, clock: VirtualClock, end: datetime, prefix: str = "c") -> list[float]:
    """Return how long before an end each campaign was stopped, the last one first."""
    ids = [campaign.id for campaign in sandbox.campaigns() if campaign.id.startswith(f"{prefix}-")]
    return sorted((end - ended_at(sandbox, clock, campaign_id)).total_seconds() for campaign_id in ids)


def need(count: int) -> float:
    """Return the seconds that so many stops take, with a few lists, at sixty requests a minute, ten held in reserve."""
    return 61.0 * math.ceil((count + 15) / 50) + SLACK


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("count", [1, 30, 120, 300])
def test_all_are_verified_by_the_margin_and_none_is_stopped_earlier_than_needed(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, count: int, deferrable: bool
) -> None:
    add(sandbox, count)
    outcome = dag.guard(on_monday("20:05"), deferrable=deferrable)
    assert outcome.error is None
    before = seconds_before(sandbox, clock, END)
    assert before[0] >= MARGIN
    assert before[-1] <= MARGIN + need(count)
    assert {request.status_code for request in sandbox.requests} == {200}
    assert most_in_a_window(sandbox) <= 60
    assert len(stops(sandbox)) == count
    [closing] = outcome.result["closings"]
    assert datetime.fromisoformat(closing["end"]) == END
    assert not closing["live_at_end"]
    for row in outcome.result["stopped"]:
        assert datetime.fromisoformat(row["confirmed_at"]) <= END - timedelta(seconds=MARGIN)


@pytest.mark.parametrize("margin", [0, 30, 300])
def test_the_margin_is_kept(sandbox: Sandbox, clock: VirtualClock, dag: Dag, margin: int) -> None:
    add(sandbox, 20)
    assert dag.guard(on_monday("20:05"), margin=margin).error is None
    before = seconds_before(sandbox, clock, END)
    assert before[0] >= margin
    assert before[-1] <= margin + need(20)


def test_five_rules_and_three_ends_within_two_hours(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    ends = {"fl": on_monday("20:30"), "ga": on_monday("21:15"), "al": on_monday("21:15"), "tx": on_monday("22:00")}
    rules = [
        {"name": name, "name_pattern": f"{name}-*", **daily("UTC", ("09:00", f"{end:%H:%M}"))}
        for name, end in ends.items()
    ]
    rules.append({"name": "others", **daily("UTC", ("09:00", "23:59"))})
    for name in (*ends, "other"):
        for number in range(40):
            sandbox.add_campaign(f"{name}-{number}", name=f"{name}-{number}")
    outcome = dag.guard(on_monday("20:02"), calling_hours=rules, look_ahead=timedelta(hours=2))
    assert outcome.error is None
    for name, end in ends.items():
        before = seconds_before(sandbox, clock, end, name)
        assert before[0] >= MARGIN, name
        assert before[-1] <= MARGIN + need(80), name
    assert live(sandbox) == {f"other-{number}" for number in range(40)}
    assert not any((campaign_id or "").startswith("other") for campaign_id in stops(sandbox))
    assert {request.status_code for request in sandbox.requests} == {200}
    assert {each["rule"] for each in outcome.result["closings"]} >= set(ends)
    assert len(outcome.result["open_until"]) == 40


def test_ends_that_follow_closely_share_the_rate_limit(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    ends = {"a": on_monday("20:58"), "b": on_monday("20:59"), "d": on_monday("21:00")}
    rules = [
        {"name": name, "name_pattern": f"{name}-*", **daily("UTC", ("09:00", f"{end:%H:%M}"))}
        for name, end in ends.items()
    ]
    for name in ends:
        for number in range(70):
            sandbox.add_campaign(f"{name}-{number}", name=f"{name}-{number}")
    outcome = dag.guard(on_monday("20:05"), calling_hours=rules)
    assert outcome.error is None
    for name, end in ends.items():
        before = seconds_before(sandbox, clock, end, name)
        assert before[0] >= MARGIN, name
        assert before[-1] <= MARGIN + need(210), name
    assert {request.status_code for request in sandbox.requests} == {200}


def test_what_takes_long_to_stop_has_the_margin_for_it(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 60, stop_delay=40.0)
    assert dag.guard(on_monday("20:05")).error is None
    assert live_at(sandbox, clock, END) == set()
    assert all(campaign.stop_requests == 1 for campaign in sandbox.campaigns())


@pytest.mark.parametrize("seconds", [5.0, 20.0])
def test_lists_that_are_slow_make_no_stop_late(sandbox: Sandbox, clock: VirtualClock, dag: Dag, seconds: float) -> None:
    def be_slow(request: ReceivedRequest) -> None:
        if request.action == "list":
            clock.sleep(seconds)

    add(sandbox, 120)
    sandbox.on_request(be_slow)
    assert dag.guard(on_monday("20:05")).error is None
    assert live_at(sandbox, clock, END) == set()
    assert seconds_before(sandbox, clock, END)[0] >= MARGIN / 2


def test_requests_of_another_client_are_covered_by_the_margin(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 120)
    for number in range(25 * 20):
        clock.on(on_monday("20:40") + timedelta(seconds=3 * number), sandbox.spend)
    assert dag.guard(on_monday("20:05")).error is None
    assert live_at(sandbox, clock, END) == set()
    refused = [request for request in received(sandbox, "stop") if request.status_code == 429]
    assert len(refused) <= 20


def test_what_is_started_before_the_end_is_stopped_by_then(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 3)
    for minute in (20, 40, 55):
        clock.on(on_monday(f"20:{minute}"), lambda minute=minute: sandbox.add_campaign(f"new-{minute}"))  # type: ignore[misc]
    clock.on(END - timedelta(seconds=35), lambda: sandbox.add_campaign("late"))
    assert dag.guard(on_monday("20:05")).error is None
    assert live_at(sandbox, clock, END) <= {"late"}
    assert live(sandbox) == set()
    assert ended_at(sandbox, clock, "late") <= END + timedelta(seconds=30)


def test_what_is_started_in_the_last_seconds_is_stopped_at_the_end_and_told(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    clock.on(END - timedelta(seconds=1), lambda: sandbox.add_campaign("too-late"))
    add(sandbox, 3)
    outcome = dag.guard(on_monday("20:05"))
    assert outcome.error is None
    assert live(sandbox) == set()
    [closing] = outcome.result["closings"]
    assert "too-late" in str(closing["live_at_end"])
    assert "too-late" in caplog.text


def test_one_that_can_not_be_stopped_fails_the_run_and_was_live_at_the_end(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    add(sandbox, 20)
    sandbox.campaign("c-3").stoppable = False
    outcome = dag.guard(on_monday("20:05"), timeout=120)
    assert outcome.names("c-3")
    assert live(sandbox) == {"c-3"}
    assert END <= clock.date <= END + timedelta(seconds=130)
    assert all("c-3" in str(closing["live_at_end"]) for closing in outcome.result["closings"])


def test_a_run_that_begins_too_late_goes_at_full_speed_and_says_so(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    add(sandbox, 200)
    begins = END - timedelta(seconds=60)
    outcome = dag.scheduled(on_monday("20:55")).attempt(at=begins)
    assert live(sandbox) == set()
    assert clock.date - begins <= timedelta(seconds=4 * 61 + 10)
    assert len(outcome.ids("stopped")) == 200
    [closing] = outcome.result["closings"]
    assert closing["live_at_end"]
    assert caplog.text


# What a guard costs, and how long it takes.


@pytest.mark.parametrize("date", ["15:00", "23:00"], ids=["open", "closed"])
def test_a_run_with_nothing_to_close_costs_a_list_request_a_type_and_no_time(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, date: str
) -> None:
    add(sandbox, 90, status="Active" if date == "15:00" else "Stopped")
    assert dag.guard(on_monday(date) - timedelta(minutes=100)).error is None  # it has seen the last end
    sandbox.clear_requests()
    clock.go_to(on_monday(date))
    outcome = dag.scheduled(on_monday(date)).attempt()
    assert outcome.error is None
    assert [request.action for request in sandbox.requests] == ["list", "list"]
    assert clock.date == on_monday(date)
    assert outcome.result["requests"] == 2
    assert len(outcome.result["open_until"]) == (90 if date == "15:00" else 0)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_ends_when_the_last_end_in_sight_has_passed(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, deferrable: bool
) -> None:
    add(sandbox, 4)
    outcome = dag.guard(on_monday("20:40"), look_ahead=timedelta(minutes=30), deferrable=deferrable)
    assert outcome.error is None
    assert END <= clock.date <= END + timedelta(seconds=30)


def test_an_end_out_of_sight_is_left_to_a_later_run(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 4)
    outcome = dag.guard(on_monday("20:05"), look_ahead=timedelta(minutes=30))
    assert outcome.error is None
    assert clock.date == on_monday("20:05")
    assert stops(sandbox) == []
    assert {row["campaign_id"]: datetime.fromisoformat(row["open_until"]) for row in outcome.result["open_until"]} == {
        f"c-{number}": END for number in range(4)
    }
    assert dag.guard(on_monday("20:35"), look_ahead=timedelta(minutes=30)).ids("stopped") == [
        f"c-{number}" for number in range(4)
    ]


def test_an_hour_is_looked_ahead_by_default(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 1)
    assert dag.guard(on_monday("19:55")).ids("stopped") == []
    assert dag.guard(on_monday("20:05")).ids("stopped") == ["c-0"]


@pytest.mark.parametrize("look_ahead", [timedelta(minutes=30), 1800, "1800"], ids=["timedelta", "seconds", "text"])
def test_it_may_be_given_in_seconds(sandbox: Sandbox, dag: Dag, look_ahead: Any) -> None:
    add(sandbox, 1)
    assert dag.guard(on_monday("20:05"), look_ahead=look_ahead).ids("stopped") == []
    assert dag.guard(on_monday("20:35"), look_ahead=look_ahead).ids("stopped") == ["c-0"]


def test_a_guard_around_the_clock_closes_the_evening_and_keeps_it_closed(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    """A run every five minutes, one at a time, from the afternoon to the next morning."""
    add(sandbox, 30)
    clock.on(on_monday("23:02"), lambda: sandbox.set_status("c-7", "Active"))
    opening = on_monday("09:00") + timedelta(days=1)
    clock.on(opening + timedelta(seconds=30), lambda: sandbox.set_status("c-8", "Active"))
    date, incidents = on_monday("19:30"), list[str]()
    while date < opening + timedelta(minutes=20):
        outcome = dag.guard(date)
        assert outcome.error is None
        incidents += outcome.result["incidents"]
        steps = max(1, math.ceil((clock.date - date) / timedelta(minutes=5)))
        date += steps * timedelta(minutes=5)
    assert live_at(sandbox, clock, END) == set()
    assert seconds_before(sandbox, clock, END)[-1] <= MARGIN + need(30)
    assert incidents == ["c-7"]
    assert ended_at(sandbox, clock, "c-7") <= on_monday("23:06")
    assert live(sandbox) == {"c-8"}
    assert len(sandbox.requests) <= 30 + 2 * 13 * 14 + 2 * 60  # a listing a minute while a run waits for the end


# A retry.


def test_a_retry_before_the_end_goes_on_in_time(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 20)
    sandbox.add_fault(Fault("forbidden", action="list", count=4))
    run = dag.scheduled(on_monday("20:05"))
    assert run.attempt(at=on_monday("20:05")).is_failed
    sandbox.clear_faults()
    again = run.attempt(at=on_monday("20:10"))
    assert again.error is None
    assert seconds_before(sandbox, clock, END)[0] >= MARGIN
    assert seconds_before(sandbox, clock, END)[-1] <= MARGIN + need(20)
    assert datetime.fromisoformat(again.result["ended_at"]).astimezone(UTC) >= END
