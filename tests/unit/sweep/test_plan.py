"""The latest moments to send stops, and what a sweep makes of a campaign that changes after its stop."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignNotFoundError, CampaignUnavailableError
from airflow_provider_campaign.sweep.entry import RESTART_PATIENCE, STOP_PATIENCE, SweepEntry
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


# What a sweep makes of a campaign that changes after it was asked to stop.

BEGAN = 1_800_000_000.0


def seen(status: str, at: float) -> Campaign:
    """Return the campaign as a list shows it, changed at that many seconds after the beginning."""
    return Campaign("c-1", status, updated_at=datetime.fromtimestamp(BEGAN + at, UTC).isoformat())


@pytest.mark.parametrize(
    ("listed", "patience"),
    [
        (seen("Active", 2), RESTART_PATIENCE),
        (seen("Active", 1), STOP_PATIENCE),
        (Campaign("c-1", "Active"), STOP_PATIENCE),
    ],
    ids=["changed", "unchanged", "without a time"],
)
def test_a_live_campaign_is_asked_again_after_a_while(listed: Campaign, patience: float) -> None:
    entry = SweepEntry(seen("Active", 0), asked_at=BEGAN + 1)
    entry.note_stop(seen("Active", 1), BEGAN + 1)
    entry.note_listed(listed, BEGAN + patience)
    assert (entry.acknowledged, entry.restarts) == (True, 0)
    entry.note_listed(listed, BEGAN + patience + 1)
    assert (entry.acknowledged, entry.restarts) == (False, 1)
    assert entry.outcome_unknown, "its status is read first"


def test_one_that_may_be_stopped_comes_after_those_that_were_not_asked() -> None:
    entry, other = SweepEntry(seen("Active", 0)), SweepEntry(Campaign("c-2", "Active"))
    assert entry.urgency < other.urgency
    entry.note_failure(CampaignUnavailableError(outcome_unknown=True), BEGAN, was_read=False)
    assert entry.urgency > other.urgency


@pytest.mark.parametrize(("said", "message"), [("no such campaign", "no such campaign"), (None, "deleted meanwhile")])
def test_a_campaign_that_is_gone_keeps_what_the_platform_said_of_it(said: str | None, message: str) -> None:
    entry = SweepEntry(Campaign("c-1", "Active"))
    entry.note_failure(CampaignNotFoundError("HTTP 404", platform_text=said), 1.0, was_read=True)
    assert entry.campaign.message == message
