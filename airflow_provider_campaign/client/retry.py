"""The one retry policy: what is tried again, how long to wait in between, and when to stop trying."""

from __future__ import annotations

import logging

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import CampaignRateLimitError, CampaignUnavailableError

log = logging.getLogger(__name__)

DEFAULT_RETRY_BUDGET = 120.0
"""Seconds that a single client method may take with its retries, unless the connection or the caller says."""

INITIAL_RETRY_DELAY = 1.0
"""Seconds: the upper bound of the first delay. It doubles with every attempt (exponential, full jitter)."""

MAX_RETRY_DELAY = 30.0
"""Seconds: the upper bound of any delay after a failure other than a rate-limit error."""

MAX_RETRY_AFTER = 300.0
"""Seconds: the most that a ``Retry-After`` is respected if the platform documents no window for its limit."""

RETRY_AFTER_MARGIN = 5.0
"""Seconds past the documented window that a ``Retry-After`` is believed: what is longer is milliseconds or a date."""

_BACKOFF = wait_random_exponential(multiplier=INITIAL_RETRY_DELAY, max=MAX_RETRY_DELAY)


def retrying(deadline: Deadline) -> Retrying:
    """
    Return the policy that calls until a call succeeds, fails for good, or times out; it raises the last error.

    Tried again is what :class:`CampaignUnavailableError` stands for: network errors, time-outs, 429, 5xx,
    unreadable or contradictory responses. The final attempt is made just before the deadline, so that a platform
    that is back by then is not missed. A rate-limit error that would have to be waited out for longer than the
    deadline's ``max_rate_wait`` is raised at once.
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
    """Return the seconds until the next attempt, whatever the deadline is."""
    requested, delay = _error(state).retry_after, _BACKOFF(state)
    # Up to a second more than was requested, so that those who wait don't all return at once.
    return delay if requested is None else max(delay, requested + delay / MAX_RETRY_DELAY)


def _error(state: RetryCallState) -> CampaignUnavailableError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, CampaignUnavailableError), "no other is retried"  # noqa: S101
    return error


def parse_retry_after(value: str | None, rate_window: float | None = None) -> float | None:
    """
    Read a ``Retry-After`` header in either of its forms, seconds or HTTP date.

    :param rate_window: Seconds of the window that the platform documents for its limit, None if it does not.
    :returns: Seconds from now, at the most those of the window and a bit; None if it is absent or unreadable.
    """
    longest = MAX_RETRY_AFTER if rate_window is None else rate_window + RETRY_AFTER_MARGIN
    try:
        return min(Retry().parse_retry_after(value or ""), longest)
    except (InvalidHeader, ValueError, TypeError, IndexError, OverflowError):
        return None
