"""Stopping all that is live in an account, and proving that it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from airflow_provider_campaign.campaign import Campaign, is_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.client.rate_limiter import LOG_WAIT_THRESHOLD
from airflow_provider_campaign.client.retry import requested_delay
from airflow_provider_campaign.exceptions import (
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignTimeoutError,
)
from airflow_provider_campaign.operations.account_poller import AccountPoller
from airflow_provider_campaign.operations.sweep_entry import SweepEntry, is_retryable
from airflow_provider_campaign.operations.sweep_result import SweepResult
from airflow_provider_campaign.operations.sweep_scope import SweepScope
from airflow_provider_campaign.platforms.base import Action, ApiRequest

log = logging.getLogger(__name__)

CONCURRENCY = 5
"""Stops in flight at the same time; no more than these are refused when the budget turns out to be spent."""

INITIAL_DELAY = 1.0
"""Seconds before what winds down is polled first, or what failed is tried again; they double each time."""

MAX_DELAY = 15.0
"""The longest of these delays, in seconds."""

PROGRESS_INTERVAL = 1.0
"""Seconds between two lines about the progress."""

MAX_DOUBTFUL_LISTINGS = 5
"""Listings in a row that can't be relied on, before a sweep with nothing left to stop gives up."""


class Sweep:
    """
    List what is live, stop it all at once, list again until a listing shows none.

    :raises CampaignConfigError: On construction, when a type is not one of the platform's.
    """

    def __init__(self, client: CampaignClient, scope: SweepScope, deadline: Deadline) -> None:
        self._client = client.observed_by(self._note_request, self._note_refusal)
        self._scope = scope
        self._deadline = deadline
        self._entries: dict[str, SweepEntry] = {}
        self._requests = 0
        self._refused = 0
        self._poller = AccountPoller(self._client)
        self._excluded: dict[str, tuple[Campaign, str]] = {}
        self._types = scope.listed_types(client.platform)
        self._statuses = scope.listed_statuses(client.platform)
        for campaign_type in self._types:
            client.read_list(campaign_type)  # a type that the platform does not have is refused before anything is sent
        self._delay = 0.0
        self._doubtful_listings = 0
        self._reported_at = float("-inf")

    def list_only(self) -> SweepResult:
        """
        List what is live, and stop nothing.

        :raises CampaignError: When what is live can't be listed.
        """
        for campaign in self._client.list_campaigns(self._types, self._statuses, deadline=self._deadline):
            self._take_in(campaign)
        self._list_excluded_types()
        return self.result(is_dry_run=True)

    def run(self) -> SweepResult:
        """Stop all that is live, until a listing shows none or the time is up."""
        problem: CampaignError | None = None
        try:
            while not self._is_over(problem := self._list()):
                if not self._deadline.remaining:
                    break
                self._stop_open()
                if not self._wait(problem):
                    problem = problem or CampaignTimeoutError("the time was up before the next listing")
                    break
            self._list_excluded_types()
        except CampaignError as error:  # cancelled
            problem = error
        return self.result(problem)

    def take_over(self, entries: Iterable[Mapping[str, Any]]) -> bool:
        """
        Take in what an earlier try did not see stopped, and tell whether there is any of it; :meth:`run` reads it.

        :param entries: The campaigns of that try's record.
        """
        left = [entry for entry in entries if not entry["confirmed_at"] and entry["campaign_id"] not in self._entries]
        self._entries.update({entry["campaign_id"]: SweepEntry.from_record(entry) for entry in left})
        return bool(left)

    def result(self, problem: CampaignError | None = None, *, is_dry_run: bool = False) -> SweepResult:
        """
        Return what is known by now.

        :param problem: What keeps the listing from proving anything.
        """
        return SweepResult(
            sorted(self._entries.values(), key=lambda entry: _urgency(entry.campaign)),
            self._excluded,
            problem,
            self._client.description,
            self._requests,
            round(self._deadline.elapsed, 1),
            self._refused,
            is_dry_run,
        )

    def _list(self) -> CampaignError | None:
        """Take in what is live; return what keeps the listing from being a proof, one type not hiding another."""
        problem = None
        unlisted = {entry.campaign.id: entry for entry in self._open()}
        for campaign_type in self._types:
            try:
                for campaign in self._read_list(campaign_type):
                    if self._take_in(campaign):
                        unlisted.pop(campaign.id, None)
            except CampaignError as error:
                log.warning("What is live can't be listed: %s", error)
                self._pause(error)
                problem = error
                unlisted = {key: each for key, each in unlisted.items() if each.campaign.campaign_type != campaign_type}
        self._recheck_unlisted(unlisted)
        self._report()
        return problem

    def _read_list(self, campaign_type: str | None) -> Iterator[Campaign]:
        reader = self._client.read_list(campaign_type, self._statuses)
        yield from reader.read_all(self._deadline.sooner(retries=False))
        reader.check()

    def _take_in(self, campaign: Campaign) -> bool:
        """Note a campaign that is listed, and tell whether it is to be stopped."""
        platform = self._client.platform
        if argument := self._scope.exclusion(campaign, platform):
            self._excluded[campaign.id] = (campaign, argument)
        if not self._scope.includes(campaign, platform):
            return False
        entry = self._entries.setdefault(campaign.id, SweepEntry.from_listing(campaign))
        entry.note_listed(campaign, self._client.clock.time())
        return True

    def _list_excluded_types(self) -> None:
        """Note what is live of the types that are left out; it is of interest, but nothing depends on it."""
        for campaign_type in self._scope.excluded_types(self._client.platform):
            try:
                live = [campaign for campaign in self._read_list(campaign_type) if is_live(campaign.status)]
            except CampaignError as error:
                log.warning("What is live of the type %s, which is left out, can't be listed: %s", campaign_type, error)
            else:
                self._excluded.update({campaign.id: (campaign, "campaign_types") for campaign in live})

    def _is_over(self, problem: CampaignError | None) -> bool:
        """Tell whether a listing proves that nothing is live, or nothing more can be done."""
        if problem is None:
            self._doubtful_listings = 0
            return not self._open()
        if not is_retryable(problem):
            return all(entry.acknowledged for entry in self._open())
        self._doubtful_listings += int(isinstance(problem, UnreliableListError) and not self._open())
        return self._doubtful_listings >= MAX_DOUBTFUL_LISTINGS

    def _open(self) -> list[SweepEntry]:
        """Return the entries that are not at their end yet, the most urgent first."""
        return sorted(
            (entry for entry in self._entries.values() if entry.is_open), key=lambda entry: _urgency(entry.campaign)
        )

    def _stop_open(self) -> None:
        """Ask those to stop that have not acknowledged it, as many as the account's budget allows now."""
        to_stop = [entry for entry in self._open() if not entry.acknowledged]
        burst = to_stop[: self._client.rate_limiter.available]
        pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="sweep")
        try:
            futures = [pool.submit(self._stop, entry) for entry in burst]
            for future in as_completed(futures):
                future.result()
                self._report()
        except BaseException:
            self._deadline.cancellation.request()  # the task is to end: nothing more is sent
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _wait(self, problem: CampaignError | None) -> bool:
        """Wait until there is something to do; tell whether there is time left for it."""
        remaining = self._deadline.remaining
        budget_delay = self._client.rate_limiter.delay
        unsent = any(not entry.acknowledged for entry in self._open())
        if not remaining or (budget_delay >= remaining and unsent):
            return False
        if budget_delay >= LOG_WAIT_THRESHOLD:
            log.info("The account's requests are spent: going on in %.0f s", budget_delay)
        delay = budget_delay
        if not (unsent and budget_delay) and (self._open() or problem or self._delay):
            self._delay = min(2 * self._delay, MAX_DELAY) or INITIAL_DELAY
            delay = max(self._delay, budget_delay)
        self._deadline.sleep(min(delay, remaining))
        return True

    def _stop(self, entry: SweepEntry) -> None:
        """Ask one to stop, and note what comes of it."""
        part = self._deadline.sooner(retries=False, max_rate_wait=LOG_WAIT_THRESHOLD)
        clock = self._client.clock
        try:
            campaign = self._client.stop_campaign(
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
            entry.note_stop(campaign, clock.time())

    def _recheck_unlisted(self, unlisted: Mapping[str, SweepEntry]) -> None:
        """Read what is not listed as live any more and not confirmed either."""
        if not unlisted:
            return
        try:
            snapshot = self._poller.poll([entry.wait() for entry in unlisted.values()])
        except CampaignError as error:
            log.warning("Status check failed, retrying at the next poll: %s", error)
            return
        now = self._client.clock.time()
        for campaign_id, campaign in snapshot.campaigns.items():
            unlisted[campaign_id].note_status(campaign, now)
        for campaign_id, failure in snapshot.failed.items():
            if isinstance(failure, CampaignNotFoundError):
                unlisted[campaign_id].note_deleted(failure, now)
            else:
                unlisted[campaign_id].note_failure(failure)
        self._client.rate_limiter.pause(snapshot.delay)

    def _pause(self, error: CampaignError) -> None:
        """Leave the platform alone for as long as it wants."""
        delay = requested_delay(error, self._client.platform.rate_window)
        if error.http_status is not None and delay:
            self._client.rate_limiter.pause(delay)

    def _note_request(self, request: ApiRequest) -> None:
        self._requests += 1
        if request.action is Action.STOP and request.campaign_id in self._entries:
            self._entries[request.campaign_id].asked_at = self._client.clock.time()

    def _note_refusal(self, _: ApiRequest) -> None:
        self._refused += 1

    def _report(self) -> None:
        """Write a line about the progress, not more often than each second."""
        now = self._client.clock.monotonic()
        entries = list(self._entries.values())
        if now - self._reported_at < PROGRESS_INTERVAL or all(entry.asked_at is None for entry in entries):
            return
        self._reported_at = now
        stopped = sum(1 for entry in entries if entry.confirmed_at)
        winding_down = sum(1 for entry in entries if entry.acknowledged and entry.is_open)
        problems = [entry.error for entry in entries if entry.error]
        text = f"Stopped {stopped} of {len(entries)}, {winding_down} winding down, {len(problems)} with a problem"
        log.info("%s", f"{text}, the last: {problems[-1]}" if problems else text)


def _urgency(campaign: Campaign) -> tuple[float, str]:
    """Return what campaigns are sorted by: the highest priority first; those without one come last."""
    try:
        return -float(campaign.priority or "-inf"), campaign.id
    except ValueError:
        return float("inf"), campaign.id
