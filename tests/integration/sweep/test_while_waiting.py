"""What changes while a run waits: its rules, a campaign's name, its arguments, the clock, the provider itself."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, TaskDeferred

from airflow_provider_campaign.exceptions import CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import Dag, ended_at, live, on_monday, received, stops

BEGINS = on_monday("20:05")
HOURS = daily("UTC", ("09:00", "21:00"))


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, deferrable=True, campaign_types=("sms",), timeout=300)


@pytest.mark.parametrize(
    "override",
    [{"from": "2027-02-01T20:20"}, {"from": "2027-02-01T20:20", "until": "2027-02-01T23:00"}],
    ids=["until further notice", "for the evening"],
)
def test_an_emergency_that_is_declared_closes_what_the_run_waits_for(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, override: dict[str, Any]
) -> None:
    sandbox.add_campaign("c-1")
    hours: dict[str, Any] = dict(HOURS)
    clock.on(on_monday("20:20"), lambda: hours.update(overrides=[override]))
    outcome = dag.guard(BEGINS, calling_hours=hours)
    assert outcome.error is None
    assert ended_at(sandbox, clock, "c-1") - on_monday("20:20") <= timedelta(minutes=2)


def test_hours_that_are_prolonged_leave_alone_what_the_run_waits_for(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    sandbox.add_campaign("c-1")
    hours: dict[str, Any] = dict(HOURS)
    longer = {"from": "2027-02-01T20:00", "until": "2027-02-01T23:00", "open": True}
    clock.on(on_monday("20:20"), lambda: hours.update(overrides=[longer]))
    outcome = dag.guard(BEGINS, calling_hours=hours)
    assert outcome.error is None
    assert stops(sandbox) == []
    assert [row["campaign_id"] for row in outcome.result["open_until"]] == ["c-1"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_campaign_has_the_hours_of_the_name_that_it_has_now(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, deferrable: bool
) -> None:
    rules = [
        {"name": "now", "name_pattern": "Closed *", "open": False},
        {"name": "late", "name_pattern": "Late *", **daily("UTC", ("09:00", "23:30"))},
        {"name": "rest", **HOURS},
    ]
    for campaign_id in ("closed", "late", "rest"):
        sandbox.add_campaign(campaign_id, name=f"A {campaign_id}")

    def rename() -> None:
        sandbox.campaign("closed").name = "Closed one"
        sandbox.campaign("late").name = "Late one"

    clock.on(on_monday("20:20"), rename)
    outcome = dag.guard(BEGINS, calling_hours=rules, deferrable=deferrable)
    assert outcome.error is None
    assert live(sandbox) == {"late"}
    assert ended_at(sandbox, clock, "closed") - on_monday("20:20") <= timedelta(minutes=2)
    assert outcome.ids("stopped") == ["closed", "rest"]
    assert [row["name"] for row in outcome.result["open_until"]] == ["Late one"]


def test_a_missed_closing_is_reported_after_a_deferral(clock: VirtualClock, sandbox: Sandbox, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    dag.arguments |= {"calling_hours": HOURS, "incident_outlet": Asset("missed")}
    assert dag.guard(on_monday("12:00")).error is None
    outcome = dag.guard(BEGINS + timedelta(days=2))
    assert outcome.waits
    assert len(outcome.result["missed_closings"]) == 2
    assert len(outcome.events) == 1


def test_a_429_is_waited_out_over_a_deferral(clock: VirtualClock, sandbox: Sandbox, dag: Dag) -> None:
    for number in range(10):
        sandbox.add_campaign(f"c-{number}")
    sandbox.add_fault(Fault("rate_limit", action="stop", count=1, retry_after="60"))
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    refused = next(request.at for request in sandbox.requests if request.status_code == 429)
    assert not [request for request in sandbox.requests if refused + 1 < request.at < refused + 60]


def test_a_campaign_that_is_renamed_out_of_the_scope_is_left_alone(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    sandbox.add_campaign("c-1", name="Sale")
    sandbox.add_campaign("c-2", name="Sale")

    def rename() -> None:
        sandbox.campaign("c-2").name = "Alert"

    clock.on(on_monday("20:20"), rename)
    outcome = dag.guard(BEGINS, calling_hours=HOURS, name_pattern="Sale")
    assert outcome.error is None
    assert live(sandbox) == {"c-2"}
    assert [(row["campaign_id"], row["excluded_by"]) for row in outcome.result["excluded"]] == [("c-2", "name_pattern")]


def test_a_campaign_that_is_renamed_into_the_scope_is_stopped(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    sandbox.add_campaign("c-1", name="Alert")

    def rename() -> None:
        sandbox.campaign("c-1").name = "Sale"

    clock.on(on_monday("20:20"), rename)
    outcome = dag.guard(BEGINS, calling_hours=HOURS, name_pattern="Sale")
    assert outcome.ids("stopped") == ["c-1"]
    assert outcome.result["excluded"] == []


def deferred(**arguments: Any) -> dict[str, Any]:
    """Return what a sweep hands on that defers."""
    with pytest.raises(TaskDeferred) as caught:
        operator(**arguments).execute({})
    carried: dict[str, Any] = json.loads(json.dumps(caught.value.kwargs))["carried"]
    return carried


def operator(**arguments: Any) -> StopActiveCampaignsOperator:
    return StopActiveCampaignsOperator(task_id="sweep", campaign_types=["sms"], deferrable=True, **arguments)


def without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = document = copy.deepcopy(document)
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return document


def test_what_another_version_has_carried_fails_for_a_retry_and_sends_nothing(sandbox: Sandbox) -> None:
    for number in range(60):
        sandbox.add_campaign(f"c-{number}")
    carried = deferred()
    newer = copy.deepcopy(carried)
    newer["sweep"]["account"]["entries"][0]["campaign"]["mood"] = "fine"
    others: list[Any] = [[carried], {"version": 1}, newer]
    for path in ((), ("sweep",), ("sweep", "account"), ("sweep", "account", "traffic")):
        others += [without(carried, *path, key) for key in reduce(getitem, path, carried)]
    sent = len(sandbox.requests)
    for other in others:
        with pytest.raises(CampaignSweepError, match="was the provider upgraded meanwhile") as caught:
            operator().resume({}, None, other)
        assert not isinstance(caught.value, CampaignSweepFinalError)
    assert len(sandbox.requests) == sent


def test_the_scope_is_that_of_the_listing_that_showed_a_campaign(sandbox: Sandbox) -> None:
    for number in range(100):
        sandbox.add_campaign(f"c-{number}", name="Sale")
    carried = deferred(name_pattern="Sale")
    sent = len(sandbox.requests)
    with pytest.raises(CampaignSweepError, match=r"has changed from .*Sale.* to .*Alert"):
        operator(name_pattern="Alert").resume({}, None, carried)
    assert len(sandbox.requests) == sent


def test_a_set_of_words_is_the_same_scope_in_every_process(sandbox: Sandbox) -> None:
    for number in range(100):
        sandbox.add_campaign(f"c-{number}", name="Sale")
    carried = deferred(name_pattern=["Sale", "A", "B"])
    assert operator(name_pattern=["B", "A", "Sale"]).resume({}, None, carried)["total"] == 100


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_worker_whose_clock_differs_goes_on_at_once(sandbox: Sandbox, clock: VirtualClock, seconds: int) -> None:
    """As after a correction by NTP, or on a machine that has none."""
    for number in range(100):
        sandbox.add_campaign(f"c-{number}")
    carried = deferred(timeout=7200)
    clock.sleep(60)
    began = clock.now
    clock.change(seconds)
    result = operator(timeout=7200).resume({}, None, carried)
    assert result["outcome"] == "success"
    assert clock.now - began <= 120


def test_lists_that_fail_hold_up_no_stop_after_a_deferral(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    for number in range(200):
        sandbox.add_campaign(f"c-{number}")
    clock.at(30, lambda: sandbox.add_fault(Fault("error", action="list", count=None)))
    outcome = dag.triggered().attempt(timeout=900)
    assert live(sandbox) == set()
    third = [request.action for request in sandbox.requests if request.at >= outcome.in_slot[2][0]]
    assert third[:40] == ["stop"] * 40


def test_waiting_for_an_end_costs_few_requests_whatever_was_stopped_before(sandbox: Sandbox, dag: Dag) -> None:
    rules = [{"name": "now", "name_pattern": "Closed *", "open": False}, {"name": "rest", **HOURS}]
    sandbox.add_campaign("c-1", name="Closed one", stop_delay=20.0)
    outcome = dag.guard(on_monday("20:05"), calling_hours=rules, deferrable=False)
    assert outcome.error is None
    assert len(received(sandbox, "list")) <= 70
