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
    matches_pattern,
    pattern_problem,
    status_condition,
    validate_campaign_id,
)
from airflow_provider_campaign.exceptions import CampaignConfigError

WORDS = ["Ready", "Scheduled", "Rescheduled", "Preparing", "Active", "Rerun", "Paused", "Stopped", "Completed", "Draft"]


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
        *((word, WaitState.RETRY) for word in ("Active", "Preparing", "Rerun", "Paused", "windingDown")),
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


def test_an_id_may_be_a_number() -> None:
    assert validate_campaign_id(17) == "17"


@pytest.mark.parametrize(
    "campaign_id", ["cd-3aefda80-f98e-5f4f-ad41-92803abb0000", "507f1f77bcf86cd799439011", "a b", "ü.1"]
)
def test_whatever_can_stand_in_a_path_is_an_id(campaign_id: str) -> None:
    assert validate_campaign_id(campaign_id) == campaign_id


UNUSABLE_IDS = [
    ("", "is empty"),
    (" \t ", "is empty"),
    ("None", "looks like an unset value"),
    ("none", "looks like an unset value"),
    ("null", "looks like an unset value"),
    (None, "is not a string but NoneType"),
    (True, "is not a string but bool"),
    (17.5, "is not a string but float"),
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
    ("%2e%2E", "looks like a path"),
    ("a%252fb", "looks like a path"),
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


WIDE = "\N{FULLWIDTH LEFT SQUARE BRACKET}{}\N{FULLWIDTH RIGHT SQUARE BRACKET}"
SAME_NAMES = [
    ("Café", "Cafe\N{COMBINING ACUTE ACCENT}"),
    ("Evening\N{NO-BREAK SPACE}1", "Evening 1"),
    ("Evening\N{NARROW NO-BREAK SPACE}1", "Evening 1"),
    ("Evening\N{ZERO WIDTH SPACE} 1", "Evening 1"),
    ("Evening  1", "Evening 1"),
    ("\N{FULLWIDTH LATIN CAPITAL LETTER E}vening", "Evening"),
    ("[a] 1", WIDE.format("a") + " 1"),
]


@pytest.mark.parametrize(("one", "other"), SAME_NAMES)
@pytest.mark.parametrize("tail", ["", "*"])
def test_names_that_look_alike_match_each_others_pattern(one: str, other: str, tail: str) -> None:
    assert matches_pattern(one, [other.replace("[", "[[]") + tail])
    assert matches_pattern(other, [one.replace("[", "[[]") + tail])


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("Evening 1", "Evening *", True),
        ("Evening 1", "evening *", False),
        ("Evening 1", "Evening", False),
        ("Evening 1", "* ?", True),
        (" Evening 1 ", "Evening 1", True),
        ("b", "[ab]", True),
        ("c", "[!ab]", True),
        ("é", "[e\N{COMBINING ACUTE ACCENT}]", True),
        ("a 1", WIDE.format("a") + "*", False),
        ("*", "[*]", True),
        ("x", "[*]", False),
        (None, "*", True),
        (None, "?", False),
    ],
)
def test_a_pattern_matches_the_whole_name(name: str | None, pattern: str, matches: bool) -> None:
    assert matches_pattern(name, [pattern]) is matches


def test_one_of_several_patterns_is_enough() -> None:
    assert matches_pattern("b 1", ["a *", "b *"])
    assert not matches_pattern("b 1", [])


@pytest.mark.parametrize(("name", "pattern"), [("EVENING 1", "evening [0-9]"), ("Straße", "STRASSE"), ("a", "[A-Z]")])
def test_case_is_ignored_where_that_is_wanted(name: str, pattern: str) -> None:
    assert matches_pattern(name, [pattern], ignore_case=True)
    assert not matches_pattern(name, [pattern])


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("Evening [", "which has a [ that is not closed"),
        ("[a] [b", "which has a [ that is not closed"),
        ("[]", "which has a [ that is not closed"),
        ("FL *, GA *", "which has a , in it"),
        ("FL *|GA *", "which has a | in it"),
    ],
)
def test_a_pattern_that_is_probably_not_meant_has_a_problem_and_a_fix(pattern: str, problem: str) -> None:
    found = pattern_problem(pattern)
    assert found
    assert found[0] == problem


@pytest.mark.parametrize("pattern", ["*", "[[]x", "[]]x", "[!]]", "a[,]b[|]", "[!,]", "x]", WIDE[:-1]])
def test_a_pattern_can_name_every_character(pattern: str) -> None:
    assert pattern_problem(pattern) is None
