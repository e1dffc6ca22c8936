"""The event of an asset: a campaign reaches a status, by whomever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_campaign.arguments import read_statuses
from airflow_provider_campaign.campaign import Campaign, CampaignStatus, status_condition
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.account_poller import AccountSnapshot, PendingWait
from airflow_provider_campaign.triggers.base import AccountTrigger
from airflow_provider_campaign.triggers.shared_poll import SharedPoll
from airflow_provider_campaign.triggers.transitions import TransitionDetector


class CampaignStatusTrigger(AccountTrigger):
    """
    Fire each time that a campaign reaches a status; for an ``AssetWatcher``.

    The event carries the keys ``campaign_id``, ``status``, ``name`` and ``updated_at``.

    :param campaign_id: The campaign's id on its platform.
    :param campaign_conn_id: The connection id; its type says which platform it is.
    :param target_statuses: The statuses to fire on, compared without regard to case.
    :param campaign_type: ``sms`` or ``voice`` where it is known; it saves a request a poll.
    :param poll_interval: Seconds between two polls.
    :raises CampaignConfigError: When there is no target status.
    """

    def __init__(
        self,
        campaign_id: str,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        target_statuses: Collection[str] = (CampaignStatus.STOPPED.value,),
        campaign_type: str | None = None,
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__(campaign_id, campaign_conn_id, campaign_type, poll_interval)
        self.target_statuses = list(read_statuses("target_statuses", target_statuses))
        self.condition = status_condition(self.target_statuses)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{CampaignStatusTrigger.__module__}.{CampaignStatusTrigger.__qualname__}", {
            "campaign_id": self.campaign_id,
            "campaign_conn_id": self.campaign_conn_id,
            "target_statuses": self.target_statuses,
            "campaign_type": self.campaign_type,
            "poll_interval": self.poll_interval,
        }

    async def events(self, poll: SharedPoll, snapshots: AsyncIterator[AccountSnapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each transition."""
        wait = PendingWait(self.campaign_id, self.condition, self.campaign_type, waiter=object())
        store = getattr(self, "asset_state_store", None)
        detector = await TransitionDetector.restored(self.condition, store, self.campaign_id)
        with poll.subscribed(wait):
            async for snapshot in snapshots:
                if error := snapshot.error_for(self.campaign_id):
                    self.log.error("The status of campaign %s can't be read: %s", self.campaign_id, error)
                elif (campaign := snapshot.campaigns.get(self.campaign_id)) and await detector.update(campaign):
                    yield TriggerEvent(_payload(campaign))  # type: ignore[no-untyped-call]


def _payload(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign_id": campaign.id,
        "status": campaign.status,
        "name": campaign.name,
        "updated_at": campaign.updated_at,
    }
