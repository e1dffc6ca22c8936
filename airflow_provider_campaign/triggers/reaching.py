"""Telling that a campaign reaches a status from that it is in one: an asset fires on the first alone."""

from __future__ import annotations

from typing import Any, Self

from airflow_provider_campaign.campaign import Campaign, Goal, Outlook


class Reaching:
    """
    The memory of a watch: whether the campaign was short of the goal, and the last change that reached it.

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
        if isinstance(kept, dict):
            reaching._short, reaching._stamp = bool(kept.get("short")), kept.get("stamp")
        return reaching

    async def by(self, campaign: Campaign) -> bool:
        """
        Tell whether the campaign, as it was seen now, has reached the goal since it was seen last.

        Where it was stopped, started and stopped again between two looks, the time of its change tells.
        """
        reached = self.goal.outlook(campaign.status) is Outlook.REACHED
        again = None not in (campaign.updated_at, self._stamp) and campaign.updated_at != self._stamp
        fires = reached and (self._short or again)
        stamp = (campaign.updated_at or self._stamp) if reached else self._stamp
        if (self._short, self._stamp) != (not reached, stamp):
            self._short, self._stamp = not reached, stamp
            if self._store is not None:
                await self._store.aset(self._key, {"short": self._short, "stamp": self._stamp})
        return fires
