"""A 404 proves a delete only if this very try has sent a delete whose response was lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignError, CampaignNotFoundError
from airflow_provider_campaign.operators.campaign import DeleteSmsCampaignOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.kinds import Connect

RETRY: Any = {"ti": SimpleNamespace(try_number=2)}
FIRST: Any = {}


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection("v2"))
    return sandbox


def delete(campaign_id: str, context: Any = FIRST, **arguments: Any) -> str:
    """Run a try of a task, and return the status that it returns."""
    task = DeleteSmsCampaignOperator(task_id="delete", campaign_id=campaign_id, timeout=30, **arguments)
    return str(task.execute(context)["status"])


@pytest.mark.parametrize("delay", [0.0, 20.0])
def test_a_live_campaign_is_stopped_before_it_is_deleted_on_request(sandbox: Sandbox, delay: float) -> None:
    campaign = sandbox.add_campaign(stop_delay=delay)
    delete(campaign.id, stop_first=True)
    assert [status for _, status in campaign.history] == ["Active", "Stopped"]
    assert sandbox.campaigns() == []


def test_a_lost_delete_is_proven_by_a_404_in_the_same_try(sandbox: Sandbox) -> None:
    for stop_first in (False, True):
        sandbox.add_fault(Fault("lost", action="delete", how="error"))
        assert delete(sandbox.add_campaign().id, stop_first=stop_first) == "Deleted"


def test_a_retry_claims_no_earlier_delete(sandbox: Sandbox) -> None:
    campaign = sandbox.add_campaign(status="Stopped")
    sandbox.add_fault(Fault("lost", action="delete", how="error"))
    sandbox.add_fault(Fault("error", action="delete", count=None))
    with pytest.raises(CampaignError):
        delete(campaign.id)
    sandbox.clear_faults()
    with pytest.raises(CampaignNotFoundError, match="A previous try of this task may have deleted it: if that is"):
        delete(campaign.id, RETRY)
    assert delete(campaign.id, RETRY, ignore_missing=True) == "Deleted"


def test_a_mistyped_id_is_not_deleted_by_clearing_the_task(sandbox: Sandbox) -> None:
    with pytest.raises(CampaignNotFoundError) as first:
        delete("mistyped", ignore_missing="False")
    assert "campaign 'mistyped' (connection 'campaign_default'" in str(first.value)
    assert "previous try" not in str(first.value)
    with pytest.raises(CampaignNotFoundError, match=r"set ignore_missing=True"):
        delete("mistyped", RETRY)
    assert delete("mistyped", ignore_missing=True) == "Deleted"
    sandbox.add_fault(Fault("forbidden", action="delete"))
    with pytest.raises(CampaignAuthError):
        delete("mistyped", ignore_missing=True)


def test_a_404_for_a_campaign_that_the_status_shows_is_never_a_success(sandbox: Sandbox) -> None:
    voice = sandbox.add_campaign(campaign_type="voice")
    for context in (FIRST, RETRY):
        with pytest.raises(CampaignNotFoundError, match="But the platform shows a campaign with this id") as caught:
            delete(voice.id, context, ignore_missing=True)
        assert "previous try" not in str(caught.value)
    assert sandbox.campaigns() == [voice]
