from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignNotFoundError
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.sandbox import Sandbox


def test_a_campaigns_own_schedule_is_switched_off_by_its_name(sandbox: Sandbox, connect: Any) -> None:
    connect(sandbox.kore_connection("v2"))
    campaign = sandbox.add_campaign("cd-1", status="Scheduled", name="Evening & night")
    seen = KoreHook().switch_schedule_off("Evening & night")
    (request,) = sandbox.requests
    assert (request.method, request.path) == ("POST", f"/campaign/api/v2/public/{sandbox.config.iid}/campaign/schedule")
    assert request.query == "enableSchedule=false&campaignName=Evening%20%26%20night"
    assert request.body == b"{}"
    assert (seen.id, seen.status) == (campaign.id, "Ready")
    assert campaign.schedule["isSchedulingEnabled"] is False


def test_a_name_that_no_campaign_has_is_not_found(sandbox: Sandbox, connect: Any) -> None:
    connect(sandbox.kore_connection("v2"))
    with pytest.raises(CampaignNotFoundError, match="nobody"):
        KoreHook().switch_schedule_off("nobody")


@pytest.mark.parametrize(("version", "name"), [("v1", "Evening"), ("v2", " ")])
def test_without_v2_and_a_name_nothing_is_sent(sandbox: Sandbox, connect: Any, version: str, name: str) -> None:
    connect(sandbox.kore_connection(version))
    with pytest.raises(CampaignConfigError, match="api_version"):
        KoreHook().switch_schedule_off(name)
    assert not sandbox.requests
