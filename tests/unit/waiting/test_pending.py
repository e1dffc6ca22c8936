"""What a poll means to a wait: pure, with plain data."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign
from airflow_provider_campaign.exceptions import CampaignError, CampaignNotFoundError, CampaignStateError
from airflow_provider_campaign.waiting.pending import MAX_READ_LAG, PendingWait, Snapshot

ACTED_AT = 1_000_000.0
BEFORE, AT, AFTER = (f"1970-01-12T13:46:{second}+00:00" for second in (39, 40, 41))
CHANGED_AT = 1_000_000.0  # the moment ``AT``


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
def test_what_ends_the_wait_must_be_newer_than_the_stop(
    status: str, dated: Any, known: Any, seconds: float, counts: bool
) -> None:
    campaign = Campaign("c-1", status, updated_at=dated)
    wait = PendingWait("c-1", STOP_CONDITION, acted_at=ACTED_AT, changed_at=known)
    assert wait.accepts(campaign, ACTED_AT + seconds) is counts
    assert PendingWait("c-1", STOP_CONDITION).accepts(campaign, 0.0)  # a sensor takes whatever is read


def snapshot(status: str, began: float = ACTED_AT) -> Snapshot:
    return Snapshot(began, {"c-1": Campaign("c-1", status)}, problem="a list failed.")


def test_a_wait_ends_once_its_campaign_has_met_the_condition() -> None:
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
    assert "last seen: Active. The last problem: it was read as Stopped, but that status may be" in str(
        wait.timed_out(9, "a")
    )


REFUSED = [Snapshot(failed={"c-1": CampaignNotFoundError("gone")}), Snapshot(error=CampaignError("nobody may"))]


@pytest.mark.parametrize("shown", [snapshot("Ready"), *REFUSED])
def test_a_wait_that_can_not_succeed_any_more_ends_at_once(shown: Snapshot) -> None:
    expected = shown.error or shown.failed.get("c-1") or CampaignStateError()
    with pytest.raises(type(expected)):
        PendingWait("c-1", STOP_CONDITION).reached(shown, "connection 'a'")
    assert PendingWait("c-2", STOP_CONDITION).reached(Snapshot(failed=shown.failed), "connection 'a'") is None


@pytest.mark.parametrize("refused", REFUSED)
def test_a_wait_for_an_acknowledged_stop_ends_when_it_is_refused_twice_in_a_row(refused: Snapshot) -> None:
    wait = PendingWait("c-1", STOP_CONDITION, acted_at=ACTED_AT)
    for shown in (refused, snapshot("Active"), refused, Snapshot(problem="nobody answers.")):
        assert wait.reached(shown, "connection 'a'") is None
    with pytest.raises(CampaignError):
        wait.reached(refused, "connection 'a'")
