"""
Which campaigns are stopped, by when, and when a stop is sent: as late as the rate limit allows, in time for all.

It is pure. Other clients of the account are no part of it, beyond a reserve and what 429 responses have shown of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import LIVE_STATUSES, Campaign, matches_pattern, may_be_live
from airflow_provider_campaign.platforms.base import Platform

NOW = 0.0  # the moment of a campaign that must be stopped at once (seconds since the epoch: long ago)
STOPPING_TIME = 15.0  # seconds from the first stop of a burst until all of it is verified, if campaigns stop at once
EARLINESS = 5.0  # seconds that a stop may be sent too early, so that one burst has all those of nearly the same moment
BURST_GAP = 1.0  # seconds between two bursts, besides the rate limit's window
RESERVED_SHARE = 1 / 4  # the part of the rate limit that is left to other clients, until a 429 shows that they use more
MIN_SHARE = 1 / 6  # the part of the rate limit that the plan counts on, whatever other clients use

End = tuple[str | None, float]  # a rule's name, and when its calling hours end (seconds since the epoch)


@dataclass(frozen=True)
class SweepScope:
    """Which campaigns a sweep stops."""

    campaign_types: Collection[str]  # if the platform has types
    statuses: Collection[str] = LIVE_STATUSES  # by default, a word that the platform does not document counts, too
    name_pattern: Collection[str] | None = None  # None for all
    campaign_ids: Collection[str] | None = None  # None for all

    def as_dict(self) -> dict[str, list[str] | None]:
        """Return the scope as records have it, by the names of the sweep's arguments."""
        return {name: None if value is None else sorted(value) for name, value in vars(self).items()}

    def listed_statuses(self, platform: Platform) -> Collection[str]:
        """Return the statuses to ask the platform for, live ones that are left out included; none for all."""
        return () if self._takes_unknown_statuses(platform) else tuple({*self.statuses, *LIVE_STATUSES})

    def exclusion(self, campaign: Campaign, platform: Platform) -> str | None:
        """Return the argument that leaves the campaign out, None if it is one to stop."""
        if self.campaign_ids is not None and campaign.id not in self.campaign_ids:
            return "campaign_ids"
        if self.name_pattern is not None and not matches_pattern(campaign.name, self.name_pattern):
            return "name_pattern"
        if self._takes_unknown_statuses(platform):
            return None if may_be_live(campaign.status) else "statuses"
        return None if campaign.status.casefold() in map(str.casefold, self.statuses) else "statuses"

    def _takes_unknown_statuses(self, platform: Platform) -> bool:
        return set(self.statuses) == set(LIVE_STATUSES) and not platform.has_closed_status_set


@dataclass(frozen=True)
class Closing:
    """The end of calling hours that a campaign has to be stopped for. Times are in seconds since the epoch."""

    rule: str | None = None  # None if no rule matches or there are no calling hours
    end: float | None = None  # when the calling hours end, or ended; None if there is no such moment
    stop_by: float | None = NOW  # when the stop has to be sent; None if the campaign stays open


@dataclass(frozen=True)
class Schedule:
    """The closings of one run. Times are in seconds since the epoch."""

    rules: CallingRules | None = None  # None if there are no calling hours: everything must be stopped now
    margin: float = 0.0  # seconds before an end by which campaigns are to be verified stopped
    until: float | None = None  # the last end that the run waits for, None if it waits for none
    began_at: float = NOW

    @classmethod
    def of_run(cls, rules: CallingRules | None, margin: float, look_ahead: float, now: float) -> Schedule:
        """Return the closings of a run that begins now and waits for ends no further away than ``look_ahead``."""
        ends = ends_of(rules, now, now + look_ahead)
        return cls(rules, margin, ends[-1][1] if ends else None, now)

    @property
    def required(self) -> set[End]:
        """The ends that the run has to verify."""
        return self.closed(self.began_at) | set(ends_of(self.rules, self.began_at, self.until or self.began_at))

    def closing_of(self, campaign: Campaign, now: float) -> Closing:
        """Return the closing that a campaign has to be stopped for, as of a moment."""
        rule = self.rules.rule_for(campaign) if self.rules else None
        if rule is None:
            return Closing()
        at = moment_of(now)
        is_open = rule.is_open(at)
        found = rule.next_end(at) if is_open else rule.last_end(at)
        end = found.timestamp() if found else None
        if not is_open:
            return Closing(rule.name, end)
        if end is None or self.until is None or end > self.until:
            return Closing(rule.name, end, None)
        return Closing(rule.name, end, end - self.margin - STOPPING_TIME)

    def next_look(self, after: float) -> float | None:
        """Return when live campaigns have to be listed next, whatever is known of them; None if not again."""
        ends = ends_of(self.rules, after, self.until or after)
        looks = [end - before for _, end in ends for before in (self.margin + STOPPING_TIME, STOPPING_TIME, 0.0)]
        return min((look for look in looks if look > after), default=None)

    def closed(self, now: float) -> set[End]:
        """Return the ends of the rules that are closed."""
        at = moment_of(now)
        closed = [rule for rule in (self.rules.rules if self.rules else ()) if not rule.is_open(at)]
        return {(rule.name, end.timestamp()) for rule in closed if (end := rule.last_end(at))}


def ends_of(rules: CallingRules | None, since: float, until: float) -> list[End]:
    """Return the ends of all rules that are later than one moment and not later than another, in order."""
    found = rules.ends(moment_of(since), moment_of(until)) if rules else ()
    return [(rule.name, end.timestamp()) for rule, end in found]


def stops_in_burst(limit: int | None, listing: int, others: int) -> int | None:
    """
    Return how many stops a burst may have, None for any number.

    :param limit: Requests in a window of the rate limit, of which lists take `listing`, and other clients `others`.
    """
    if limit is None:
        return None
    reserve = max(math.ceil(RESERVED_SHARE * limit), others)
    return max(math.ceil(MIN_SHARE * limit), limit - listing - reserve)


def latest_starts(moments: Sequence[float], stops: int | None, interval: float) -> list[float]:
    """
    Return, for each campaign, the latest moment to send its stop so that all of them are sent in time.

    :param moments: By when each stop has to be sent (seconds since the epoch), in ascending order.
    :param stops: How many stops may be sent within an interval, None for any number.
    :param interval: Seconds.
    """
    starts: list[float] = []
    for moment in reversed(moments):
        start = min(moment, starts[-1]) if starts else moment
        if stops is not None and len(starts) >= stops:
            start = min(start, starts[-stops] - interval)
        starts.append(start)
    return starts[::-1]


def moment_of(seconds: float) -> datetime:
    """Return seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
