"""Campaigns, the status each has at a time, and the account that holds them."""

from __future__ import annotations

import bisect
import heapq
import itertools
import secrets
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal, get_args

from airflow_provider_campaign.sandbox.clock import Timeline

CampaignType = Literal["sms", "voice", "sonarly"]
CAMPAIGN_TYPES: tuple[str, ...] = get_args(CampaignType)
KORE_TYPES = ("sms", "voice")

READY, SCHEDULED, RESCHEDULED, PREPARING = "Ready", "Scheduled", "Rescheduled", "Preparing"
ACTIVE, PAUSED, STOPPED, COMPLETED, DRAFT = "Active", "Paused", "Stopped", "Completed", "Draft"
KORE_STATUSES = (READY, SCHEDULED, RESCHEDULED, PREPARING, ACTIVE, PAUSED, STOPPED, COMPLETED)
STATUSES = (*KORE_STATUSES, DRAFT)
LIVE_STATUSES = (ACTIVE, PREPARING)
ENDED = (STOPPED, COMPLETED)


def weekday_calling_hours() -> dict[str, Any]:
    """Return the platform's `callingHours` object for weekdays from 9 to 6."""
    return {
        "frequency": "WEEKLY",
        "timezone": "Asia/Kolkata",
        "days": [{"day": day, "start": "9:00 AM", "end": "6:00 PM"} for day in ("MO", "TU", "WE", "TH", "FR")],
    }


def canonical_status(status: str) -> str:
    """
    Return the platform's spelling of a status.

    :param status: a status in any case
    :raises ValueError: when no platform has such a status
    """
    for known in STATUSES:
        if known.lower() == status.lower():
            return known
    raise ValueError(f"unknown campaign status {status!r}; known are {', '.join(STATUSES)}")


@dataclass(eq=False, repr=False)
class Campaign:
    """
    One campaign as the platform sees it; reading `status` applies what has fallen due meanwhile.

    :param stop_delay: seconds between a heard stop and the end; None for the platform's delay
    :param stoppable: whether stops have an effect at all
    :param completes: whether a stop ends it as Completed instead of Stopped
    :param restarts: how many times somebody starts it again after it became Stopped
    :param restart_delay: seconds from Stopped to such a restart
    """

    account: CampaignAccount
    id: str
    name: str
    campaign_type: str
    priority: str = "5"
    description: str = ""
    dialing_mode: str | None = None
    execution_type: str = "NORMAL"
    calling_hours: dict[str, Any] | None = None
    schedule: dict[str, Any] = field(default_factory=dict)
    contact_lists: list[str] = field(default_factory=list)
    lead_count: int = 25
    stop_delay: float | None = None
    start_delay: float | None = None
    stoppable: bool = True
    completes: bool = False
    restarts: int = 0
    restart_delay: float = 0.0
    instance_id: str = ""
    stop_requests: int = 0
    # By the platform's clock, as it was at that time.
    created: float = 0.0
    changed: float = 0.0
    started: float | None = None
    settled_status: str = READY
    past: list[tuple[float, str]] = field(default_factory=list)
    pending: Transition | None = None

    def __repr__(self) -> str:
        """Show what tells one campaign from another."""
        return f"<{self.campaign_type} campaign {self.id}: {self.status}>"

    @property
    def status(self) -> str:
        """The canonical status at this moment of the clock."""
        self.account.settle()
        return self.settled_status

    @property
    def history(self) -> list[tuple[float, str]]:
        """Each status with the clock time at which it took effect, oldest first."""
        self.account.settle()
        return list(self.past)

    @property
    def created_at(self) -> str:
        """When the campaign was made, as the platform writes it."""
        return self.account.timeline.iso(self.created)

    @property
    def updated_at(self) -> str:
        """When the campaign last changed, as the platform writes it."""
        self.account.settle()
        return self.account.timeline.iso(self.changed)

    @property
    def started_at(self) -> str | None:
        """When the campaign last became Active, as the platform writes it; None when it never was."""
        self.account.settle()
        return None if self.started is None else self.account.timeline.iso(self.started)

    @property
    def live(self) -> bool:
        """Whether the campaign reaches people at this moment."""
        return self.status in LIVE_STATUSES

    def stop(self, default_delay: float) -> bool:
        """
        Heed a stop: end after the delay, unless that is under way already or the campaign cannot be stopped.

        :param default_delay: seconds, for a campaign that has no delay of its own
        :return: whether the stop had an effect
        """
        with self.account.changed:
            ending = self.pending is not None and self.pending.status in ENDED
            if ending or not self.stoppable:
                return False
            delay = default_delay if self.stop_delay is None else self.stop_delay
            self.account.become(self, COMPLETED if self.completes else STOPPED, delay)
            return True

    def start(self, default_delay: float) -> None:
        """
        Start: Preparing at once, Active after the delay.

        :param default_delay: seconds, for a campaign that has no delay of its own
        """
        with self.account.changed:
            delay = default_delay if self.start_delay is None else self.start_delay
            self.account.become(self, PREPARING)
            self.account.become(self, ACTIVE, delay)

    def enable_schedule(self, enabled: bool) -> None:
        """
        Switch the campaign's own schedule on or off; a Scheduled campaign is Ready without it.

        :param enabled: whether it is on
        """
        with self.account.changed:
            self.schedule = {**self.schedule, "isSchedulingEnabled": enabled}
            waiting = self.status in (SCHEDULED, RESCHEDULED)
            self.account.become(self, READY if waiting and not enabled else self.status)


@dataclass(order=True)
class Transition:
    """A change of status that falls due."""

    due: float
    sequence: int
    status: str = field(compare=False)
    campaign: Campaign = field(compare=False)


class CampaignAccount:
    """All campaigns, and what will become of them; nothing in here runs on a timer."""

    def __init__(self, timeline: Timeline, changed: threading.Condition) -> None:
        self.timeline = timeline
        self.changed = changed
        self._campaigns: dict[str, Campaign] = {}
        self._in_id_order: list[Campaign] = []
        self._transitions: list[Transition] = []
        self._sequence = itertools.count()

    def settle(self) -> None:
        """Apply every transition that has fallen due, at the time at which it fell due."""
        with self.changed:
            now = self.timeline.now()
            while self._transitions and self._transitions[0].due <= now:
                transition = heapq.heappop(self._transitions)
                if transition.campaign.pending is transition:
                    self._enter(transition.campaign, transition.status, transition.due)

    def next_due(self) -> float | None:
        """Return the clock time of the next transition, None when nothing is under way."""
        with self.changed:
            while self._transitions and self._transitions[0].campaign.pending is not self._transitions[0]:
                heapq.heappop(self._transitions)
            return self._transitions[0].due if self._transitions else None

    def add(self, campaign: Campaign, status: str) -> None:
        """
        Take a new campaign in.

        :param campaign: the campaign
        :param status: its canonical status
        :raises ValueError: when the id is taken
        """
        with self.changed:
            if campaign.id in self._campaigns:
                raise ValueError(f"campaign {campaign.id!r} exists already")
            self._campaigns[campaign.id] = campaign
            bisect.insort(self._in_id_order, campaign, key=attrgetter("id"))
            self._enter(campaign, status, self.timeline.now())
            campaign.created = campaign.changed

    def find(self, campaign_id: str) -> Campaign | None:
        """
        Return a campaign.

        :param campaign_id: its id
        """
        with self.changed:
            self.settle()
            return self._campaigns.get(campaign_id)

    def remove(self, campaign_id: str) -> Campaign | None:
        """
        Forget a campaign and what was to become of it; return it as it was.

        :param campaign_id: its id
        """
        with self.changed:
            self.settle()
            campaign = self._campaigns.pop(campaign_id, None)
            if campaign is not None:
                campaign.pending = None
                self._in_id_order.remove(campaign)
                self.changed.notify_all()
            return campaign

    def campaigns(self, types: Iterable[str] = CAMPAIGN_TYPES, in_id_order: bool = False) -> list[Campaign]:
        """
        Return the campaigns of some types.

        :param in_id_order: sorted by id, instead of in the order in which they were added
        """
        wanted = frozenset(types)
        with self.changed:
            self.settle()
            found = self._in_id_order if in_id_order else self._campaigns.values()
            return [campaign for campaign in found if campaign.campaign_type in wanted]

    def become(self, campaign: Campaign, status: str, delay: float = 0.0) -> None:
        """
        Give a campaign a status, now or later; what was to become of it before is off.

        :param campaign: the campaign
        :param status: the canonical status
        :param delay: seconds from now
        """
        with self.changed:
            now = self.timeline.now()
            if delay <= 0:
                self._enter(campaign, status, now)
                return
            self._plan(campaign, status, now + delay)
            self.changed.notify_all()

    def clear(self) -> None:
        """Forget all campaigns."""
        with self.changed:
            self._campaigns.clear()
            self._in_id_order.clear()
            self._transitions.clear()
            self.changed.notify_all()

    def _enter(self, campaign: Campaign, status: str, at: float) -> None:
        campaign.pending = None
        campaign.changed = self.timeline.platform_time(at)
        if not campaign.past or campaign.settled_status != status:
            campaign.settled_status = status
            campaign.past.append((at, status))
            if status == ACTIVE:
                campaign.started = campaign.changed
            if status == STOPPED and campaign.restarts > 0:
                campaign.restarts -= 1
                self._plan(campaign, ACTIVE, at + campaign.restart_delay)
        self.changed.notify_all()

    def _plan(self, campaign: Campaign, status: str, due: float) -> None:
        campaign.pending = Transition(due, next(self._sequence), status, campaign)
        heapq.heappush(self._transitions, campaign.pending)


def new_campaign_id(campaign_type: str) -> str:
    """
    Return a fresh id of the form that the campaign's platform gives out.

    :param campaign_type: `sms`, `voice` or `sonarly`
    """
    return secrets.token_hex(12) if campaign_type == "sonarly" else f"cd-{uuid.uuid4()}"


def new_instance_id() -> str:
    """Return a fresh id of a campaign's run."""
    return f"cid-{uuid.uuid4()}"
