"""Statuses, wait conditions and ids, which mean the same on every platform."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.campaign import (
    ENDED_STATUSES,
    LIVE_STATUSES,
    NOT_STARTED_STATUSES,
    START_CONDITION,
    STOP_CONDITION,
    Campaign,
    CampaignStatus,
    WaitState,
    canonical_status,
    status_condition,
    validate_campaign_id,
)
from airflow_provider_campaign.exceptions import CampaignConfigError

WORDS = ["Ready", "Scheduled", "Rescheduled", "Preparing", "Active", "Paused", "Stopped", "Completed", "Draft"]


@pytest.mark.parametrize("word", WORDS)
def test_a_known_status_is_spelled_in_one_way(word: str) -> None:
    assert canonical_status(f" {word.upper()} ") == canonical_status(word.lower()) == word


def test_an_unknown_status_stays_as_the_platform_wrote_it() -> None:
    assert canonical_status("windingDown") == "windingDown"


def test_every_status_but_paused_is_live_ended_or_waiting() -> None:
    sorted_out = [*LIVE_STATUSES, *ENDED_STATUSES, *NOT_STARTED_STATUSES]
    assert sorted(sorted_out) == sorted(set(CampaignStatus) - {"Paused"})


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *((word, WaitState.SUCCESS) for word in ("Stopped", "Completed", "stopped", "COMPLETED")),
        *((word, WaitState.RETRY) for word in ("Active", "Preparing", "Paused", "windingDown")),
        *((word, WaitState.FAILURE) for word in ("Ready", "Scheduled", "Rescheduled", "draft")),
    ],
)
def test_what_a_status_means_to_a_stop(status: str, state: WaitState) -> None:
    assert STOP_CONDITION.state_of(status) is state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("active", WaitState.SUCCESS),
        *((word, WaitState.RETRY) for word in ("Preparing", "Stopped", "Ready", "Scheduled")),
        ("Completed", WaitState.FAILURE),
    ],
)
def test_what_a_status_means_to_a_start(status: str, state: WaitState) -> None:
    assert START_CONDITION.state_of(status) is state


def test_what_a_status_means_to_a_sensor() -> None:
    assert status_condition(["Paused"]).state_of("Completed") is WaitState.FAILURE
    assert status_condition(["Paused", "Completed"]).state_of("completed") is WaitState.SUCCESS
    assert status_condition(["windingdown"]).state_of("windingDown") is WaitState.SUCCESS


def test_a_wait_condition_reads_as_its_statuses() -> None:
    assert str(STOP_CONDITION) == "Stopped or Completed"


@pytest.mark.parametrize(
    "campaign_id", ["cd-3aefda80-f98e-5f4f-ad41-92803abb0000", "507f1f77bcf86cd799439011", "a b", "ü.1"]
)
def test_whatever_can_stand_in_a_path_is_an_id(campaign_id: str) -> None:
    assert validate_campaign_id(campaign_id) == campaign_id


UNUSABLE_IDS = [
    ("", "is empty"),
    (" \t ", "is empty"),
    ("None", "stands for a missing value"),
    ("none", "stands for a missing value"),
    ("null", "stands for a missing value"),
    (None, "is not a string but NoneType"),
    (17, "is not a string but int"),
    (["cd-1"], "is not a string but list"),
    (" cd-1", "has blanks around it"),
    ("cd-1\n", "has blanks around it"),
    ("a/b", "looks like a path"),
    ("a\\b", "looks like a path"),
    ("a?trigger=play", "looks like a path"),
    ("a#b", "looks like a path"),
    (".", "looks like a path"),
    ("..", "looks like a path"),
    ("a..b", "looks like a path"),
    ("a\nb", "holds a control character"),
    ("a\x00b", "holds a control character"),
    ("a\u200bb", "holds a control character"),
]


@pytest.mark.parametrize(("campaign_id", "problem"), UNUSABLE_IDS)
def test_an_id_that_can_be_no_campaigns_is_refused(campaign_id: Any, problem: str) -> None:
    with pytest.raises(CampaignConfigError) as caught:
        validate_campaign_id(campaign_id)
    assert f"campaign_id {campaign_id!r} {problem}" in str(caught.value)
    assert "Nothing was sent" in str(caught.value)


def test_a_record_has_the_same_keys_whatever_is_known() -> None:
    assert Campaign("c-1", "Active").as_dict() == {
        "campaign_id": "c-1",
        "status": "Active",
        "message": None,
        "updated_at": None,
        "already_stopped": False,
        "raw": {},
    }


def test_the_platforms_response_is_not_in_a_campaigns_repr() -> None:
    assert "secret" not in repr(Campaign("c-1", "Active", raw={"phone": "secret"}))


MENDED_BY_A_RETRY = {
    "CampaignRecordError",
    "CampaignUnavailableError",
    "CampaignRateLimitError",
    "CampaignTimeoutError",
    "CampaignSweepError",
}


@pytest.mark.parametrize("name", sorted(set(exceptions.__all__) - {"CampaignError"}))
def test_only_what_a_retry_can_mend_uses_up_retries(name: str) -> None:
    error = getattr(exceptions, name)
    assert issubclass(error, exceptions.CampaignError)
    assert issubclass(error, AirflowException)
    assert issubclass(error, AirflowFailException) == (name not in MENDED_BY_A_RETRY)
