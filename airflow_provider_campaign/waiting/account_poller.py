"""One poll of an account for all who wait on it: as few requests as possible, however many they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from airflow_provider_campaign.campaign import LIVE_STATUSES, Campaign, WaitCondition, WaitState
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignRateLimitError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.waiting.pending import PendingWait, Snapshot

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
"""Pages in a row without a campaign that is waited for, before a poll stops reading a list."""


class AccountPoller:
    """
    Poll an account again and again for those who wait on it.

    One or two campaigns are read directly. More are looked for in the list of live campaigns; those that it lacks, in
    the list of the awaited statuses, newest first; and those that it lacks, too, are read directly,
    up to :data:`MAX_DIRECT_READS`. Nothing is concluded from what a list lacks: a wrong list costs requests, but ends
    no wait. A campaign that was read directly and stays unlisted, for example a paused one, is read again in turn with
    its like, one in each poll.
    """

    def __init__(self, client: CampaignClient) -> None:
        self.client = client
        self._lock = threading.Lock()  # a poll whose triggers have left may still be in its thread
        self._unlisted: set[tuple[str, WaitCondition]] = set()
        """The campaigns that no list shows, with what is waited for, and that were read directly since."""
        self._read_in: dict[str, int] = {}
        """The number of the last poll that has read a campaign, by id."""
        self._refused: set[str] = set()
        """The campaigns whose next refusal, or unexpected error, ends the waits for them."""
        self._polls = 0
        self._begin((), None)

    def poll(
        self, waits: Collection[PendingWait], *, lists_live: bool = True, deadline: Deadline | None = None
    ) -> Snapshot:
        """
        Poll once, on behalf of all who wait; raise for what concerns them all and another poll can't fix.

        :param lists_live: Whether to list live campaigns; false if the caller has just done so, and waits for others.
        :param deadline: When to end the poll; by default each of its parts has the time of one request.
        """
        with self._lock:
            self._begin(waits, deadline)
            try:
                self._run(lists_live=lists_live)
            except CampaignUnavailableError as error:
                log.warning("Status check failed, retrying at the next poll: %s", error)
                return replace(self._snapshot, delay=error.retry_after or 0.0, problem=str(error))
            return replace(self._snapshot, problem=str(self._problems[-1]) if self._problems else None)

    def _begin(self, waits: Iterable[PendingWait], deadline: Deadline | None) -> None:
        """Forget the last poll, and who has left."""
        self._polls += 1
        self._deadline = deadline
        self._waits: dict[str, list[PendingWait]] = {}
        """Who waits, by campaign id."""
        for wait in waits:
            self._waits.setdefault(wait.campaign_id, []).append(wait)
        self._read_in = {campaign_id: self._read_in.get(campaign_id, 0) for campaign_id in self._waits}
        self._snapshot = Snapshot(began=self.client.clock.time())
        self._seen: set[str] = set()
        """The campaigns of which something was read that all who wait for them accept."""
        self._problems: list[CampaignError] = []
        self._has_read = False
        self._is_refused = False
        """Whether a campaign could not be read for the credentials."""
        self._has_failing_list = False

    def _run(self, *, lists_live: bool) -> None:
        """Read the most urgent campaigns first; raise if no wait can be served, now or ever."""
        if len(self._waits) <= DIRECT_READ_THRESHOLD:
            self._read_directly(self._waits, None)
        else:
            self._read_directly(self._overdue(), MAX_DIRECT_READS)
            self._read_lists(lists_live=lists_live)
            self._read_directly(self._overdue(), len(self._waits))
            self._read_unlisted()
        if self._is_all_refused:
            raise self._problems[0]

    def _unseen(self, campaign_type: str | None = None) -> set[str]:
        """
        Return the ids of the campaigns of which nothing was read yet that all accept.

        :param campaign_type: Only those that may be of this type; None for all.
        """
        ids = self._waits.keys() - self._seen - self._snapshot.failed.keys()
        if campaign_type is None:
            return ids
        return {each for each in ids if any(wait.campaign_type in (campaign_type, None) for wait in self._waits[each])}

    def _overdue(self) -> set[str]:
        """Return the ids of the unseen campaigns for which a wait ends with this poll."""
        deadlines = ((each, wait.deadline) for each in self._unseen() for wait in self._waits[each])
        return {each for each, deadline in deadlines if deadline is not None and deadline <= self._snapshot.began}

    def _read_lists(self, *, lists_live: bool) -> None:
        deadline, all_types = self._part(), self.client.platform.campaign_types or (None,)
        for statuses in self._listed_statuses(lists_live=lists_live):
            for campaign_type in [each for each in all_types if self._unseen(each)] or all_types:
                try:
                    self._read_list(campaign_type, statuses, deadline)
                except CampaignRateLimitError:
                    raise
                except Exception as error:  # noqa: BLE001 whatever a list raises, the campaigns can be read directly
                    self._has_failing_list = True
                    self._note_problem(as_campaign_error(error, f"List of campaigns ({self.client.description})"))

    def _listed_statuses(self, *, lists_live: bool) -> Iterator[Collection[str]]:
        """Yield the statuses of each list, given what the one before has shown; none for a list that has all."""
        listable = self.client.platform.listable_statuses
        if not listable:
            yield ()
        elif lists_live:
            yield LIVE_STATUSES
        conditions = {wait.condition for campaign_id in self._unseen() for wait in self._waits[campaign_id]}
        awaited = {word for condition in conditions for word in (*condition.success, *condition.failure)}
        if (statuses := awaited & listable - set(LIVE_STATUSES)) and not self._has_failing_list:
            yield statuses

    def _read_list(self, campaign_type: str | None, statuses: Collection[str], deadline: Deadline) -> None:
        """Read a list until it has shown all campaigns, or too few to be worth its pages."""
        reader = self.client.read_list(campaign_type, statuses, newest_first=True)
        patience = min(MAX_FRUITLESS_PAGES, max(1, len(self._unexpected())))
        for _ in range(self._allowance(MAX_LIST_PAGES)):
            unseen = self._unseen(campaign_type)
            if reader.is_finished or not unseen or not patience or not deadline.remaining:
                return
            for campaign in reader.read_page(deadline):
                self._has_read = True
                if campaign.id in self._waits and campaign.id not in self._seen:
                    self._note(campaign)
            patience -= unseen == self._unseen(campaign_type)

    def _read_unlisted(self) -> None:
        """Read campaigns that the lists lack: those that have left them, or else one of those that never were there."""
        unseen, unexpected = self._unseen(), self._unexpected()
        self._read_directly(unexpected or unseen, MAX_DIRECT_READS if unexpected else 1)
        waits = [wait for campaign_id in unseen for wait in self._waits[campaign_id]]
        read = {_key(wait) for wait in waits if self._read_in[wait.campaign_id] == self._polls}
        if not unexpected and any(self._has_ended(wait) for wait in waits):
            self._unlisted.clear()  # the lists leave changes out
        elif not self._has_failing_list:
            self._unlisted = (self._unlisted & set(map(_key, waits))) | read

    def _unexpected(self) -> set[str]:
        """Return the ids of unseen campaigns that are neither listed, with old news, nor known to be in no list."""
        ids = self._unseen()
        if self._has_failing_list:
            return ids
        unlisted = {each for each in ids if all(_key(wait) in self._unlisted for wait in self._waits[each])}
        return ids - self._snapshot.campaigns.keys() - unlisted

    def _has_ended(self, wait: PendingWait) -> bool:
        """Return whether this poll has ended a wait that was to end."""
        campaign = self._snapshot.campaigns.get(wait.campaign_id)
        if campaign is None or wait.deadline is None or not wait.accepts(campaign, self._snapshot.began):
            return False
        return wait.condition.state_of(campaign.status) is not WaitState.RETRY

    def _read_directly(self, campaign_ids: Iterable[str], most: int | None) -> None:
        """
        Read campaigns one by one, those first that were not read for the longest time; raise when rate-limited.

        :param most: The number of campaigns, if the rate limit allows that; None for all, whenever it does.
        """
        deadline = self._part()
        unread = (each for each in campaign_ids if self._read_in[each] < self._polls)
        oldest_first = sorted(unread, key=lambda campaign_id: (self._read_in[campaign_id], campaign_id))
        for number, campaign_id in enumerate(oldest_first[: None if most is None else self._allowance(most)]):
            is_over = number and not deadline.remaining
            if is_over or (self._is_all_refused and len(self._problems) >= MAX_REFUSALS):
                return
            self._read_in[campaign_id] = self._polls
            try:
                self._note(self._read(campaign_id, deadline))
            except Exception as error:  # noqa: BLE001 an unexpected error about one campaign concerns no other
                self._note_failure(campaign_id, error)

    def _read(self, campaign_id: str, deadline: Deadline) -> Campaign:
        """Read a campaign's status, with the date of its last change if one of the waits can't do without."""
        campaign = self.client.get_campaign_status(campaign_id, deadline=deadline, retry=False)
        unsure = (each for each in self._waits[campaign_id] if not each.accepts(campaign, self._snapshot.began))
        needs_date = any(wait.changed_at is not None for wait in unsure)
        return self.client.requester.dated(campaign, deadline) if needs_date else campaign

    def _note(self, campaign: Campaign) -> None:
        log.debug("Campaign %s is %s", campaign.id, campaign.status)
        self._has_read = True
        self._snapshot.campaigns[campaign.id] = campaign
        self._refused.discard(campaign.id)
        if all(wait.accepts(campaign, self._snapshot.began) for wait in self._waits[campaign.id]):
            self._seen.add(campaign.id)
            self._read_in[campaign.id] = self._polls

    def _note_failure(self, campaign_id: str, failure: Exception) -> None:
        """Note why a campaign could not be read; raise if the platform asks to be left alone."""
        error = as_campaign_error(failure, f"Status of campaign {campaign_id!r} ({self.client.description})")
        if isinstance(failure, CampaignUnavailableError):
            if failure.retry_after:
                raise failure
        elif isinstance(failure, CampaignAuthError):
            self._is_refused = True
        else:
            self._has_read = True
            waits = self._waits[campaign_id]  # those of a sweep, which have no deadline, look elsewhere, too
            is_acknowledged = all(wait.acted_at is not None and wait.deadline is not None for wait in waits)
            may_pass = is_acknowledged or not isinstance(failure, CampaignError)
            if not may_pass or campaign_id in self._refused:
                self._snapshot.failed[campaign_id] = error
                return
            self._refused.add(campaign_id)
        self._note_problem(error)

    def _note_problem(self, error: CampaignError) -> None:
        log.warning("Status check failed, retrying at the next poll: %s", error)
        self._problems.append(error)

    @property
    def _is_all_refused(self) -> bool:
        """Whether the credentials were refused by all that was requested."""
        others = (error for error in self._problems if not isinstance(error, CampaignAuthError))
        return self._is_refused and not self._has_read and not any(others)

    def _allowance(self, most: int) -> int:
        """Return how many more requests the rate limit allows, up to a maximum."""
        available = self.client.rate_limiter.available
        return most if available is None else min(most, available)

    def _part(self) -> Deadline:
        """Return the deadline of a part of the poll; a part that hangs leaves the others their time."""
        seconds = self.client.requester.timeout
        if self._deadline is None:
            return self.client.deadline(seconds, retries=False)
        return self._deadline.sooner(seconds, retries=False)


def _key(wait: PendingWait) -> tuple[str, WaitCondition]:
    return wait.campaign_id, wait.condition
