"""The loop: stop the campaigns whose moment has come, list live campaigns, sleep until the next moment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.client.rate_limiter import LOG_WAIT_THRESHOLD
from airflow_provider_campaign.exceptions import CampaignError, CampaignTimeoutError
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.entry import SweepEntry, is_retryable
from airflow_provider_campaign.sweep.plan import EARLINESS, NOW, latest_starts
from airflow_provider_campaign.sweep.result import SweepResult

log = logging.getLogger(__name__)

INITIAL_DELAY = 1.0  # seconds before campaigns that are stopping are polled, or a failure is retried; doubles each time
MAX_DELAY = 15.0  # the longest of these delays, in seconds
LISTING_INTERVAL = 60.0  # seconds between two listings while the sweep waits for an end
SLOW_LISTING = 10.0  # seconds that a listing may take before the campaigns that it has shown by then are stopped
MAX_DOUBTFUL_LISTINGS = 5  # listings in a row that prove nothing, before a sweep with nothing left to stop ends


class Sweep:
    """
    Keep an account's campaigns inside their calling hours until the last end that the run waits for is verified.

    :param max_delay: The longest delay between two polls of campaigns that are stopping, in seconds.
    """

    def __init__(self, account: SweptAccount, *, max_delay: float = MAX_DELAY) -> None:
        self.account = account
        self._clock = account.client.clock
        self._max_delay = max_delay
        self._delay = 0.0
        self._doubtful_listings = 0
        self._listed_at = self._acted_at = 0.0
        self._has_stopped = False  # whether campaigns were stopped since the last listing began
        self._stops_first = False  # whether the last listing was slow or failed: no list holds up a stop
        self._is_looking_for_others = True
        self._others_problem: CampaignError | None = None

    def list_only(self) -> SweepResult:
        """List live campaigns, and stop none."""
        while _may_pass(problem := self.account.list_live() or self.account.find_others()):
            if not self._wait(problem, self._sleep):
                break
        self.account.list_excluded_types()
        return SweepResult(self.account, problem, is_dry_run=True)

    def run(self, pause: Callable[[float], None] | None = None) -> SweepResult:
        """
        Stop campaigns until a listing after the last end shows none, or the sweep times out.

        :param pause: Lets time pass until a moment (seconds since the epoch); may raise to continue elsewhere.
        """
        problem: CampaignError | None = None
        try:
            while not self._is_over(problem := self._step(problem)):
                if not self._wait(problem, pause or self._sleep):
                    problem = problem or CampaignTimeoutError("timed out before the next listing")
                    break
            self.account.list_excluded_types()
            if self.account.schedule.rules and self.account.has_closed_anything:
                self.account.list_startable()
        except CampaignError as error:  # cancelled
            problem = error
        return SweepResult(self.account, problem or self._others_problem)

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue after a deferral, in plain JSON types."""
        return {"delay": self._delay, "stops_first": self._stops_first, "account": self.account.carry()}

    def restore(self, carried: Mapping[str, Any]) -> None:
        """Take in what :meth:`carry` has returned before a deferral."""
        self._delay, self._stops_first = carried["delay"], carried["stops_first"]
        self.account.restore(carried["account"])

    def _step(self, problem: CampaignError | None) -> CampaignError | None:
        """List, then stop the campaigns whose moment has come; return why the last listing is no proof."""
        self.account.update_closings()
        if self._stops_first and not self._stop_due():
            return problem  # the rate limit is reached
        self._has_stopped = False
        began = self._listed_at = self._acted_at = self._clock.time()
        problem = self.account.list_live(self._after_page)
        self._stops_first = problem is not None or self._clock.time() - began > SLOW_LISTING
        self.account.update_closings()
        if problem is None and not self._has_stopped:
            self.account.note_verified(began)
        if self._stop_due():
            self.account.read_unlisted()
        if any(entry.asked_at is not None for entry in self.account.entries):
            log.info("%s so far", SweepResult(self.account).summary())
        return problem

    def _after_page(self) -> None:
        """Stop what is known by now if the listing takes long; rows that move meanwhile are in the next listing."""
        if self._clock.time() - self._acted_at >= SLOW_LISTING:
            self._stop_due()
            self._acted_at = self._clock.time()

    def _stop_due(self) -> bool:
        """Stop the campaigns whose moment has come; return whether the rate limit allowed to attempt all of them."""
        due = self._due()
        if not due or not self.account.deadline.remaining:
            return not due
        self._has_stopped = True
        return self.account.traffic.send(due) == len(due)

    def _due(self) -> list[SweepEntry]:
        """Return the campaigns whose stop has to be sent now, the most urgent first."""
        now = self._clock.time()
        due = [each for each, start in self._starts() if start <= now + EARLINESS and each.not_before <= now]
        return sorted(due, key=lambda entry: entry.urgency)

    def _starts(self) -> list[tuple[SweepEntry, float]]:
        """Return the latest moment to send each stop that was not sent yet."""
        unsent = [entry for entry in self.account.entries if entry.needs_stop]
        unsent.sort(key=lambda entry: entry.closing.stop_by or NOW)
        moments = [entry.closing.stop_by or NOW for entry in unsent]
        traffic = self.account.traffic
        stops = traffic.burst(len(self.account.types))
        return list(zip(unsent, latest_starts(moments, stops, traffic.interval), strict=True))

    def _is_over(self, problem: CampaignError | None) -> bool:
        """Return whether a listing proves that no campaign is live that should not be, or nothing more can be done."""
        account, left = self.account, self.account.open_entries
        if account.is_all_refused:
            return True
        if problem is not None and not is_retryable(problem):
            return all(entry.acknowledged for entry in left)
        if self._listed_at < (account.schedule.until or 0.0):
            return False
        if problem is None:
            self._doubtful_listings = 0
            return not (left or self._has_stopped) and self._has_found_others()
        self._doubtful_listings += int(isinstance(problem, UnreliableListError) and not left)
        return self._doubtful_listings >= MAX_DOUBTFUL_LISTINGS

    def _has_found_others(self) -> bool:
        """Look once, after all stops, for live campaigns that no list shows; return whether none is left."""
        if self._is_looking_for_others and self.account.has_closed_anything:
            problem = self._others_problem = self.account.find_others()
            self._is_looking_for_others = _may_pass(problem)
            return not (self._is_looking_for_others or self.account.open_entries)
        return True

    def _wait(self, problem: CampaignError | None, pause: Callable[[float], None]) -> bool:
        """Wait until there is something to do; return whether there is time left for it."""
        now, remaining = self._clock.time(), self.account.deadline.remaining
        moment = self._next_moment(problem, now)
        if not remaining or (moment - now >= remaining and self._starts()):
            return False
        pause(min(moment, now + remaining))
        return True

    def _next_moment(self, problem: CampaignError | None, now: float) -> float:
        """Return when there is something to do (seconds since the epoch)."""
        account, delay = self.account, self.account.client.rate_limiter.delay
        planned = {entry.campaign.id: start for entry, start in self._starts() if start > now + EARLINESS}
        moments = list(planned.values())
        is_unsettled = any(
            entry.restarts or (entry.is_open and entry.campaign.id not in planned) for entry in account.entries
        )
        if delay and self._due():
            if delay >= LOG_WAIT_THRESHOLD:
                log.info("Rate limit reached; resuming in %.0f s", delay)
            moments.append(now + delay)
        elif is_unsettled or problem or self._others_problem:
            self._delay = min(2 * self._delay, self._max_delay) or INITIAL_DELAY
            moments.append(now + max(self._delay, delay))
        else:
            self._delay = 0.0
            moments += [now + delay] * self._has_stopped
        look = account.schedule.next_look(now)
        moments += [] if look is None else [look, now + LISTING_INTERVAL]
        return max(now, min(moments, default=now))

    def _sleep(self, moment: float) -> None:
        self.account.deadline.sleep(moment - self._clock.time())


def _may_pass(problem: CampaignError | None) -> bool:
    """Return whether there is a problem that another listing may not have."""
    return problem is not None and is_retryable(problem) and not isinstance(problem, UnreliableListError)
