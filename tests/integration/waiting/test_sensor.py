"""The sensor on a worker: what it takes, and what it polls through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.kinds import KINDS, SONARLY, Connect, Kind

SMS = KINDS[0]


@pytest.fixture
def connected(sandbox: Sandbox, connect: Connect) -> Sandbox:
    """Connect to the sandbox as Kore.ai."""
    sandbox.config.rate_limit = None
    connect(SMS.connection(sandbox))
    return sandbox


def sensor(campaign_id: str, **arguments: Any) -> CampaignStatusSensor:
    task = CampaignStatusSensor(**{"task_id": "wait", "campaign_id": campaign_id, "timeout": 30, **arguments})
    task.poke_interval = 0.01  # less than a user may say
    return task


@pytest.mark.parametrize("poke_interval", [0, 0.5, timedelta(milliseconds=500)])
def test_a_sensor_that_would_poll_without_a_pause_is_refused(poke_interval: float | timedelta) -> None:
    with pytest.raises(CampaignConfigError, match="poke_interval"):
        CampaignStatusSensor(task_id="wait", campaign_id="cd-1", poke_interval=poke_interval)


@pytest.mark.parametrize("targets", ["paused", ("PAUSED",), ["Stopped", " pAuSeD "]])
def test_targets_are_compared_without_regard_to_case(connected: Sandbox, targets: Any) -> None:
    campaign = SMS.add_campaign(connected, status="Paused")
    assert sensor(campaign.id, target_statuses=targets).execute({}) == "Paused"


@pytest.mark.parametrize("targets", [(), "", [" "]])
def test_a_sensor_without_a_target_is_refused_before_anything_is_sent(connected: Sandbox, targets: Any) -> None:
    with pytest.raises(CampaignConfigError, match="target_statuses"):
        sensor("cd-1", target_statuses=targets).execute({})
    assert connected.requests == []


@pytest.mark.parametrize("deferrable", ["false", "No", False])
def test_a_text_that_is_false_does_not_defer(connected: Sandbox, deferrable: Any) -> None:
    campaign = SMS.add_campaign(connected)
    with pytest.raises(AirflowSensorTimeout):
        sensor(campaign.id, deferrable=deferrable, timeout=0.01).execute({})


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (SMS, "rate_limit"),
        (SMS, "rate_limit_text"),
        (SMS, "html"),
        (SMS, "html_ok"),
        (SMS, "broken_json"),
        (SMS, "empty"),
        (KINDS[3], "error"),
        (SONARLY, "rate_limit"),
        (SONARLY, "reset"),
    ],
    ids=str,
)
def test_a_passing_failure_is_polled_again(connected: Sandbox, connect: Connect, kind: Kind, fault: str) -> None:
    connect(kind.connection(connected))
    campaign = kind.add_campaign(connected, status="Stopped")
    connected.add_fault(Fault(fault, count=2))
    assert sensor(campaign.id).execute({}) == "Stopped"
    assert len(connected.requests) == 3


def test_a_platform_that_asks_for_rest_is_left_alone(connected: Sandbox, virtual_clock: VirtualClock) -> None:
    campaign = SMS.add_campaign(connected, status="Stopped")
    connected.add_fault(Fault("rate_limit", retry_after="17"))
    sensor(campaign.id).execute({})
    first, second = (request.at for request in connected.requests)
    assert first + 17 <= second + 0.02
