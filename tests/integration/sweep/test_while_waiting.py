"""What changes while a run waits: its rules, a campaign's name, its arguments, the clock, the provider itself."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_campaign.exceptions import CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import A_MINUTE, HOURS, Dag, add, ended_at, live, on_monday

BEGINS, CHANGES = on_monday("20:05"), on_monday("20:20")
UNTIL_LATE = "2027-02-01T23:00"


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, deferrable=True, campaign_types=("sms",), timeout=300)


@pytest.mark.parametrize(
    ("override", "closes"),
    [
        ({"from": "2027-02-01T20:20"}, True),
        ({"from": "2027-02-01T20:20", "until": UNTIL_LATE}, True),
        ({"from": "2027-02-01T20:00", "until": UNTIL_LATE, "open": True}, False),
    ],
    ids=["an emergency until further notice", "an emergency for the evening", "hours that are prolonged"],
)
def test_an_override_that_is_added_meanwhile_counts(
    sandbox: Sandbox, dag: Dag, override: dict[str, Any], closes: bool
) -> None:
    sandbox.add_campaign("c-1")
    hours: dict[str, Any] = dict(HOURS)
    dag.clock.on(CHANGES, lambda: hours.update(overrides=[override]))
    outcome = dag.guard(BEGINS, calling_hours=hours)
    assert outcome.error is None
    assert outcome.ids("stopped") == (["c-1"] if closes else [])
    if closes:
        assert ended_at(sandbox, dag.clock, "c-1") - CHANGES <= 2 * A_MINUTE
    else:
        assert [row["campaign_id"] for row in outcome.result["open_until"]] == ["c-1"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_campaign_has_the_hours_and_the_scope_of_its_new_name(sandbox: Sandbox, dag: Dag, deferrable: bool) -> None:
    rules = [
        {"name": "now", "name_pattern": "Closed *", "open": False},
        {"name": "late", "name_pattern": "Late *", **daily("UTC", ("09:00", "23:30"))},
        {"name": "rest", **HOURS},
    ]
    renamed = {"closed": "Closed one", "late": "Late one", "leaves": "Alert", "comes": "The sale one"}
    for campaign_id in ("closed", "late", "rest", "leaves"):
        sandbox.add_campaign(campaign_id, name=f"The {campaign_id} one")
    sandbox.add_campaign("comes", name="Alert")

    def rename() -> None:
        for campaign_id, name in renamed.items():
            sandbox.campaign(campaign_id).name = name

    dag.clock.on(CHANGES, rename)
    outcome = dag.guard(BEGINS, calling_hours=rules, deferrable=deferrable, name_pattern="* one")
    assert outcome.error is None
    assert live(sandbox) == {"late", "leaves"}
    assert ended_at(sandbox, dag.clock, "closed") - CHANGES <= 2 * A_MINUTE
    assert outcome.ids("stopped") == ["closed", "comes", "rest"]
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


def without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = document = copy.deepcopy(document)
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return document


def test_what_another_version_has_carried_fails_for_a_retry(sandbox: Sandbox) -> None:
    add(sandbox, 60)
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
    add(sandbox, 100, name="Sale")
    carried = deferred(name_pattern=["Sale", "A", "B"])
    sent = len(sandbox.requests)
    with pytest.raises(CampaignSweepError, match=r"has changed from .*Sale.* to .*Alert"):
        operator(name_pattern="Alert").resume({}, None, carried)
    assert len(sandbox.requests) == sent
    assert operator(name_pattern=["B", "A", "Sale"]).resume({}, None, carried)["total"] == 100  # the same in any order


@pytest.mark.parametrize("seconds", [-120, 3600])
def test_a_worker_whose_clock_differs_goes_on_at_once(sandbox: Sandbox, clock: VirtualClock, seconds: int) -> None:
    """As after a correction by NTP, or on a machine that has none."""
    add(sandbox, 100)
    carried = deferred(timeout=7200)
    clock.sleep(60)
    began = clock.now
    clock.change(seconds)
    assert operator(timeout=7200).resume({}, None, carried)["outcome"] == "success"
    assert timedelta(seconds=clock.now - began) <= 2 * A_MINUTE
