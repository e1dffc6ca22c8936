"""No slot while waiting: each wait of a minute or more is in the triggerer, and what has been done comes along."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import (
    HOURS,
    MAX_SLOT_WAIT,
    Dag,
    add,
    ids,
    live,
    longest_wait_in_slot,
    most_in_a_window,
    on_monday,
    rule,
    stops,
)


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, deferrable=True, campaign_types=("sms",), timeout=1800)


def is_whole(sandbox: Sandbox, outcome: Outcome, began: datetime, count: int) -> None:
    """Check that a try tells all that it did, before its deferrals as well, and has asked for nothing twice."""
    assert outcome.error is None
    assert live(sandbox) == set()
    assert len(outcome.ids("stopped")) == outcome.result["total"] == count
    assert outcome.result["requests"] == len(sandbox.requests)
    assert datetime.fromisoformat(outcome.result["began_at"]).astimezone(UTC) == began
    assert all(row["asked_at"] and row["confirmed_at"] for row in outcome.result["stopped"])
    assert {request.status_code for request in sandbox.requests} == {200}
    assert most_in_a_window(sandbox) <= 60
    assert max(Counter(stops(sandbox)).values()) == 1


@pytest.mark.parametrize(
    ("count", "details", "seconds"),
    [(100, {}, 68), (300, {}, 316), (10, {"stop_delay": 270.0}, 360), (100, {"name": "x" * 5000}, 68)],
    ids=["the rate limit", "the rate limit five times", "campaigns that are stopping", "long names"],
)
def test_what_takes_long_is_waited_for_in_the_triggerer(
    sandbox: Sandbox, dag: Dag, records: Path, count: int, details: dict[str, Any], seconds: int
) -> None:
    add(sandbox, count, **details)
    began = dag.clock.date
    outcome = dag.sweep()
    is_whole(sandbox, outcome, began, count)
    assert len(outcome.waits) >= max(1, (count - 1) // 60)
    assert longest_wait_in_slot(sandbox, outcome) < MAX_SLOT_WAIT
    assert dag.clock.date - began <= timedelta(seconds=seconds)
    assert sum(end - began for began, end in outcome.in_slot) <= 135
    assert 0 < max(len(json.dumps(each)) for each in outcome.carried) <= 400_000  # a row of Airflow's database
    assert [json.loads(path.read_bytes())["outcome"] for path in records.rglob("sweep.try*.json")] == ["success"]


def test_without_deferrable_it_waits_where_it_is(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 100)
    began = dag.clock.date
    outcome = dag.sweep(deferrable=False)
    is_whole(sandbox, outcome, began, 100)
    assert outcome.waits == []


def test_all_waits_together_lose_nothing(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 45, prefix="A", name="A-1", stop_delay=20.0)
    add(sandbox, 45, prefix="B", name="B-1")
    outcome = dag.guard(on_monday("20:05"), calling_hours=[rule("A", "20:30"), rule("B", "21:00")])
    is_whole(sandbox, outcome, on_monday("20:05"), 90)
    assert longest_wait_in_slot(sandbox, outcome) < MAX_SLOT_WAIT
    ends = {closing["rule"]: closing["live_at_end"] for closing in outcome.result["closings"]}
    assert ends == {"A": [], "B": []}


def test_what_could_not_be_stopped_before_a_deferral_is_named_after_it(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 100)
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-0", count=None))
    dag.clock.at(30, lambda: sandbox.set_status("c-1", "Active"))  # it is stopped again
    outcome = dag.sweep(timeout=300)
    assert outcome.waits
    assert outcome.names("c-0")
    assert live(sandbox) == {"c-0"}
    assert outcome.ids("stopped") == [each for each in ids(100) if each != "c-0"]
    assert outcome.ids("failed") == ["c-0"]


def test_a_429_is_waited_out_over_a_deferral(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 10)
    sandbox.add_fault(Fault("rate_limit", action="stop", count=1, retry_after="60"))
    outcome = dag.sweep()
    assert outcome.error is None
    refused = next(request.at for request in sandbox.requests if request.status_code == 429)
    assert not [request for request in sandbox.requests if refused + 1 < request.at < refused + 60]


def test_lists_that_fail_hold_up_no_stop_after_a_deferral(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 200)
    dag.clock.at(30, lambda: sandbox.add_fault(Fault("error", action="list", count=None)))
    outcome = dag.sweep(timeout=900)
    assert live(sandbox) == set()
    third = [request.action for request in sandbox.requests if request.at >= outcome.in_slot[2][0]]
    assert third[:40] == ["stop"] * 40


def test_a_missed_closing_is_reported_after_a_deferral(sandbox: Sandbox, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    dag.arguments |= {"calling_hours": HOURS, "incident_outlet": Asset("missed")}
    assert dag.guard(on_monday("12:00")).error is None
    outcome = dag.guard(on_monday("20:05") + timedelta(days=2))
    assert outcome.waits
    assert len(outcome.result["missed_closings"]) == 2
    assert len(outcome.events) == 1
