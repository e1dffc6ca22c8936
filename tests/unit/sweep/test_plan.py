"""The latest moments to send stops: within the rate limit, in time, and no earlier than they have to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.sweep.plan import BURST_GAP, STOPPING_TIME, latest_starts, stops_in_burst

INTERVAL = 61.0
MOMENTS = st.lists(st.integers(0, 600).map(float), max_size=40).map(sorted)


@given(MOMENTS, st.integers(1, 9))
def test_each_stop_is_sent_in_time_and_none_could_be_sent_later(moments: list[float], stops: int) -> None:
    """What keeps a stop from being sent later is its own moment, or the stops that follow it at their latest."""
    starts = latest_starts(moments, stops, INTERVAL)
    assert starts == sorted(starts)
    assert all(later - earlier >= INTERVAL for earlier, later in zip(starts, starts[stops:], strict=False))
    for number, (start, moment) in enumerate(zip(starts, moments, strict=True)):
        following = starts[number + 1 :]
        assert start == min([moment, *following[:1], *(each - INTERVAL for each in following[stops - 1 : stops])])


@pytest.mark.parametrize(
    ("moments", "stops", "starts"),
    [
        ([1.0, 5.0, 5.0], None, [1.0, 5.0, 5.0]),
        ([1000.0] * 5, 2, [1000 - 2 * INTERVAL, 1000 - INTERVAL, 1000 - INTERVAL, 1000, 1000]),
        ([500.0] * 3 + [520.0] * 3, 3, [520 - INTERVAL] * 3 + [520.0] * 3),
    ],
    ids=["no limit", "full from the end backwards", "ends that follow each other"],
)
def test_bursts(moments: list[float], stops: int | None, starts: list[float]) -> None:
    assert latest_starts(moments, stops, INTERVAL) == starts


@pytest.mark.parametrize(
    ("limit", "others", "stops"),
    [(60, 0, 43), (60, 20, 38), (60, 50, 10), (60, 100, 10), (None, 9, None)],
)
def test_a_burst_leaves_other_clients_their_share_and_is_never_empty(limit: Any, others: int, stops: Any) -> None:
    assert stops_in_burst(limit, 2, others) == stops


@pytest.mark.parametrize(("count", "first"), [(300, "7:21"), (1000, "24:38")])
def test_the_documented_figures_are_the_plans(count: int, first: str) -> None:
    end, stops = 10_000.0, stops_in_burst(60, 2, 0)
    starts = latest_starts([end - 60 - STOPPING_TIME] * count, stops, 60 + BURST_GAP)
    minutes, seconds = divmod(end - starts[0], 60)
    assert f"{minutes:.0f}:{seconds:02.0f}" == first
    page = (Path(__file__).parents[3] / "docs/end-of-window.md").read_text(encoding="utf-8")
    assert first in page
    assert f"up to {stops} stops" in page
