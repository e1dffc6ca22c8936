"""The event of an asset: a campaign reaches a status, by whomever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_campaign.arguments import (
    check_documented,
    read_campaign_id,
    read_optional_text,
    read_poll_interval,
    read_statuses,
    read_text,
)
from airflow_provider_campaign.campaign import Campaign, CampaignStatus, status_condition
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.account_poller import AccountSnapshot
from airflow_provider_campaign.operations.wait import PendingWait
from airflow_provider_campaign.platforms.base import Platform
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
    :raises CampaignConfigError: When an argument is wrong.
    """

    def __init__(
        self,
        campaign_id: str,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        target_statuses: Collection[str] = (CampaignStatus.STOPPED.value,),
        campaign_type: str | None = None,
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__(
            read_campaign_id("campaign_id", campaign_id),
            read_text("campaign_conn_id", campaign_conn_id),
            read_optional_text("campaign_type", campaign_type),
            read_poll_interval("poll_interval", poll_interval),
        )
        self.target_statuses = list(read_statuses("target_statuses", target_statuses))
        self.condition = status_condition(self.target_statuses)

    async def events(self, poll: SharedPoll, snapshots: AsyncIterator[AccountSnapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each transition."""
        wait = PendingWait(self.campaign_id, self.condition, self.campaign_type, waiter=object())
        store = getattr(self, "asset_state_store", None)
        detector = await TransitionDetector.restored(self.condition, store, self.campaign_id)
        with poll.subscribed(wait):
            async for snapshot in snapshots:
                if error := snapshot.error_for(self.campaign_id) or self._misspelling(poll.platform):
                    self.log.error("Campaign %s can't be watched: %s", self.campaign_id, error)
                elif (campaign := snapshot.campaigns.get(self.campaign_id)) and await detector.update(campaign):
                    yield TriggerEvent(_payload(campaign))  # type: ignore[no-untyped-call]

    def _misspelling(self, platform: Platform | None) -> CampaignConfigError | None:
        """Return the error for a target status that can never come, because the platform has no such word."""
        try:
            if platform:
                check_documented("target_statuses", self.target_statuses, platform, nothing_sent=False)
        except CampaignConfigError as error:
            return error
        return None


def _payload(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign_id": campaign.id,
        "status": campaign.status,
        "name": campaign.name,
        "updated_at": campaign.updated_at,
    }
