"""Each campaign is verified stopped before its own end, and none earlier than its window needs."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import A_MINUTE, END, HOURS, Account, Dag, Log, ids, on_monday

MARGIN = 60
BOTH = ("sms", "voice")


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, calling_hours=HOURS, margin=MARGIN, timeout=900)


def seconds_before_end(sandbox: Account) -> list[float]:
    """Return how long before the end each campaign was stopped, the last one first."""
    return sorted((END - sandbox.ended_at(campaign.id)).total_seconds() for campaign in sandbox.campaigns())


@pytest.mark.parametrize(("count", "margin", "deferrable"), [(20, 0, False), (110, 300, True)])
def test_all_are_verified_by_the_margin_and_none_is_stopped_early(
    sandbox: Account, dag: Dag, count: int, margin: int, deferrable: bool
) -> None:
    sandbox.add(count, BOTH)
    outcome = dag.guard(on_monday("20:40"), deferrable=deferrable, margin=margin)
    assert outcome.error is None
    before = seconds_before_end(sandbox)
    windows = math.ceil((count + 15) / 50)  # with a few lists, and ten requests of each held in reserve
    assert margin <= before[0] <= before[-1] <= margin + 61.0 * windows + 40
    assert {request.status_code for request in sandbox.requests} == {200}
    assert sandbox.most_in_a_window <= 60
    assert len(sandbox.stops) == count
    [closing] = outcome.result["closings"]
    assert datetime.fromisoformat(closing["end"]) == datetime.fromisoformat(outcome.result["window_end"]) == END
    assert not closing["live_at_end"]
    confirmed = [datetime.fromisoformat(row["confirmed_at"]) for row in outcome.result["stopped"]]
    assert max(confirmed) <= END - timedelta(seconds=margin)
    assert END <= dag.clock.date <= END + A_MINUTE
    assert bool(outcome.waits) == deferrable
    assert not deferrable or sandbox.longest_wait_in_slot(outcome) < 60


def test_the_margin_covers_what_another_client_uses(sandbox: Account, dag: Dag) -> None:
    sandbox.add(70, BOTH)
    for number in range(25 * 20):
        dag.clock.on(on_monday("20:40") + timedelta(seconds=3 * number), sandbox.spend)
    assert dag.guard(on_monday("20:45")).error is None
    assert seconds_before_end(sandbox)[0] >= 0
    assert all(campaign.stop_requests == 1 for campaign in sandbox.campaigns())
    assert sum(request.status_code == 429 for request in sandbox.received("stop")) <= 20


def test_what_is_started_before_the_end_is_stopped_too_or_named(sandbox: Account, dag: Dag, caplog: Log) -> None:
    sandbox.add(3)
    sandbox.campaign("c-1").stoppable = False
    dag.clock.on(on_monday("20:20"), lambda: sandbox.add_campaign("new"))
    dag.clock.on(on_monday("20:55"), lambda: sandbox.add_campaign("newer"))
    dag.clock.on(END - timedelta(seconds=35), lambda: sandbox.add_campaign("late"))
    dag.clock.on(END - timedelta(seconds=1), lambda: sandbox.add_campaign("too-late", name="Slow", stop_delay=40.0))
    outcome = dag.guard(on_monday("20:05"), timeout=120)
    assert outcome.names("c-1")
    assert END + timedelta(seconds=110) <= dag.clock.date <= END + timedelta(seconds=130)  # timeout counts from the end
    assert all(sandbox.ended_at(each) <= END for each in ("c-0", "c-2", "new", "newer"))
    assert sandbox.ended_at("late") <= END + timedelta(seconds=30)
    assert sandbox.live == {"c-1"}
    [closing] = outcome.result["closings"]
    assert {"c-1", "too-late"} <= set(closing["live_at_end"])
    assert re.search(r"live when their calling hours ended: .*too-late \(Slow\).* \d+ s later", caplog.text)


def test_a_run_that_begins_too_late_does_not_pace_and_says_so(sandbox: Account, dag: Dag, caplog: Log) -> None:
    sandbox.add(130)
    outcome = dag.guard(END - A_MINUTE)
    assert outcome.ids("stopped") == ids(130)
    assert dag.clock.date <= END + timedelta(seconds=2 * 61 + 10)
    [closing] = outcome.result["closings"]
    assert closing["live_at_end"]
    assert re.search(r"live when their calling hours ended: .* \d+ s later", caplog.text)


@pytest.mark.parametrize("time", ["15:00", "23:00"], ids=["open", "closed"])
def test_a_run_with_nothing_to_close_costs_a_list_a_type_and_no_time(sandbox: Account, dag: Dag, time: str) -> None:
    sandbox.add(90, BOTH, status="Active" if time == "15:00" else "Stopped")
    date = on_monday(time)
    assert dag.guard(date - 100 * A_MINUTE).error is None  # it has seen the last end
    sandbox.clear_requests()
    outcome = dag.guard(date)
    assert outcome.error is None
    assert [request.action for request in sandbox.requests] == ["list", "list"]
    assert (dag.clock.date, outcome.result["requests"]) == (date, 2)
    assert len(outcome.result["open_until"]) == (90 if time == "15:00" else 0)


@pytest.mark.parametrize("arguments", [{"look_ahead": "1800"}, {}], ids=str)
def test_an_end_out_of_sight_is_left_to_a_later_run(sandbox: Account, dag: Dag, arguments: dict[str, Any]) -> None:
    sandbox.add(4)
    sight = timedelta(minutes=30 if arguments else 60)
    early = dag.guard(END - sight - 5 * A_MINUTE, **arguments)
    assert (early.error, dag.clock.date, sandbox.stops) == (None, END - sight - 5 * A_MINUTE, [])
    shown = {row["campaign_id"]: datetime.fromisoformat(row["open_until"]) for row in early.result["open_until"]}
    assert shown == dict.fromkeys(ids(4), END)
    assert dag.guard(END - sight + 5 * A_MINUTE, **arguments).ids("stopped") == ids(4)
    assert END <= dag.clock.date <= END + timedelta(seconds=30)


def test_waiting_for_an_end_costs_few_requests_whatever_was_stopped_before(sandbox: Account, dag: Dag) -> None:
    sandbox.add_campaign("c-1", name="now-1", stop_delay=20.0)
    rules = [{"name": "now", "name_pattern": "now-*", "open": False}, {"name": "rest", **HOURS}]
    assert dag.guard(on_monday("20:05"), calling_hours=rules).error is None
    assert len(sandbox.received("list")) <= 70 * len(BOTH)
