"""The account that a sweep sees: what is live in it, what became of each, and how to ask it to stop."""

from __future__ import annotations

import logging
import math
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import Any

from airflow_provider_campaign.campaign import Campaign, is_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.client.rate_limiter import LOG_WAIT_THRESHOLD
from airflow_provider_campaign.client.retry import requested_delay
from airflow_provider_campaign.client.transport import MAX_CONNECTIONS
from airflow_provider_campaign.exceptions import CampaignError, CampaignNotFoundError, CampaignRateLimitError
from airflow_provider_campaign.operations.account_poller import AccountPoller
from airflow_provider_campaign.operations.list_tracker import PAGE_ROWS, ListTracker
from airflow_provider_campaign.operations.live_lists import LiveLists
from airflow_provider_campaign.operations.sweep_entry import SweepEntry, progress_of
from airflow_provider_campaign.operations.sweep_scope import SweepScope
from airflow_provider_campaign.platforms.base import Action, ApiRequest

log = logging.getLogger(__name__)

CONCURRENCY = 5
"""Stops in flight at the same time, unless the platform is slow: so many are refused if the budget is spent."""

STOPS_A_SECOND = 4
"""What more stops in flight are to achieve where it is: a minute's budget in fifteen seconds."""

INITIAL_BACKOFF = 1.0
"""Seconds that nothing is sent after a refusal for the rate that does not say how long; they double each time."""

MAX_BACKOFF = 60.0
"""The longest of these rests, in seconds."""

PROGRESS_INTERVAL = 1.0
"""Seconds between two lines about the progress."""


class SweptAccount:
    """
    What is live in an account, and what became of each campaign that was.

    :param is_closed: Whether the account was seen without a live campaign since its calling hours ended, so that each
        one that is found now is an incident.
    :param open_again_at: When its calling hours start again, None where that is not known.
    :param requests: Those that this try has sent before.
    :raises CampaignConfigError: On construction, when a type is not one of the platform's.
    """

    def __init__(
        self,
        client: CampaignClient,
        scope: SweepScope,
        deadline: Deadline,
        *,
        is_closed: bool = False,
        open_again_at: datetime | None = None,
        requests: int = 0,
    ) -> None:
        self.client = client.observed_by(self._note_request, self._note_refusal)
        self.deadline = deadline
        self.requests = requests
        self.refused = 0
        self.excluded: dict[str, tuple[Campaign, str]] = {}
        """What is live but outside the scope, with the argument that leaves it out, by id."""
        self._scope = scope
        self._is_closed = is_closed
        self._entries: dict[str, SweepEntry] = {}
        self._poller = AccountPoller(self.client)
        self.lists = LiveLists(self.client, scope, deadline, open_again_at)
        self._trackers = {each: ListTracker(self.client, each, 0.0) for each in self.lists.types}
        self._reported_at = float("-inf")
        self._lock = threading.Lock()
        """For what the threads of the stops count."""
        self._left_at: dict[str, float] = {}
        """When each request to stop that is in flight has left (seconds since the epoch), by the campaign's id."""
        self._backoff = 0.0
        """Seconds that the account's requests rested after the last refusal, 0 once a stop was accepted since."""
        self._response_time = 0.0
        """Seconds that the last of them took."""

    @property
    def entries(self) -> list[SweepEntry]:
        """All campaigns that were found live, the most urgent first."""
        return _by_urgency(self._entries.values())

    @property
    def open_entries(self) -> list[SweepEntry]:
        """Those that are not at their end yet, the most urgent first."""
        return _by_urgency(entry for entry in self._entries.values() if entry.is_open)

    @property
    def unsent_entries(self) -> list[SweepEntry]:
        """Those that have to be asked to stop, the most urgent first."""
        return [entry for entry in self.open_entries if not entry.acknowledged]

    @property
    def requests_of_listing(self) -> int:
        """How many requests a listing takes where little has changed; what winds down is in more lists."""
        is_winding_down = any(entry.acknowledged for entry in self.open_entries)
        return len(self.lists.types) * (2 if is_winding_down else 1)

    def list_only(self) -> None:
        """Take in what is live."""
        for campaign in self.client.list_campaigns(self.lists.types, self.lists.statuses, deadline=self.deadline):
            self._take_in(campaign)

    def list_live(self, after_page: Callable[[], None] = lambda: None) -> CampaignError | None:
        """Take in what is live; return what keeps the listing from being a proof, one type not hiding another."""
        problem = None
        unlisted = {entry.campaign.id: entry for entry in self.open_entries}
        is_all_done = not unlisted
        for campaign_type in self.lists.types:
            try:
                for campaign in self.lists.read(campaign_type, with_startable=is_all_done, after_page=after_page):
                    if self._take_in(campaign):
                        unlisted.pop(campaign.id, None)
            except CampaignError as error:
                self._note_problem(error)
                problem = error
                if not isinstance(error, UnreliableListError):  # which shows all the rows that it has
                    unlisted = {
                        key: each for key, each in unlisted.items() if each.campaign.campaign_type != campaign_type
                    }
        self._recheck_unlisted(unlisted)
        self._report()
        return problem

    def list_changes(self) -> CampaignError | None:
        """
        Take in what is live by few requests: where there is much, only what has changed since the last listing.

        What somebody else has stopped may be missed.

        :returns: What has kept something from being listed.
        """
        if (self._entries and len(self.open_entries) < PAGE_ROWS) or not self.client.platform.sorts_lists:
            return self.list_live()
        problem = None
        for tracker in self._trackers.values():
            try:
                part = self.deadline.sooner(retries=False)
                for campaign in tracker.poll((), self.lists.statuses, (), part, lambda: sys.maxsize, sys.maxsize):
                    self._take_in(campaign)
            except CampaignError as error:
                self._note_problem(error)
                problem = error
        self._recheck_unlisted({entry.campaign.id: entry for entry in self.open_entries if entry.acknowledged})
        self._report()
        return problem

    def list_excluded_types(self) -> None:
        """Note what is live of the types that are left out; it is of interest, but nothing depends on it."""
        for campaign_type in self._scope.excluded_types(self.client.platform):
            try:
                live = [each for each in self.lists.read(campaign_type) if is_live(each.status)]
            except CampaignError as error:
                log.warning("What is live of the type %s, which is left out, can't be listed: %s", campaign_type, error)
            else:
                self.excluded.update({campaign.id: (campaign, "campaign_types") for campaign in live})

    def take_over(self, entries: Iterable[Mapping[str, Any]]) -> bool:
        """Take in what an earlier try did not see stopped, as its record has it; tell whether there is any of it."""
        left = [entry for entry in entries if not entry["confirmed_at"] and entry["campaign_id"] not in self._entries]
        self._entries.update({entry["campaign_id"]: SweepEntry.from_record(entry) for entry in left})
        return bool(left)

    def stop(self, entries: Sequence[SweepEntry]) -> None:
        """
        Ask campaigns to stop, several at the same time, as many as the account's budget allows now or in a moment.

        A window that is spent comes back as it was spent, over a second or two: all of it is one burst.
        """
        count = self.client.rate_limiter.available_within(LOG_WAIT_THRESHOLD)
        waiting, in_flight = deque(entries[:count]), set[Future[None]]()
        pool = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="sweep")
        try:
            while waiting or in_flight:
                while waiting and len(in_flight) < self._concurrency:
                    in_flight.add(pool.submit(self._stop, waiting.popleft()))
                done, in_flight = wait(in_flight, PROGRESS_INTERVAL, FIRST_COMPLETED)
                for future in done:
                    future.result()
                    self._report()
        except BaseException:
            self.deadline.cancellation.request()  # the task is to end: nothing more is sent
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def _concurrency(self) -> int:
        """How many stops may be in flight: more of them, the longer the platform takes to respond."""
        now = self.client.clock.time()
        longest = max((now - left_at for left_at in list(self._left_at.values())), default=0.0)
        return min(MAX_CONNECTIONS, max(CONCURRENCY, math.ceil(STOPS_A_SECOND * max(longest, self._response_time))))

    def _take_in(self, campaign: Campaign) -> bool:
        """Note a campaign that is listed, and tell whether it is to be stopped."""
        platform = self.client.platform
        if argument := self._scope.exclusion(campaign, platform):
            self.excluded[campaign.id] = (campaign, argument)
        if not self._scope.includes(campaign, platform):
            return False
        found = SweepEntry(campaign, campaign.status, is_incident=self._is_closed)
        entry = self._entries.setdefault(campaign.id, found)
        entry.note_listed(campaign, self.client.clock.time())
        return True

    def _stop(self, entry: SweepEntry) -> None:
        """Ask one to stop, and note what comes of it."""
        part = self.deadline.sooner(retries=False, max_rate_wait=LOG_WAIT_THRESHOLD)
        clock = self.client.clock
        try:
            campaign = self.client.stop_campaign(
                entry.campaign.id, entry.campaign.campaign_type, check_first=entry.outcome_unknown, deadline=part
            )
        except CampaignNotFoundError as error:
            entry.note_not_found(error, clock.time())
        except CampaignError as error:
            log.debug("Campaign %s is not stopped yet: %s", entry.campaign.id, error)
            if not isinstance(error, CampaignRateLimitError) or error.http_status is not None:
                entry.note_failure(error)
            self._pause(error)
        else:
            self._backoff = 0.0
            entry.note_stop(campaign, clock.time())
        finally:
            self._response_time = clock.time() - self._left_at.pop(entry.campaign.id, clock.time())

    def _recheck_unlisted(self, unlisted: Mapping[str, SweepEntry]) -> None:
        """Read what is not listed as live any more and not confirmed either."""
        if not unlisted:
            return
        try:
            snapshot = self._poller.poll([entry.wait() for entry in unlisted.values()])
        except CampaignError as error:
            log.warning("Status check failed, retrying at the next poll: %s", error)
            return
        now = self.client.clock.time()
        for campaign_id, campaign in snapshot.campaigns.items():
            unlisted[campaign_id].note_status(campaign, now)
        for campaign_id, failure in snapshot.failed.items():
            if isinstance(failure, CampaignNotFoundError):
                unlisted[campaign_id].note_deleted(failure, now)
            else:
                unlisted[campaign_id].note_failure(failure)

    def _note_problem(self, error: CampaignError) -> None:
        log.warning("What is live can't be listed: %s", error)
        self._pause(error)

    def _pause(self, error: CampaignError) -> None:
        """After a refusal for the rate send nothing for a while: longer each time, where it does not say how long."""
        if not isinstance(error, CampaignRateLimitError) or error.http_status is None:
            return
        limiter = self.client.rate_limiter
        delay = requested_delay(error, self.client.platform.rate_window)
        with self._lock:
            if not delay and not limiter.delay:
                delay = self._backoff = min(2 * self._backoff, MAX_BACKOFF) or INITIAL_BACKOFF
            limiter.pause(delay or 0.0)

    def _note_request(self, request: ApiRequest) -> None:
        with self._lock:
            self.requests += 1
        if request.action is Action.STOP and request.campaign_id in self._entries:
            now = self.client.clock.time()
            self._left_at[request.campaign_id] = self._entries[request.campaign_id].asked_at = now

    def _note_refusal(self, _: ApiRequest) -> None:
        with self._lock:
            self.refused += 1

    def _report(self) -> None:
        """Write a line about the progress, not more often than each second."""
        now = self.client.clock.monotonic()
        entries = list(self._entries.values())
        if now - self._reported_at >= PROGRESS_INTERVAL and any(entry.asked_at is not None for entry in entries):
            self._reported_at = now
            log.info("%s", progress_of(entries))


def _by_urgency(entries: Iterable[SweepEntry]) -> list[SweepEntry]:
    return sorted(entries, key=lambda entry: entry.urgency)
