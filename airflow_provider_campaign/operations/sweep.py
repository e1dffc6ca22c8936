"""Stopping all that is live in an account, and proving that it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.client.rate_limiter import LOG_WAIT_THRESHOLD
from airflow_provider_campaign.exceptions import CampaignError, CampaignTimeoutError
from airflow_provider_campaign.operations.startable import may_start_entry
from airflow_provider_campaign.operations.sweep_entry import is_retryable
from airflow_provider_campaign.operations.sweep_result import SweepResult
from airflow_provider_campaign.operations.swept_account import SweptAccount

log = logging.getLogger(__name__)

INITIAL_DELAY = 1.0
"""Seconds before what winds down is polled first, or what failed is tried again; they double each time."""

MAX_DELAY = 15.0
"""The longest of these delays, in seconds."""

SLOW_LISTING = 10.0
"""Seconds that a listing may take before what it has shown by then is stopped."""

MAX_DOUBTFUL_LISTINGS = 5
"""Listings in a row that can't be relied on, before a sweep with nothing left to stop gives up."""


class Sweep:
    """
    List what is live, stop it all at once, list again until a listing shows none.

    :param before: Called first, for what is to be done before the account is swept at full speed.
    """

    def __init__(self, account: SweptAccount, *, before: Callable[[], None] | None = None) -> None:
        self.account = account
        self._before = before
        self._delay = 0.0
        self._doubtful_listings = 0
        self._acted_at = 0.0
        self._has_stopped_meanwhile = False

    def list_only(self) -> SweepResult:
        """List what is live, and stop nothing."""
        problem = None
        try:
            self.account.list_only()
            self.account.list_excluded_types()
        except CampaignError as error:
            problem = error
        return self.result(problem, is_dry_run=True)

    def run(self) -> SweepResult:
        """Stop all that is live, until a listing shows none or the time is up."""
        problem: CampaignError | None = None
        try:
            if self._before:
                self._before()
            while not self._is_over(problem := self._list()):
                if not self.account.deadline.remaining:
                    break
                self.account.stop(self.account.unsent_entries)
                if not self._wait(problem):
                    problem = problem or CampaignTimeoutError("the time was up before the next listing")
                    break
            self.account.list_excluded_types()
        except CampaignError as error:  # cancelled
            problem = error
        return self.result(problem)

    def result(self, problem: CampaignError | None = None, *, is_dry_run: bool = False) -> SweepResult:
        """Return what is known by now, and what keeps the listing from proving anything."""
        return SweepResult(
            self.account.entries,
            self.account.excluded,
            problem,
            self.account.client.description,
            self.account.requests,
            round(self.account.deadline.elapsed, 1),
            self.account.refused,
            is_dry_run,
            [may_start_entry(campaign) for campaign in self.account.lists.startable],
        )

    def _list(self) -> CampaignError | None:
        """List what is live; return what keeps the listing from being a proof."""
        self._acted_at = self.account.client.clock.time()
        self._has_stopped_meanwhile = False
        return self.account.list_live(self._after_page)

    def _after_page(self) -> None:
        """Stop what is known by now where the listing takes long; what moves up meanwhile the next one shows."""
        clock = self.account.client.clock
        if clock.time() - self._acted_at >= SLOW_LISTING and self.account.deadline.remaining:
            if unsent := self.account.unsent_entries:
                self.account.stop(unsent)
                self._has_stopped_meanwhile = True
            self._acted_at = clock.time()

    def _is_over(self, problem: CampaignError | None) -> bool:
        """Tell whether a listing proves that nothing is live, or nothing more can be done."""
        left = self.account.open_entries
        if problem is None:
            self._doubtful_listings = 0
            return not left and not self._has_stopped_meanwhile
        if not is_retryable(problem):
            return all(entry.acknowledged for entry in left)
        self._doubtful_listings += int(isinstance(problem, UnreliableListError) and not left)
        return self._doubtful_listings >= MAX_DOUBTFUL_LISTINGS

    def _wait(self, problem: CampaignError | None) -> bool:
        """Wait until there is something to do; tell whether there is time left for it."""
        remaining = self.account.deadline.remaining
        budget_delay = self.account.client.rate_limiter.delay
        unsent = bool(self.account.unsent_entries)
        if not remaining or (budget_delay >= remaining and unsent):
            return False
        if budget_delay >= LOG_WAIT_THRESHOLD:
            log.info("The account's requests are spent: going on in %.0f s", budget_delay)
        delay = budget_delay
        is_unsettled = any(entry.is_open or entry.restarts for entry in self.account.entries)  # a list may lag behind
        if not (unsent and budget_delay) and (is_unsettled or problem or self._delay):
            self._delay = min(2 * self._delay, MAX_DELAY) or INITIAL_DELAY
            delay = max(self._delay, budget_delay)
        self.account.deadline.sleep(min(delay, remaining))
        return True
