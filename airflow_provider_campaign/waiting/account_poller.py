"""One poll of an account for all who wait on it: as few requests as possible, however many they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from airflow_provider_campaign.campaign import LIVE_STATUSES, Campaign, WaitState
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignRateLimitError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.waiting.wait import PendingWait, Snapshot, read_status

log = logging.getLogger(__name__)

DIRECT_READ_THRESHOLD = 2
"""Campaigns that are cheaper to read one by one than to find in lists."""

MAX_DIRECT_READS = 20
"""Campaigns that one poll reads directly, besides those whose wait ends with it."""

MAX_REFUSALS = 3
"""Requests that may be refused for the credentials, with nothing read, before a poll ends."""

MAX_LIST_PAGES = 20
"""Pages of a list that one poll reads."""

MAX_FRUITLESS_PAGES = 4
"""Pages in a row without a campaign that somebody waits for, before a poll stops reading a list."""


class _Poll:
    """
    One poll under way.

    :param waits: On behalf of whom.
    """

    def __init__(self, client: CampaignClient, waits: Iterable[PendingWait]) -> None:
        self.client = client
        self.snapshot = Snapshot(began=client.clock.time())
        self.waits: dict[str, list[PendingWait]] = {}
        """The waits by campaign id."""
        for wait in waits:
            self.waits.setdefault(wait.campaign_id, []).append(wait)
        self.seen: set[str] = set()
        """The campaigns of which something was read that all who wait for them accept."""
        self.problems: list[CampaignError] = []
        """What kept something from being read."""
        self.has_read = False
        self.is_refused = False
        """Whether a campaign could not be read for the credentials."""
        self.has_failing_list = False

    def unseen(self, campaign_type: str | None = None) -> set[str]:
        """
        Return the ids of the campaigns of which nothing was read yet that all accept.

        :param campaign_type: Only those that may be of this type; None for all.
        """
        ids = self.waits.keys() - self.seen - self.snapshot.failed.keys()
        if campaign_type is None:
            return ids
        return {each for each in ids if any(wait.campaign_type in (campaign_type, None) for wait in self.waits[each])}

    def unseen_types(self) -> Collection[str | None]:
        """Return the types in whose lists campaigns may be that are unseen."""
        all_types = self.client.platform.campaign_types
        return [each for each in all_types if self.unseen(each)] or all_types or (None,)

    def overdue(self) -> set[str]:
        """Return the ids of the campaigns, still unseen, for which a wait ends with this poll."""
        began = self.snapshot.began
        deadlines = ((each, wait.deadline) for each in self.unseen() for wait in self.waits[each])
        return {campaign_id for campaign_id, deadline in deadlines if deadline is not None and deadline <= began}

    def ends(self, wait: PendingWait) -> bool:
        """Return whether this poll has ended a wait that was to end."""
        campaign = self.snapshot.campaigns.get(wait.campaign_id)
        if campaign is None or wait.deadline is None or not wait.accepts(campaign, self.snapshot.began):
            return False
        return wait.condition.state_of(campaign.status) is not WaitState.RETRY

    def allowance(self, most: int) -> int:
        """Return how many more requests the rate limit allows, up to a maximum."""
        available = self.client.rate_limiter.available
        return most if available is None else min(most, available)

    def deadline(self) -> Deadline:
        """Return the deadline of a part of the poll; a part that hangs leaves the others their time."""
        return self.client.deadline(self.client.requester.timeout, retries=False)

    def note_problem(self, error: CampaignError) -> None:
        """Log what could not be read."""
        log.warning("Status check failed, retrying at the next poll: %s", error)
        self.problems.append(error)

    @property
    def is_all_refused(self) -> bool:
        """Whether the credentials were refused by all that was requested."""
        others = (error for error in self.problems if not isinstance(error, CampaignAuthError))
        return self.is_refused and not self.has_read and not any(others)


class AccountPoller:
    """
    Poll an account again and again for those who wait on it.

    One or two campaigns are read directly. More are looked for in the list of live campaigns; those that it lacks, in
    the list of the statuses that somebody waits for, newest first; and those that it lacks as well are read directly,
    up to :data:`MAX_DIRECT_READS`. Nothing is concluded from what a list lacks: a wrong list costs requests, but ends
    no wait. A campaign that was read directly and stays unlisted, for example a paused one, is read again in turn with
    its like, one in each poll.
    """

    def __init__(self, client: CampaignClient) -> None:
        self.client = client
        self._lock = threading.Lock()  # a poll whose triggers have left may still be in its thread
        self._unlisted: set[PendingWait] = set()
        """The waits for campaigns that no list shows, and that were read directly since."""
        self._read_in: dict[str, int] = {}
        """The number of the last poll that has read a campaign, by id."""
        self._polls = 0
        self._refused: set[str] = set()
        """The campaigns whose next refusal, or unexpected error, ends the waits for them."""

    def poll(self, waits: Collection[PendingWait], *, lists_live: bool = True) -> Snapshot:
        """
        Poll once, on behalf of all who wait; raise for what concerns them all and another poll can't fix.

        :param lists_live: Whether to list live campaigns; false if the caller has just done so, and waits for others.
        """
        with self._lock:
            self._polls += 1
            self._unlisted.intersection_update(waits)
            self._read_in = {wait.campaign_id: self._read_in.get(wait.campaign_id, 0) for wait in waits}
            poll = _Poll(self.client, waits)
            try:
                self._run(poll, lists_live=lists_live)
            except CampaignUnavailableError as error:
                log.warning("Status check failed, retrying at the next poll: %s", error)
                return replace(poll.snapshot, delay=error.retry_after or 0.0, problem=str(error))
            return replace(poll.snapshot, problem=str(poll.problems[-1]) if poll.problems else None)

    def _run(self, poll: _Poll, *, lists_live: bool) -> None:
        """Read the most urgent campaigns first; raise if nobody can be served, now or ever."""
        self._read_directly(poll, poll.overdue(), MAX_DIRECT_READS)
        if len(poll.waits) <= DIRECT_READ_THRESHOLD:
            self._read_directly(poll, poll.unseen(), DIRECT_READ_THRESHOLD)
        else:
            self._read_lists(poll, lists_live=lists_live)
            self._read_directly(poll, poll.overdue(), len(poll.waits))
            self._read_unlisted(poll)
        if poll.is_all_refused:
            raise poll.problems[0]

    def _read_lists(self, poll: _Poll, *, lists_live: bool) -> None:
        deadline = poll.deadline()
        for statuses in self._listed_statuses(poll, lists_live=lists_live):
            for campaign_type in poll.unseen_types():
                try:
                    self._read_list(poll, campaign_type, statuses, deadline)
                except CampaignRateLimitError:
                    raise
                except Exception as error:  # noqa: BLE001 whatever a list raises, the campaigns can be read directly
                    poll.has_failing_list = True
                    poll.note_problem(as_campaign_error(error, f"List of campaigns ({self.client.description})"))

    def _listed_statuses(self, poll: _Poll, *, lists_live: bool) -> Iterator[Collection[str]]:
        """Yield the statuses of each list, given what the one before has shown; none for a list that has all."""
        listable = self.client.platform.listable_statuses
        if not listable:
            yield ()
        elif lists_live:
            yield LIVE_STATUSES
        conditions = {wait.condition for campaign_id in poll.unseen() for wait in poll.waits[campaign_id]}
        awaited = {word for condition in conditions for word in (*condition.success, *condition.failure)}
        if (statuses := awaited & listable - set(LIVE_STATUSES)) and not poll.has_failing_list:
            yield statuses

    def _read_list(self, poll: _Poll, campaign_type: str | None, statuses: Collection[str], deadline: Deadline) -> None:
        """Read a list until it has shown all campaigns, or too few to be worth its pages."""
        reader = self.client.read_list(campaign_type, statuses, newest_first=True)
        patience = min(MAX_FRUITLESS_PAGES, max(1, len(self._unexpected(poll))))
        for _ in range(poll.allowance(MAX_LIST_PAGES)):
            unseen = poll.unseen(campaign_type)
            if reader.is_finished or not unseen or not patience or not deadline.remaining:
                return
            for campaign in reader.read_page(deadline):
                poll.has_read = True
                if campaign.id in poll.waits and campaign.id not in poll.seen:
                    self._note(poll, campaign)
            patience -= unseen == poll.unseen(campaign_type)

    def _read_unlisted(self, poll: _Poll) -> None:
        """Read campaigns that the lists lack: those that have left them, or else one of those that never were there."""
        unexpected = self._unexpected(poll)
        unseen, idle = poll.unseen(), not unexpected
        self._read_directly(poll, unexpected or unseen, 1 if idle else MAX_DIRECT_READS)
        waits = {wait for campaign_id in unseen for wait in poll.waits[campaign_id]}
        read = {wait for wait in waits if self._read_in[wait.campaign_id] == self._polls}
        if idle and any(poll.ends(wait) for wait in read):
            self._unlisted.clear()  # the lists leave changes out
        elif not poll.has_failing_list:
            self._unlisted = (self._unlisted & waits) | read

    def _unexpected(self, poll: _Poll) -> set[str]:
        """Return the ids of unseen campaigns that are neither listed, with old news, nor known to be in no list."""
        if poll.has_failing_list:
            return poll.unseen()
        return poll.unseen() - poll.snapshot.campaigns.keys() - {wait.campaign_id for wait in self._unlisted}

    def _read_directly(self, poll: _Poll, campaign_ids: Iterable[str], most: int) -> None:
        """
        Read campaigns one by one, those first that were not read for the longest time; raise when rate-limited.

        :param most: The number of campaigns.
        """
        deadline = poll.deadline()
        unread = (each for each in campaign_ids if self._read_in[each] < self._polls)
        oldest_first = sorted(unread, key=lambda campaign_id: (self._read_in[campaign_id], campaign_id))
        for campaign_id in oldest_first[: poll.allowance(most)]:
            if not deadline.remaining or (poll.is_all_refused and len(poll.problems) >= MAX_REFUSALS):
                return
            self._read_in[campaign_id] = self._polls
            try:
                self._note(poll, read_status(self.client, campaign_id, poll.waits[campaign_id], deadline))
            except Exception as error:  # noqa: BLE001 what nobody foresaw about one campaign concerns no other
                self._note_failure(poll, campaign_id, error)

    def _note_failure(self, poll: _Poll, campaign_id: str, failure: Exception) -> None:
        """Note why a campaign could not be read; raise if the platform asks to be left alone."""
        error = as_campaign_error(failure, f"Status of campaign {campaign_id!r} ({self.client.description})")
        if isinstance(failure, CampaignUnavailableError):
            if failure.retry_after:
                raise failure
        elif isinstance(failure, CampaignAuthError):
            poll.is_refused = True
        else:
            poll.has_read = True
            waits = poll.waits[campaign_id]  # those of a sweep, which have no deadline, look elsewhere, too
            is_acknowledged = all(wait.acted_at is not None and wait.deadline is not None for wait in waits)
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
        if all(wait.accepts(campaign, poll.snapshot.began) for wait in poll.waits[campaign.id]):
            poll.seen.add(campaign.id)
            self._read_in[campaign.id] = self._polls
