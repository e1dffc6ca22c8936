"""The event of an asset: a campaign reaches a status, whoever has changed it."""

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
from airflow_provider_campaign.campaign import Campaign, CampaignStatus, WaitCondition, status_condition
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.triggers.base import AccountTrigger
from airflow_provider_campaign.triggers.shared_poll import SharedPoll
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
        super().__init__(
            read_campaign_id("campaign_id", campaign_id),
            read_text("campaign_conn_id", campaign_conn_id),
            read_optional_text("campaign_type", campaign_type),
            read_poll_interval("poll_interval", poll_interval),
        )
        self.target_statuses = list(read_statuses("target_statuses", target_statuses))
        self.condition = status_condition(self.target_statuses)

    async def events(self, poll: SharedPoll, snapshots: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each transition."""
        wait = PendingWait(self.campaign_id, self.condition, self.campaign_type)
        known = await self._kept()
        with poll.subscribed(wait):
            async for snapshot in snapshots:
                error = snapshot.error or snapshot.failed.get(self.campaign_id) or self._misspelling(poll.platform)
                if error:
                    self.log.error("Campaign %s can't be watched: %s", self.campaign_id, error)
                elif campaign := snapshot.campaigns.get(self.campaign_id):
                    before, (known, fires) = known, _updated(known, campaign, self.condition)
                    if known != before:
                        await self._keep(known)
                    if fires:
                        event = {"campaign_id": campaign.id, "status": campaign.status, "name": campaign.name}
                        event["updated_at"] = campaign.updated_at
                        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    def _misspelling(self, platform: Platform | None) -> CampaignConfigError | None:
        """Return the error for a target status that can never come, because the platform has no such word."""
        try:
            if platform:
                check_documented("target_statuses", self.target_statuses, platform, nothing_sent=False)
        except CampaignConfigError as error:
            return error
        return None

    async def _kept(self) -> dict[str, Any]:
        """Return what Airflow has kept of the asset (3.3 and later), so that it outlives the triggerer."""
        try:
            store = getattr(self, "asset_state_store", None)
            kept = await store.aget(self._key) if store is not None else None
        except ValueError:  # one trigger for several assets has no store of its own
            kept = None
        except Exception as error:  # noqa: BLE001 whatever the store raises, the watch goes on
            self.log.warning("Could not read the watcher's state (%s): %s", self._key, error)
            kept = None
        kept = kept if isinstance(kept, dict) else {}
        return {"short": bool(kept.get("short")), "stamp": kept.get("stamp")}

    async def _keep(self, known: dict[str, Any]) -> None:
        try:
            if (store := getattr(self, "asset_state_store", None)) is not None:
                await store.aset(self._key, known)
        except ValueError:  # as above
            return
        except Exception as error:  # noqa: BLE001 whatever the store raises, the watch goes on
            self.log.warning("Could not persist the watcher's state (%s): %s", self._key, error)

    @property
    def _key(self) -> str:
        return f"{self.campaign_id}:{self.condition}"


def _updated(known: dict[str, Any], campaign: Campaign, condition: WaitCondition) -> tuple[dict[str, Any], bool]:
    """
    Return what is known of a campaign now that it was read, and whether it has met the condition since it was before.

    If it was stopped, started, and stopped again between two polls, the time of its last change shows that. Only times
    of the platform are compared: its clock is not ours.

    :param known: Whether it was ``short`` of the condition, and the ``stamp`` of the change that met it last.
    """
    is_met = condition.is_met_by(campaign.status)
    fires = is_met and (known["short"] or _is_later(campaign.updated_at, known["stamp"]))
    is_newer = is_met and (fires or known["stamp"] is None)
    return {"short": not is_met, "stamp": campaign.updated_at if is_newer else known["stamp"]}, fires


def _is_later(updated_at: str | None, known: str | None) -> bool:
    if updated_at is None or known is None:
        return False
    later, earlier = seconds_of(updated_at), seconds_of(known)
    return updated_at != known if later is None or earlier is None else later > earlier
