"""No slot while waiting: each wait of a minute or more is in the triggerer, and what has been done comes along."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import (
    MAX_SLOT_WAIT,
    Dag,
    live,
    longest_wait_in_slot,
    most_in_a_window,
    on_monday,
    stops,
)

HOURS = daily("UTC", ("09:00", "21:00"))


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, deferrable=True, campaign_types=("sms",), timeout=1800)


def add(sandbox: Sandbox, count: int, **details: Any) -> None:
    for number in range(count):
        sandbox.add_campaign(f"c-{number}", **details)


def is_whole(sandbox: Sandbox, outcome: Outcome, began: datetime, count: int) -> None:
    """Check that a try tells all that it did, before its deferrals as well."""
    assert outcome.error is None
    assert live(sandbox) == set()
    assert len(outcome.ids("stopped")) == outcome.result["total"] == count
    assert outcome.result["requests"] == len(sandbox.requests)
    assert datetime.fromisoformat(outcome.result["began_at"]).astimezone(UTC) == began
    assert all(row["asked_at"] and row["confirmed_at"] for row in outcome.result["stopped"])


@pytest.mark.parametrize(("count", "windows"), [(100, 1), (300, 5)])
def test_the_rate_limit_is_waited_for_in_the_triggerer(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, records: Path, count: int, windows: int
) -> None:
    add(sandbox, count)
    began = clock.date
    outcome = dag.triggered().attempt()
    is_whole(sandbox, outcome, began, count)
    assert len(outcome.waits) >= windows
    assert longest_wait_in_slot(sandbox, outcome) < MAX_SLOT_WAIT
    assert {request.status_code for request in sandbox.requests} == {200}
    assert most_in_a_window(sandbox) <= 60
    assert max(Counter(stops(sandbox)).values()) == 1
    assert clock.date - began <= timedelta(seconds=(windows + 0.1) * 62)
    assert [json.loads(path.read_bytes())["outcome"] for path in records.rglob("sweep.try*.json")] == ["success"]


def test_a_moment_to_come_is_waited_for_in_the_triggerer(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 10)
    outcome = dag.guard(on_monday("20:05"), calling_hours=HOURS)
    is_whole(sandbox, outcome, on_monday("20:05"), 10)
    assert outcome.waits
    assert longest_wait_in_slot(sandbox, outcome) < MAX_SLOT_WAIT
    assert on_monday("21:00") <= clock.date <= on_monday("21:01")


def test_campaigns_that_are_stopping_are_waited_for_in_the_triggerer(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    add(sandbox, 10, stop_delay=270.0)
    began = clock.date
    outcome = dag.triggered().attempt()
    is_whole(sandbox, outcome, began, 10)
    assert outcome.waits
    assert longest_wait_in_slot(sandbox, outcome) < MAX_SLOT_WAIT
    assert max(Counter(stops(sandbox)).values()) == 1
    assert clock.date - began <= timedelta(seconds=270 + 90)
    assert sum(end - began for began, end in outcome.in_slot) <= 135


def test_without_deferrable_it_waits_where_it_is(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 100)
    began = clock.date
    outcome = dag.triggered().attempt(deferrable=False)
    is_whole(sandbox, outcome, began, 100)
    assert outcome.waits == []


def test_all_waits_together_lose_nothing(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    rules = [
        {"name": "a", "name_pattern": "A-*", **daily("UTC", ("09:00", "20:30"))},
        {"name": "b", "name_pattern": "B-*", **daily("UTC", ("09:00", "21:00"))},
    ]
    for number in range(80):
        sandbox.add_campaign(f"a-{number}", name=f"A-{number}", stop_delay=20.0)
        sandbox.add_campaign(f"b-{number}", name=f"B-{number}")
    outcome = dag.guard(on_monday("20:05"), calling_hours=rules)
    is_whole(sandbox, outcome, on_monday("20:05"), 160)
    assert {request.status_code for request in sandbox.requests} == {200}
    assert longest_wait_in_slot(sandbox, outcome) < MAX_SLOT_WAIT
    assert {(closing["rule"], bool(closing["live_at_end"])) for closing in outcome.result["closings"]} == {
        ("a", False),
        ("b", False),
    }


def test_what_could_not_be_stopped_before_a_deferral_is_named_after_it(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 100)
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-0", count=None))
    outcome = dag.triggered().attempt(timeout=300)
    assert outcome.waits
    assert outcome.names("c-0")
    assert live(sandbox) == {"c-0"}
    assert len(outcome.ids("stopped")) == 99
    assert outcome.ids("failed") == ["c-0"]


def test_what_was_stopped_before_a_deferral_is_told_where_nothing_works_after_it(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    add(sandbox, 100)
    clock.at(30, sandbox.stop)
    outcome = dag.triggered().attempt(timeout=200)
    assert outcome.is_failed
    sent = set(stops(sandbox))
    assert set(outcome.ids("stopped")) == sent
    assert set(outcome.ids("failed")) == {f"c-{number}" for number in range(100)} - sent
    assert all(outcome.names(campaign_id) for campaign_id in outcome.ids("failed"))


def test_a_campaign_that_is_started_again_during_a_deferral_is_stopped_again(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    add(sandbox, 100)
    clock.at(30, lambda: sandbox.set_status("c-0", "Active"))
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert live(sandbox) == set()


def test_the_timeout_counts_from_the_beginning_of_the_try(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add(sandbox, 300)
    began = clock.date
    outcome = dag.triggered().attempt(timeout=150)
    assert outcome.is_failed
    assert clock.date - began <= timedelta(seconds=160)
    left = live(sandbox)
    assert left
    assert set(outcome.ids("failed")) == left
    assert all(outcome.names(campaign_id) for campaign_id in left)
    assert len(outcome.ids("stopped")) + len(left) == 300


def test_what_comes_along_is_bounded(sandbox: Sandbox, dag: Dag) -> None:
    """Airflow keeps it in a row of its database; names may be long, and many."""
    add(sandbox, 300, name="x" * 5000)
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert len(outcome.ids("stopped")) == 300
    assert 0 < max(len(json.dumps(each)) for each in outcome.carried) <= 1_000_000


@pytest.mark.parametrize("name", ["Sale \ud83d", "Sale \0", "Größe 👍"], ids=ascii)
def test_odd_names_come_along(sandbox: Sandbox, dag: Dag, name: str) -> None:
    add(sandbox, 100, name=name)
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    json.dumps(outcome.result).encode()
    assert "\0" not in json.dumps(outcome.result, ensure_ascii=False)
    json.dumps(outcome.result, ensure_ascii=False).encode()
