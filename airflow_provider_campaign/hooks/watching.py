"""One look at an account for all who wait on it: as few requests as possible, however many they are."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_campaign.campaign import Campaign, Goal
from airflow_provider_campaign.exceptions import CampaignNotFoundError, CampaignUnavailableError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.retry import Deadline, asked_pause

FEW = 2
"""Waits that are cheaper to read one by one than to find in lists."""

FIRST_LOOKS = 20
"""Campaigns that nobody has looked at yet which one look at the account reads directly."""

CLOCK_SKEW = 600.0
"""Seconds that the platform's clock and ours may differ by."""

COMMIT_LAG = 5.0
"""Seconds by which a change may show up in a list later than the time it bears."""


@dataclass(frozen=True)
class Wait:
    """
    What somebody waits for.

    :param campaign_type: The campaign's type where it is known.
    :param since: When the campaign was last seen short of the goal (seconds since the epoch), None if never.
    """

    campaign_id: str
    goal: Goal
    campaign_type: str | None = None
    since: float | None = None


@dataclass(frozen=True)
class Sightings:
    """
    What one look at an account showed.

    :param campaigns: The campaigns that were read in this look, by id; of those not in here nothing new is known.
    :param gone: The campaigns that the platform does not know any more, with the error that says so.
    :param pause: Seconds that the platform wants to be left alone for.
    """

    campaigns: Mapping[str, Campaign] = field(default_factory=dict)
    gone: Mapping[str, CampaignNotFoundError] = field(default_factory=dict)
    pause: float = 0.0


class AccountWatch:
    """
    Look at an account again and again for those who wait on it.

    A status counts only where it was read in the very look. A few waits are read one by one. Many are found in
    lists of the campaigns that changed last, read back to where the look before began, so that a look at which
    nothing has changed costs one request a type. What such a list can't show is read directly: a campaign that
    nobody has looked at yet, one whose change was listed before its wait began, and, where that makes two requests
    in all, the one that was not seen for the longest time.

    :param hook: The account's hook.
    """

    def __init__(self, hook: CampaignHook) -> None:
        self.hook = hook
        self._statuses: frozenset[str] = frozenset()
        self._listed: set[str] = set()
        self._newest: dict[str | None, float] = {}
        self._reach: dict[str | None, float] = {}
        self._looked: dict[str, int] = {}
        self._looks = 0

    def look(self, waits: Collection[Wait]) -> Sightings:
        """
        Look once, on behalf of all who wait.

        :raises CampaignError: For a failure that concerns them all and that another look can't mend.
        """
        self._looks += 1
        wanted = {wait.campaign_id: wait for wait in waits}
        self._looked = {campaign_id: self._looked.get(campaign_id, 0) for campaign_id in wanted}
        campaigns: dict[str, Campaign] = {}
        gone: dict[str, CampaignNotFoundError] = {}
        try:
            listed_before = set(self._listed)
            if len(wanted) > FEW:
                self._read_lists(wanted, campaigns)
            for campaign_id in self._worth_a_request(wanted, campaigns, listed_before):
                try:
                    campaigns[campaign_id] = self.hook.glance(campaign_id)
                except CampaignNotFoundError as error:
                    gone[campaign_id] = error
                self._listed.discard(campaign_id)
                self._looked[campaign_id] = self._looks
        except CampaignUnavailableError as error:
            self.hook.log.warning("Will look again: %s", error)
            return Sightings(campaigns, gone, asked_pause(error, self.hook.rate_window) or 0.0)
        return Sightings(campaigns, gone)

    def _read_lists(self, wanted: Mapping[str, Wait], campaigns: dict[str, Campaign]) -> None:
        """Read what has changed since the last look."""
        waits = wanted.values()
        statuses = frozenset(word for wait in waits for word in (*wait.goal.reached, *wait.goal.impossible))
        if statuses != self._statuses:
            self._statuses = statuses
            self._newest.clear()
        deadline = Deadline.after(self.hook.settings.timeout, self.hook.clock, retries=False)
        since = min((wait.since for wait in waits if wait.since is not None), default=time.time()) - CLOCK_SKEW
        for campaign_type in self._types(waits):
            back_to = self._back_to(campaign_type, since)
            newest = back_to
            types = None if campaign_type is None else (campaign_type,)
            for campaign in self.hook.list_campaigns(types, statuses, newest_first=True, deadline=deadline):
                changed = _moment(campaign.updated_at)
                if self.hook.sorts_lists and changed is not None and changed < back_to:
                    break
                newest = max(newest, changed or newest)
                self._listed.add(campaign.id)
                if campaign.id in wanted:
                    campaigns[campaign.id] = campaign
                    self._looked[campaign.id] = self._looks
            self._newest[campaign_type] = newest

    def _back_to(self, campaign_type: str | None, since: float) -> float:
        """Return the time back to which a list is read: the last look, or further for a wait that began earlier."""
        if campaign_type in self._newest and since >= self._reach[campaign_type]:
            return self._newest[campaign_type] - COMMIT_LAG
        self._reach[campaign_type] = since
        return since

    def _worth_a_request(
        self, wanted: Mapping[str, Wait], campaigns: Mapping[str, Campaign], listed_before: Collection[str]
    ) -> Iterable[str]:
        """Return the ids of the campaigns to read directly."""
        if len(wanted) <= FEW:
            return list(wanted)
        unseen = [campaign_id for campaign_id in wanted if campaign_id not in campaigns]
        never = [campaign_id for campaign_id in unseen if wanted[campaign_id].since is None]
        new = [campaign_id for campaign_id in never if not self._looked[campaign_id]][:FIRST_LOOKS]
        suspects = [campaign_id for campaign_id in unseen if campaign_id in listed_before]
        single = len(self._types(wanted.values())) == 1
        longest = sorted(unseen, key=self._looked.__getitem__)[: int(single)]
        return dict.fromkeys([*new, *suspects, *longest])

    def _types(self, waits: Iterable[Wait]) -> Collection[str | None]:
        """Return the types that have to be listed: all of them as soon as one is not known."""
        types = {wait.campaign_type for wait in waits}
        if None in types or not self.hook.campaign_types:
            return self.hook.campaign_types or (None,)
        return sorted(campaign_type for campaign_type in types if campaign_type)


def _moment(updated_at: str | None) -> float | None:
    """Return a platform's time as seconds since the epoch; None where it can't be read."""
    try:
        moment = datetime.fromisoformat(updated_at or "")
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
