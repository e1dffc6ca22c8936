"""One look at an account for all who wait on it: as few requests as possible, however many they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_provider_campaign.campaign import Campaign, Goal
from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignError, CampaignUnavailableError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.retry import Deadline, asked_pause

FEW = 2
"""Campaigns that are cheaper to read one by one than to find in lists."""

URGENT = 20
"""Campaigns that one look reads directly because no list can be relied on for them."""

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
    :param deadline: When the wait is over (seconds since the epoch), None for never.
    :param waiter: What tells this wait from another one for the same.
    """

    campaign_id: str
    goal: Goal
    campaign_type: str | None = None
    since: float | None = None
    deadline: float | None = None
    waiter: object = None


@dataclass(frozen=True)
class Sightings:
    """
    What one look at an account showed.

    :param began: When the look began (seconds since the epoch).
    :param campaigns: The campaigns that were read in this look, by id; of those not in here nothing new is known.
    :param failed: The campaigns that can't be read, now or later, with the error that says why.
    :param error: What keeps everybody from seeing anything, now or later.
    :param pause: Seconds that the platform wants to be left alone for.
    """

    began: float = 0.0
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    failed: dict[str, CampaignError] = field(default_factory=dict)
    error: CampaignError | None = None
    pause: float = 0.0

    def error_for(self, campaign_id: str) -> CampaignError | None:
        """Return why nothing will be seen of a campaign, if that is so."""
        return self.error or self.failed.get(campaign_id)


@dataclass
class Mark:
    """
    How far a list has been read.

    :param newest: The time of the last change that was seen (seconds since the epoch, by the platform's clock).
    :param seen_at: When it was seen first, by the hook's clock.
    :param lag: Seconds before it in which changes may still show up.
    """

    newest: float
    seen_at: float = 0.0
    lag: float = COMMIT_LAG

    def advance(self, newest: float, now: float) -> None:
        """Note the time of the last change in a list that was read at this moment."""
        if newest > self.newest:
            self.newest, self.seen_at, self.lag = newest, now, COMMIT_LAG
        elif now - self.seen_at >= COMMIT_LAG:
            self.lag = 0.0


class AccountWatch:
    """
    Look at an account again and again for those who wait on it.

    A status counts only where it was read in the very look. A few campaigns are read one by one. Many are found in
    lists of those that changed last, read back to where the look before began, so that a look at which nothing has
    changed costs one request a type; for a wait that is new the lists are read back to its beginning. What they
    can't show is read directly: a campaign that nobody has seen short of the goal, one whose wait ends with this
    look, and, where that makes two requests in all, the one that was not read for the longest time.

    :param hook: The account's hook.
    """

    def __init__(self, hook: CampaignHook) -> None:
        self.hook = hook
        self._lock = threading.Lock()  # a look whose triggers have left may still be under way in its thread
        self._known: set[Wait] = set()
        self._marks: dict[str | None, Mark] = {}
        self._looked_at = time.time()
        self._read_in: dict[str, int] = {}
        self._looks = 0

    def look(self, waits: Collection[Wait]) -> Sightings:
        """
        Look once, on behalf of all who wait.

        :raises CampaignError: For a failure that concerns them all and that another look can't mend.
        """
        with self._lock:
            self._looks += 1
            self._known.intersection_update(waits)
            self._read_in = {wait.campaign_id: self._read_in.get(wait.campaign_id, 0) for wait in waits}
            seen = Sightings(began=time.time())
            deadline = Deadline.after(self.hook.settings.timeout, self.hook.clock, retries=False)
            try:
                if len(self._read_in) > FEW:
                    self._read_lists(waits, seen, deadline)
                self._read_directly(waits, seen, deadline)
            except CampaignUnavailableError as error:
                self.hook.log.warning("Will look again: %s", error)
                pause = asked_pause(error, self.hook.rate_window) or 0.0
                return replace(seen, pause=pause)
            if len(self._read_in) <= FEW:
                self._marks.clear()
            self._looked_at = seen.began
            return seen

    def _read_lists(self, waits: Collection[Wait], seen: Sightings, deadline: Deadline) -> None:
        """Read what has changed since the last look, and since the beginning of each wait that is new."""
        statuses = {word for wait in waits for word in (*wait.goal.reached, *wait.goal.impossible)}
        begun = [wait.since - CLOCK_SKEW for wait in waits if wait.since is not None and wait not in self._known]
        for campaign_type in self._types(waits):
            mark = self._marks.setdefault(campaign_type, Mark(self._looked_at - CLOCK_SKEW))
            back_to = min([mark.newest - mark.lag, *begun])
            newest = mark.newest
            types = None if campaign_type is None else (campaign_type,)
            for campaign in self.hook.list_campaigns(types, statuses, newest_first=True, deadline=deadline):
                changed = _moment(campaign.updated_at)
                if changed is not None:
                    if self.hook.sorts_lists and changed <= back_to:
                        break
                    if changed <= seen.began + CLOCK_SKEW:  # a date far in the future must not hide the others
                        newest = max(newest, changed)
                if campaign.id in self._read_in:
                    seen.campaigns[campaign.id] = campaign
                    self._read_in[campaign.id] = self._looks
            mark.advance(newest, self.hook.clock.monotonic())
        self._known.update(wait for wait in waits if wait.since is not None or wait.campaign_id in seen.campaigns)

    def _read_directly(self, waits: Collection[Wait], seen: Sightings, deadline: Deadline) -> None:
        """
        Read one by one what is worth a request; one campaign's failure does not keep the others from being read.

        :raises CampaignUnavailableError: When not all of them could be read.
        """
        unavailable = None
        for campaign_id in self._worth_a_request(waits, seen):
            self._read_in[campaign_id] = self._looks
            try:
                seen.campaigns[campaign_id] = self.hook.glance(campaign_id, deadline=deadline)
            except CampaignUnavailableError as error:
                unavailable = error
                if asked_pause(error, self.hook.rate_window) or not deadline.remaining:
                    break
                continue
            except CampaignAuthError:
                raise
            except CampaignError as error:
                seen.failed[campaign_id] = error
            self._known.update(wait for wait in waits if wait.campaign_id == campaign_id)
        if unavailable is not None:
            raise unavailable

    def _worth_a_request(self, waits: Collection[Wait], seen: Sightings) -> Collection[str]:
        """Return the ids of the campaigns to read directly, those first that were not read for the longest time."""
        unseen = [wait for wait in waits if wait.campaign_id not in seen.campaigns]
        urgent = {
            wait.campaign_id
            for wait in unseen
            if wait not in self._known or (wait.deadline is not None and wait.deadline <= seen.began)
        }
        if len(self._read_in) <= FEW:
            return sorted(self._read_in, key=self._read_in.__getitem__)
        if urgent:
            return sorted(urgent, key=self._read_in.__getitem__)[:URGENT]
        spare = int(len(self._types(waits)) == 1)
        return sorted({wait.campaign_id for wait in unseen}, key=self._read_in.__getitem__)[:spare]

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
