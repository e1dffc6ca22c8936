"""The sensor in its simplest mode: what it takes, what it requests, and what it polls through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignStateError
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.kinds import SONARLY, Connect, Kind

KORE_FAULTS_THAT_PASS = ["rate_limit", "rate_limit_text", "error", "html", "html_ok", "broken_json", "empty", "reset"]


@pytest.fixture
def connected(sandbox: Sandbox, connect: Connect, kind: Kind) -> Sandbox:
    """Connect to the sandbox as the kind in turn."""
    sandbox.config.rate_limit = None
    connect(kind.connection(sandbox))
    return sandbox


def sensor(campaign_id: str, **arguments: Any) -> CampaignStatusSensor:
    task = CampaignStatusSensor(**{"task_id": "wait", "campaign_id": campaign_id, "timeout": 30, **arguments})
    task.poke_interval = 0.01  # less than a user may say
    return task


@pytest.mark.parametrize("poke_interval", [0, 0.5, timedelta(milliseconds=500)])
def test_a_sensor_that_would_poll_without_a_pause_is_refused(poke_interval: float | timedelta) -> None:
    with pytest.raises(CampaignConfigError, match="poke_interval"):
        CampaignStatusSensor(task_id="wait", campaign_id="cd-1", poke_interval=poke_interval)


def test_a_status_that_is_there_ends_the_wait_with_one_request(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Stopped")
    assert sensor(campaign.id).execute({}) == "Stopped"
    [request] = connected.requests
    assert request.action == ("status" if kind.api_version else "get")


@pytest.mark.parametrize("targets", ["paused", ("PAUSED",), ["Stopped", " pAuSeD "]])
def test_targets_are_compared_without_regard_to_case(connected: Sandbox, kind: Kind, targets: Any) -> None:
    campaign = kind.add_campaign(connected, status="Paused")
    assert sensor(campaign.id, target_statuses=targets).execute({}) == "Paused"


@pytest.mark.parametrize("targets", [(), [""], "", [" "]])
def test_a_sensor_without_a_target_is_refused_before_anything_is_sent(connected: Sandbox, targets: Any) -> None:
    with pytest.raises(CampaignConfigError, match="target_statuses"):
        sensor("cd-1", target_statuses=targets).execute({})
    assert connected.requests == []


@pytest.mark.parametrize("deferrable", ["false", "No", False])
def test_a_text_that_is_false_does_not_defer(connected: Sandbox, kind: Kind, deferrable: Any) -> None:
    campaign = kind.add_campaign(connected)
    with pytest.raises(AirflowSensorTimeout):
        sensor(campaign.id, deferrable=deferrable, timeout=0.01).execute({})


def test_completed_can_be_waited_for(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Completed")
    assert sensor(campaign.id, target_statuses=("Stopped", "completed")).execute({}) == "Completed"


def test_completed_when_it_is_no_target_fails_at_once(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Completed")
    with pytest.raises(CampaignStateError, match=f"{campaign.id}.*is Completed: it will not become Stopped") as caught:
        sensor(campaign.id).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert len(connected.requests) == 1


@pytest.mark.parametrize("fault", KORE_FAULTS_THAT_PASS)
def test_a_passing_failure_is_polled_again(connected: Sandbox, kind: Kind, fault: str) -> None:
    if (kind, fault) == (SONARLY, "rate_limit_text"):
        pytest.skip("only Kore words a refusal for the rate like that")
    campaign = kind.add_campaign(connected, status="Stopped")
    connected.add_fault(Fault(fault, count=2))
    assert sensor(campaign.id).execute({}) == "Stopped"
    assert len(connected.requests) == 3


def test_a_platform_that_asks_for_rest_is_left_alone(
    connected: Sandbox, kind: Kind, virtual_clock: VirtualClock
) -> None:
    campaign = kind.add_campaign(connected, status="Stopped")
    connected.add_fault(Fault("rate_limit", retry_after="17"))
    sensor(campaign.id).execute({})
    first, second = (request.at for request in connected.requests)
    assert first + 17 <= second + 0.02
