"""Time: the clock that waits are measured by, and the moment by which an operation must have ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Self

from airflow_provider_campaign.exceptions import CampaignTimeoutError

FINAL_ATTEMPT_RESERVE = 5.0
"""Seconds kept back at the end of a deadline, so that the final attempt is made with time for a response."""

CLOCK_ROUNDING = 0.001
"""Seconds: a moment as near as this has come. Sums of floats don't meet exactly."""

MAX_CLOCK_DIFFERENCE = 60.0
"""Seconds by which a response's ``Date`` and our time may differ although the clocks agree."""

CANCEL_CHECK_INTERVAL = 0.25
"""Seconds after which a sleep notices that its operation was cancelled."""


class Clock:
    """The time that waits are measured by, and the way to pass it: the machine's own."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def sleep(self, seconds: float, is_cancelled: Callable[[], bool]) -> None:
        """Sleep for this number of seconds, or less if the operation is cancelled meanwhile."""
        # In slices: a signal handler may safely set a flag, but not an event that another thread waits for.
        ends = time.monotonic() + seconds
        while not is_cancelled() and (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, CANCEL_CHECK_INTERVAL))


SYSTEM_CLOCK = Clock()
"""The clock of all that are given no other."""


class PlatformClock:
    """The platform's clock, as the header ``Date`` of its responses shows it."""

    def __init__(self) -> None:
        self.offset: float | None = None
        """Seconds that it is ahead of ours by, or up to a second and the latency less; None if unknown."""

    @property
    def error(self) -> float:
        """Seconds by which our clock is wrong if the platform's is right; 0 if unknown, or too few to be sure."""
        return 0.0 if self.offset is None or abs(self.offset) <= MAX_CLOCK_DIFFERENCE else self.offset

    def note(self, date: str | None, now: float) -> None:
        """
        Note the header of a response that has just come; one that is missing or unreadable changes nothing.

        :param now: Our time, in seconds since the epoch.
        """
        try:
            self.offset = parsedate_to_datetime(date or "").timestamp() - now
        except (TypeError, ValueError, OverflowError):
            return


class Cancellation:
    """A flag that the caller raises to cancel an operation: it sends no further requests."""

    def __init__(self) -> None:
        self.is_requested = False

    def request(self) -> None:
        """Have the operation end; safe in a signal handler."""
        self.is_requested = True


class Deadline:
    """
    The moment by which an operation, with its requests, retries, and waits, must have ended.

    :param seconds: How long the operation may take from now on.
    :param retries: Whether a failed request is sent a second time at all.
    :param max_rate_wait: Seconds that one request may be delayed for the rate limit, before it is sent or after a 429.
    :param limit: When the whole operation that this is a part of must have ended, by the clock's monotonic seconds.
    """

    def __init__(
        self,
        seconds: float,
        clock: Clock,
        *,
        retries: bool = True,
        max_rate_wait: float = math.inf,
        cancellation: Cancellation | None = None,
        limit: float | None = None,
    ) -> None:
        self.clock = clock
        self.seconds = seconds
        self.retries = retries
        self.max_rate_wait = max_rate_wait
        self.cancellation = cancellation or Cancellation()
        self._at = clock.monotonic() + seconds
        self._limit = self._at if limit is None else limit

    def sooner(
        self, seconds: float | None = None, *, retries: bool | None = None, max_rate_wait: float | None = None
    ) -> Self:
        """
        Return a deadline for a part of the operation.

        :param seconds: The longest that the part may take, not counting what it waits for the rate limit; None for
            all that is left.
        :param retries: Whether a failed request is sent a second time; None for as it is.
        :param max_rate_wait: Seconds that one request may be held back for the rate limit; None for as it is.
        """
        left = self._at - self.clock.monotonic()
        return type(self)(
            left if seconds is None else min(seconds, left),
            self.clock,
            retries=self.retries if retries is None else retries,
            max_rate_wait=self.max_rate_wait if max_rate_wait is None else max_rate_wait,
            cancellation=self.cancellation,
            limit=self._limit,
        )

    def extend(self, seconds: float) -> None:
        """Move the deadline on, but not past that of the whole operation."""
        self._at = min(self._at + seconds, self._limit)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return self._until(self._at)

    @property
    def remaining_in_all(self) -> float:
        """Seconds left for the whole operation that this is a part of."""
        return self._until(self._limit)

    @property
    def elapsed(self) -> float:
        """Seconds since it was set."""
        return self.clock.monotonic() - self._at + self.seconds

    @property
    def before_final_attempt(self) -> float:
        """Seconds left before the final attempt."""
        return self._until(self._at - min(FINAL_ATTEMPT_RESERVE, self.seconds / 10)) if self.retries else 0.0

    def sleep(self, seconds: float) -> None:
        """Sleep for this number of seconds; raise if the operation is cancelled meanwhile."""
        if seconds > 0:
            self.clock.sleep(seconds, lambda: self.cancellation.is_requested)
        self.check()

    def check(self) -> None:
        """Raise a :class:`CampaignTimeoutError` if the operation was cancelled."""
        if self.cancellation.is_requested:
            raise CampaignTimeoutError("Task cancelled; no further requests are sent.")

    def _until(self, moment: float) -> float:
        seconds = moment - self.clock.monotonic()
        return seconds if seconds > CLOCK_ROUNDING else 0.0
