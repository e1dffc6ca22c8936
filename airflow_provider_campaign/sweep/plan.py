"""
When stops are sent: as late as the account's rate limit allows, and early enough for all of them.

The plan is pure: moments by which campaigns must be stopped, and what the rate limit allows, become the latest moment
at which each stop may be sent. Other clients of the account are not modeled, beyond a reserve and what 429 responses
have shown of them; the sweep's margin covers the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

NOW = 0.0
"""The moment of a campaign that must be stopped at once (seconds since the epoch: long ago)."""

STOPPING_TIME = 15.0
"""Seconds from the first stop of a burst until all of the burst is verified, for campaigns that stop at once."""

EARLINESS = 5.0
"""Seconds that a stop may be sent too early, so that one burst has all those of nearly the same moment."""

WINDOW_RESERVE = 1.0
"""Seconds between two bursts, besides the rate limit's window."""

RESERVED_SHARE = 1 / 4
"""The part of the rate limit that is left to other clients, until a 429 response shows that they use more."""

MIN_SHARE = 1 / 6
"""The part of the rate limit that the plan counts on, whatever other clients use."""


@dataclass(frozen=True)
class RateLimit:
    """
    What the account's rate limit allows.

    :param limit: Requests in a window, None for any number.
    :param window: Seconds.
    :param others: Requests that other clients were seen to use in a window.
    """

    limit: int | None
    window: float
    others: int = 0

    @property
    def interval(self) -> float:
        """Seconds between two bursts."""
        return self.window + WINDOW_RESERVE

    def stops(self, listing: int) -> int | None:
        """
        Return how many stops a burst may have, None for any number.

        :param listing: Requests that are needed for lists in the same window.
        """
        if self.limit is None:
            return None
        reserve = max(math.ceil(RESERVED_SHARE * self.limit), self.others)
        return max(math.ceil(MIN_SHARE * self.limit), self.limit - listing - reserve)

    def after_burst(self, requests: int, refused: int) -> Self:
        """Return the rate limit with what a burst has shown of other clients."""
        if self.limit is None or not refused:
            return self
        return replace(self, others=max(0, self.limit - requests + refused))


def latest_starts(moments: Sequence[float], stops: int | None, interval: float) -> list[float]:
    """
    Return, for each campaign, the latest moment to send its stop so that all of them are sent in time.

    :param moments: By when each stop has to be sent (seconds since the epoch), in ascending order.
    :param stops: How many stops may be sent within an interval, None for any number.
    :param interval: Seconds.
    """
    starts: list[float] = []
    for moment in reversed(moments):
        start = min(moment, starts[-1]) if starts else moment
        if stops is not None and len(starts) >= stops:
            start = min(start, starts[-stops] - interval)
        starts.append(start)
    return starts[::-1]
