"""A listing over the wire shows each campaign once, with what the platform says about it."""

from __future__ import annotations

import json

import pytest

from airflow_provider_campaign.campaign import LIVE_STATUSES, is_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.statuses import KORE_STATUSES
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind

MANY = 350
V1_SMS = KORE_KINDS[0]


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """Lift Kore's limit of 60 requests a minute."""
    sandbox.config.rate_limit = None
    return sandbox


def the_client() -> CampaignClient:
    return CampaignHook.for_conn_id("campaign_default").client


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_hundreds_of_campaigns_of_both_types_are_listed_once_each(
    sandbox: Sandbox, connect: Connect, version: str
) -> None:
    connect(sandbox.kore_connection(version))
    for number in range(MANY):
        sandbox.add_campaign(campaign_type="sms" if number % 2 else "voice")
    listed = [(campaign.id, campaign.campaign_type) for campaign in the_client().list_campaigns()]
    assert sorted(listed) == sorted((campaign.id, campaign.campaign_type) for campaign in sandbox.campaigns())


def test_hundreds_of_campaigns_of_sonarlys_are_listed_once_each(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.config.sonarly_page_size = 100
    connect(sandbox.sonarly_connection())
    for _ in range(MANY):
        SONARLY.add_campaign(sandbox)
    listed = [campaign.id for campaign in the_client().list_campaigns()]
    assert listed == [campaign.id for campaign in sandbox.campaigns()]
    assert len(sandbox.requests) == 4


def test_a_row_says_what_the_platform_says(sandbox: Sandbox, connect: Connect, kind: Kind) -> None:
    connect(kind.connection(sandbox))
    campaign = kind.add_campaign(sandbox, name="Renewals", status="Paused", priority="1")
    kind.add_campaign(sandbox, status="Stopped")
    [row] = the_client().list_campaigns(kind.campaign_type and [kind.campaign_type], ["PAUSED"])
    assert (row.id, row.name, row.status, row.campaign_type) == (campaign.id, "Renewals", "Paused", kind.campaign_type)
    assert (row.updated_at, row.priority) == (campaign.updated_at, "1" if kind.api_version else None)
    assert row.raw["_id" if kind.label == "v2-voice" else "id"] == campaign.id


def test_campaigns_in_an_undocumented_status_are_found_by_counting(sandbox: Sandbox, connect: Connect) -> None:
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
