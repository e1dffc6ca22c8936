"""Statuses, wait conditions, patterns, and ids, which mean the same on every platform; and which errors are final."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_campaign import campaign, exceptions
from airflow_provider_campaign.campaign import LIVE_STATUSES, START_CONDITION, STOP_CONDITION, Campaign, CampaignStatus
from airflow_provider_campaign.exceptions import CampaignConfigError


@pytest.mark.parametrize("word", [*map(str, CampaignStatus), "windingDown"])
def test_a_known_status_is_spelled_in_one_way_and_an_unknown_one_stays_as_it_is(word: str) -> None:
    assert campaign.canonical_status(f" {word} ") == word
    if word in set(CampaignStatus):
        assert campaign.canonical_status(word.upper()) == campaign.canonical_status(word.lower()) == word
    assert campaign.is_live(word) == (word in LIVE_STATUSES)
    assert campaign.may_be_live(word) == (word in (*LIVE_STATUSES, "windingDown"))


def test_every_status_but_paused_is_live_ended_or_waiting() -> None:
    sorted_out = [*LIVE_STATUSES, *campaign.ENDED_STATUSES, *campaign.NOT_STARTED_STATUSES]
    assert sorted(sorted_out) == sorted(set(CampaignStatus) - {"Paused"})


@pytest.mark.parametrize(
    ("condition", "success", "failure", "others"),
    [
        (STOP_CONDITION, "Stopped COMPLETED", "Ready Scheduled Rescheduled draft", "Active Rerun Paused windingDown"),
        (START_CONDITION, "active", "Completed", "Preparing Stopped Ready Scheduled"),
        (campaign.status_condition(["Paused", "windingdown"]), "Paused windingDown", "Completed", "Stopped Active"),
        (campaign.status_condition(["Paused", "Completed"]), "Paused completed", "", "Stopped Active"),
    ],
)
def test_what_a_status_means_to_a_wait(condition: Any, success: str, failure: str, others: str) -> None:
    meanings = {
        status: (condition.is_met_by(status), condition.is_ruled_out_by(status), condition.is_final(status))
        for status in f"{success} {failure} {others}".split()
    }
    assert meanings == {
        **dict.fromkeys(success.split(), (True, False, True)),
        **dict.fromkeys(failure.split(), (False, True, True)),
        **dict.fromkeys(others.split(), (False, False, False)),
    }
    assert START_CONDITION.is_in_progress("preparing")
    assert str(STOP_CONDITION) == "Stopped or Completed"


@pytest.mark.parametrize("campaign_id", ["cd-3aefda80-f98e-5f4f", "507f1f77bcf86cd799439011", "a b", "ü.1", 17])
def test_whatever_can_stand_in_a_path_is_an_id(campaign_id: Any) -> None:
    assert campaign.validate_campaign_id(campaign_id) == str(campaign_id)


@pytest.mark.parametrize(
    ("campaign_ids", "problem"),
    [
        (["", " \t "], "is empty"),
        (["None", "none", "null"], "looks like an unset value"),
        (["{{ x }}"], "is a template that was not rendered"),
        ([None, True, 17.5, ["cd-1"]], "is not a string"),
        ([" cd-1", "cd-1\n"], "has blanks around it"),
        (["a/b", "a\\b", "a?b", "a#b", ".", "..", "a..b", "%2e%2E", "a%252fb"], "looks like a path"),
        (["a\nb", "a\x00b", "a\u200bb"], "holds a control character"),
    ],
)
def test_an_id_that_can_be_no_campaigns_is_refused(campaign_ids: list[Any], problem: str) -> None:
    for campaign_id in campaign_ids:
        with pytest.raises(CampaignConfigError) as caught:
            campaign.validate_campaign_id(campaign_id)
        assert f"campaign_id {campaign_id!r} {problem}" in str(caught.value)
        assert "Nothing was sent" in str(caught.value)


def test_a_result_has_the_same_keys_whatever_is_known_and_no_repr_shows_the_response() -> None:
    result = Campaign("c-1", "Active", raw={"phone": "secret"}).as_dict()
    assert list(result) == ["campaign_id", "status", "message", "updated_at", "already_stopped", "raw"]
    assert list(result.values()) == ["c-1", "Active", None, None, False, {"phone": "secret"}]
    assert "secret" not in repr(Campaign("c-1", "Active", raw={"phone": "secret"}))


def test_only_errors_that_a_retry_may_fix_use_up_retries() -> None:
    fixed_by_a_retry = {"CampaignError", "CampaignRecordError", "CampaignUnavailableError", "CampaignRateLimitError"}
    fixed_by_a_retry |= {"CampaignTimeoutError", "CampaignSweepError"}
    for name in exceptions.__all__:
        error = getattr(exceptions, name)
        assert issubclass(error, exceptions.CampaignError)
        assert issubclass(error, AirflowException)
        assert issubclass(error, AirflowFailException) == (name not in fixed_by_a_retry)


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("Evening 1", "Evening *", True),
        ("Evening 1", "evening *", False),
        ("Evening 1", "Evening", False),
        (" Evening 1 ", "* ?", True),
        ("b", "[ab]", True),
        ("c", "[!ab]", True),
        ("*", "[*]", True),
        ("x", "[*]", False),
        (None, "*", True),
        (None, "?", False),
        # Names that look alike match each other's pattern.
        ("Café", "Cafe\N{COMBINING ACUTE ACCENT}*", True),
        ("Cafe\N{COMBINING ACUTE ACCENT}", "Café", True),
        ("Evening\N{NARROW NO-BREAK SPACE}1", "Evening 1", True),
        ("Evening 1", "Evening\N{ZERO WIDTH SPACE}  1", True),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER E}vening", "Evening", True),
    ],
)
def test_a_pattern_matches_the_whole_name(name: str | None, pattern: str, matches: bool) -> None:
    assert campaign.matches_pattern(name, ["y", pattern]) is matches


@pytest.mark.parametrize(("name", "pattern"), [("EVENING 1", "evening [0-9]"), ("Straße", "STRASSE"), ("a", "[A-Z]")])
def test_case_is_ignored_where_that_is_wanted(name: str, pattern: str) -> None:
    assert campaign.matches_pattern(name, [pattern], ignore_case=True)
    assert not campaign.matches_pattern(name, [pattern])


@pytest.mark.parametrize(
    ("patterns", "problem"),
    [
        (["Evening [", "[a] [b", "[]"], "which has a [ that is not closed"),
        (["FL *, GA *"], "which has a , in it"),
        (["FL *|GA *"], "which has a | in it"),
        (["*", "[[]x", "[]]x", "[!]]", "a[,]b[|]", "[!,]", "x]"], None),
    ],
)
def test_a_pattern_that_is_probably_not_meant_has_a_problem(patterns: list[str], problem: str | None) -> None:
    for pattern in patterns:
        found = campaign.pattern_problem(pattern)
        assert (found and found[0]) == problem
