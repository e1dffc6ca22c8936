"""The account that holds the campaigns: it applies their changes when their time has come."""

from __future__ import annotations

import bisect
import copy
import heapq
import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from airflow_provider_campaign.sandbox.campaigns import CAMPAIGN_TYPES, Campaign
from airflow_provider_campaign.sandbox.clock import Timeline
from airflow_provider_campaign.sandbox.statuses import ACTIVE, STOPPED


@dataclass(order=True)
class Transition:
    """A change of status in the future."""

    due: float
    sequence: int
    status: str = field(compare=False)
    campaign: Campaign = field(compare=False)


class CampaignAccount:
    """All campaigns and their future transitions, which are applied when they are read: there is no timer."""

    def __init__(self, timeline: Timeline, changed: threading.Condition) -> None:
        self.timeline = timeline
        self.changed = changed
        self._campaigns: dict[str, Campaign] = {}
        self._in_id_order: list[Campaign] = []
        self._removed: list[tuple[float, Campaign]] = []
        self._transitions: list[Transition] = []
        self._sequence = itertools.count()

    def apply_due_transitions(self) -> None:
        """Apply every transition whose time has come, dated at that time."""
        with self.changed:
            now = self.timeline.now()
            while self._transitions and self._transitions[0].due <= now:
                transition = heapq.heappop(self._transitions)
                if transition.campaign.pending is transition:
                    self._apply(transition.campaign, transition.status, transition.due)

    def next_due(self) -> float | None:
        """Return the clock time of the next transition, None if there is none."""
        with self.changed:
            while self._transitions and self._transitions[0].campaign.pending is not self._transitions[0]:
                heapq.heappop(self._transitions)
            return self._transitions[0].due if self._transitions else None

    def add(self, campaign: Campaign, status: str) -> None:
        """
        Add a new campaign.

        :param status: In the platform's spelling.
        :raises ValueError: When the id is taken.
        """
        with self.changed:
            if campaign.id in self._campaigns:
                raise ValueError(f"campaign {campaign.id!r} exists already")
            self._campaigns[campaign.id] = campaign
            bisect.insort(self._in_id_order, campaign, key=attrgetter("id"))
            self._apply(campaign, status, self.timeline.now())
            campaign.created = campaign.changed

    def find(self, campaign_id: str, lag: float = 0.0) -> Campaign | None:
        """
        Return a campaign, None if there is no campaign with that id.

        :param lag: Seconds by which the answer is behind.
        """
        with self.changed:
            self.apply_due_transitions()
            if lag <= 0:
                return self._campaigns.get(campaign_id)
            return next((campaign for campaign in self._as_of(lag) if campaign.id == campaign_id), None)

    def remove(self, campaign_id: str) -> Campaign | None:
        """Remove a campaign and its future transition; return it, None if there is no campaign with that id."""
        with self.changed:
            self.apply_due_transitions()
            campaign = self._campaigns.pop(campaign_id, None)
            if campaign is not None:
                campaign.pending = None
                self._in_id_order.remove(campaign)
                self._removed.append((self.timeline.now(), campaign))
                self.changed.notify_all()
            return campaign

    def campaigns(
        self, types: Iterable[str] = CAMPAIGN_TYPES, in_id_order: bool = False, lag: float = 0.0
    ) -> list[Campaign]:
        """
        Return the campaigns of some types.

        :param in_id_order: Sorted by id, instead of in the order in which they were added.
        :param lag: Seconds by which the answer is behind.
        """
        wanted = frozenset(types)
        with self.changed:
            self.apply_due_transitions()
            found: Iterable[Campaign] = self._in_id_order if in_id_order else self._campaigns.values()
            if lag > 0:
                found = sorted(self._as_of(lag), key=attrgetter("id")) if in_id_order else self._as_of(lag)
            return [campaign for campaign in found if campaign.campaign_type in wanted]

    def _as_of(self, lag: float) -> list[Campaign]:
        """Return the campaigns as they were, those included that were removed since."""
        at = self.timeline.now() - lag
        removed = (campaign for removed_at, campaign in self._removed if removed_at > at)
        return [seen for campaign in (*self._campaigns.values(), *removed) if (seen := as_of(campaign, at))]

    def set_status(self, campaign: Campaign, status: str, delay: float = 0.0) -> None:
        """
        Set a campaign's status, now or later; its pending transition is cancelled.

        :param status: In the platform's spelling.
        :param delay: Seconds from now.
        """
        with self.changed:
            now = self.timeline.now()
            if delay <= 0:
                self._apply(campaign, status, now)
                return
            self._schedule_transition(campaign, status, now + delay)
            self.changed.notify_all()

    def touch(self, campaign: Campaign) -> None:
        """Date a campaign's last change to now."""
        with self.changed:
            campaign.changed = self.timeline.platform_time(self.timeline.now())
            self.changed.notify_all()

    def clear(self) -> None:
        """Remove all campaigns."""
        with self.changed:
            self._campaigns.clear()
            self._in_id_order.clear()
            self._removed.clear()
            self._transitions.clear()
            self.changed.notify_all()

    def _apply(self, campaign: Campaign, status: str, at: float) -> None:
        campaign.pending = None
        campaign.changed = self.timeline.platform_time(at)
        if not campaign.past or campaign.settled_status != status:
            campaign.settled_status = status
            campaign.past.append((at, status))
            if status == ACTIVE:
                campaign.started = campaign.changed
            if status == STOPPED and campaign.restarts > 0:
                campaign.restarts -= 1
                self._schedule_transition(campaign, ACTIVE, at + campaign.restart_delay)
        self.changed.notify_all()

    def _schedule_transition(self, campaign: Campaign, status: str, due: float) -> None:
        campaign.pending = Transition(due, next(self._sequence), status, campaign)
        heapq.heappush(self._transitions, campaign.pending)


def as_of(campaign: Campaign, at: float) -> Campaign | None:
    """Return a campaign as it was at a reading of the clock, None if it was not there yet."""
    before = [(since, status) for since, status in campaign.past if since <= at]
    if not before:
        return None
    seen = copy.copy(campaign)
    since, seen.settled_status = before[-1]
    seen.changed = campaign.account.timeline.platform_time(since)
    return seen
