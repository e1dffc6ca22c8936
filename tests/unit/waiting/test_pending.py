"""What a poll means to a wait: pure, with plain data."""

from __future__ import annotations

import pytest

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign
from airflow_provider_campaign.exceptions import CampaignError, CampaignNotFoundError, CampaignStateError
from airflow_provider_campaign.waiting.pending import MAX_READ_LAG, PendingWait, Snapshot

ACTED_AT = 1_000_000.0
BEFORE, AT, AFTER = (f"1970-01-12T13:46:{second}+00:00" for second in (39, 40, 41))
CHANGED_AT = 1_000_000.0
"""The moment ``AT``."""


@pytest.mark.parametrize(
    ("status", "dated", "known", "seconds", "counts"),
    [
        ("Active", BEFORE, CHANGED_AT, 0, True),  # which ends no wait, whatever its date
        ("Stopped", BEFORE, CHANGED_AT, 2 * MAX_READ_LAG, False),
        ("Stopped", AFTER, CHANGED_AT, 0, True),
        ("Stopped", AT, CHANGED_AT, MAX_READ_LAG - 1, False),
        ("Stopped", AT, CHANGED_AT, MAX_READ_LAG, True),
        ("Stopped", None, CHANGED_AT, MAX_READ_LAG - 1, False),
        ("Stopped", None, CHANGED_AT, MAX_READ_LAG, True),
        ("Stopped", AFTER, None, MAX_READ_LAG - 1, False),
        ("Stopped", "yesterday", CHANGED_AT, MAX_READ_LAG, True),
        ("Ready", BEFORE, CHANGED_AT, 2 * MAX_READ_LAG, False),
    ],
)
def test_a_reading_that_would_end_the_wait_must_be_newer_than_the_stop(
    status: str, dated: str | None, known: float | None, seconds: float, counts: bool
) -> None:
    wait = PendingWait("c-1", STOP_CONDITION, acted_at=ACTED_AT, changed_at=known)
    assert wait.accepts(Campaign("c-1", status, updated_at=dated), ACTED_AT + seconds) is counts


def test_a_sensor_takes_whatever_is_read() -> None:
    assert PendingWait("c-1", STOP_CONDITION).accepts(Campaign("c-1", "Stopped"), 0.0)


def snapshot(status: str, began: float = ACTED_AT) -> Snapshot:
    return Snapshot(began, {"c-1": Campaign("c-1", status)}, problem="a list failed.")


def test_a_wait_is_over_once_its_campaign_has_met_the_condition() -> None:
    wait = PendingWait("c-1", STOP_CONDITION)
    assert wait.reached(Snapshot(problem="nobody answers."), "connection 'a'") is None
    assert wait.reached(snapshot("Active"), "connection 'a'") is None
    assert "last seen: Active. The last problem: a list failed. It" in str(wait.timed_out(60, "connection 'a'"))
    found = wait.reached(snapshot("Stopped"), "connection 'a'")
    assert found is not None
    assert found.status == "Stopped"


def test_a_wait_that_has_seen_nothing_newer_than_the_stop_says_what_it_has_read() -> None:
    wait = PendingWait("c-1", STOP_CONDITION, acted_at=ACTED_AT, last_status="Active")
    assert wait.reached(snapshot("Stopped"), "connection 'a'") is None
    assert wait.not_before == ACTED_AT + MAX_READ_LAG
    assert "last seen: Active. The last problem: it was read as Stopped, which may be" in str(wait.timed_out(9, "a"))


@pytest.mark.parametrize(
    ("shown", "error"),
    [
        (snapshot("Ready"), CampaignStateError),
        (Snapshot(failed={"c-1": CampaignNotFoundError("gone")}), CampaignNotFoundError),
        (Snapshot(error=CampaignError("nobody may")), CampaignError),
    ],
)
def test_a_wait_that_can_not_succeed_any_more_ends_at_once(shown: Snapshot, error: type[CampaignError]) -> None:
    with pytest.raises(error):
        PendingWait("c-1", STOP_CONDITION).reached(shown, "connection 'a'")
    assert PendingWait("c-2", STOP_CONDITION).reached(Snapshot(failed=shown.failed), "connection 'a'") is None
