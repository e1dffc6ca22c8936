"""A sweep's requests about single campaigns: several at once, as many as the rate limit allows, and counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import RETRY_AFTER_MARGIN, as_campaign_error
from airflow_provider_campaign.client.rate_limiter import LOG_WAIT_THRESHOLD
from airflow_provider_campaign.client.threads import call_in_thread
from airflow_provider_campaign.exceptions import CampaignError, CampaignRateLimitError
from airflow_provider_campaign.platforms.base import Action, ApiRequest
from airflow_provider_campaign.sweep.entry import SweepEntry
from airflow_provider_campaign.sweep.plan import BURST_GAP, Schedule, stops_in_burst
from airflow_provider_campaign.waiting.account_poller import AccountPoller

log = logging.getLogger(__name__)

CONCURRENCY = 10  # requests at the same time; as many get a 429 if another client has used up the rate limit
DEFAULT_PAUSE = 60.0  # seconds that nothing is sent after a 429 response without ``Retry-After``


class Traffic:
    """
    Stop and read campaigns, and note each outcome; whatever goes wrong with one, the others are stopped and read.

    :param schedule: No stop is sent to a campaign whose calling hours have started meanwhile.
    """

    def __init__(self, client: CampaignClient, schedule: Schedule, deadline: Deadline) -> None:
        self.client = client.observed_by(on_count=self._count)
        self.requests = 0
        self.refused = 0
        self._schedule = schedule
        self._deadline = deadline
        self._others = 0  # requests that other clients were seen to use in a window of the rate limit
        self._stopping: dict[str | None, SweepEntry] = {}
        self._lock = threading.Lock()
        self._poller = AccountPoller(self.client)

    @property
    def interval(self) -> float:
        """Seconds between two bursts of stops."""
        return (self.client.platform.rate_window or 0.0) + BURST_GAP

    def burst(self, listing: int) -> int | None:
        """Return how many stops a burst may have beside that many list requests, None for any number."""
        return stops_in_burst(self.client.platform.rate_limit, listing, self._others)

    def send(self, entries: Sequence[SweepEntry]) -> int:
        """Stop, or read, as many campaigns as the rate limit allows now or in a moment; return how many that are."""
        allowed = entries[: self.client.rate_limiter.available_within(LOG_WAIT_THRESHOLD)]
        requests, refused, limit = self.requests, self.refused, self.client.platform.rate_limit
        pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="sweep")
        try:
            call_in_thread(lambda: list(pool.map(self._attempt, allowed)))
        except BaseException:
            self._deadline.cancellation.request()  # the task is to end: nothing more is sent
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        if limit is not None and (refused := self.refused - refused):
            self._others = max(0, limit - (self.requests - requests) + refused)
        return len(allowed)

    def poll(self, entries: Mapping[str, SweepEntry]) -> None:
        """Read the status of campaigns that have left the list of live ones, by few requests."""
        if not entries:
            return
        snapshot = self._poller.poll([entry.wait() for entry in entries.values()], lists_live=False)
        now = self.client.clock.time()
        for campaign_id, campaign in snapshot.campaigns.items():
            if entries[campaign_id].wait().accepts(campaign, snapshot.began):
                entries[campaign_id].note_status(campaign, now)
        for campaign_id, failure in snapshot.failed.items():
            entries[campaign_id].note_failure(failure, now, was_read=True)

    def pause_after(self, error: CampaignError) -> None:
        """Send nothing for a while after a 429 response."""
        limiter = self.client.rate_limiter
        if isinstance(error, CampaignRateLimitError) and error.http_status is not None:
            limiter.pause(error.retry_after or limiter.delay or DEFAULT_PAUSE)

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue after a deferral, in plain JSON types."""
        limiter = self.client.rate_limiter
        return {
            "requests": self.requests,
            "refused": self.refused,
            "others": self._others,
            "responded_at": limiter.recent(),
            "resumes_at": self.client.clock.time() + limiter.delay,
        }

    def restore(self, carried: Mapping[str, Any]) -> None:
        """Take in what :meth:`carry` has returned before a deferral."""
        self.requests, self.refused, self._others = carried["requests"], carried["refused"], carried["others"]
        limiter, window = self.client.rate_limiter, self.client.platform.rate_window or DEFAULT_PAUSE
        limiter.note_earlier(carried["responded_at"])
        delay = carried["resumes_at"] - self.client.clock.time()
        limiter.pause(min(delay, window + RETRY_AFTER_MARGIN))  # another worker's clock may differ

    def _attempt(self, entry: SweepEntry) -> None:
        deadline = self._deadline.sooner(retries=False, max_rate_wait=LOG_WAIT_THRESHOLD)
        campaign, clock = entry.campaign, self.client.clock
        try:
            if entry.is_only_read:
                entry.note_status(self.client.get_campaign_status(campaign.id, deadline=deadline), clock.time())
            elif self._schedule.closing_of(campaign, clock.time()).stop_by is not None:
                self._stopping[campaign.id] = entry
                stopped = self.client.stop_campaign(
                    campaign.id, campaign.campaign_type, check_first=entry.outcome_unknown, deadline=deadline
                )
                entry.note_stop(stopped, clock.time())
        except Exception as error:  # noqa: BLE001 one campaign must not keep the others from being stopped
            failure = as_campaign_error(error, f"Campaign {campaign.id!r} ({self.client.description})")
            log.debug("Campaign %s is not stopped yet: %s", campaign.id, failure)
            if not isinstance(failure, CampaignRateLimitError) or failure.http_status is not None:
                entry.note_failure(failure, clock.time(), was_read=entry.is_only_read)
            self.pause_after(failure)

    def _count(self, request: ApiRequest, requests: int, refused: int) -> None:
        """Count a request, and note when a stop has left; not one that has not, or that was not carried out (429)."""
        with self._lock:
            self.requests += requests
            self.refused += refused
        if request.action is Action.STOP:
            self._stopping[request.campaign_id].note_asked(self.client.clock.time(), was_sent=requests > 0)
