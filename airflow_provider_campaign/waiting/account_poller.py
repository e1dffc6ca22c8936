"""One poll of an account for all who wait on it, by as few requests as possible; and the wait of a worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable
from dataclasses import replace

from airflow_provider_campaign.campaign import LIVE_STATUSES, STOP_CONDITION, Campaign, WaitCondition
from airflow_provider_campaign.client.changes import seconds_of
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

STOP_POLL_INTERVAL = 5.0  # seconds between two polls of a campaign that was asked to stop, by default
DIRECT_READ_THRESHOLD = 2  # campaigns that are cheaper to read one by one than to find in lists
MAX_DIRECT_READS = 20  # campaigns that one poll reads directly, besides those whose wait ends with it
MAX_REFUSALS = 3  # requests that may be refused for the credentials, with nothing read, before a poll ends
MAX_FRUITLESS_PAGES = 4  # pages in a row without a campaign that is waited for, before a poll stops reading a list


class AccountPoller:
    """
    Poll an account again and again for those who wait on it.

    One or two campaigns are read directly. More are looked for in the list of live campaigns, then in that of the
    awaited statuses, newest first; those that both lack are read directly, up to :data:`MAX_DIRECT_READS`. Nothing is
    concluded from what a list lacks. A campaign that was read directly and stays unlisted, for example a paused one, is
    read again in turn with its like, one in each poll.
    """

    def __init__(self, client: CampaignClient) -> None:
        self.client = client
        self._lock = threading.Lock()  # a poll whose triggers have left may still be in its thread
        self._polls = 0
        self._read_in: dict[str, int] = {}  # the poll that has read a campaign directly since it was listed last

    def poll(
        self, waits: Collection[PendingWait], *, lists_live: bool = True, deadline: Deadline | None = None
    ) -> Snapshot:
        """
        Poll once, on behalf of all who wait.

        :param lists_live: Whether to list live campaigns; false if the caller has just done so, and waits for others.
        :param deadline: When to end the poll; by default each of its parts has the time of one request.
        """
        with self._lock:
            self._begin(waits, deadline)
            delay, error = 0.0, None
            try:
                if len(self._waits) <= DIRECT_READ_THRESHOLD:
                    self._read_directly(self._waits)
                else:
                    self._read_unlisted(are_complete=self._read_lists(lists_live=lists_live))
                error = self._problems[0] if self._is_refused else None
            except CampaignUnavailableError as busy:
                self._note_problem(busy)
                delay = busy.retry_after or 0.0
            problem = str(self._problems[-1]) if self._problems else None
            return replace(self._snapshot, error=error, problem=problem, delay=delay)

    def _begin(self, waits: Iterable[PendingWait], deadline: Deadline | None) -> None:
        self._polls += 1
        self._deadline = deadline
        self._waits: dict[str, list[PendingWait]] = {}
        for wait in waits:
            self._waits.setdefault(wait.campaign_id, []).append(wait)
        self._read_in = {each: poll for each, poll in self._read_in.items() if each in self._waits}
        self._snapshot = Snapshot(began=self.client.clock.time())
        self._seen: set[str] = set()  # the campaigns of which something was read that all who wait for them accept
        self._problems: list[CampaignError] = []

    def _unseen(self, campaign_type: str | None = None) -> set[str]:
        """Return the ids of the campaigns to look for further: all, or those that may be of a type."""
        ids = self._waits.keys() - self._seen
        if campaign_type is None:
            return ids
        return {each for each in ids if any(wait.campaign_type in (campaign_type, None) for wait in self._waits[each])}

    def _read_lists(self, *, lists_live: bool) -> bool:
        """Look for the campaigns in lists, and return whether none of these failed."""
        deadline, listable = self._part(), self.client.platform.listable_statuses
        try:
            if lists_live or not listable:  # without a filter, one list has all
                self._read_list_of(LIVE_STATUSES if listable else (), deadline)
            conditions = {wait.condition for campaign_id in self._unseen() for wait in self._waits[campaign_id]}
            awaited = {word for condition in conditions for word in (*condition.success, *condition.failure)}
            if statuses := awaited & listable - set(LIVE_STATUSES):
                self._read_list_of(statuses, deadline)
        except CampaignRateLimitError:
            raise
        except Exception as error:  # noqa: BLE001 whatever a list raises, the campaigns can be read directly
            self._note_problem(as_campaign_error(error, f"List of campaigns ({self.client.description})"))
            return False
        return True

    def _read_list_of(self, statuses: Collection[str], deadline: Deadline) -> None:
        """Read the list of each type until it has shown all campaigns, or too few to be worth its pages."""
        for campaign_type in self.client.platform.campaign_types or (None,):
            reader = self.client.read_list(campaign_type, statuses, newest_first=True)
            patience = MAX_FRUITLESS_PAGES if self._unseen() - self._read_in.keys() else 1
            while (unseen := self._unseen(campaign_type)) and patience and not reader.is_finished:
                if not deadline.remaining or not self._allowance(1):
                    break
                for campaign in reader.read_page(deadline):
                    if campaign.id in unseen:
                        self._note(campaign)
                self._read_in = {each: poll for each, poll in self._read_in.items() if each not in self._seen}
                patience -= unseen == self._unseen(campaign_type)

    def _read_unlisted(self, *, are_complete: bool) -> None:
        """Read campaigns that the lists lack: those whose wait ends, those that were listed until now, or one other."""
        unseen, began = self._unseen(), self._snapshot.began
        deadlines = ((each, wait.deadline) for each in unseen for wait in self._waits[each])
        ending = {each for each, deadline in deadlines if deadline is not None and deadline <= began}
        self._read_directly(ending)
        others = unseen - ending
        left_the_lists = others - self._snapshot.campaigns.keys() - self._read_in.keys()
        if are_complete and not left_the_lists:
            self._read_directly(others, self._allowance(1))
        else:
            self._read_directly(left_the_lists if are_complete else others, self._allowance(MAX_DIRECT_READS))

    def _read_directly(self, campaign_ids: Iterable[str], most: int | None = None) -> None:
        """Read campaigns one by one, the least recently read first; raise if the platform asks to be left alone."""
        deadline = self._part()
        oldest_first = sorted(campaign_ids, key=lambda campaign_id: (self._read_in.get(campaign_id, 0), campaign_id))
        for number, campaign_id in enumerate(oldest_first[:most]):
            if (number and not deadline.remaining) or (self._is_refused and len(self._problems) >= MAX_REFUSALS):
                return
            try:
                self._note(self._read(campaign_id, deadline))
            except Exception as failure:
                error = as_campaign_error(failure, f"Status of campaign {campaign_id!r} ({self.client.description})")
                if isinstance(error, CampaignUnavailableError) and error.retry_after:
                    raise error from failure
                if isinstance(error, CampaignUnavailableError | CampaignAuthError):
                    self._note_problem(error)
                else:
                    self._snapshot.failed[campaign_id] = error
            self._read_in[campaign_id] = self._polls

    def _read(self, campaign_id: str, deadline: Deadline) -> Campaign:
        """Read a campaign's status, with the date of its last change if one of the waits can't do without."""
        campaign = self.client.get_campaign_status(campaign_id, deadline=deadline)
        unsure = (each for each in self._waits[campaign_id] if not each.accepts(campaign, self._snapshot.began))
        needs_date = any(wait.changed_at is not None for wait in unsure)
        return self.client.requester.dated(campaign, deadline) if needs_date else campaign

    def _note(self, campaign: Campaign) -> None:
        log.debug("Campaign %s is %s", campaign.id, campaign.status)
        self._snapshot.campaigns[campaign.id] = campaign
        if all(wait.accepts(campaign, self._snapshot.began) for wait in self._waits[campaign.id]):
            self._seen.add(campaign.id)

    def _note_problem(self, error: CampaignError) -> None:
        log.warning("Status check failed, retrying at the next poll: %s", error)
        self._problems.append(error)

    @property
    def _is_refused(self) -> bool:
        """Whether the credentials were refused by all that was requested."""
        are_all = all(isinstance(error, CampaignAuthError) for error in self._problems)
        return bool(self._problems) and are_all and not self._snapshot.campaigns and not self._snapshot.failed

    def _allowance(self, most: int) -> int:
        available = self.client.rate_limiter.available_within()
        return most if available is None else min(most, available)

    def _part(self) -> Deadline:
        """Return the deadline of a part of the poll; a part that hangs leaves the others their time."""
        seconds = self.client.requester.timeout
        if self._deadline is None:
            return self.client.deadline(seconds, retries=False)
        return self._deadline.sooner(seconds, retries=False)


def wait_for_effect(
    client: CampaignClient,
    campaign: Campaign,
    deadline: Deadline,
    condition: WaitCondition = STOP_CONDITION,
    poll_interval: float = STOP_POLL_INTERVAL,
) -> Campaign:
    """
    Return a campaign that was stopped, or started, once its status meets the condition; poll it at the deadline, too.

    :raises CampaignError: As for :meth:`.PendingWait.reached`, or when the deadline comes first.
    """
    if condition.is_met_by(campaign.status):
        return campaign
    poller, now, shown = AccountPoller(client), client.clock.time(), Snapshot()
    wait = PendingWait(
        campaign.id, condition, acted_at=now, changed_at=seconds_of(campaign.updated_at), last_status=campaign.status
    )
    while True:
        deadline.sleep(min(max(poll_interval, shown.delay), deadline.remaining))
        shown = poller.poll([wait], deadline=deadline)
        if seen := wait.reached(shown, client.description):
            return seen.completing(campaign.as_dict())
        if deadline.remaining <= 0:
            raise wait.timed_out(deadline.seconds, client.description)
