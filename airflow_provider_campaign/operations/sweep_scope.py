"""What a sweep is to stop, and what it leaves out although it is live."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from airflow_provider_campaign.campaign import LIVE_STATUSES, Campaign, is_live, matches_pattern, may_be_live
from airflow_provider_campaign.platforms.base import Platform


@dataclass(frozen=True)
class SweepScope:
    """
    What a sweep is to stop.

    :param campaign_types: Where the platform tells types apart.
    :param statuses: Those that count as live; left as they are by default, a word that the platform does not
        document counts too.
    :param name_pattern: Only campaigns whose name matches (glob).
    """

    campaign_types: Collection[str]
    statuses: Collection[str] = LIVE_STATUSES
    name_pattern: str | None = None

    def listed_types(self, platform: Platform) -> Collection[str | None]:
        return self.campaign_types if platform.campaign_types else (None,)

    def excluded_types(self, platform: Platform) -> list[str]:
        return [campaign_type for campaign_type in platform.campaign_types if campaign_type not in self.campaign_types]

    def listed_statuses(self, platform: Platform) -> Collection[str]:
        """Return the statuses to ask the platform for: also those that are live and left out."""
        return () if self._takes_unknown_statuses(platform) else tuple({*self.statuses, *LIVE_STATUSES})

    def includes(self, campaign: Campaign, platform: Platform) -> bool:
        return self._has_status(campaign, platform) and self.matches_name(campaign)

    def exclusion(self, campaign: Campaign, platform: Platform) -> str | None:
        """Return the argument that leaves a live campaign out; None where it is included or not live."""
        if self._has_status(campaign, platform):
            return None if self.matches_name(campaign) else "name_pattern"
        is_left_out = may_be_live if platform.has_closed_status_set else is_live
        return "statuses" if is_left_out(campaign.status) else None

    def matches_name(self, campaign: Campaign) -> bool:
        return self.name_pattern is None or matches_pattern(campaign.name, (self.name_pattern,))

    def _takes_unknown_statuses(self, platform: Platform) -> bool:
        """Tell whether a status word that nobody documents counts as live."""
        return set(self.statuses) == set(LIVE_STATUSES) and not platform.has_closed_status_set

    def _has_status(self, campaign: Campaign, platform: Platform) -> bool:
        if self._takes_unknown_statuses(platform):
            return may_be_live(campaign.status)
        return campaign.status.casefold() in map(str.casefold, self.statuses)
