"""The retry policy: what is tried again, when, and until when."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.client.clock import (
    CLOCK_ROUNDING,
    FINAL_ATTEMPT_RESERVE,
    INITIAL_RETRY_DELAY,
    MAX_RETRY_DELAY,
    Deadline,
    retrying,
)
from airflow_provider_campaign.client.errors import MAX_RETRY_AFTER, RETRY_AFTER_MARGIN, parse_retry_after
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignStateError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock

PERMANENT = (
    CampaignAuthError,
    CampaignConfigError,
    CampaignConflictError,
    CampaignNotFoundError,
    CampaignRequestError,
    CampaignStateError,
    CampaignTimeoutError,
)
WINDOW = 60.0

budgets = st.floats(min_value=0.05, max_value=5000)
starts = st.floats(min_value=0, max_value=1e9)


class Platform:
    """Raises one error after the other, the last of them for ever, until it has recovered."""

    def __init__(self, clock: VirtualClock, errors: list[CampaignError], recovered_at: float = float("inf")) -> None:
        self.clock = clock
        self.errors = errors
        self.recovered_at = recovered_at
        self.tried_at: list[float] = []

    def __call__(self) -> str:
        self.tried_at.append(self.clock.now)
        if self.clock.now >= self.recovered_at:
            return "done"
        raise self.errors[min(len(self.tried_at), len(self.errors)) - 1]


def clock_at(start: float) -> VirtualClock:
    clock = VirtualClock()
    clock.now = start
    return clock


def attempts_of(platform: Callable[[], str], deadline: Deadline) -> str:
    return retrying(deadline)(platform)


def passing(retry_after: float | None = None) -> CampaignUnavailableError:
    return CampaignUnavailableError("passing", retry_after=retry_after)


@given(budget=budgets, start=starts, retry_afters=st.lists(st.none() | st.floats(0, MAX_RETRY_AFTER), min_size=1))
def test_the_last_attempt_comes_just_before_the_deadline_and_no_attempt_after_it(
    budget: float, start: float, retry_afters: list[float | None]
) -> None:
    clock = clock_at(start)
    platform = Platform(clock, [passing(seconds) for seconds in retry_afters])
    with pytest.raises(CampaignUnavailableError):
        attempts_of(platform, Deadline(budget, clock))
    last = start + budget - min(FINAL_ATTEMPT_RESERVE, budget / 10)
    assert platform.tried_at[0] == start
    assert platform.tried_at[-1] == pytest.approx(last, abs=2 * CLOCK_ROUNDING)
    assert all(at < last - CLOCK_ROUNDING for at in platform.tried_at[:-1])


@given(budget=budgets, start=starts, share=st.floats(0, 1))
def test_a_platform_that_is_back_by_the_last_attempt_is_not_missed(budget: float, start: float, share: float) -> None:
    clock = clock_at(start)
    last = budget - min(FINAL_ATTEMPT_RESERVE, budget / 10) - CLOCK_ROUNDING
    platform = Platform(clock, [passing()], recovered_at=start + share * last)
    assert attempts_of(platform, Deadline(budget, clock)) == "done"


@given(budget=budgets)
def test_waits_grow_up_to_their_bound(budget: float) -> None:
    clock = clock_at(0)
    with pytest.raises(CampaignUnavailableError):
        attempts_of(Platform(clock, [passing()]), Deadline(budget, clock))
    most = (min(MAX_RETRY_DELAY, INITIAL_RETRY_DELAY * 2**number) for number in itertools.count())
    assert all(pause <= longest for pause, longest in zip(clock.slept, most, strict=False))


@given(asked=st.floats(0, MAX_RETRY_AFTER))
def test_a_platform_that_asks_to_be_left_alone_is_left_alone_so_long(asked: float) -> None:
    clock = clock_at(0)
    platform = Platform(clock, [passing(asked)], recovered_at=CLOCK_ROUNDING)
    attempts_of(platform, Deadline(1000, clock))
    assert asked <= platform.tried_at[1] <= asked + 1 + CLOCK_ROUNDING


def test_a_platform_that_asks_for_no_pause_is_not_hammered() -> None:
    clock = clock_at(0)
    platform = Platform(clock, [passing(0)])
    with pytest.raises(CampaignUnavailableError):
        attempts_of(platform, Deadline(900, clock))
    assert len(platform.tried_at) < 150


def test_a_refusal_for_the_rate_backs_off_where_no_window_is_known() -> None:
    clock = clock_at(0)
    platform = Platform(clock, [CampaignRateLimitError()], recovered_at=1e-9)
    attempts_of(platform, Deadline(1000, clock))
    assert platform.tried_at[1] <= INITIAL_RETRY_DELAY


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (CampaignRateLimitError(), False),
        (CampaignRateLimitError(retry_after=6), False),
        (CampaignRateLimitError(retry_after=4), True),
        (passing(60), True),
    ],
)
def test_a_refusal_for_the_rate_comes_out_where_it_would_have_to_be_waited_out_for_too_long(
    error: CampaignError, waits: bool
) -> None:
    clock = clock_at(0)
    platform = Platform(clock, [error, CampaignNotFoundError("gone")])
    deadline = Deadline(1000, clock).sooner(max_rate_wait=5)
    with pytest.raises(CampaignNotFoundError if waits else CampaignRateLimitError):
        attempts_of(platform, deadline)
    assert len(platform.tried_at) == 1 + waits


@pytest.mark.parametrize("kind", PERMANENT)
def test_what_a_retry_can_not_mend_is_not_tried_again(kind: type[CampaignError]) -> None:
    clock = clock_at(0)
    platform = Platform(clock, [kind("for good")])
    with pytest.raises(kind):
        attempts_of(platform, Deadline(1000, clock))
    assert platform.tried_at == [0]


def test_the_error_of_the_last_attempt_comes_out() -> None:
    clock = clock_at(0)
    platform = Platform(clock, [passing(WINDOW), CampaignNotFoundError("gone")])
    with pytest.raises(CampaignNotFoundError):
        attempts_of(platform, Deadline(1000, clock))
    assert len(platform.tried_at) == 2


def test_one_attempt_is_made_even_when_the_time_is_up() -> None:
    clock = clock_at(0)
    deadline = Deadline(10, clock)
    clock.advance(11)
    platform = Platform(clock, [passing()])
    with pytest.raises(CampaignUnavailableError):
        attempts_of(platform, deadline)
    assert len(platform.tried_at) == 1


def test_a_deadline_without_retries_allows_one_attempt() -> None:
    clock = clock_at(0)
    platform = Platform(clock, [passing()])
    with pytest.raises(CampaignUnavailableError):
        attempts_of(platform, Deadline(1000, clock, retries=False).sooner(500))
    assert len(platform.tried_at) == 1


def test_the_sooner_of_two_deadlines_counts() -> None:
    clock = clock_at(0)
    deadline = Deadline(100, clock)
    assert deadline.sooner().remaining == 100
    assert deadline.sooner(200).remaining == 100
    assert deadline.sooner(30).remaining == 30


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 7 ", 7),
        ("299", 299),
        ("301", MAX_RETRY_AFTER),
        ("9" * 400, MAX_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
    ],
)
def test_retry_after_is_read_in_both_its_forms_and_capped(value: str, seconds: float) -> None:
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"])
def test_a_retry_after_that_is_a_date_counts_from_now(form: str) -> None:
    seconds = parse_retry_after((datetime.now(UTC) + timedelta(seconds=200)).strftime(form))
    assert seconds is not None
    assert 0 < seconds <= 200


@pytest.mark.parametrize("value", [None, "", " ", "soon", "-3", "1.5", "1e3", "٣", "Mon", "Mon, 99 Foo 2020"])
def test_a_retry_after_that_can_not_be_read_counts_as_absent(value: str | None) -> None:
    assert parse_retry_after(value) is None


@given(st.text() | st.integers().map(str), st.none() | st.floats(1, 3600))
def test_any_retry_after_is_absent_or_within_its_bounds(value: str, rate_window: float | None) -> None:
    seconds = parse_retry_after(value, rate_window)
    longest = MAX_RETRY_AFTER if rate_window is None else rate_window + RETRY_AFTER_MARGIN
    assert seconds is None or 0 <= seconds <= longest


@pytest.mark.parametrize("value", ["30000", "1764499842", "1764499842000", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_milliseconds_and_dates_of_the_epoch_are_no_longer_than_the_documented_window_and_a_bit(value: str) -> None:
    assert parse_retry_after(value, WINDOW) == WINDOW + RETRY_AFTER_MARGIN
