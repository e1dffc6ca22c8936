"""How many requests a platform accepts in a window."""

from __future__ import annotations

import math
import threading
from collections import deque

from airflow_provider_campaign.sandbox.clock import Timeline


class RateLimiter:
    """A sliding window, in which rejected requests do not count."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._lock = threading.Lock()
        self._accepted: deque[float] = deque()

    def try_acquire(self, limit: int | None, window: float) -> bool:
        """
        Return whether one more request is accepted, and count it if so.

        :param limit: Requests in a window; None for no limit.
        :param window: Seconds.
        """
        with self._lock:
            now = self._expire(window)
            if limit is not None and len(self._accepted) >= limit:
                return False
            self._accepted.append(now)
            return True

    def used(self, window: float) -> int:
        """
        Return how many requests were accepted in the window that ends now.

        :param window: Seconds.
        """
        with self._lock:
            self._expire(window)
            return len(self._accepted)

    def retry_after(self, window: float) -> int:
        """
        Return the whole seconds until the oldest counted request leaves the window.

        :param window: Seconds.
        """
        with self._lock:
            now = self._expire(window)
            return math.ceil(self._accepted[0] + window - now) if self._accepted else 0

    def clear(self) -> None:
        """Start anew."""
        with self._lock:
            self._accepted.clear()

    def _expire(self, window: float) -> float:
        now = self._timeline.now()
        while self._accepted and self._accepted[0] <= now - window:
            self._accepted.popleft()
        return now
