"""What a sweep makes of a campaign that changes after it was asked to stop."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignUnavailableError
from airflow_provider_campaign.sweep.entry import RESTART_PATIENCE, STOP_PATIENCE, SweepEntry

BEGAN = 1_800_000_000.0


def seen(status: str, at: float) -> Campaign:
    """Return the campaign as a list shows it, changed at that many seconds after the beginning."""
    return Campaign("c-1", status, updated_at=datetime.fromtimestamp(BEGAN + at, UTC).isoformat())


def asked(entry: SweepEntry, at: float) -> None:
    entry.asked_at = BEGAN + at
    entry.note_stop(seen("Active", at), BEGAN + at)


def test_a_campaign_that_changes_all_the_time_is_asked_again_once_and_then_rarely() -> None:
    entry = SweepEntry(seen("Active", 0), status_before="Active")
    asked(entry, 1)
    entry.note_listed(seen("Active", 2), BEGAN + 2)
    assert not entry.acknowledged  # so that it is asked again
    asked(entry, 3)
    for after in (1, RESTART_PATIENCE - 1):
        entry.note_listed(seen("Active", 3 + after), BEGAN + 3 + after)
        assert entry.acknowledged
    entry.note_listed(seen("Active", 3 + RESTART_PATIENCE), BEGAN + 3 + RESTART_PATIENCE)
    assert not entry.acknowledged
    assert entry.restarts == 2


@pytest.mark.parametrize("listed", [seen("Active", 1), Campaign("c-1", "Active")], ids=["unchanged", "without a time"])
def test_a_campaign_that_does_not_change_winds_down_and_is_asked_again_when_that_takes_long(listed: Campaign) -> None:
    entry = SweepEntry(seen("Active", 0))
    asked(entry, 1)
    entry.note_listed(listed, BEGAN + STOP_PATIENCE)
    assert entry.acknowledged
    assert entry.restarts == 0
    entry.note_listed(listed, BEGAN + STOP_PATIENCE + 1)
    assert not entry.acknowledged
    assert entry.outcome_unknown, "its status is read first"


@pytest.mark.parametrize(("http_status", "is_last"), [(204, True), (None, True), (503, False)])
def test_one_that_may_be_stopped_comes_after_those_that_were_not_asked(http_status: int | None, is_last: bool) -> None:
    entry, other = SweepEntry(seen("Active", 0)), SweepEntry(Campaign("c-2", "Active"))
    entry.note_failure(CampaignUnavailableError(outcome_unknown=True, http_status=http_status), BEGAN)
    assert (entry.urgency > other.urgency) is is_last
