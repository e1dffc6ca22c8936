"""Spending an account's requests: bursts up to what the platform's window allows, then waiting for it to pass."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from airflow_provider_campaign.client.clock import Clock, Deadline
from airflow_provider_campaign.exceptions import CampaignRateLimitError

log = logging.getLogger(__name__)

WINDOW_MARGIN = 0.25  # seconds added to the platform's window, for clocks that don't run alike
LOG_WAIT_THRESHOLD = 5.0  # seconds; a wait from here on gets a line in the log


class RateLimiter:
    """
    Hold requests back that would exceed the platform's limit; for any number of threads.

    A request counts until a window has passed since its response came: the platform has counted it before that.

    :param limit: Requests in a window, None for any number.
    :param window: Seconds.
    """

    def __init__(self, limit: int | None, window: float | None, clock: Clock) -> None:
        self._limit = limit
        self._window = (window or 0.0) + WINDOW_MARGIN
        self._clock = clock
        self._responded_at: deque[float] = deque(maxlen=limit)
        self._in_flight = 0
        self._paused_until = 0.0
        self._queue = threading.Lock()
        self._changed = threading.Condition()

    def available_within(self, seconds: float = 0.0) -> int | None:
        """Return how many requests may be sent within this number of seconds, None for any number."""
        with self._changed:
            now = self._clock.monotonic() + seconds
            if self._paused_until > now:
                return 0
            if self._limit is None:
                return None
            counted = sum(1 for moment in self._responded_at if moment > now - self._window)
            return max(0, self._limit - counted - self._in_flight)

    @property
    def delay(self) -> float:
        """Seconds until a request may leave, never negative; 0 while that depends on those in flight."""
        with self._changed:
            now = self._clock.monotonic()
            return max(now, self._free_at() or now) - now

    def recent(self) -> list[float]:
        """Return when the responses came that still count (seconds since the epoch), for another process."""
        with self._changed:
            since_epoch = self._clock.time() - self._clock.monotonic()
            return [since_epoch + moment for moment in self._responded_at]

    def note_earlier(self, responded_at: Iterable[float]) -> None:
        """Count the requests of an earlier process, of which :meth:`recent` has returned when the responses came."""
        with self._changed:
            now = self._clock.monotonic()
            since_epoch = self._clock.time() - now
            self._responded_at.extend(sorted(min(moment - since_epoch, now) for moment in responded_at))

    def pause(self, seconds: float) -> None:
        """Send nothing for this number of seconds, after a 429: another client uses the rate limit, too."""
        with self._changed:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    @contextmanager
    def slot(self, deadline: Deadline) -> Iterator[None]:
        """
        Hold back a request until it may leave; the deadline is extended by the wait.

        :raises CampaignRateLimitError: When it may not leave in time.
        """
        with self._queue:
            self._wait_for_slot(deadline)
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                if self._limit is not None:
                    self._responded_at.append(self._clock.monotonic())
                self._changed.notify_all()

    def _wait_for_slot(self, deadline: Deadline) -> None:
        while True:
            deadline.check()
            with self._changed:
                while (free_at := self._free_at()) is None:
                    self._changed.wait()
                seconds = free_at - self._clock.monotonic()
                if seconds <= 0:
                    self._in_flight += 1
                    return
            if seconds > min(deadline.remaining_in_all, deadline.max_rate_wait):
                raise CampaignRateLimitError("timed out waiting for the account's rate limit")
            if seconds >= LOG_WAIT_THRESHOLD:
                log.info("Rate limit reached, resuming in %.0f s", seconds)
            deadline.sleep(seconds)
            deadline.extend(seconds)

    def _free_at(self) -> float | None:
        """Return when the next request may leave; None while that depends on those in flight."""
        excess = -1 if self._limit is None else len(self._responded_at) + self._in_flight - self._limit
        if excess < 0:
            return self._paused_until
        if excess >= len(self._responded_at):
            return None
        return max(self._paused_until, self._responded_at[excess] + self._window)
