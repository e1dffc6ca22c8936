"""Telling that a campaign reaches a status from that it is in one: an asset fires on the first alone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Self

from airflow_provider_campaign.campaign import Campaign, Goal, Outlook
from airflow_provider_campaign.version_compat import AirflowRuntimeError

log = logging.getLogger(__name__)


class Reaching:
    """
    The memory of a watch: whether the campaign was short of the goal, and when it was known to have reached it.

    :param goal: What is watched for.
    :param store: Airflow's store of the asset's state (3.3 and later), which outlives the triggerer; or None.
    :param key: The key in that store.
    """

    def __init__(self, goal: Goal, store: Any, key: str) -> None:
        self.goal = goal
        self._store = store
        self._key = key
        self._short = False
        self._stamp: str | None = None

    @classmethod
    async def restored(cls, goal: Goal, store: Any, campaign_id: str) -> Self:
        """Return the memory that an earlier triggerer left."""
        reaching = cls(goal, store, f"{campaign_id}:{goal}")
        try:
            kept = await store.aget(reaching._key) if store is not None else None
        except ValueError:  # one trigger for several assets has no store of its own
            reaching._store = kept = None
        except AirflowRuntimeError as error:
            log.warning("What was seen of campaign %s before can't be read: %s", campaign_id, error)
            kept = None
        if isinstance(kept, dict):
            reaching._short, reaching._stamp = bool(kept.get("short")), kept.get("stamp")
        return reaching

    async def by(self, campaign: Campaign) -> bool:
        """
        Tell whether the campaign, as it was seen now, has reached the goal since it was seen last.

        Where it was stopped, started and stopped again between two looks, the time of its change tells.
        """
        before = (self._short, self._stamp)
        reached = self.goal.outlook(campaign.status) is Outlook.REACHED
        again = self._stamp is not None and _is_later(campaign.updated_at, self._stamp)
        fires = reached and (self._short or again)
        self._short = not reached
        if reached and (fires or self._stamp is None):
            self._stamp = campaign.updated_at or datetime.now(UTC).isoformat()
        if before != (self._short, self._stamp):
            await self._keep()
        return fires

    async def _keep(self) -> None:
        if self._store is None:
            return
        try:
            await self._store.aset(self._key, {"short": self._short, "stamp": self._stamp})
        except AirflowRuntimeError as error:
            log.warning("What was seen (%s) can't be kept over a restart: %s", self._key, error)


def _is_later(updated_at: str | None, stamp: str) -> bool:
    if updated_at is None:
        return False
    try:
        return datetime.fromisoformat(updated_at) > datetime.fromisoformat(stamp)
    except (ValueError, TypeError):  # a form that can't be read, or only one with a time zone
        return updated_at != stamp
