"""
Each wait of a minute or more is in the triggerer, and what has been done comes along.

Meanwhile may change: rules, a campaign's name, the task's arguments, the clock, the provider itself.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, TaskDeferred

from airflow_provider_campaign.exceptions import CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import A_MINUTE, HOURS, MAX_SLOT_WAIT, Account, Dag, ids, on_monday

BEGINS, CHANGES = on_monday("20:05"), on_monday("20:20")


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, deferrable=True, campaign_types=("sms",), timeout=1800)


PROLONGED = {"from": "2027-02-01T20:00", "until": "2027-02-01T23:00", "open": True}
EMERGENCY = {"from": "2027-02-01T20:20"}


@pytest.mark.parametrize("override", [PROLONGED, EMERGENCY], ids=["hours are prolonged", "an emergency"])
def test_an_override_that_is_added_meanwhile_counts(sandbox: Account, dag: Dag, override: dict[str, Any]) -> None:
    sandbox.add_campaign("c-1")
    hours: dict[str, Any] = dict(HOURS)
    dag.clock.on(CHANGES, lambda: hours.update(overrides=[override]))
    outcome = dag.guard(BEGINS, calling_hours=hours)
    left_open = [row["campaign_id"] for row in outcome.result["open_until"]]
    assert outcome.error is None
    assert (outcome.ids("stopped"), left_open) == (([], ["c-1"]) if override is PROLONGED else (["c-1"], []))
    assert override is PROLONGED or sandbox.ended_at("c-1") - CHANGES <= 2 * A_MINUTE


def test_a_campaign_has_the_hours_and_the_scope_of_its_new_name(sandbox: Account, dag: Dag) -> None:
    rules = [
        {"name": "now", "name_pattern": "Closed *", "open": False},
        {"name": "late", "name_pattern": "Late *", **daily("UTC", ("09:00", "23:30"))},
        {"name": "rest", **HOURS},
    ]
    renamed = {"closed": "Closed one", "late": "Late one", "leaves": "Alert", "comes": "The sale one"}
    for campaign_id in renamed:
        sandbox.add_campaign(campaign_id, name="Alert" if campaign_id == "comes" else "The one")
        dag.clock.on(CHANGES, partial(setattr, sandbox.campaign(campaign_id), "name", renamed[campaign_id]))
    outcome = dag.guard(BEGINS, calling_hours=rules, name_pattern="* one")
    assert outcome.error is None
    assert sandbox.live == {"late", "leaves"}
    assert sandbox.ended_at("closed") - CHANGES <= 2 * A_MINUTE
    assert outcome.ids("stopped") == ["closed", "comes"]
    assert [row["name"] for row in outcome.result["open_until"]] == ["Late one"]
    excluded = [(row["campaign_id"], row["excluded_by"]) for row in outcome.result["excluded"]]
    assert excluded == [("leaves", "name_pattern")]


def operator(**arguments: Any) -> StopActiveCampaignsOperator:
    return StopActiveCampaignsOperator(task_id="sweep", campaign_types=["sms"], deferrable=True, **arguments)


def deferred(**arguments: Any) -> dict[str, Any]:
    """Return what a sweep hands on that defers."""
    with pytest.raises(TaskDeferred) as caught:
        operator(**arguments).execute({})
    carried: dict[str, Any] = json.loads(json.dumps(caught.value.kwargs))["carried"]
    return carried


def test_what_another_version_has_carried_fails_for_a_retry(sandbox: Account) -> None:
    sandbox.add(60)
    carried = deferred()
    newer = copy.deepcopy(carried)
    newer["sweep"]["account"]["entries"][0]["campaign"]["mood"] = "fine"
    others: list[Any] = [[carried], {"version": 1}, newer]
    for path in ((), ("sweep",), ("sweep", "account"), ("sweep", "account", "traffic")):
        for key in reduce(getitem, path, carried):
            others.append(copy.deepcopy(carried))
            del reduce(getitem, path, others[-1])[key]
    sent = len(sandbox.requests)
    for other in others:
        with pytest.raises(CampaignSweepError, match="was the provider upgraded meanwhile") as caught:
            operator().resume({}, None, other)
        assert not isinstance(caught.value, CampaignSweepFinalError)
    assert len(sandbox.requests) == sent


def test_the_scope_is_that_of_the_listing_that_showed_a_campaign(sandbox: Account) -> None:
    sandbox.add(100, name="Sale")
    carried = deferred(name_pattern=["Sale", "A", "B"])
    sent = len(sandbox.requests)
    with pytest.raises(CampaignSweepError, match=r"has changed from .*Sale.* to .*Alert"):
        operator(name_pattern="Alert").resume({}, None, carried)
    assert len(sandbox.requests) == sent
    assert operator(name_pattern=["B", "A", "Sale"]).resume({}, None, carried)["total"] == 100  # the same in any order


@pytest.mark.parametrize("seconds", [-120, 3600])
def test_a_worker_whose_clock_differs_goes_on_at_once(sandbox: Account, clock: VirtualClock, seconds: int) -> None:
    """As after a correction by NTP, or on a machine that has none."""
    sandbox.add(100)
    carried = deferred(timeout=7200)
    clock.sleep(60)
    began = clock.now
    clock.change(seconds)
    assert operator(timeout=7200).resume({}, None, carried)["outcome"] == "success"
    assert timedelta(seconds=clock.now - began) <= 2 * A_MINUTE


@pytest.mark.parametrize(
    ("count", "details", "seconds"),
    [(160, {"name": "x" * 5000}, 130), (10, {"stop_delay": 270.0}, 360)],
    ids=["the rate limit", "campaigns that are stopping"],
)
def test_what_takes_long_is_waited_for_in_the_triggerer(
    sandbox: Account, dag: Dag, records: Path, count: int, details: dict[str, Any], seconds: int
) -> None:
    sandbox.add(count, **details)
    began = dag.clock.date
    outcome = dag.sweep()
    assert outcome.error is None
    assert sandbox.live == set()
    assert len(outcome.ids("stopped")) == outcome.result["total"] == count
    assert outcome.result["requests"] == len(sandbox.requests)
    assert datetime.fromisoformat(outcome.result["began_at"]).astimezone(UTC) == began
    assert all(row["asked_at"] and row["confirmed_at"] for row in outcome.result["stopped"])
    assert {request.status_code for request in sandbox.requests} == {200}
    assert sandbox.most_in_a_window <= 60
    assert max(Counter(sandbox.stops).values()) == 1
    assert len(outcome.waits) >= max(1, (count - 1) // 60)
    assert sandbox.longest_wait_in_slot(outcome) < MAX_SLOT_WAIT
    assert dag.clock.date - began <= timedelta(seconds=seconds)
    assert sum(end - began for began, end in outcome.in_slot) <= 135
    assert 0 < max(len(json.dumps(each)) for each in outcome.carried) <= 400_000  # a row of Airflow's database
    assert [json.loads(path.read_bytes())["outcome"] for path in records.rglob("sweep.try*.json")] == ["success"]


def test_what_could_not_be_stopped_before_a_deferral_is_named_after_it(sandbox: Account, dag: Dag) -> None:
    sandbox.add(100)
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-0", count=None))
    dag.clock.at(30, lambda: sandbox.set_status("c-1", "Active"))  # it is stopped again
    outcome = dag.sweep(timeout=300)
    assert outcome.waits
    assert outcome.names("c-0")
    assert sandbox.live == {"c-0"}
    assert outcome.ids("stopped") == [each for each in ids(100) if each != "c-0"]
    assert outcome.ids("failed") == ["c-0"]


def test_a_429_is_waited_out_over_a_deferral(sandbox: Account, dag: Dag) -> None:
    sandbox.add(10)
    sandbox.add_fault(Fault("rate_limit", action="stop", count=1, retry_after="60"))
    outcome = dag.sweep()
    assert outcome.error is None
    refused = next(request.at for request in sandbox.requests if request.status_code == 429)
    assert not [request for request in sandbox.requests if refused + 1 < request.at < refused + 60]


def test_lists_that_fail_hold_up_no_stop_after_a_deferral(sandbox: Account, dag: Dag) -> None:
    sandbox.add(200)
    dag.clock.at(30, lambda: sandbox.add_fault(Fault("error", action="list", count=None)))
    outcome = dag.sweep(timeout=900)
    assert sandbox.live == set()
    third = [request.action for request in sandbox.requests if request.at >= outcome.in_slot[2][0]]
    assert third[:40] == ["stop"] * 40


def test_a_missed_closing_is_reported_after_a_deferral(sandbox: Account, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    dag.arguments |= {"calling_hours": HOURS, "incident_outlet": Asset("missed")}
    assert dag.guard(on_monday("12:00")).error is None
    outcome = dag.guard(on_monday("20:05") + timedelta(days=2))
    assert outcome.waits
    assert len(outcome.result["missed_closings"]) == 2
    assert len(outcome.events) == 1
