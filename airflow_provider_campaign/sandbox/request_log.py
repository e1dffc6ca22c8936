"""What the sandbox received."""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MAX_KEPT_REQUESTS = 100_000


@dataclass
class ReceivedRequest:
    """
    One platform request, recorded on arrival.

    :param at: Reading of the sandbox's clock on arrival, in seconds.
    :param wall: Date and time of arrival.
    :param action: What is asked for; None if the path or its query means nothing to the platform.
    :param platform: ``kore-v1``, ``kore-v2``, or ``sonarly``; None if no platform has that path.
    :param claims: Those of the token; None if there is no valid one.
    :param status_code: Of the response; None before there is one, and if none is sent.
    :param fault: The kind of fault that it met.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float
    wall: datetime
    action: str | None = None
    platform: str | None = None
    campaign_id: str | None = None
    campaign_type: str | None = None
    claims: dict[str, Any] | None = None
    status_code: int | None = None
    fault: str | None = None

    @property
    def rows(self) -> int:
        """How many rows a list request asks for, 0 where it does not say."""
        with suppress(ValueError, AttributeError, TypeError):
            return int(json.loads(self.body).get("limit", 0))
        return 0

    def describe(self) -> dict[str, Any]:
        """Return the request without headers and body, which may hold secrets."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "at": self.at,
            "wall": self.wall.isoformat(timespec="milliseconds"),
            "action": self.action,
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
        self._requests: deque[ReceivedRequest] = deque(maxlen=MAX_KEPT_REQUESTS)
        self.total = 0
        self.refused = 0

    def record(self, request: ReceivedRequest) -> None:
        """Append a request that has just arrived."""
        with self._changed:
            self._requests.append(request)
            self.total += 1
            self._changed.notify_all()

    def record_response(self, request: ReceivedRequest, status_code: int | None) -> None:
        """
        Set the status of a request's response.

        :param status_code: None if there is no proper response.
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
        """Return the newest requests, newest first."""
        with self._changed:
            return [self._requests[-1 - index] for index in range(min(limit, len(self._requests)))]

    def clear(self) -> None:
        """Remove all requests."""
        with self._changed:
            self._requests.clear()
            self.total = self.refused = 0
