"""The platform's own clock, which need not show our time."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Campaign, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient

HOUR = 3600.0


@pytest.fixture
def campaign(sandbox: Sandbox) -> Campaign:
    return sandbox.add_campaign("cd-1")


def row(kore: KoreClient) -> dict[str, Any]:
    found: dict[str, Any] = kore.list().json()["data"]["results"][0]
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_change_is_dated_by_the_platforms_clock(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign, clock: VirtualClock
) -> None:
    before = row(kore)
    sandbox.config.clock_offset = HOUR
    clock.advance(10)
    kore.stop(campaign.id)
    after = row(kore)
    assert after["createdAt"] == before["createdAt"] == before["updatedAt"]
    assert moment(after["updatedAt"]) - moment(before["updatedAt"]) == timedelta(seconds=HOUR + 10)
    assert campaign.history[-1] == (1010.0, "Stopped")


def test_a_clock_set_back_dates_later_changes_earlier(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign, clock: VirtualClock
) -> None:
    before = row(kore)["updatedAt"]
    sandbox.config.clock_offset = -HOUR
    clock.advance(10)
    kore.stop(campaign.id)
    assert moment(row(kore)["updatedAt"]) - moment(before) == timedelta(seconds=10 - HOUR)


def test_a_new_campaign_is_dated_by_the_platforms_clock(sandbox: Sandbox, kore: KoreClient) -> None:
    first = sandbox.add_campaign("cd-1", name="1")
    sandbox.config.clock_offset = HOUR
    second = sandbox.add_campaign("cd-2", name="2")
    assert moment(second.created_at) - moment(first.created_at) == timedelta(seconds=HOUR)
    data = kore.list(startDate=second.created_at, sortBy={"createdAt": "asc"}).json()["data"]
    assert [found["name"] for found in data["results"]] == ["2"]


def test_sonarly_dates_a_start_by_its_clock(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="sonarly", status="Draft")
    sandbox.config.clock_offset = HOUR
    document = sonarly.start(campaign.id).json()["data"]["campaign"]
    assert document["startedAt"] == document["updatedAt"]
    assert moment(document["startedAt"]) - moment(document["createdAt"]) == timedelta(seconds=HOUR)


@pytest.mark.parametrize("offset", [0.0, -HOUR, HOUR])
def test_the_date_header_is_the_platforms_time(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign, offset: float
) -> None:
    sandbox.config.clock_offset = offset
    date = parsedate_to_datetime(kore.status(campaign.id).headers["Date"])
    assert date == moment(campaign.updated_at).replace(microsecond=0) + timedelta(seconds=offset)
