"""Fire asset events on transitions, not on states."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Self

from airflow_provider_campaign.campaign import Campaign, WaitCondition

log = logging.getLogger(__name__)


class TransitionDetector:
    """
    Remember whether a campaign was short of a condition, and when it was known to have met it.

    :param store: Airflow's store of the asset's state (3.3 and later), which outlives the triggerer; or None.
    :param key: The key in that store.
    """

    def __init__(self, condition: WaitCondition, store: Any, key: str) -> None:
        self._condition = condition
        self._store = store
        self._key = key
        self._was_short = False
        self._met_at: str | None = None
        """The platform's own time of the change that met the condition last, None where it did not tell."""

    @classmethod
    async def restored(cls, condition: WaitCondition, store: Any, campaign_id: str) -> Self:
        """Return the detector with what an earlier triggerer has kept."""
        detector = cls(condition, store, f"{campaign_id}:{condition}")
        await detector._restore()
        return detector

    async def update(self, campaign: Campaign) -> bool:
        """
        Tell whether the campaign, as it was read now, has met the condition since it was read last.

        Where it was stopped, started and stopped again between two polls, the time of its change tells. That is
        compared with times of the platform only: its clock is not ours.
        """
        before = (self._was_short, self._met_at)
        is_met = self._condition.is_met_by(campaign.status)
        fires = is_met and (self._was_short or _is_later(campaign.updated_at, self._met_at))
        self._was_short = not is_met
        if is_met and (fires or self._met_at is None):
            self._met_at = campaign.updated_at
        if before != (self._was_short, self._met_at):
            await self._keep()
        return fires

    async def _restore(self) -> None:
        try:
            kept = await self._store.aget(self._key) if self._store is not None else None
        except ValueError:  # one trigger for several assets has no store of its own
            self._store = kept = None
        except Exception as error:  # noqa: BLE001 whatever the store raises, the watch goes on
            log.warning("What was seen (%s) before can't be read: %s", self._key, error)
            kept = None
        if isinstance(kept, dict):
            self._was_short, self._met_at = bool(kept.get("short")), kept.get("stamp")

    async def _keep(self) -> None:
        if self._store is None:
            return
        try:
            await self._store.aset(self._key, {"short": self._was_short, "stamp": self._met_at})
        except Exception as error:  # noqa: BLE001 whatever the store raises, the watch goes on
            log.warning("What was seen (%s) can't be kept over a restart: %s", self._key, error)


def _is_later(updated_at: str | None, known: str | None) -> bool:
    if updated_at is None or known is None:
        return False
    try:
        return datetime.fromisoformat(updated_at) > datetime.fromisoformat(known)
    except (ValueError, TypeError):  # a form that can't be read, or only one with a time zone
        return updated_at != known
