"""What a sweep makes of a campaign that changes after it was asked to stop."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignNotFoundError, CampaignUnavailableError
from airflow_provider_campaign.sweep.entry import RESTART_PATIENCE, STOP_PATIENCE, SweepEntry

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
