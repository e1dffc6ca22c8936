"""The latest moments to send stops: within the rate limit, in time, and no earlier than they have to be."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.sweep.plan import MIN_SHARE, RESERVED_SHARE, STOPPING_TIME, RateLimit, latest_starts

INTERVAL = 61.0
MOMENTS = st.lists(st.integers(0, 600).map(float), max_size=40).map(sorted)
STOPS = st.integers(1, 9)


@given(MOMENTS, STOPS)
def test_each_stop_is_sent_in_time_and_no_interval_has_more_than_the_limit_allows(
    moments: list[float], stops: int
) -> None:
    starts = latest_starts(moments, stops, INTERVAL)
    assert all(start <= moment for start, moment in zip(starts, moments, strict=True))
    assert starts == sorted(starts)
    assert all(later - earlier >= INTERVAL for earlier, later in zip(starts, starts[stops:], strict=False))


@given(MOMENTS, STOPS)
def test_none_could_be_sent_later(moments: list[float], stops: int) -> None:
    """What keeps a stop from being sent later is its own moment, or the stops that follow it at their latest."""
    starts = latest_starts(moments, stops, INTERVAL)
    for number, (start, moment) in enumerate(zip(starts, moments, strict=True)):
        following = starts[number + 1 :]
        bounds = [moment, *following[:1], *(each - INTERVAL for each in following[stops - 1 : stops])]
        assert start == min(bounds)


def test_without_a_limit_each_is_sent_at_its_own_moment() -> None:
    assert latest_starts([1.0, 5.0, 5.0], None, INTERVAL) == [1.0, 5.0, 5.0]


def test_bursts_are_full_from_the_end_backwards() -> None:
    starts = latest_starts([1000.0] * 5, 2, INTERVAL)
    assert starts == [1000 - 2 * INTERVAL, 1000 - INTERVAL, 1000 - INTERVAL, 1000, 1000]


@pytest.mark.parametrize("others", [0, 10, 15, 20, 40, 60, 100])
def test_a_burst_leaves_other_clients_their_share_and_is_never_empty(others: int) -> None:
    limit = RateLimit(60, 60.0, others)
    reserve = max(math.ceil(RESERVED_SHARE * 60), others)
    assert limit.stops(2) == max(math.ceil(MIN_SHARE * 60), 60 - 2 - reserve)
    assert RateLimit(None, 0.0, others).stops(2) is None


def test_what_a_burst_has_shown_of_other_clients_counts_until_another_shows_more_or_less() -> None:
    limit = RateLimit(60, 60.0)
    assert limit.after_burst(requests=50, refused=0) == limit
    assert limit.after_burst(requests=50, refused=12).others == 22  # 38 were accepted
    assert limit.after_burst(50, 12).after_burst(40, 1).others == 21
    assert RateLimit(None, 0.0).after_burst(50, 12).others == 0


def test_ends_that_follow_each_other_share_the_limit() -> None:
    starts = latest_starts([500.0] * 3 + [520.0] * 3, 3, INTERVAL)
    assert starts == [520 - INTERVAL] * 3 + [520.0] * 3
    assert [later - earlier for earlier, later in itertools.pairwise(starts)].count(INTERVAL) == 1


@pytest.mark.parametrize(("count", "first"), [(300, "7:21"), (1000, "24:38")])
def test_the_figures_of_the_page_are_the_plans(count: int, first: str) -> None:
    limit, margin = RateLimit(60, 60.0), 60.0
    end = 10_000.0
    starts = latest_starts([end - margin - STOPPING_TIME] * count, limit.stops(2), limit.interval)
    minutes, seconds = divmod(end - starts[0], 60)
    assert f"{minutes:.0f}:{seconds:02.0f}" == first
    page = (Path(__file__).parents[3] / "docs/end-of-window.md").read_text(encoding="utf-8")
    assert first in page
    assert f"up to {limit.stops(2)} stops" in page
