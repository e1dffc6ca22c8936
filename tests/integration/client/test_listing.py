"""A listing over the wire shows each campaign once, with what the platform says about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_campaign.campaign import LIVE_STATUSES, is_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault
from airflow_provider_campaign.sandbox.statuses import KORE_STATUSES
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import Account
from tests.kinds import KORE_KINDS, Connect, Kind

V1_SMS = KORE_KINDS[0]


@pytest.fixture
def sandbox(clock: VirtualClock) -> Iterator[Account]:
    with Account(clock=clock, rate_limit=None) as account:
        yield account


def the_client() -> CampaignClient:
    return CampaignHook.for_conn_id("campaign_default").client


@pytest.mark.parametrize("platform", ["v1", "v2", "sonarly"])
def test_hundreds_of_campaigns_of_all_types_are_listed_once_each(
    sandbox: Account, connect: Connect, platform: str
) -> None:
    sandbox.config.sonarly_page_size = 100
    sandbox.add(350, sandbox.use(platform, connect))
    listed = [(campaign.id, campaign.campaign_type or "sonarly") for campaign in the_client().list_campaigns()]
    assert sorted(listed) == sorted((campaign.id, campaign.campaign_type) for campaign in sandbox.campaigns())
    assert len(sandbox.requests) == 4


def test_a_row_says_what_the_platform_says(sandbox: Account, connect: Connect, kind: Kind) -> None:
    connect(kind.connection(sandbox))
    campaign = kind.add_campaign(sandbox, name="Renewals", status="Paused", priority="1")
    kind.add_campaign(sandbox, status="Stopped")
    [row] = the_client().list_campaigns(kind.campaign_type and [kind.campaign_type], ["PAUSED"])
    assert (row.id, row.name, row.status, row.campaign_type) == (campaign.id, "Renewals", "Paused", kind.campaign_type)
    assert (row.updated_at, row.priority) == (campaign.updated_at, "1" if kind.api_version else None)
    assert row.raw["_id" if kind.label == "v2-voice" else "id"] == campaign.id


def test_campaigns_in_an_undocumented_status_are_found_by_counting(sandbox: Account, connect: Connect) -> None:
    connect(V1_SMS.connection(sandbox))
    reruns = {V1_SMS.add_campaign(sandbox, status="Rerun").id for _ in range(3)}
    for status in KORE_STATUSES:
        V1_SMS.add_campaign(sandbox, status=status)
    client = the_client()
    assert {row.status for row in client.list_campaigns(["sms"], LIVE_STATUSES)} == {"Active", "Preparing"}
    sandbox.clear_requests()
    found = list(client.find_undocumented("sms", client.deadline(100, retries=False)))
    assert {campaign.id for campaign in found} == reruns
    assert all(is_live(campaign.status) for campaign in found)
    everything, filtered, newest = [json.loads(request.body) for request in sandbox.requests]
    assert ("filters" in everything, set(filtered["filters"]["status"])) == (False, set(KORE_STATUSES))
    assert newest["sortBy"] == {"updatedAt": "desc"}


# What the success of a sweep rests on.


def sweep(sandbox: Account, connect: Connect, version: str = "v2", **arguments: Any) -> dict[str, Any]:
    connect(sandbox.kore_connection(version))
    result: dict[str, Any] = StopActiveCampaignsOperator(task_id="sweep", **arguments).execute({})
    return result


@pytest.mark.parametrize("how", ["no_rows", "short"])
def test_a_list_that_contradicts_itself_is_no_proof_that_nothing_is_live(
    sandbox: Account, connect: Connect, how: str
) -> None:
    sandbox.add(70)
    sandbox.add_fault(Fault("contradiction", how=how, count=None))
    with pytest.raises(CampaignError, match="contradicts itself"):
        sweep(sandbox, connect, campaign_types=("sms",))
    assert how == "no_rows" or len(sandbox.live) < 70, "what is listed is stopped all the same"


def test_a_list_that_ignores_filter_and_order_is_read_for_what_it_shows(sandbox: Account, connect: Connect) -> None:
    sandbox.config.ignore_filters = sandbox.config.ignore_sort = True
    sandbox.add(12, ("sms", "voice"))
    sandbox.add(150, prefix="old", status="Stopped")
    assert sweep(sandbox, connect)["total"] == 12
    assert sandbox.live == set()


def test_a_list_that_ignores_the_type_names_campaigns_of_the_other(sandbox: Account, connect: Connect) -> None:
    sandbox.config.ignore_type = True
    sandbox.add(2, ("sms", "voice"))
    with pytest.raises(CampaignError, match=r"c-1 .*Check whether it is of type 'sms'"):
        sweep(sandbox, connect)
    assert sandbox.live == {"c-1"}


def test_one_type_is_stopped_although_the_other_can_not_be_listed(sandbox: Account, connect: Connect) -> None:
    sandbox.add(4, ("sms", "voice"))
    sandbox.add_fault(Fault("forbidden", action="list", skip=1, count=None))
    with pytest.raises(CampaignError, match="HTTP 403"):
        sweep(sandbox, connect, "v1")
    assert sandbox.live == {"c-1", "c-3"}


def test_a_listed_campaign_that_no_request_finds_is_not_taken_for_deleted(sandbox: Account, connect: Connect) -> None:
    sandbox.add(3)
    for action in ("stop", "status"):
        sandbox.add_fault(Fault("not_found", action=action, campaign_id="c-1", count=None))
    with pytest.raises(CampaignError, match=r"(?s)^c-1 .*listed as Active.*1 of 3 campaigns"):
        sweep(sandbox, connect)
    assert sandbox.live == {"c-1"}
