"""One poll of an account for all who wait on it: as few requests as possible, however many they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from airflow_provider_campaign.campaign import Campaign, WaitState
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.client.retry import requested_delay
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignRateLimitError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.operations.list_tracker import CLOCK_TOLERANCE, ListTracker
from airflow_provider_campaign.operations.wait import PendingWait, read_status

log = logging.getLogger(__name__)

DIRECT_READ_THRESHOLD = 2
"""Campaigns that are cheaper to read one by one than to find in lists."""

MAX_DIRECT_READS = 20
"""Campaigns that one poll reads directly, besides those whose wait is over."""

MAX_REFUSALS = 3
"""Requests that may be refused for the credentials, with nothing read, before a poll is ended."""

MAX_LIST_PAGES = 20
"""Pages of a list that one poll reads; the next one reads on."""


@dataclass(frozen=True)
class AccountSnapshot:
    """
    What one poll of an account showed.

    :param began: When the poll began (seconds since the epoch).
    :param campaigns: The campaigns that were read in this poll, by id; of those not in here nothing new is known.
    :param failed: The campaigns that can't be read, now or later, with the error that says why.
    :param error: What keeps everybody from reading anything, now or later.
    :param problem: What kept something from being read this time.
    :param delay: Seconds that the platform wants to be left alone for.
    """

    began: float = 0.0
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    failed: dict[str, CampaignError] = field(default_factory=dict)
    error: CampaignError | None = None
    problem: str | None = None
    delay: float = 0.0

    def error_for(self, campaign_id: str) -> CampaignError | None:
        """Return why nothing will be read of a campaign, if that is so."""
        return self.error or self.failed.get(campaign_id)


@dataclass
class _Poll:
    """
    One poll under way.

    :param covered: By campaign type, the waits that its list would have shown a change for.
    :param seen: The campaigns of which something was read that all who wait for them accept.
    :param problems: What kept something from being read.
    :param has_read: Whether anything was read.
    :param is_refused: Whether a campaign could not be read for the credentials.
    """

    client: CampaignClient
    waits: frozenset[PendingWait]
    snapshot: AccountSnapshot
    covered: dict[str | None, frozenset[PendingWait]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    problems: list[CampaignError] = field(default_factory=list)
    has_read: bool = False
    is_refused: bool = False

    @cached_property
    def waits_by_id(self) -> Mapping[str, Collection[PendingWait]]:
        """The waits by campaign id."""
        by_id: dict[str, list[PendingWait]] = {}
        for wait in self.waits:
            by_id.setdefault(wait.campaign_id, []).append(wait)
        return by_id

    def accepts(self, campaign: Campaign) -> bool:
        """Return whether all who wait for a campaign accept what was read of it."""
        return all(wait.accepts(campaign, self.snapshot.began) for wait in self.waits_by_id[campaign.id])

    def unseen(self) -> set[str]:
        """Return the ids of the campaigns of which nothing was read yet that all accept."""
        return self.waits_by_id.keys() - self.seen - self.snapshot.failed.keys()

    def overdue(self) -> set[str]:
        """Return the ids of the campaigns for which a wait is over."""
        began = self.snapshot.began
        return {wait.campaign_id for wait in self.waits if wait.deadline is not None and wait.deadline <= began}

    def allowance(self, most: int) -> int:
        """Return how many more requests may be made, at the most so many."""
        available = self.client.rate_limiter.available
        return most if available is None else min(most, available)

    def deadline(self) -> Deadline:
        """Return the deadline of a part of the poll; a part that hangs leaves the others their time."""
        return self.client.deadline(self.client.requester.timeout, retries=False)

    def is_covered(self, wait: PendingWait) -> bool:
        """Tell whether the lists would have shown a change for a wait, all of those that its campaign may be in."""
        lists = [waits for campaign_type, waits in self.covered.items() if is_listed(wait, campaign_type)]
        return bool(lists) and all(wait in waits for waits in lists)

    def note_problem(self, error: CampaignError) -> None:
        """Log what could not be read."""
        log.warning("Status check failed, retrying at the next poll: %s", error)
        self.problems.append(error)

    @property
    def is_all_refused(self) -> bool:
        """Whether the credentials were refused by all that was requested."""
        others = (error for error in self.problems if not isinstance(error, CampaignAuthError))
        return self.is_refused and not self.has_read and not any(others)


def is_listed(wait: PendingWait, campaign_type: str | None) -> bool:
    """Return whether the campaign of a wait may be in the list of a type; the type None has them all."""
    return campaign_type is None or wait.campaign_type in (campaign_type, None)


class AccountPoller:
    """
    Poll an account again and again for those who wait on it.

    A few campaigns are read one by one. Many are found in lists of those that changed last, so that a poll at which
    nothing has changed costs one request a type and one more. What the lists can't show is read directly: a campaign
    that nobody has seen short of the condition, one whose wait ends with this poll, and those that were not read for
    the longest time, as long as a list proves nothing. Where all is well that is one in each poll: it finds out a
    campaign that was deleted, and a list that leaves changes out, upon which more are read.
    """

    def __init__(self, client: CampaignClient) -> None:
        self.client = client
        self._lock = threading.Lock()  # a poll whose triggers have left may still be in its thread
        self._followed: set[PendingWait] = set()
        """The waits for which it is enough to follow the lists from here on."""
        self._trackers: dict[str | None, ListTracker] = {}
        self._polled_at = client.clock.time()
        self._read_in: dict[str, int] = {}
        self._polls = 0
        self._refused: set[str] = set()
        """The campaigns whose next refusal, or error that nobody foresaw, ends the waits for them."""
        self._spare_reads = 1

    def poll(self, waits: Collection[PendingWait]) -> AccountSnapshot:
        """Poll once, on behalf of all who wait; raise for what concerns them all and another poll can't mend."""
        with self._lock:
            self._polls += 1
            self._followed.intersection_update(waits)
            self._read_in = {wait.campaign_id: self._read_in.get(wait.campaign_id, 0) for wait in waits}
            poll = _Poll(self.client, frozenset(waits), AccountSnapshot(began=self.client.clock.time()))
            try:
                self._run(poll)
            except CampaignUnavailableError as error:
                log.warning("Status check failed, retrying at the next poll: %s", error)
                delay = requested_delay(error, self.client.platform.rate_window) or 0.0
                return replace(poll.snapshot, delay=delay, problem=str(error))
            self._polled_at = poll.snapshot.began
            return replace(poll.snapshot, problem=str(poll.problems[-1]) if poll.problems else None)

    def _run(self, poll: _Poll) -> None:
        """Read what is due, the most urgent first; raise if nobody can be served, now or ever."""
        overdue = self._by_age(poll.overdue())
        self._read_directly(poll, overdue[: poll.allowance(MAX_DIRECT_READS)])
        if len(self._read_in) <= DIRECT_READ_THRESHOLD:
            self._trackers.clear()
            self._read_directly(poll, self._by_age(poll.unseen()))
            self._followed = {wait for wait in self._followed if wait.campaign_id in poll.seen}
        else:
            for campaign_type in self._types(poll.waits):
                self._read_list(poll, campaign_type, is_urgent=bool(overdue))
            overdue = self._by_age(poll.overdue() & poll.unseen())
            self._read_directly(poll, overdue[: poll.allowance(len(overdue))])
            self._read_what_lists_lack(poll)
        if poll.is_all_refused:
            raise poll.problems[0]

    def _read_list(self, poll: _Poll, campaign_type: str | None, *, is_urgent: bool) -> None:
        """
        Read what has changed since the last poll, and since the beginning of each wait that is new.

        :param is_urgent: Whether somebody must not be kept waiting by a list that may hang.
        """
        poll.covered[campaign_type] = frozenset()
        concerned = {wait for wait in poll.waits if is_listed(wait, campaign_type)}
        begun = [wait.since - CLOCK_TOLERANCE for wait in concerned - self._followed if wait.since is not None]
        new_tracker = ListTracker(self.client, campaign_type, self._polled_at - CLOCK_TOLERANCE)
        tracker = self._trackers.setdefault(campaign_type, new_tracker)
        if is_urgent and tracker.is_failing:
            return
        statuses = {word for wait in poll.waits for word in (*wait.condition.success, *wait.condition.failure)}
        try:
            for campaign in tracker.poll(
                concerned, statuses, begun, poll.deadline(), lambda: len(poll.unseen()), poll.allowance(MAX_LIST_PAGES)
            ):
                poll.has_read = True
                if campaign.id in self._read_in and campaign.id not in poll.seen:
                    self._note(poll, campaign)
        except CampaignRateLimitError:
            raise
        except Exception as error:  # noqa: BLE001 a list that nobody foresaw keeps nobody from being read directly
            if not isinstance(error, CampaignError):
                del self._trackers[campaign_type]  # it may have lost its place
            poll.note_problem(as_campaign_error(error, f"List of campaigns ({self.client.description})"))
        if tracker.was_given_up:
            self._followed -= {wait for wait in concerned if wait.campaign_id not in poll.seen}
        poll.covered[campaign_type] = tracker.covered
        poll.has_read = poll.has_read or bool(tracker.covered)

    def _read_what_lists_lack(self, poll: _Poll) -> None:
        """Read the campaigns directly that the lists prove nothing about, at the most so many."""
        covered = {wait for wait in poll.waits if poll.is_covered(wait)}
        self._followed |= {wait for wait in covered if wait.since is not None}
        unseen = poll.unseen()
        unproven = unseen & {wait.campaign_id for wait in poll.waits - (covered & self._followed)}
        if unproven:
            self._read_directly(poll, self._by_age(unproven)[: poll.allowance(MAX_DIRECT_READS)])
        else:
            self._check_lists(poll, self._by_age(unseen))

    def _check_lists(self, poll: _Poll, campaign_ids: list[str]) -> None:
        """Read a campaign that has not changed as the lists have it; where it has, read more of them next time."""
        checked = campaign_ids[: poll.allowance(self._spare_reads)]
        self._read_directly(poll, checked)
        is_wrong = any(
            wait.condition.state_of(poll.snapshot.campaigns[campaign_id].status) is not WaitState.RETRY
            for campaign_id in poll.seen.intersection(checked)
            for wait in poll.waits_by_id[campaign_id]
            if wait.deadline is not None
        )
        self._spare_reads = MAX_DIRECT_READS if is_wrong else max(1, self._spare_reads // 2)

    def _read_directly(self, poll: _Poll, campaign_ids: Iterable[str]) -> None:
        """Read one by one, whatever becomes of the others; raise when the platform wants to be left alone."""
        deadline = poll.deadline()
        for campaign_id in campaign_ids:
            if not deadline.remaining or (poll.is_all_refused and len(poll.problems) >= MAX_REFUSALS):
                return
            if self._read_in[campaign_id] == self._polls:
                continue
            self._read_in[campaign_id] = self._polls
            try:
                self._note(poll, read_status(self.client, campaign_id, poll.waits_by_id[campaign_id], deadline))
            except Exception as error:  # noqa: BLE001 what nobody foresaw about one campaign concerns no other
                self._note_failure(poll, campaign_id, error)

    def _note_failure(self, poll: _Poll, campaign_id: str, failure: Exception) -> None:
        """Note why a campaign could not be read; raise if the platform wants to be left alone."""
        error = as_campaign_error(failure, f"Status of campaign {campaign_id!r} ({self.client.description})")
        if isinstance(failure, CampaignUnavailableError):
            if requested_delay(failure, self.client.platform.rate_window):
                raise failure
        elif isinstance(failure, CampaignAuthError):
            poll.is_refused = True
        else:
            poll.has_read = True
            waits = poll.waits_by_id[campaign_id]  # those of a sweep, which have no deadline, look elsewhere, too
            is_acknowledged = all(wait.last_seen and wait.deadline is not None for wait in waits)
            may_pass = is_acknowledged or not isinstance(failure, CampaignError)
            if not may_pass or campaign_id in self._refused:
                poll.snapshot.failed[campaign_id] = error
                return
            self._refused.add(campaign_id)
        poll.note_problem(error)

    def _note(self, poll: _Poll, campaign: Campaign) -> None:
        poll.has_read = True
        poll.snapshot.campaigns[campaign.id] = campaign
        self._refused.discard(campaign.id)
        if poll.accepts(campaign):
            poll.seen.add(campaign.id)
            self._read_in[campaign.id] = self._polls
            self._followed.update(poll.waits_by_id[campaign.id])

    def _by_age(self, campaign_ids: Iterable[str]) -> list[str]:
        return sorted(campaign_ids, key=lambda campaign_id: (self._read_in[campaign_id], campaign_id))

    def _types(self, waits: Iterable[PendingWait]) -> Collection[str | None]:
        """Return the types that have to be listed: all of them as soon as one is not known."""
        types = {wait.campaign_type for wait in waits}
        if None in types or not self.client.platform.campaign_types:
            return self.client.platform.campaign_types or (None,)
        return sorted(campaign_type for campaign_type in types if campaign_type)
