"""``campaign_ids``: only these, whatever their types; those not live are read once, those not known are named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import (
    WINDOW,
    Dag,
    asked_about,
    ended_at,
    live,
    on_monday,
    received,
    stops,
)
from tests.kinds import Connect


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, timeout=900)


@pytest.fixture
def account(sandbox: Sandbox) -> Sandbox:
    """Campaigns of both types, some of them live."""
    for number in range(5):
        sandbox.add_campaign(f"sms-{number}")
        sandbox.add_campaign(f"voice-{number}", "voice")
    sandbox.add_campaign("stopped", status="Stopped")
    sandbox.add_campaign("completed", "voice", status="Completed")
    return sandbox


@pytest.mark.parametrize("form", [list, tuple, json.dumps], ids=["list", "tuple", "XCom text"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_only_these_are_stopped_whatever_their_types(
    account: Sandbox, connect: Connect, dag: Dag, version: str, form: Callable[[list[str]], Any]
) -> None:
    connect(account.kore_connection(version))
    outcome = dag.triggered().attempt(campaign_ids=form(["sms-1", "voice-3", "stopped", "completed", "sms-4"]))
    assert outcome.error is None
    assert sorted(stops(account), key=str) == ["sms-1", "sms-4", "voice-3"]
    assert outcome.ids("stopped") == ["sms-1", "sms-4", "voice-3"]
    assert outcome.ids("already_stopped") == ["completed", "stopped"]
    assert live(account) == {f"{kind}-{n}" for kind in ("sms", "voice") for n in range(5)} - {
        "sms-1",
        "voice-3",
        "sms-4",
    }
    assert asked_about(account) == {"sms-1", "voice-3", "stopped", "completed", "sms-4"}
    types = {row["campaign_id"]: row["campaign_type"] for row in outcome.result["stopped"]}
    assert types == {"sms-1": "sms", "sms-4": "sms", "voice-3": "voice"}


def test_those_that_are_not_live_are_read_once(account: Sandbox, dag: Dag) -> None:
    dag.triggered().attempt(campaign_ids=["stopped", "completed", "sms-1"])
    reads = Counter(request.campaign_id for request in account.requests if request.action in ("status", "get"))
    assert reads["stopped"] == reads["completed"] == 1
    assert set(stops(account)) == {"sms-1"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_ids_that_the_platform_does_not_know_fail_the_task_once_the_others_are_stopped(
    account: Sandbox, dag: Dag, deferrable: bool
) -> None:
    given = ["mistyped-1", *(f"sms-{number}" for number in range(5)), "mistyped-2", "voice-0"]
    outcome = dag.triggered().attempt(campaign_ids=given, deferrable=deferrable)
    assert outcome.names("mistyped-1")
    assert outcome.names("mistyped-2")
    assert not outcome.names("sms-1")
    assert len(outcome.ids("stopped")) == 6
    assert live(account) == {f"voice-{number}" for number in range(1, 5)}
    assert {"mistyped-1", "mistyped-2"}.isdisjoint(outcome.ids("stopped", "already_stopped"))
    assert "mistyped-1" not in stops(account)


@pytest.mark.parametrize("campaign_ids", [[], (), "[]", [""], ["sms-1", ""], [None], "[null]", "None"], ids=repr)
def test_no_ids_are_an_error_before_anything_is_sent(account: Sandbox, dag: Dag, campaign_ids: Any) -> None:
    outcome = dag.triggered().attempt(campaign_ids=campaign_ids)
    assert isinstance(outcome.error, CampaignConfigError)
    assert account.requests == []


@pytest.mark.parametrize("campaign_id", ["../other", "a/../b", ".."], ids=repr)
def test_an_id_that_is_a_path_is_refused_before_anything_is_sent_to_it(
    account: Sandbox, dag: Dag, campaign_id: str
) -> None:
    outcome = dag.triggered().attempt(campaign_ids=["sms-1", campaign_id])
    assert outcome.is_failed
    assert campaign_id in outcome.message
    assert asked_about(account) <= {"sms-1"}


def test_an_id_that_is_given_twice_is_asked_once(account: Sandbox, dag: Dag) -> None:
    outcome = dag.triggered().attempt(campaign_ids=["sms-1", "sms-1", "stopped", "stopped"])
    assert outcome.error is None
    assert stops(account) == ["sms-1"]
    assert (outcome.ids("stopped"), outcome.ids("already_stopped")) == (["sms-1"], ["stopped"])


def test_on_a_platform_without_types_they_are_found_too(sandbox: Sandbox, connect: Connect, dag: Dag) -> None:
    connect(sandbox.sonarly_connection())
    for number in range(4):
        sandbox.add_campaign(f"s-{number}", "sonarly")
    outcome = dag.triggered().attempt(campaign_ids=["s-1", "s-2"])
    assert outcome.ids("stopped") == ["s-1", "s-2"]
    assert live(sandbox) == {"s-0", "s-3"}


def test_a_dry_run_names_them_and_stops_nothing(account: Sandbox, dag: Dag) -> None:
    outcome = dag.triggered().attempt(campaign_ids=["sms-1", "voice-1", "stopped"], dry_run=True)
    assert outcome.ids("live") == ["sms-1", "voice-1"]
    assert stops(account) == []


def test_each_of_them_has_its_own_moment(account: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    rules = [
        {"name": "calls", "campaign_types": ["voice"], **daily("UTC", ("09:00", "20:30"))},
        {"name": "texts", **daily("UTC", ("09:00", "21:00"))},
    ]
    outcome = dag.guard(on_monday("20:05"), campaign_ids=["sms-1", "voice-1"], calling_hours=rules)
    assert outcome.error is None
    assert outcome.ids("stopped") == ["sms-1", "voice-1"]
    assert on_monday("20:28") <= ended_at(account, clock, "voice-1") <= on_monday("20:29")
    assert on_monday("20:58") <= ended_at(account, clock, "sms-1") <= on_monday("20:59")
    assert len(live(account)) == 8


def test_those_that_are_open_are_left_alone(account: Sandbox, dag: Dag) -> None:
    outcome = dag.guard(on_monday("15:00"), campaign_ids=["sms-1"], calling_hours=daily("UTC", ("09:00", "21:00")))
    assert outcome.error is None
    assert stops(account) == []
    assert [row["campaign_id"] for row in outcome.result["open_until"]] == ["sms-1"]


@pytest.mark.parametrize("count", [100, 300])
def test_many_cost_a_request_each_and_a_few_lists(sandbox: Sandbox, clock: VirtualClock, dag: Dag, count: int) -> None:
    given = [f"c-{number}" for number in range(count - 12)]
    for number, campaign_id in enumerate(given):
        sandbox.add_campaign(campaign_id, ("sms", "voice")[number % 2])
    for number in range(10):
        sandbox.add_campaign(f"done-{number}", ("sms", "voice")[number % 2], status="Stopped")
    for number in range(40):
        sandbox.add_campaign(f"not-given-{number}", ("sms", "voice")[number % 2])
    began = clock.now
    outcome = dag.triggered().attempt(
        campaign_ids=[*given, *(f"done-{number}" for number in range(10)), "mistyped-1", "mistyped-2"], deferrable=True
    )
    assert outcome.names("mistyped-1")
    assert outcome.names("mistyped-2")
    assert len(outcome.ids("stopped")) == count - 12
    assert len(outcome.ids("already_stopped")) == 10
    assert len(live(sandbox)) == 40
    assert {request.status_code for request in sandbox.requests} <= {200, 404}
    windows = (count + 10) // 60
    assert clock.now - began <= 1.1 * windows * WINDOW


def test_one_that_can_not_be_stopped_is_named(account: Sandbox, dag: Dag) -> None:
    account.add_fault(Fault("error", action="stop", campaign_id="sms-1", count=None))
    outcome = dag.triggered().attempt(campaign_ids=["sms-1", "voice-1"], timeout=60)
    assert outcome.names("sms-1")
    assert outcome.ids("stopped") == ["voice-1"]


def test_one_that_starts_while_the_others_are_stopped_is_stopped_too(
    account: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    account.campaign("sms-1").stop_delay = 60.0
    clock.at(10, lambda: account.set_status("stopped", "Active"))
    outcome = dag.triggered().attempt(campaign_ids=["sms-1", "stopped"])
    assert outcome.error is None
    assert "stopped" not in live(account)
    assert timedelta(seconds=clock.passed) < timedelta(minutes=5)
    assert len(received(account, "stop")) == 2
