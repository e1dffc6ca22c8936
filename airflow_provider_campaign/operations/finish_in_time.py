"""Stopping what is live before the end of a window, as late as the account's request budget allows."""

from __future__ import annotations

import logging

from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.operations.closing import Budget, ClosingPlan
from airflow_provider_campaign.operations.sweep_entry import is_retryable
from airflow_provider_campaign.operations.swept_account import SweptAccount

log = logging.getLogger(__name__)

LISTING_INTERVAL = 300.0
"""Seconds after which what is live is listed again, even if no burst is due: campaigns come and go."""

MAX_DELAY = 15.0
"""The same, where a listing has failed."""

MIN_DELAY = 5.0
"""Seconds from one burst to the next listing."""


class FinishInTime:
    """
    List what is live, and stop it in bursts that the plan times; it ends when the window does.

    Before each burst what is live is listed again, and once more shortly before the end. Those of the lowest priority
    are stopped first, as long as there is time for all of them.

    :param end: The end of the window (seconds since the epoch).
    :param margin: Seconds before it by which all are to be verified.
    """

    def __init__(self, account: SweptAccount, end: float, margin: float) -> None:
        platform = account.client.platform
        self._account = account
        self._clock = account.client.clock
        self.end = end
        budget = Budget(platform.rate_limit, platform.rate_window or 0.0, account.requests_of_listing)
        self._plan = ClosingPlan(end, margin, budget)
        self._announced: int | None = None

    def next_step_at(self) -> float:
        """List what is live, and return when the next stop or listing is due (seconds since the epoch)."""
        problem = self._list()
        self._announce()
        return self._next_step(MAX_DELAY if problem else LISTING_INTERVAL)

    def run(self) -> None:
        """Stop what is live, and return at the end of the window, or when a listing fails for good."""
        problem = None
        while self._clock.time() < self.end:
            requests, refused = self._account.requests, self._account.refused
            has_stopped = problem is not None and self._stop_due()  # a list that hangs holds up no stop
            problem = self._list()
            if problem and not is_retryable(problem):
                return
            self._announce()
            delay = MIN_DELAY
            if self._stop_due() or has_stopped:
                self._plan = self._plan.after_burst(self._account.requests - requests, self._account.refused - refused)
                delay = self._plan.interval if self._plan.others else MIN_DELAY
            self._plan = self._plan.with_listing(self._account.requests_of_listing)
            step = self._next_step(MAX_DELAY if problem else LISTING_INTERVAL, delay)
            self._account.deadline.sleep(min(step, self.end) - self._clock.time())

    def _list(self) -> CampaignError | None:
        """Take in what is live, and note how long that takes, besides waiting for the account's budget."""
        limiter, began = self._account.client.rate_limiter, self._clock.time()
        waited = limiter.waited
        problem = self._account.list_changes()
        self._plan = self._plan.after_listing(self._clock.time() - began - (limiter.waited - waited))
        return problem

    def _stop_due(self) -> bool:
        """
        Stop what is due, and tell whether anything was.

        Where not all can be stopped in time, the most urgent are stopped first, else the least urgent.
        """
        left, now = self._account.unsent_entries, self._clock.time()
        due = self._plan.due(len(left), now)
        in_order = left if self._plan.is_late(len(left), now) else left[::-1]
        self._account.stop(sorted(in_order, key=lambda entry: entry.may_be_stopped)[:due])
        return due > 0

    def _next_step(self, interval: float, delay: float = MIN_DELAY) -> float:
        """
        Return when to list again.

        :param interval: Seconds after which that is even if nothing is due.
        :param delay: Seconds that have to pass first, if anything is left.
        """
        now, left = self._clock.time(), len(self._account.unsent_entries)
        if left:
            earliest = now + max(delay, self._account.client.rate_limiter.delay)
            return max(earliest, min(now + interval, self._plan.due_at(left)))
        listings = (self._plan.last_burst_at, self._plan.latest_burst_at, self.end)
        return min(now + interval, next((at for at in listings if at > now + MIN_DELAY), self.end))

    def _announce(self) -> None:
        """Log what is going to be done, when there is more to do than was known."""
        left, now = len(self._account.unsent_entries), self._clock.time()
        if self._announced is not None and left <= self._announced:
            self._announced = left
            return
        self._announced = left
        before_end = self.end - max(now, self._plan.due_at(left))
        if self._plan.is_late(left, now):
            log.warning(
                "%s campaigns are live %.0f s before the calling hours end, more than the account's request limit "
                "allows to stop by then: stopping them at full speed. Let the run begin earlier (offset).",
                left,
                before_end,
            )
        else:
            log.info(
                "%s campaigns are live: the first is stopped %.0f s before the calling hours end", left, before_end
            )
