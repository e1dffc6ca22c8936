"""Each campaign is verified stopped before its own end, and none earlier than its window needs."""

from __future__ import annotations

import logging
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import (
    A_DAY,
    A_MINUTE,
    END,
    HOURS,
    Dag,
    add,
    ended_at,
    ids,
    live,
    live_at,
    longest_wait_in_slot,
    most_in_a_window,
    on_monday,
    received,
    rule,
    stops,
)

MARGIN = 60
BOTH = ("sms", "voice")


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, calling_hours=HOURS, margin=MARGIN, timeout=900)


def seconds_before(sandbox: Sandbox, clock: VirtualClock, end: datetime, prefix: str = "c") -> list[float]:
    """Return how long before an end each campaign was stopped, the last one first."""
    named = [campaign.id for campaign in sandbox.campaigns() if campaign.id.startswith(f"{prefix}-")]
    return sorted((end - ended_at(sandbox, clock, campaign_id)).total_seconds() for campaign_id in named)


def need(count: int) -> float:
    """Return the seconds that so many stops take, with a few lists, at sixty requests a minute, ten held in reserve."""
    return 61.0 * math.ceil((count + 15) / 50) + 40


@pytest.mark.parametrize(
    ("count", "margin", "deferrable"),
    [(1, 60, False), (20, 0, False), (20, 300, False), (30, 60, True), (100, 60, False), (300, 60, True)],
)
def test_all_are_verified_by_the_margin_and_none_is_stopped_early(
    sandbox: Sandbox, dag: Dag, count: int, margin: int, deferrable: bool
) -> None:
    add(sandbox, count, BOTH)
    outcome = dag.guard(on_monday("20:05"), deferrable=deferrable, margin=margin)
    assert outcome.error is None
    before = seconds_before(sandbox, dag.clock, END)
    assert margin <= before[0] <= before[-1] <= margin + need(count)
    assert {request.status_code for request in sandbox.requests} == {200}
    assert most_in_a_window(sandbox) <= 60
    assert len(stops(sandbox)) == count
    [closing] = outcome.result["closings"]
    assert datetime.fromisoformat(closing["end"]) == datetime.fromisoformat(outcome.result["window_end"]) == END
    assert not closing["live_at_end"]
    confirmed = [datetime.fromisoformat(row["confirmed_at"]) for row in outcome.result["stopped"]]
    assert max(confirmed) <= END - timedelta(seconds=margin)
    assert END <= dag.clock.date <= END + A_MINUTE
    assert not deferrable or longest_wait_in_slot(sandbox, outcome) < 60


@pytest.mark.parametrize(
    ("ends", "count"),
    [
        ({"FL": "20:30", "GA": "21:15", "AL": "21:15", "TX": "22:00", "XX": "23:59"}, 40),
        ({"FL": "20:59", "GA": "21:00"}, 60),
    ],
    ids=["ends far apart", "ends that share the rate limit"],
)
def test_each_rule_has_its_own_end(sandbox: Sandbox, dag: Dag, ends: dict[str, str], count: int) -> None:
    rules = [rule(name, end) for name, end in ends.items()]
    for name in ends:
        add(sandbox, count, prefix=name, name=f"{name}-1")
    outcome = dag.guard(on_monday("20:02"), calling_hours=rules, look_ahead=timedelta(hours=2))
    assert outcome.error is None
    for name, end in ends.items():
        if name != "XX":
            before = seconds_before(sandbox, dag.clock, on_monday(end), name)
            assert MARGIN <= before[0] <= before[-1] <= MARGIN + need(3 * count), name
    assert live(sandbox) == ({*ids(count, "XX")} if "XX" in ends else set())
    assert not any(str(campaign_id).startswith("XX") for campaign_id in stops(sandbox))
    assert {request.status_code for request in sandbox.requests} == {200}
    assert {each["rule"] for each in outcome.result["closings"]} == set(ends) - {"XX"}
    assert len(outcome.result["open_until"]) == len(live(sandbox))


@pytest.mark.parametrize("what", ["slow stops", "slow lists", "very slow lists", "another client"])
def test_the_margin_covers_what_takes_time(sandbox: Sandbox, dag: Dag, what: str) -> None:
    def be_slow(request: ReceivedRequest) -> None:
        if request.action == "list":
            dag.clock.sleep(20.0 if what == "very slow lists" else 5.0)

    add(sandbox, 70, BOTH, stop_delay=40.0 if what == "slow stops" else 0.0)
    if what.endswith("slow lists"):
        sandbox.on_request(be_slow)
    for number in range(25 * 20 if what == "another client" else 0):
        dag.clock.on(on_monday("20:40") + timedelta(seconds=3 * number), sandbox.spend)
    assert dag.guard(on_monday("20:05")).error is None
    assert live_at(sandbox, dag.clock, END) == set()
    assert all(campaign.stop_requests == 1 for campaign in sandbox.campaigns())
    assert len([request for request in received(sandbox, "stop") if request.status_code == 429]) <= 20


def test_what_is_started_before_the_end_is_stopped_too(
    sandbox: Sandbox, dag: Dag, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    add(sandbox, 3)
    dag.clock.on(on_monday("20:20"), lambda: sandbox.add_campaign("new"))
    dag.clock.on(on_monday("20:55"), lambda: sandbox.add_campaign("newer"))
    dag.clock.on(END - timedelta(seconds=35), lambda: sandbox.add_campaign("late"))
    dag.clock.on(END - timedelta(seconds=1), lambda: sandbox.add_campaign("too-late", name="Slow", stop_delay=40.0))
    outcome = dag.guard(on_monday("20:05"))
    assert outcome.error is None
    assert live_at(sandbox, dag.clock, END) <= {"late", "too-late"}
    assert ended_at(sandbox, dag.clock, "late") <= END + timedelta(seconds=30)
    assert live(sandbox) == set()
    [closing] = outcome.result["closings"]
    assert "too-late" in closing["live_at_end"]
    assert re.search(r"live when their calling hours ended: .*too-late \(Slow\).* \d+ s later", caplog.text)


def test_one_that_can_not_be_stopped_fails_the_run_and_was_live_at_the_end(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 20)
    sandbox.campaign("c-3").stoppable = False
    outcome = dag.guard(on_monday("20:05"), timeout=120)
    assert outcome.names("c-3")
    assert live(sandbox) == {"c-3"}
    assert END + timedelta(seconds=110) <= dag.clock.date <= END + timedelta(seconds=130)  # timeout counts from the end
    assert [closing["live_at_end"] for closing in outcome.result["closings"]] == [["c-3"]]


def test_a_run_that_begins_too_late_sends_without_pacing_and_says_so(
    sandbox: Sandbox, dag: Dag, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    add(sandbox, 200)
    begins = END - A_MINUTE
    outcome = dag.scheduled(on_monday("20:55")).attempt(at=begins)
    assert outcome.ids("stopped") == ids(200)
    assert dag.clock.date - begins <= timedelta(seconds=4 * 61 + 10)
    [closing] = outcome.result["closings"]
    assert closing["live_at_end"]
    assert caplog.text


# What a guard costs, and how long it takes.


@pytest.mark.parametrize("time", ["15:00", "23:00"], ids=["open", "closed"])
def test_a_run_with_nothing_to_close_costs_a_list_a_type_and_no_time(sandbox: Sandbox, dag: Dag, time: str) -> None:
    add(sandbox, 90, BOTH, status="Active" if time == "15:00" else "Stopped")
    date = on_monday(time)
    assert dag.guard(date - 100 * A_MINUTE).error is None  # it has seen the last end
    sandbox.clear_requests()
    outcome = dag.guard(date)
    assert outcome.error is None
    assert [request.action for request in sandbox.requests] == ["list", "list"]
    assert (dag.clock.date, outcome.result["requests"]) == (date, 2)
    assert len(outcome.result["open_until"]) == (90 if time == "15:00" else 0)


@pytest.mark.parametrize("look_ahead", [timedelta(minutes=30), 1800, "1800", None], ids=str)
def test_an_end_out_of_sight_is_left_to_a_later_run(sandbox: Sandbox, dag: Dag, look_ahead: Any) -> None:
    add(sandbox, 4)
    arguments = {} if look_ahead is None else {"look_ahead": look_ahead}
    sight = timedelta(minutes=60 if look_ahead is None else 30)
    early = dag.guard(END - sight - 5 * A_MINUTE, **arguments)
    assert (early.error, dag.clock.date, stops(sandbox)) == (None, END - sight - 5 * A_MINUTE, [])
    assert {row["campaign_id"]: datetime.fromisoformat(row["open_until"]) for row in early.result["open_until"]} == (
        dict.fromkeys(ids(4), END)
    )
    assert dag.guard(END - sight + 5 * A_MINUTE, **arguments).ids("stopped") == ids(4)
    assert END <= dag.clock.date <= END + timedelta(seconds=30)


def test_waiting_for_an_end_costs_few_requests_whatever_was_stopped_before(sandbox: Sandbox, dag: Dag) -> None:
    sandbox.add_campaign("c-1", name="now-1", stop_delay=20.0)
    rules = [{"name": "now", "name_pattern": "now-*", "open": False}, {"name": "rest", **HOURS}]
    assert dag.guard(on_monday("20:05"), calling_hours=rules).error is None
    assert len(received(sandbox, "list")) <= 70 * len(BOTH)


def test_a_guard_closes_and_keeps_closed_around_the_clock(sandbox: Sandbox, dag: Dag) -> None:
    """A run every five minutes, one at a time, from the afternoon to the next morning."""
    add(sandbox, 30, BOTH)
    dag.clock.on(on_monday("23:02"), lambda: sandbox.set_status("c-7", "Active"))
    opening = on_monday("09:00") + A_DAY
    dag.clock.on(opening + timedelta(seconds=30), lambda: sandbox.set_status("c-8", "Active"))
    date, incidents = on_monday("19:30"), list[str]()
    while date < opening + 20 * A_MINUTE:
        outcome = dag.guard(date)
        assert outcome.error is None
        incidents += outcome.result["incidents"]
        date += max(1, math.ceil((dag.clock.date - date) / (5 * A_MINUTE))) * 5 * A_MINUTE
        if on_monday("23:30") < date < opening - 20 * A_MINUTE:  # the same all night
            date = opening - 20 * A_MINUTE
    assert live_at(sandbox, dag.clock, END) == set()
    assert seconds_before(sandbox, dag.clock, END)[-1] <= MARGIN + need(30)
    assert incidents == ["c-7"]
    assert ended_at(sandbox, dag.clock, "c-7") <= on_monday("23:06")
    assert live(sandbox) == {"c-8"}
    assert len(sandbox.requests) <= 30 + 2 * 60 + 2 * 60  # a listing a minute while a run waits for the end


def test_a_retry_before_the_end_goes_on_in_time(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 20)
    sandbox.add_fault(Fault("forbidden", action="list", count=4))
    run = dag.scheduled(on_monday("20:05"))
    assert run.attempt(at=on_monday("20:05")).is_failed
    sandbox.clear_faults()
    again = run.attempt(at=on_monday("20:10"))
    assert again.error is None
    before = seconds_before(sandbox, dag.clock, END)
    assert MARGIN <= before[0] <= before[-1] <= MARGIN + need(20)
    assert datetime.fromisoformat(again.result["ended_at"]).astimezone(UTC) >= END
