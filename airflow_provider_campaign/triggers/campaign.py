"""The event of an asset: a campaign reaches a status, whichever client has changed it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_campaign import arguments
from airflow_provider_campaign.campaign import Campaign, CampaignStatus, status_condition
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.triggers.base import AccountTrigger, SharedPoll
from airflow_provider_campaign.waiting.pending import PendingWait, Snapshot


class CampaignStatusTrigger(AccountTrigger):
    """
    Fire each time that a campaign reaches a status; for an ``AssetWatcher``.

    The event carries the keys ``campaign_id``, ``status``, ``name``, and ``updated_at``.

    :param campaign_id: The campaign's id on its platform.
    :param campaign_conn_id: The connection id; its type selects the platform.
    :param target_statuses: The statuses to fire on, compared without regard to case.
    :param campaign_type: ``sms`` or ``voice`` if known; it saves a request a poll.
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
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = arguments.read_campaign_id("campaign_id", campaign_id)
        self.campaign_conn_id = arguments.read_text("campaign_conn_id", campaign_conn_id)
        self.campaign_type = arguments.read_optional_text("campaign_type", campaign_type)
        self.poll_interval = arguments.read_poll_interval("poll_interval", poll_interval)
        self.target_statuses = list(arguments.read_statuses("target_statuses", target_statuses))
        self.condition = status_condition(self.target_statuses)

    async def events(self, poll: SharedPoll, snapshots: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        was_short = bool(await self._state("aget"))
        with poll.subscribed(PendingWait(self.campaign_id, self.condition, self.campaign_type)):
            async for snapshot in snapshots:
                campaign = self._shown(poll, snapshot)
                if campaign is None:
                    continue
                is_short = not self.condition.is_met_by(campaign.status)
                if is_short != was_short:
                    await self._state("aset", is_short)
                if was_short and not is_short:
                    event = {**campaign.summary(), "updated_at": campaign.updated_at}
                    del event["campaign_type"]
                    yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                was_short = is_short

    def _shown(self, poll: SharedPoll, snapshot: Snapshot) -> Campaign | None:
        """Return the campaign if a poll shows it; log what keeps it from being watched."""
        try:
            if error := snapshot.error or snapshot.failed.get(self.campaign_id):
                raise error
            if poll.platform:
                targets = self.target_statuses
                arguments.check_documented("target_statuses", targets, poll.platform, nothing_sent=False)
        except CampaignError as error:
            self.log.error("Campaign %s can't be watched: %s", self.campaign_id, error)
            return None
        return snapshot.campaigns.get(self.campaign_id)

    async def _state(self, method: str, *value: bool) -> Any:
        """Read or write whether the campaign is short of the status, as Airflow keeps it for an asset (from 3.3 on)."""
        key = f"{self.campaign_id}:{self.condition}"
        try:
            store = getattr(self, "asset_state_store", None)
            return None if store is None else await getattr(store, method)(key, *value)
        except Exception as error:  # noqa: BLE001 one trigger for several assets has no store
            self.log.warning("The watcher's state is not kept (%s): %s", key, error)
