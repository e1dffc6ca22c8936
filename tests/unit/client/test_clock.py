"""The retry policy: what is tried again, when, and until when."""

from __future__ import annotations

import itertools

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
from airflow_provider_campaign.exceptions import CampaignError, CampaignRateLimitError, CampaignUnavailableError
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock

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
