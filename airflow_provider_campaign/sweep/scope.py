"""Which campaigns a sweep stops, and which live ones it leaves out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from airflow_provider_campaign.campaign import LIVE_STATUSES, Campaign, matches_pattern, may_be_live
from airflow_provider_campaign.platforms.base import Platform


@dataclass(frozen=True)
class SweepScope:
    """
    Which campaigns a sweep stops.

    :param campaign_types: If the platform has types.
    :param statuses: Those that count as live; by default, so does a word that the platform does not document.
    :param name_patterns: Only campaigns whose name matches one of them; None for all.
    :param campaign_ids: Only these campaigns; None for all.
    """

    campaign_types: Collection[str]
    statuses: Collection[str] = LIVE_STATUSES
    name_patterns: Collection[str] | None = None
    campaign_ids: Collection[str] | None = None

    def as_dict(self) -> dict[str, list[str] | None]:
        """Return the scope as records have it, by the names of the sweep's arguments."""
        fields = {**vars(self), "name_pattern": self.name_patterns}
        names = ("campaign_types", "statuses", "name_pattern", "campaign_ids")
        return {name: None if fields[name] is None else sorted(fields[name]) for name in names}

    def listed_types(self, platform: Platform) -> Collection[str | None]:
        return self.campaign_types if platform.campaign_types else (None,)

    def excluded_types(self, platform: Platform) -> list[str]:
        return [campaign_type for campaign_type in platform.campaign_types if campaign_type not in self.campaign_types]

    def listed_statuses(self, platform: Platform) -> Collection[str]:
        """Return the statuses to ask the platform for, live ones that are left out included; none for all."""
        return () if self._takes_unknown_statuses(platform) else tuple({*self.statuses, *LIVE_STATUSES})

    def has_status(self, campaign: Campaign, platform: Platform) -> bool:
        """Return whether the campaign's status is one of those to stop."""
        if self._takes_unknown_statuses(platform):
            return may_be_live(campaign.status)
        return campaign.status.casefold() in map(str.casefold, self.statuses)

    def exclusion(self, campaign: Campaign) -> str | None:
        """Return the argument by which name or id leave the campaign out, None if neither does."""
        if self.campaign_ids is not None and campaign.id not in self.campaign_ids:
            return "campaign_ids"
        if self.name_patterns is not None and not matches_pattern(campaign.name or "", self.name_patterns):
            return "name_pattern"
        return None

    def _takes_unknown_statuses(self, platform: Platform) -> bool:
        return set(self.statuses) == set(LIVE_STATUSES) and not platform.has_closed_status_set
