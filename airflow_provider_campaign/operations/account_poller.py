"""One poll of an account for all who wait on it: as few requests as possible, however many they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from airflow_provider_campaign.campaign import Campaign, WaitCondition
from airflow_provider_campaign.client.changes import CLOCK_TOLERANCE
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.retry import requested_delay
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.operations.list_tracker import ListTracker

log = logging.getLogger(__name__)

DIRECT_READ_THRESHOLD = 2
"""Campaigns that are cheaper to read one by one than to find in lists."""

MAX_DIRECT_READS = 20
"""Campaigns that one poll reads directly, besides those whose wait is over."""

MAX_LIST_PAGES = 20
"""Pages of a list that one poll reads; the next one reads on."""


@dataclass(frozen=True)
class PendingWait:
    """
    What somebody waits for.

    :param campaign_type: The campaign's type where it is known.
    :param since: When the campaign was last seen short of the condition (seconds since the epoch), None if never.
    :param deadline: When the wait is over (seconds since the epoch), None for never.
    :param waiter: What tells this wait from another one for the same.
    """

    campaign_id: str
    condition: WaitCondition
    campaign_type: str | None = None
    since: float | None = None
    deadline: float | None = None
    waiter: object = None


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
    """

    client: CampaignClient
    waits: frozenset[PendingWait]
    snapshot: AccountSnapshot
    covered: dict[str | None, frozenset[PendingWait]] = field(default_factory=dict)
    problem: str | None = None

    def unseen(self) -> set[str]:
        """Return the ids of the campaigns of which nothing was read yet."""
        return {wait.campaign_id for wait in self.waits} - self.snapshot.campaigns.keys() - self.snapshot.failed.keys()

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

    def note_problem(self, error: CampaignError) -> None:
        """
        Log what could not be read.

        :raises CampaignUnavailableError: When the platform wants to be left alone.
        """
        if requested_delay(error, self.client.platform.rate_window):
            raise error
        log.warning("Status check failed, retrying at the next poll: %s", error)
        self.problem = str(error)


class AccountPoller:
    """
    Poll an account again and again for those who wait on it.

    A status counts only where it was read in the very poll. A few campaigns are read one by one. Many are found in
    lists of those that changed last, so that a poll at which nothing has changed costs one request a type. What the
    lists can't show is read directly: a campaign that nobody has seen short of the condition, one whose wait ends
    with this poll, and, as long as a list can't be read or proves nothing, those that were not read for the longest
    time. Where all is well and it makes two requests in all, one campaign is read directly in each poll, too.
    """

    def __init__(self, client: CampaignClient) -> None:
        self.client = client
        self._lock = threading.Lock()  # a poll whose triggers have left may still be in its thread
        self._followed: set[PendingWait] = set()
        """The waits for which it is enough to follow the lists from here on."""
        self._trackers: dict[str | None, ListTracker[PendingWait]] = {}
        self._polled_at = client.clock.time()
        self._read_in: dict[str, int] = {}
        self._polls = 0

    def poll(self, waits: Collection[PendingWait]) -> AccountSnapshot:
        """
        Poll once, on behalf of all who wait.

        :raises CampaignError: For a failure that concerns them all and that another poll can't mend.
        """
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
            return replace(poll.snapshot, problem=poll.problem)

    def _run(self, poll: _Poll) -> None:
        """
        Read what is due, the most urgent first.

        :raises CampaignUnavailableError: When the platform wants to be left alone.
        """
        self._read_directly(poll, self._by_age(poll.overdue()))
        if len(self._read_in) <= DIRECT_READ_THRESHOLD:
            self._trackers.clear()
            self._read_directly(poll, self._by_age(poll.unseen()))
            return
        for campaign_type in self._types(poll.waits):
            self._read_list(poll, campaign_type)
        self._read_directly(poll, self._select_direct_reads(poll))

    def _read_list(self, poll: _Poll, campaign_type: str | None) -> None:
        """Read what has changed since the last poll, and since the beginning of each wait that is new."""
        concerned = {wait for wait in poll.waits if wait.campaign_type in (campaign_type, None)}
        begun = [wait.since - CLOCK_TOLERANCE for wait in concerned - self._followed if wait.since is not None]
        if campaign_type not in self._trackers:
            watermark = self._polled_at - CLOCK_TOLERANCE
            self._trackers[campaign_type] = ListTracker(self.client, campaign_type, watermark)
        tracker = self._trackers[campaign_type]
        statuses = {word for wait in poll.waits for word in (*wait.condition.success, *wait.condition.failure)}
        try:
            for campaign in tracker.poll(
                concerned, statuses, begun, poll.deadline(), lambda: len(poll.unseen()), poll.allowance(MAX_LIST_PAGES)
            ):
                if campaign.id in self._read_in:
                    self._note(poll, campaign)
        except CampaignError as error:
            poll.note_problem(error)
        if tracker.was_given_up:
            self._followed -= {wait for wait in concerned if wait.campaign_id not in poll.snapshot.campaigns}
        poll.covered[campaign_type] = tracker.covered

    def _select_direct_reads(self, poll: _Poll) -> list[str]:
        """Return the ids of the campaigns to read directly: those first that were not read for the longest time."""
        types = self._types(poll.waits)
        covered = {
            wait
            for wait in poll.waits
            if all(
                wait in poll.covered[campaign_type]
                for campaign_type in types
                if wait.campaign_type in (campaign_type, None)
            )
        }
        self._followed |= {wait for wait in covered if wait.since is not None}
        unseen = [wait for wait in poll.waits if wait.campaign_id not in poll.snapshot.campaigns]
        unknown = self._by_age({wait.campaign_id for wait in unseen if wait not in self._followed})
        uncovered = self._by_age({wait.campaign_id for wait in unseen if wait not in covered} - set(unknown))
        if unknown or uncovered:
            return [*unknown, *uncovered][: poll.allowance(MAX_DIRECT_READS)]
        spare = poll.allowance(1) if len(types) == 1 else 0
        return self._by_age({wait.campaign_id for wait in unseen})[:spare]

    def _read_directly(self, poll: _Poll, campaign_ids: Iterable[str]) -> None:
        """
        Read one by one; one campaign's failure does not keep the others from being read.

        :raises CampaignUnavailableError: When the platform wants to be left alone.
        """
        deadline = poll.deadline()
        for campaign_id in campaign_ids:
            self._read_in[campaign_id] = self._polls
            try:
                self._note(poll, self.client.get_campaign_status(campaign_id, deadline=deadline, retry=False))
            except CampaignUnavailableError as error:
                poll.note_problem(error)
            except CampaignAuthError as error:
                if not any(poll.covered.values()):
                    raise  # nothing can be read at all
                poll.note_problem(error)
            except CampaignError as error:
                poll.snapshot.failed[campaign_id] = error
            if not deadline.remaining:
                return

    def _note(self, poll: _Poll, campaign: Campaign) -> None:
        poll.snapshot.campaigns[campaign.id] = campaign
        self._read_in[campaign.id] = self._polls
        self._followed |= {wait for wait in poll.waits if wait.campaign_id == campaign.id}

    def _by_age(self, campaign_ids: Iterable[str]) -> list[str]:
        return sorted(campaign_ids, key=lambda campaign_id: (self._read_in[campaign_id], campaign_id))

    def _types(self, waits: Iterable[PendingWait]) -> Collection[str | None]:
        """Return the types that have to be listed: all of them as soon as one is not known."""
        types = {wait.campaign_type for wait in waits}
        if None in types or not self.client.platform.campaign_types:
            return self.client.platform.campaign_types or (None,)
        return sorted(campaign_type for campaign_type in types if campaign_type)
