"""The account's requests: a burst up to what the platform allows, then waiting for its window, for all threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.rate_limiter import WINDOW_MARGIN, RateLimiter
from airflow_provider_campaign.client.transport import NotSent, OutcomeUnknown
from airflow_provider_campaign.exceptions import CampaignRateLimitError
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.accounts import KORE_V1, client_of, shows
from tests.scripted_transport import ScriptedTransport

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
    assert (limiter.available_within(), limiter.delay) == (0, 40)
    spend(limiter, clock, 1)
    assert clock.slept == [pytest.approx(40)]
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
