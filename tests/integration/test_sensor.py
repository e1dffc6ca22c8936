"""The sensor waits for a status, and knows when it can not come any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignError,
    CampaignNotFoundError,
    CampaignStateError,
)
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.clock import VirtualClock
from tests.kinds import SONARLY, Connect, Kind
from tests.meanwhile import meanwhile, requests_received

KORE_FAULTS_THAT_PASS = ["rate_limit", "rate_limit_text", "error", "html", "html_ok", "broken_json", "empty", "reset"]


@pytest.fixture
def connected(sandbox: Sandbox, connect: Connect, kind: Kind) -> Sandbox:
    """Connect to the sandbox as the kind in turn."""
    sandbox.config.rate_limit = None
    connect(kind.connection(sandbox))
    return sandbox


def sensor(campaign_id: str, **arguments: Any) -> CampaignStatusSensor:
    defaults: dict[str, Any] = {"task_id": "wait", "poke_interval": 0.01, "timeout": 30}
    return CampaignStatusSensor(campaign_id=campaign_id, **{**defaults, **arguments})


def test_a_status_that_is_there_ends_the_wait_with_one_request(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Stopped")
    assert sensor(campaign.id).execute({}) == "Stopped"
    [request] = connected.requests
    assert request.action == ("status" if kind.api_version else "get")


def test_a_status_that_is_to_come_is_polled_for(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    with meanwhile(connected, requests_received(3), lambda: connected.set_status(campaign.id, "Stopped")):
        assert sensor(campaign.id).execute({}) == "Stopped"
    assert len(connected.requests) >= 3


@pytest.mark.parametrize("targets", ["paused", ("PAUSED",), ["Stopped", " pAuSeD "]])
def test_targets_are_compared_without_regard_to_case(connected: Sandbox, kind: Kind, targets: Any) -> None:
    campaign = kind.add_campaign(connected, status="Paused")
    assert sensor(campaign.id, target_statuses=targets).execute({}) == "Paused"


@pytest.mark.parametrize("targets", [(), [""], "", [" "]])
def test_a_sensor_without_a_target_is_refused_before_anything_is_sent(connected: Sandbox, targets: Any) -> None:
    with pytest.raises(CampaignConfigError, match="target_statuses"):
        sensor("cd-1", target_statuses=targets).execute({})
    assert connected.requests == []


def test_completed_can_be_waited_for(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Completed")
    assert sensor(campaign.id, target_statuses=("Stopped", "completed")).execute({}) == "Completed"


def test_completed_when_it_is_no_target_fails_at_once(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Completed")
    with pytest.raises(CampaignStateError, match=f"{campaign.id}.*is Completed: it will not become Stopped") as caught:
        sensor(campaign.id).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert len(connected.requests) == 1


def test_a_campaign_that_is_deleted_meanwhile_fails_at_once(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    with (
        meanwhile(connected, requests_received(2), lambda: connected.remove_campaign(campaign.id)),
        pytest.raises(CampaignNotFoundError, match=campaign.id) as caught,
    ):
        sensor(campaign.id).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert [request.status_code for request in connected.requests].count(404) == 1


def test_a_missing_permission_fails_at_once(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    connected.add_fault(Fault("forbidden", count=None))
    with pytest.raises(CampaignAuthError, match=campaign.id):
        sensor(campaign.id).execute({})
    assert len(connected.requests) == 1


@pytest.mark.parametrize("fault", KORE_FAULTS_THAT_PASS)
def test_a_passing_failure_is_polled_again(connected: Sandbox, kind: Kind, fault: str) -> None:
    if (kind, fault) == (SONARLY, "rate_limit_text"):
        pytest.skip("only Kore words a refusal for the rate like that")
    campaign = kind.add_campaign(connected, status="Stopped")
    connected.add_fault(Fault(fault, count=2))
    assert sensor(campaign.id).execute({}) == "Stopped"
    assert len(connected.requests) == 3


def test_a_passing_failure_never_fails_the_wait_on_its_own(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    connected.add_fault(Fault("error", status=503, count=None))
    with pytest.raises(AirflowSensorTimeout):
        sensor(campaign.id, timeout=0.05).execute({})


def test_a_platform_that_asks_for_rest_is_left_alone(
    connected: Sandbox, kind: Kind, virtual_clock: VirtualClock
) -> None:
    campaign = kind.add_campaign(connected, status="Stopped")
    connected.add_fault(Fault("rate_limit", retry_after="17"))
    sensor(campaign.id).execute({})
    first, second = (request.at for request in connected.requests)
    assert first + 17 <= second + 0.02


def test_a_wait_that_runs_out_is_a_sensor_timeout(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    with pytest.raises(AirflowSensorTimeout):
        sensor(campaign.id, timeout=0.05).execute({})


def complete(sandbox: Sandbox, campaign_id: str) -> None:
    sandbox.set_status(campaign_id, "Completed")


def be_gone(sandbox: Sandbox, campaign_id: str) -> None:
    sandbox.remove_campaign(campaign_id)


def stay_active(sandbox: Sandbox, campaign_id: str) -> None:
    """Leave it as it is."""


@pytest.mark.parametrize("happen", [complete, be_gone, stay_active])
def test_a_soft_failure_skips(connected: Sandbox, kind: Kind, happen: Callable[[Sandbox, str], None]) -> None:
    campaign = kind.add_campaign(connected)
    happen(connected, campaign.id)
    with pytest.raises(AirflowSkipException):
        sensor(campaign.id, soft_fail=True, timeout=0.05).execute({})


def poke_in_reschedule_mode(campaign_id: str) -> Any:
    return sensor(campaign_id, mode="reschedule", poke_interval=60).poke({})


def test_reschedule_mode_looks_once_at_a_time(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    assert not poke_in_reschedule_mode(campaign.id)
    connected.set_status(campaign.id, "Stopped")
    found = poke_in_reschedule_mode(campaign.id)
    assert found
    assert found.xcom_value == "Stopped"


@pytest.mark.parametrize(("happen", "error"), [(complete, CampaignStateError), (be_gone, CampaignNotFoundError)])
def test_reschedule_mode_fails_at_once_for_the_same_reasons(
    connected: Sandbox, kind: Kind, happen: Callable[[Sandbox, str], None], error: type[CampaignError]
) -> None:
    campaign = kind.add_campaign(connected)
    happen(connected, campaign.id)
    with pytest.raises(error):
        poke_in_reschedule_mode(campaign.id)
