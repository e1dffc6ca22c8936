"""The one retry policy: what is tried again, how long to wait in between, and when to give up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from airflow_provider_campaign.exceptions import CampaignRateLimitError, CampaignUnavailableError

Result = TypeVar("Result")

RETRY_BUDGET = 120.0
"""Seconds that a single hook call may take with its retries, unless the connection or the caller says."""

BACKOFF_FIRST = 1.0
"""Seconds: the upper bound of the first wait. It doubles with every attempt (exponential, full jitter)."""

BACKOFF_MAX = 30.0
"""Seconds: the upper bound of any wait after a failure other than a refusal for the rate."""

RETRY_AFTER_MAX = 300.0
"""Seconds: the most that a ``Retry-After`` is believed."""

LAST_ATTEMPT = 5.0
"""Seconds kept back at the end of a budget, so that the last attempt is made with time to be answered."""

CLOCK_ROUNDING = 0.001
"""Seconds: a moment as near as this has come. Sums of floats don't meet exactly."""


class Clock(Protocol):
    """The time that waits are measured by, and the way to pass it."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Deadline:
    """
    A moment on a clock by which a whole operation, with its requests, retries and waits, must be over.

    :param retries: Whether there is a second attempt at all.
    """

    clock: Clock
    seconds: float
    at: float
    retries: bool = True

    @classmethod
    def after(cls, seconds: float, clock: Clock, *, retries: bool = True) -> Deadline:
        """Return the deadline that lies so many seconds ahead."""
        return cls(clock, seconds, clock.monotonic() + seconds, retries)

    def sooner(self, seconds: float | None) -> Deadline:
        """Return this deadline, or the one that lies so many seconds ahead if that comes first."""
        if seconds is None or seconds >= self.remaining:
            return self
        return Deadline.after(seconds, self.clock, retries=self.retries)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return self._until(self.at)

    @property
    def before_last_attempt(self) -> float:
        """Seconds left before the last attempt is due."""
        return self._until(self.at - min(LAST_ATTEMPT, self.seconds / 10)) if self.retries else 0.0

    def _until(self, moment: float) -> float:
        seconds = moment - self.clock.monotonic()
        return seconds if seconds > CLOCK_ROUNDING else 0.0


def retrying(
    attempt: Callable[[], Result],
    deadline: Deadline,
    *,
    rate_window: float | None,
    on_retry: Callable[[BaseException, float], None],
) -> Result:
    """
    Call until it succeeds, fails for good, or the time is up; what it raised last comes out.

    Tried again is what :class:`CampaignUnavailableError` stands for: network errors, time-outs, 429, 5xx,
    unreadable or contradictory answers. The last attempt is made just before the deadline, so that a platform
    that is back by then is not missed.

    :param rate_window: Seconds to wait after a 429 without ``Retry-After``, or None to back off as usual.
    :param on_retry: Told the error and the seconds until the next attempt.
    """
    backoff = wait_random_exponential(multiplier=BACKOFF_FIRST, max=BACKOFF_MAX)

    def wait(state: RetryCallState) -> float:
        asked = asked_pause(_error(state), rate_window)
        pause = backoff(state)
        if asked is not None:
            # Up to a second more than was asked for, so that those who wait don't all return at once.
            pause = max(pause, asked + pause / BACKOFF_MAX)
        return min(pause, deadline.before_last_attempt)

    policy = Retrying(
        retry=retry_if_exception_type(CampaignUnavailableError),
        stop=lambda _: deadline.before_last_attempt <= 0,
        wait=wait,
        sleep=deadline.clock.sleep,
        before_sleep=lambda state: on_retry(_error(state), state.upcoming_sleep),
        reraise=True,
    )
    return policy(attempt)


def _error(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    assert error is not None, "a retry follows a failure"  # noqa: S101
    return error


def asked_pause(error: BaseException, rate_window: float | None) -> float | None:
    """Return the seconds that the platform wants to be left alone for; None where it did not say."""
    asked: float | None = getattr(error, "retry_after", None)
    if asked is None and isinstance(error, CampaignRateLimitError):
        return rate_window
    return asked


def parse_retry_after(value: str | None) -> float | None:
    """
    Read a ``Retry-After`` header in either of its forms, seconds or HTTP date.

    :returns: Seconds from now, between 0 and :data:`RETRY_AFTER_MAX`; None where it is absent or unreadable.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), RETRY_AFTER_MAX)
