"""How campaigns come to a stop, and when."""

from __future__ import annotations

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient


def test_a_delayed_stop_takes_effect_when_it_falls_due(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.config.stop_delay = 30
    campaign = sandbox.add_campaign()
    started = campaign.updated_at
    response = kore.stop(campaign.id).json()
    assert (response["status"], response["message"]) == ("Active", "Campaign stop requested")
    assert response["updatedAt"] == started
    clock.advance(29.9)
    assert kore.status(campaign.id).json()["data"]["status"] == "Active"
    clock.advance(100)
    assert kore.status(campaign.id).json()["data"]["status"] == "Stopped"
    assert campaign.history == [(1000.0, "Active"), (1030.0, "Stopped")]
    assert campaign.updated_at > started


def test_a_further_stop_does_not_begin_the_delay_again(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(stop_delay=30)
    kore.stop(campaign.id)
    clock.advance(20)
    assert kore.stop(campaign.id).status_code == 200
    clock.advance(10)
    assert campaign.status == "Stopped"
    assert campaign.stop_requests == 2


def test_a_campaign_may_ignore_stops(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(stoppable=False)
    assert kore.stop(campaign.id).json()["status"] == "Active"
    clock.advance(10_000)
    assert (campaign.status, campaign.stop_requests) == ("Active", 1)


def test_a_campaign_may_complete_instead_of_stopping(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(completes=True)
    assert kore.stop(campaign.id).json()["status"] == "Completed"
    assert campaign.status == "Completed"


@pytest.mark.parametrize("status", ["Active", "Preparing", "Paused"])
def test_what_runs_can_be_stopped(sandbox: Sandbox, kore: KoreClient, status: str) -> None:
    assert kore.stop(sandbox.add_campaign(status=status).id).json()["status"] == "Stopped"


@pytest.mark.parametrize("status", ["Ready", "Scheduled", "Rescheduled"])
def test_what_has_not_begun_cannot_be_stopped(sandbox: Sandbox, kore: KoreClient, status: str) -> None:
    campaign = sandbox.add_campaign(status=status)
    assert kore.stop(campaign.id).status_code == 409
    assert campaign.status == status


@pytest.mark.parametrize("status", ["Stopped", "Completed"])
@pytest.mark.parametrize(("setting", "code"), [("conflict", 409), ("bad_request", 400), ("ok", 200)])
def test_the_response_to_a_stop_of_an_ended_campaign_is_as_configured(
    sandbox: Sandbox, kore: KoreClient, status: str, setting: str, code: int
) -> None:
    sandbox.config.stop_when_stopped = setting  # type: ignore[assignment]
    response = kore.stop(sandbox.add_campaign(status=status).id)
    assert response.status_code == code
    if code == 200:
        assert response.json()["status"] == status


def test_a_delayed_start_is_preparing_until_then(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.config.start_delay = 10
    campaign = sandbox.add_campaign(status="Scheduled")
    assert kore.start(campaign.id).json()["status"] == "Preparing"
    clock.advance(15)
    assert campaign.history[1:] == [(1000.0, "Preparing"), (1010.0, "Active")]


def test_a_stop_cancels_a_delayed_start(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(status="Ready", start_delay=10)
    kore.start(campaign.id)
    assert kore.stop(campaign.id).json()["status"] == "Stopped"
    clock.advance(60)
    assert campaign.status == "Stopped"


def test_setting_a_status_cancels_a_pending_transition(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(stop_delay=10)
    kore.stop(campaign.id)
    sandbox.set_status(campaign.id, "paused")
    clock.advance(60)
    assert campaign.status == "Paused"


def test_a_status_can_be_set_for_later_and_be_any_word(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign()
    sandbox.set_status(campaign.id, "on fire", delay=5, documented=False)
    assert kore.status(campaign.id).json()["data"]["status"] == "Active"
    clock.advance(5)
    assert kore.status(campaign.id).json()["data"]["status"] == "on fire"


def test_a_sonarly_campaign_lags_only_by_a_delay_of_its_own(
    sandbox: Sandbox, sonarly: SonarlyClient, clock: VirtualClock
) -> None:
    sandbox.config.stop_delay = 30
    prompt = sandbox.add_campaign(campaign_type="sonarly")
    lagging = sandbox.add_campaign(campaign_type="sonarly", stop_delay=5)
    assert sonarly.stop(prompt.id).json()["data"]["campaign"]["status"] == "stopped"
    response = sonarly.stop(lagging.id).json()
    assert (response["success"], response["data"]["campaign"]["status"]) == (True, "active")
    clock.advance(5)
    assert sonarly.get(lagging.id).json()["data"]["status"] == "stopped"


def test_waiting_sees_a_delayed_stop_on_the_real_clock() -> None:
    with Sandbox(stop_delay=0.05) as sandbox:
        campaign = sandbox.add_campaign()
        KoreClient(sandbox).stop(campaign.id)
        sandbox.wait_for(lambda sandbox: sandbox.campaign(campaign.id).status == "Stopped")
        [(_, _), (stopped_at, _)] = campaign.history
        assert stopped_at >= sandbox.requests[0].at + 0.05


def test_somebody_may_start_a_campaign_again_each_time_it_is_stopped(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    campaign = sandbox.add_campaign(restarts=2, restart_delay=5, stop_delay=1)
    for _ in range(3):
        kore.stop(campaign.id)
        clock.advance(1)
        assert kore.status(campaign.id).json()["data"]["status"] == "Stopped"
        clock.advance(5)
    assert [status for _, status in campaign.history] == ["Active", "Stopped"] * 3
    assert campaign.history[2] == (1006.0, "Active")
    assert campaign.restarts == 0


def test_a_restart_may_be_immediate(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(restarts=1)
    assert kore.stop(campaign.id).json()["status"] == "Active"
    assert [status for _, status in campaign.history] == ["Active", "Stopped", "Active"]
    assert kore.stop(campaign.id).json()["status"] == "Stopped"


def test_a_campaign_added_as_stopped_is_restarted_too(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(status="Stopped", restarts=1, restart_delay=5)
    clock.advance(5)
    assert campaign.status == "Active"


def test_a_completed_campaign_is_not_restarted(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(completes=True, restarts=1)
    kore.stop(campaign.id)
    clock.advance(60)
    assert (campaign.status, campaign.restarts) == ("Completed", 1)
