"""``campaign_ids``: only these, whatever their types; those not live are read once, those not known are named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.calling_hours import daily
from tests.integration.sweep.runs import (
    A_MINUTE,
    HOURS,
    WINDOW,
    Dag,
    add,
    asked_about,
    ended_at,
    ids,
    live,
    on_monday,
    stops,
)
from tests.kinds import Connect

ALL = {*ids(5, "sms"), *ids(5, "voice")}


@pytest.fixture
def account(sandbox: Sandbox) -> Sandbox:
    """Campaigns of both types, most of them live."""
    add(sandbox, 5, prefix="sms")
    add(sandbox, 5, ("voice",), prefix="voice")
    sandbox.add_campaign("stopped", status="Stopped")
    sandbox.add_campaign("completed", "voice", status="Completed")
    return sandbox


@pytest.mark.parametrize(("version", "form"), [("v1", list), ("v2", tuple), ("v2", json.dumps)])
def test_only_these_are_stopped_whatever_their_types(
    account: Sandbox, connect: Connect, dag: Dag, version: str, form: Callable[[list[str]], Any]
) -> None:
    connect(account.kore_connection(version))
    given = ["sms-1", "sms-1", "voice-3", "stopped", "stopped", "completed", "sms-4"]
    outcome = dag.sweep(campaign_ids=form(given))
    assert outcome.error is None
    assert sorted(map(str, stops(account))) == outcome.ids("stopped") == ["sms-1", "sms-4", "voice-3"]
    assert outcome.ids("already_stopped") == ["completed", "stopped"]
    assert live(account) == ALL - {"sms-1", "voice-3", "sms-4"}
    assert asked_about(account) == {*given}
    reads = Counter(request.campaign_id for request in account.requests if request.action in ("status", "get"))
    assert reads["stopped"] == reads["completed"] == 1
    types = {row["campaign_id"]: row["campaign_type"] for row in outcome.result["stopped"]}
    assert types == {"sms-1": "sms", "sms-4": "sms", "voice-3": "voice"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_unknown_and_unstoppable_ids_fail_the_task_in_the_end(account: Sandbox, dag: Dag, deferrable: bool) -> None:
    account.add_fault(Fault("error", action="stop", campaign_id="sms-3", count=None))
    given = ["mistyped-1", *ids(5, "sms"), "mistyped-2", "voice-0"]
    outcome = dag.sweep(campaign_ids=given, deferrable=deferrable)
    assert [each for each in given if outcome.names(each)] == ["mistyped-1", "sms-3", "mistyped-2"]
    assert outcome.ids("stopped") == ["sms-0", "sms-1", "sms-2", "sms-4", "voice-0"]
    assert live(account) == {*ids(5, "voice"), "sms-3"} - {"voice-0"}
    assert outcome.ids("already_stopped") == []
    assert "mistyped-1" not in stops(account)


@pytest.mark.parametrize("campaign_ids", [[], "[]", [""], ["sms-1", ""], [None], "[null]", "None"], ids=repr)
def test_no_ids_are_an_error_before_anything_is_sent(account: Sandbox, dag: Dag, campaign_ids: Any) -> None:
    outcome = dag.sweep(campaign_ids=campaign_ids)
    assert isinstance(outcome.error, CampaignConfigError)
    assert account.requests == []


@pytest.mark.parametrize("campaign_id", ["../other", "a/../b", ".."], ids=repr)
def test_an_id_that_is_a_path_is_refused_before_anything_is_sent_to_it(
    account: Sandbox, dag: Dag, campaign_id: str
) -> None:
    outcome = dag.sweep(campaign_ids=["sms-1", campaign_id])
    assert outcome.is_failed
    assert campaign_id in outcome.message
    assert asked_about(account) <= {"sms-1"}


def test_on_a_platform_without_types_they_are_found_too(sandbox: Sandbox, connect: Connect, dag: Dag) -> None:
    connect(sandbox.sonarly_connection())
    add(sandbox, 4, ("sonarly",))
    assert dag.sweep(campaign_ids=["c-1", "c-2"]).ids("stopped") == ["c-1", "c-2"]
    assert live(sandbox) == {"c-0", "c-3"}


def test_a_dry_run_names_them_and_stops_nothing(account: Sandbox, dag: Dag) -> None:
    outcome = dag.sweep(campaign_ids=["sms-1", "voice-1", "stopped"], dry_run=True)
    assert outcome.ids("live") == ["sms-1", "voice-1"]
    assert stops(account) == []


def test_each_of_them_has_its_own_moment(account: Sandbox, dag: Dag) -> None:
    rules = [
        {"name": "calls", "campaign_types": ["voice"], **daily("UTC", ("09:00", "20:30"))},
        {"name": "texts", **HOURS},
    ]
    outcome = dag.guard(on_monday("15:00"), campaign_ids=["sms-1"], calling_hours=rules)
    assert (outcome.error, stops(account)) == (None, [])
    assert [row["campaign_id"] for row in outcome.result["open_until"]] == ["sms-1"]
    outcome = dag.guard(on_monday("20:05"), campaign_ids=["sms-1", "voice-1"], calling_hours=rules)
    assert outcome.error is None
    assert outcome.ids("stopped") == ["sms-1", "voice-1"]
    before = timedelta(seconds=60)
    ends: dict[str, datetime] = {"voice-1": on_monday("20:30"), "sms-1": on_monday("21:00")}
    assert all(before <= end - ended_at(account, dag.clock, each) <= before + A_MINUTE for each, end in ends.items())
    assert len(live(account)) == 8


def test_many_cost_a_request_each_and_a_few_lists(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 288, ("sms", "voice"))
    add(sandbox, 10, ("sms", "voice"), prefix="done", status="Stopped")
    add(sandbox, 40, ("sms", "voice"), prefix="not-given")
    began = dag.clock.now
    given = [*ids(288), *ids(10, "done"), "mistyped-1", "mistyped-2"]
    outcome = dag.sweep(campaign_ids=given, deferrable=True, timeout=900)
    assert outcome.names("mistyped-1")
    assert outcome.names("mistyped-2")
    assert outcome.ids("stopped") == ids(288)
    assert outcome.ids("already_stopped") == ids(10, "done")
    assert len(live(sandbox)) == 40
    assert {request.status_code for request in sandbox.requests} <= {200, 404}
    assert dag.clock.now - began <= 1.1 * 5 * WINDOW


def test_one_that_starts_while_the_others_are_stopped_is_stopped_too(account: Sandbox, dag: Dag) -> None:
    account.campaign("sms-1").stop_delay = 60.0
    dag.clock.at(10, lambda: account.set_status("stopped", "Active"))
    assert dag.sweep(campaign_ids=["sms-1", "stopped"]).error is None
    assert "stopped" not in live(account)
    assert dag.clock.passed < 300
    assert sorted(map(str, stops(account))) == ["sms-1", "stopped"]
