"""When requests leave: retries within a deadline, and the account's requests within the platform's window."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.client.clock import (
    CLOCK_ROUNDING,
    FINAL_ATTEMPT_RESERVE,
    INITIAL_RETRY_DELAY,
    MAX_RETRY_DELAY,
    Deadline,
    retrying,
)
from airflow_provider_campaign.client.errors import MAX_RETRY_AFTER
from airflow_provider_campaign.client.rate_limiter import WINDOW_MARGIN, RateLimiter
from airflow_provider_campaign.client.transport import NotSent, OutcomeUnknown
from airflow_provider_campaign.exceptions import CampaignError, CampaignRateLimitError, CampaignUnavailableError
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.accounts import KORE_V1, client_of, shows
from tests.scripted_transport import ScriptedTransport

budgets = st.floats(min_value=0.05, max_value=5000)


class Platform:
    """Raises one error after the other, the last of them for ever, until it has recovered."""

    def __init__(self, errors: list[CampaignError], recovered_at: float = float("inf")) -> None:
        self.clock = VirtualClock()
        self.clock.now = 0.0
        self.errors = errors
        self.recovered_at = recovered_at
        self.tried_at: list[float] = []

    def __call__(self) -> str:
        self.tried_at.append(self.clock.now)
        if self.clock.now >= self.recovered_at:
            return "done"
        raise self.errors[min(len(self.tried_at), len(self.errors)) - 1]

    def fails(self, deadline: Deadline, error: type[CampaignError] = CampaignUnavailableError) -> None:
        with pytest.raises(error):
            retrying(deadline)(self)


def passing(retry_after: float | None = None) -> CampaignUnavailableError:
    return CampaignUnavailableError("passing", retry_after=retry_after)


@given(budget=budgets, retry_afters=st.lists(st.none() | st.floats(0, MAX_RETRY_AFTER), min_size=1))
def test_the_last_attempt_comes_just_before_the_deadline(budget: float, retry_afters: list[float | None]) -> None:
    platform = Platform([passing(seconds) for seconds in retry_afters])
    platform.fails(Deadline(budget, platform.clock))
    last = budget - min(FINAL_ATTEMPT_RESERVE, budget / 10)
    assert platform.tried_at[0] == 0
    assert platform.tried_at[-1] == pytest.approx(last, abs=2 * CLOCK_ROUNDING)
    assert all(at < last - CLOCK_ROUNDING for at in platform.tried_at[:-1])


@given(budget=budgets)
def test_waits_grow_up_to_their_bound(budget: float) -> None:
    platform = Platform([passing()])
    platform.fails(Deadline(budget, platform.clock))
    most = (min(MAX_RETRY_DELAY, INITIAL_RETRY_DELAY * 2**number) for number in itertools.count())
    assert all(pause <= longest for pause, longest in zip(platform.clock.slept, most, strict=False))


@given(asked=st.floats(0, MAX_RETRY_AFTER))
def test_a_platform_that_asks_to_be_left_alone_is_left_alone_so_long(asked: float) -> None:
    platform = Platform([passing(asked)], recovered_at=CLOCK_ROUNDING)
    retrying(Deadline(1000, platform.clock))(platform)
    assert asked <= platform.tried_at[1] <= asked + 1 + CLOCK_ROUNDING


def test_a_platform_that_asks_for_no_pause_is_not_hammered() -> None:
    platform = Platform([passing(0)])
    platform.fails(Deadline(900, platform.clock))
    assert len(platform.tried_at) < 150


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (CampaignRateLimitError(), 1),
        (CampaignRateLimitError(retry_after=6), 1),
        (CampaignRateLimitError(retry_after=4), 2),
        (passing(60), 2),
        (exceptions.CampaignConflictError("for good"), 1),
    ],
    ids=["no pause known", "too long", "short", "another error", "for good"],
)
def test_a_failure_that_no_retry_can_fix_in_time_is_raised(error: CampaignError, attempts: int) -> None:
    platform = Platform([error, exceptions.CampaignNotFoundError("gone")])
    part = Deadline(1000, platform.clock).sooner(max_rate_wait=5)
    platform.fails(part, type(error) if attempts == 1 else exceptions.CampaignNotFoundError)
    assert len(platform.tried_at) == attempts


def test_one_attempt_is_made_when_the_time_is_up_or_without_retries() -> None:
    late, platform = Platform([passing()]), Platform([passing()])
    deadline = Deadline(10, late.clock)
    late.clock.advance(11)
    late.fails(deadline)
    platform.fails(Deadline(1000, platform.clock, retries=False).sooner(500))
    assert (len(late.tried_at), len(platform.tried_at)) == (1, 1)


def test_the_sooner_of_two_deadlines_counts() -> None:
    deadline = Deadline(100, VirtualClock())
    assert [deadline.sooner(*seconds).remaining for seconds in ((), (200,), (30,))] == [100, 100, 30]


# The account's requests: a burst up to what the platform allows, then waiting for its window, for all threads.

LIMIT = 60
WINDOW = 60 + WINDOW_MARGIN


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def limiter(clock: VirtualClock) -> RateLimiter:
    return RateLimiter(LIMIT, 60, clock)


def spend(limiter: RateLimiter, clock: VirtualClock, count: int) -> None:
    """Let so many requests leave, each of which gets its response at once."""
    for _ in range(count):
        with limiter.slot(Deadline(10_000, clock)):
            pass


def test_a_burst_waits_for_nothing_and_the_next_for_the_window(limiter: RateLimiter, clock: VirtualClock) -> None:
    assert limiter.available_within() == LIMIT
    spend(limiter, clock, 1)
    clock.advance(20)
    spend(limiter, clock, LIMIT - 1)
    assert clock.slept == []
    assert limiter.available_within() == 0
    assert limiter.delay == pytest.approx(WINDOW - 20)
    spend(limiter, clock, 1)
    assert clock.slept == [pytest.approx(WINDOW - 20)]


def test_no_window_of_the_platforms_ever_holds_more_than_the_limit(limiter: RateLimiter, clock: VirtualClock) -> None:
    moments = []
    for _ in range(5 * LIMIT):
        with limiter.slot(Deadline(10_000, clock)):
            moments.append(clock.now)
        clock.advance(0.3)
    assert all(later - first > 60 for first, later in zip(moments, moments[LIMIT:], strict=False))


def test_a_request_counts_from_its_response_on(limiter: RateLimiter, clock: VirtualClock) -> None:
    with limiter.slot(Deadline(10_000, clock)):  # in which the platform may count it at any moment
        clock.advance(25)
    spend(limiter, clock, LIMIT)
    assert clock.slept == [pytest.approx(WINDOW)]


def test_more_threads_than_the_limit_wait_for_those_in_flight(clock: VirtualClock) -> None:
    limiter = RateLimiter(2, 60, clock)
    both_in_flight, leave = Barrier(3), Barrier(3)

    def request() -> None:
        with limiter.slot(Deadline(10_000, clock)):
            both_in_flight.wait(10)
            leave.wait(10)

    with ThreadPoolExecutor(3) as pool:
        first = [pool.submit(request) for _ in range(2)]
        both_in_flight.wait(10)
        assert (limiter.available_within(), limiter.delay) == (0, 0)
        third = pool.submit(spend, limiter, clock, 1)
        leave.wait(10)
        for each in (*first, third):
            each.result(10)
    assert clock.slept == [pytest.approx(WINDOW)]


def test_nothing_leaves_while_the_platform_wants_to_be_left_alone(limiter: RateLimiter, clock: VirtualClock) -> None:
    limiter.pause(40)
    limiter.pause(7)
    clock.advance(39.5)
    assert (limiter.available_within(), limiter.available_within(1), limiter.delay) == (0, LIMIT, 0.5)
    spend(limiter, clock, 1)
    assert clock.slept == [pytest.approx(0.5)]
    assert (limiter.available_within(), limiter.delay) == (LIMIT - 1, 0), "it is over on the second"


def test_a_pause_holds_for_a_platform_without_a_limit_too(clock: VirtualClock) -> None:
    limiter = RateLimiter(None, None, clock)
    spend(limiter, clock, 200)
    assert (limiter.available_within(), clock.slept) == (None, [])
    limiter.pause(40)
    spend(limiter, clock, 1)
    assert clock.slept == [pytest.approx(40)]


@pytest.mark.parametrize(("seconds", "max_wait"), [(30, 1000), (10_000, 5)])
def test_a_wait_of_more_than_the_callers_time_is_refused_at_once(
    limiter: RateLimiter, clock: VirtualClock, seconds: float, max_wait: float
) -> None:
    spend(limiter, clock, LIMIT)
    deadline = Deadline(seconds, clock, max_rate_wait=max_wait)
    with pytest.raises(CampaignRateLimitError, match="rate limit"), limiter.slot(deadline):
        pass
    assert clock.slept == []


def test_a_part_is_extended_by_what_it_waits_but_not_past_the_whole(limiter: RateLimiter, clock: VirtualClock) -> None:
    spend(limiter, clock, LIMIT)
    part = Deadline(70, clock).sooner(30)
    with limiter.slot(part):
        assert part.remaining == pytest.approx(70 - WINDOW)
    clock.advance(1000)
    spend(limiter, clock, LIMIT)
    part = Deadline(10_000, clock).sooner(30)
    with limiter.slot(part):
        assert part.remaining == pytest.approx(30)


# In a client.


def test_a_client_counts_the_requests_that_fail_too(clock: VirtualClock) -> None:
    transport = ScriptedTransport([OutcomeUnknown("lost"), NotSent("refused"), shows("Active")])
    client = client_of(KORE_V1, transport, clock)
    client.get_campaign_status("c-1")
    assert client.rate_limiter.available_within() == LIMIT - 3


def test_a_client_that_has_spent_its_requests_waits_as_long_as_it_may(clock: VirtualClock) -> None:
    transport = ScriptedTransport([shows("Active")] * (LIMIT + 1))
    client = client_of(KORE_V1, transport, clock, retry_budget=10)
    for _ in range(LIMIT):
        client.get_campaign_status("c-1")
    assert clock.slept == []
    with pytest.raises(CampaignRateLimitError, match=r"^Status of campaign 'c-1' .*timed out.*60 requests a") as caught:
        client.get_campaign_status("c-1", deadline=client.deadline(30))
    assert (caught.value.retry_after, len(transport.requests)) == (60, LIMIT)
    client.get_campaign_status("c-1", deadline=client.deadline(1000))
    assert sum(clock.slept) == pytest.approx(WINDOW)
    assert transport.requests[-1].seconds == pytest.approx(10), "its retry budget is extended"
