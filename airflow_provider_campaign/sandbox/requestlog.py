"""What the sandbox received, and how many requests it lets through in a window."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_campaign.sandbox.clock import Timeline

KEPT_REQUESTS = 100_000


@dataclass
class ReceivedRequest:
    """One platform request, recorded on arrival; `status_code` follows when it is answered."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float
    wall: datetime
    call: str | None = None
    platform: str | None = None
    campaign_id: str | None = None
    campaign_type: str | None = None
    claims: dict[str, Any] | None = None
    status_code: int | None = None
    fault: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return what may be shown of the request: no header, no body."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "at": self.at,
            "wall": self.wall.isoformat(timespec="milliseconds"),
            "call": self.call,
            "platform": self.platform,
            "campaign_id": self.campaign_id,
            "campaign_type": self.campaign_type,
            "status_code": self.status_code,
            "fault": self.fault,
        }


class RequestLog:
    """The platform requests, oldest first; only the last hundred thousand are kept."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._requests: deque[ReceivedRequest] = deque(maxlen=KEPT_REQUESTS)
        self.total = 0
        self.refused = 0

    def record(self, request: ReceivedRequest) -> None:
        """
        Take down a request that has just arrived.

        :param request: the request
        """
        with self._changed:
            self._requests.append(request)
            self.total += 1
            self._changed.notify_all()

    def announce(self, request: ReceivedRequest, status_code: int | None) -> None:
        """
        Note how a request was answered.

        :param request: the request
        :param status_code: the HTTP status, None when there was no proper answer
        """
        with self._changed:
            request.status_code = status_code
            if status_code == 429:
                self.refused += 1
            self._changed.notify_all()

    def all(self) -> list[ReceivedRequest]:
        """Return the requests, oldest first."""
        with self._changed:
            return list(self._requests)

    def latest(self, limit: int) -> list[ReceivedRequest]:
        """
        Return the newest requests, newest first.

        :param limit: how many at most
        """
        with self._changed:
            return [self._requests[-1 - index] for index in range(min(limit, len(self._requests)))]

    def clear(self) -> None:
        """Forget all requests."""
        with self._changed:
            self._requests.clear()
            self.total = self.refused = 0


class RateLimiter:
    """A sliding window: it admits `limit` requests in any `window` seconds, and refused ones do not count."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._lock = threading.Lock()
        self._admitted: deque[float] = deque()

    def admit(self, limit: int | None, window: float) -> bool:
        """
        Tell whether one more request may pass, and count it if so.

        :param limit: requests in a window; None admits everything
        :param window: seconds
        """
        with self._lock:
            now = self._forget(window)
            if limit is not None and len(self._admitted) >= limit:
                return False
            self._admitted.append(now)
            return True

    def used(self, window: float) -> int:
        """
        Return how many requests were admitted in the window that ends now.

        :param window: seconds
        """
        with self._lock:
            self._forget(window)
            return len(self._admitted)

    def seconds_to_wait(self, window: float) -> int:
        """
        Return after how many whole seconds the oldest counted request has left the window.

        :param window: seconds
        """
        with self._lock:
            now = self._forget(window)
            return math.ceil(self._admitted[0] + window - now) if self._admitted else 0

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._admitted.clear()

    def _forget(self, window: float) -> float:
        now = self._timeline.now()
        while self._admitted and self._admitted[0] <= now - window:
            self._admitted.popleft()
        return now
