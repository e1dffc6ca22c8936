"""Time: the clock that waits are measured by, the moment by which an operation must have ended, and its retries."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Self

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from airflow_provider_campaign.exceptions import CampaignRateLimitError, CampaignTimeoutError, CampaignUnavailableError

log = logging.getLogger(__name__)

INITIAL_RETRY_DELAY = 1.0  # seconds: the upper bound of the first delay, which doubles with every attempt
MAX_RETRY_DELAY = 30.0  # seconds: the upper bound of any delay after a failure other than a rate-limit error
FINAL_ATTEMPT_RESERVE = 5.0  # seconds kept back at the end of a deadline, so that the final attempt may be answered
CLOCK_ROUNDING = 0.001  # seconds: a moment as near as this has come. Sums of floats don't meet exactly
CANCEL_CHECK_INTERVAL = 0.25  # seconds after which a sleep, or a wait for a thread, notices a cancellation

_BACKOFF = wait_random_exponential(multiplier=INITIAL_RETRY_DELAY, max=MAX_RETRY_DELAY)


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


SYSTEM_CLOCK = Clock()  # the clock of all that are given no other


class Cancellation:
    """A flag that the caller raises to cancel an operation: it sends no further requests."""

    def __init__(self) -> None:
        self.is_requested = False

    def request(self) -> None:
        """Have the operation end; safe in a signal handler."""
        self.is_requested = True


@dataclass(eq=False)
class Deadline:
    """
    The moment by which an operation, with its requests, retries, and waits, must have ended.

    :param seconds: How long it may take from now on.
    :param retries: Whether a failed request is sent a second time at all.
    :param max_rate_wait: Seconds that one request may be delayed by the rate limit, before it is sent or after a 429.
    :param limit: When the operation that this is a part of must have ended, by the clock's monotonic seconds.
    """

    seconds: float
    clock: Clock
    _: KW_ONLY
    retries: bool = True
    max_rate_wait: float = math.inf
    cancellation: Cancellation = field(default_factory=Cancellation)
    limit: float | None = None

    def __post_init__(self) -> None:
        self._at = self.clock.monotonic() + self.seconds
        self._limit = self._at if self.limit is None else self.limit

    def sooner(self, seconds: float = math.inf, **changes: Any) -> Self:
        """Return a deadline for a part of the operation, which may take longer by what the rate limit holds it up."""
        seconds = min(seconds, self._at - self.clock.monotonic())
        return replace(self, seconds=seconds, limit=self._limit, **changes)

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


def retrying(deadline: Deadline) -> Retrying:
    """
    Return the policy that calls until a call succeeds, fails for good, or times out; it raises the last error.

    The final attempt is made just before the deadline, so that a platform that is back by then is not missed.
    """

    def is_over(state: RetryCallState) -> bool:
        error = _error(state)
        seconds = MAX_RETRY_DELAY if error.retry_after is None else error.retry_after
        is_wait_too_long = isinstance(error, CampaignRateLimitError) and seconds > deadline.max_rate_wait
        return is_wait_too_long or deadline.before_final_attempt <= 0

    return Retrying(
        retry=retry_if_exception_type(CampaignUnavailableError),
        stop=is_over,
        wait=lambda state: min(_delay(state), deadline.before_final_attempt),
        sleep=deadline.sleep,
        before_sleep=lambda state: log.warning("Trying again in %.1f s: %s", state.upcoming_sleep, _error(state)),
        reraise=True,
    )


def _delay(state: RetryCallState) -> float:
    requested, delay = _error(state).retry_after, _BACKOFF(state)
    # Up to a second more than was requested, so that those who wait don't all return at once.
    return delay if requested is None else max(delay, requested + delay / MAX_RETRY_DELAY)


def _error(state: RetryCallState) -> CampaignUnavailableError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, CampaignUnavailableError), "no other is retried"  # noqa: S101
    return error
