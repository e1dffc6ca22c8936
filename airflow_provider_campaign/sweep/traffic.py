"""The requests of a sweep: how many there were, what the rate limit allows, and the rest after a 429 response."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.errors import RETRY_AFTER_MARGIN
from airflow_provider_campaign.exceptions import CampaignError, CampaignRateLimitError
from airflow_provider_campaign.platforms.base import Action, ApiRequest
from airflow_provider_campaign.sweep.plan import RateLimit

INITIAL_BACKOFF = 1.0
"""Seconds that nothing is sent after a 429 response without ``Retry-After``; they double each time."""

MAX_BACKOFF = 60.0
"""The longest of these rests, in seconds."""


class Traffic:
    """
    Count the requests of a sweep, from any number of threads.

    :param on_stop: Called with the campaign's id when a request to stop it leaves, and whether it did so after all.
    """

    def __init__(self, client: CampaignClient, on_stop: Callable[[str, bool], None]) -> None:
        self.client = client.observed_by(self._note_request, self._note_refusal, self._note_unsent)
        self.requests = 0
        self.refused = 0
        self.rate_limit = RateLimit(client.platform.rate_limit, client.platform.rate_window or 0.0)
        self._on_stop = on_stop
        self._backoff = 0.0
        """Seconds of the last rest, 0 once a stop was accepted since."""
        self._lock = threading.Lock()

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Learn from the requests within the block what other clients use of the rate limit."""
        requests, refused = self.requests, self.refused
        yield
        self.rate_limit = self.rate_limit.after_burst(self.requests - requests, self.refused - refused)

    def note_accepted(self) -> None:
        """Note that a stop was accepted."""
        self._backoff = 0.0

    def pause_after(self, error: CampaignError) -> None:
        """Send nothing for a while after a 429 response: longer each time, if it does not say how long."""
        if not isinstance(error, CampaignRateLimitError) or error.http_status is None:
            return
        limiter = self.client.rate_limiter
        delay = error.retry_after
        with self._lock:
            if not delay and not limiter.delay:
                delay = self._backoff = min(2 * self._backoff, MAX_BACKOFF) or INITIAL_BACKOFF
            limiter.pause(delay or 0.0)

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue after a deferral, in plain JSON types."""
        return {
            "requests": self.requests,
            "refused": self.refused,
            "others": self.rate_limit.others,
            "responded_at": self.client.rate_limiter.recent(),
            "backoff": self._backoff,
            "resumes_at": self.client.clock.time() + self.client.rate_limiter.delay,
        }

    def restore(self, carried: Mapping[str, Any]) -> None:
        """Take in what :meth:`carry` has returned before a deferral."""
        self.requests, self.refused = carried["requests"], carried["refused"]
        self.rate_limit = replace(self.rate_limit, others=carried["others"])
        self._backoff = carried["backoff"]
        self.client.rate_limiter.note_earlier(carried["responded_at"])
        longest = (
            self.client.platform.rate_window or MAX_BACKOFF
        ) + RETRY_AFTER_MARGIN  # another worker's clock differs
        self.client.rate_limiter.pause(min(carried["resumes_at"] - self.client.clock.time(), longest))

    def _note_request(self, request: ApiRequest) -> None:
        with self._lock:
            self.requests += 1
        self._note_stop(request, was_sent=True)

    def _note_unsent(self, request: ApiRequest) -> None:
        with self._lock:
            self.requests -= 1
        self._note_stop(request, was_sent=False)

    def _note_refusal(self, request: ApiRequest) -> None:
        with self._lock:
            self.refused += 1
        self._note_stop(request, was_sent=False)  # the platform has not carried it out

    def _note_stop(self, request: ApiRequest, *, was_sent: bool) -> None:
        if request.action is Action.STOP and request.campaign_id is not None:
            self._on_stop(request.campaign_id, was_sent)
