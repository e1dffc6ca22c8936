"""Which campaign has which calling hours, and what closed dates and overrides make of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_campaign.calling_hours import CallingHours, CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignConfigError
from tests.calling_hours import daily

HOURS = daily("America/New_York", ("8:00 AM", "9:00 PM"))
UTC_HOURS = daily("UTC", ("8:00 AM", "9:00 PM"))
SOUTH = [{**HOURS, "name_pattern": ["FL-*", "GA-*"], "name": "south"}, {"open": True}]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def campaign(name: str | None = "Evening 1", campaign_type: str | None = "sms") -> Campaign:
    return Campaign("cd-1", "Active", name, campaign_type)


def ends(value: Any, start: str, until: str) -> list[str]:
    found = CallingRules.read(value).ends(utc(start), utc(until))
    return [f"{rule.name} {end:%m-%d %H:%M}" for rule, end in found]


@pytest.mark.parametrize("value", [SOUTH, tuple(SOUTH), json.dumps(SOUTH), f" {SOUTH!r}\n"])
def test_a_list_is_taken_as_python_and_as_text(value: Any) -> None:
    rules = CallingRules.read(value)
    assert [(rule.name, rule.name_patterns) for rule in rules.rules] == [("south", ("FL-*", "GA-*")), ("*", ("*",))]
    assert rules.warnings == ()


def test_a_plain_object_is_a_rule_and_patterns_and_types_may_be_what_a_template_renders_to() -> None:
    for value in (HOURS, json.dumps(HOURS), str(HOURS)):
        rules = CallingRules.read(value)
        assert rules.rule_for(campaign(None, None)) == rules.rules[0] == CallingHours.read(HOURS)
    listed = CallingRules.read({"open": True, "name_pattern": ["FL-*", "[ab]*"], "campaign_types": ["sms", "voice"]})
    for patterns in ("['FL-*', '[ab]*']", '["FL-*", "[ab]*"]'):
        rendered = {"open": True, "name_pattern": patterns, "campaign_types": '["SMS", "voice"]'}
        assert CallingRules.read(rendered) == listed


RULES = CallingRules.read(
    [
        {"name_pattern": "FL-lower *", "open": True},
        {"name_pattern": ["fl-*", "Café *"], "ignore_case": True, "campaign_types": "SMS", "open": True},
        {"campaign_types": ["voice"], "open": True},
        {"name_pattern": "FL-*", "open": False},
    ]
)


@pytest.mark.parametrize(
    ("name", "campaign_type", "rule"),
    [
        ("FL-lower 1", "sms", "FL-lower *"),
        ("FL-Lower 1", "sms", "fl-*, Café * (sms)"),
        ("CAFE\N{COMBINING ACUTE ACCENT}\N{NO-BREAK SPACE}1", "sms", "fl-*, Café * (sms)"),
        ("FL-Lower 1", "voice", "* (voice)"),
        (None, "voice", "* (voice)"),
        ("FL-Lower 1", None, "FL-*"),
        ("fl-upper 1", None, None),
        (None, None, None),
    ],
)
def test_the_first_rule_that_matches_applies(name: str | None, campaign_type: str | None, rule: str | None) -> None:
    found = RULES.rule_for(campaign(name, campaign_type))
    assert (found.name if found else None) == rule


def test_the_rule_of_a_campaign_answers_for_it_and_without_one_it_is_closed_at_all_times() -> None:
    rules = CallingRules.read([{**HOURS, "name_pattern": "FL-*"}, {"open": True, "campaign_types": "voice"}])
    now, florida, unmatched = utc("2026-11-03T12:00"), campaign("FL-1"), campaign()
    assert [rules.is_open(each, now) for each in (florida, campaign(None, "voice"), unmatched)] == [False, True, False]
    assert rules.next_start(florida, now) == utc("2026-11-03T13:00")
    assert rules.next_end(florida, now) == utc("2026-11-04T02:00")
    assert rules.next_start(unmatched, now) is rules.next_end(unmatched, now) is None


def test_names_are_unique_and_rules_that_never_apply_are_a_warning() -> None:
    rules = CallingRules.read([{"name_pattern": "FL-*", "open": flag} for flag in (True, False, True)])
    assert [rule.name for rule in rules.rules] == ["FL-*", "FL-* (2)", "FL-* (3)"]
    rules = CallingRules.read([{"name": "emergency", "open": False}, {**HOURS, "name_pattern": "FL-*"}, HOURS])
    assert rules.warnings == (
        "Calling hours: rule 'emergency' applies to every campaign, so that 'FL-*', '*' never will.",
    )


def test_until_further_notice_there_is_no_start() -> None:
    for start in ("2026-11-03T17:00Z", "2026-11-03T18:00:00+01:00", utc("2026-11-03T17:00"), "2026-11-03 12:00"):
        hours = CallingHours.read({**HOURS, "overrides": [{"from": start, "until": None}]})
        assert hours.next_end(utc("2026-11-03T14:00")) == utc("2026-11-03T17:00")
        assert hours.next_start(utc("2026-11-03T17:00")) is None
        assert hours.last_end(utc("2027-06-01T00:00")) == utc("2026-11-03T17:00")


@pytest.mark.parametrize(
    ("override", "closes", "opens"),
    [
        ({"from": "2026-03-08T02:10", "until": "2026-03-08T02:50"}, "03-08 09:00", "03-08 13:00"),
        ({"from": "2026-03-08T02:10:30", "until": "2026-03-08T04:00"}, "03-08 07:00", "03-08 08:00"),
        ({"from": "2026-11-01T01:10", "until": "2026-11-01T01:50"}, "11-01 05:10", "11-01 06:50"),
    ],
)
def test_nobody_is_called_while_an_emergency_may_last(override: dict[str, str], closes: str, opens: str) -> None:
    """New York's clock skips 2:00 to 3:00 on 2026-03-08, and repeats 1:00 to 2:00 on 2026-11-01."""
    night = daily("America/New_York", ("9:00 AM", "8:00 PM"), ("9:00 PM", "5:00 AM"))
    hours = CallingHours.read({**night, "overrides": [override]})
    before = utc(override["from"][:10])  # the evening before, there
    found = [hours.next_end(before + timedelta(hours=1)), hours.next_start(before + timedelta(hours=2))]
    assert [f"{moment:%m-%d %H:%M}" for moment in found if moment] == [closes, opens]


def test_never_closed_and_never_open() -> None:
    now = utc("2026-11-03T12:00")
    for is_open in (True, False):
        hours = CallingHours.read({"open": is_open})
        assert hours.is_open(now) == is_open
        assert hours.next_end(now) is hours.next_start(now) is hours.last_end(now) is None
    dated = {"open": True, "timezone": "Asia/Kolkata", "closed_dates": ["2026-12-25"]}
    assert ends(dated, "2026-01-01T00:00", "2027-01-01T00:00") == ["* 12-24 18:30"]


def test_dates_until_the_end_of_time_cost_nothing() -> None:
    always = [{"from": "0001-01-01T00:00", "until": "9999-12-31T23:59"}]
    hours = CallingHours.read({**HOURS, "closed_dates": ["9999-12-31", "0001-01-01"], "overrides": always})
    assert not hours.is_open(utc("2026-11-03T15:00"))
    assert hours.next_start(utc("2026-11-03T15:00")) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[]", "has no rule"),
        ([[]], "callingHours[0] is [], not an object"),
        (None, "callingHours is None, not an object"),
        ("half a list [", "callingHours is 'half a list [', which can't be read"),
        ("[" * 100_000, "which can't be read"),
        ('{"overrides": [], "overrides": []}', "of overrides, one key stands twice"),
        ([{"open": 1}], "callingHours[0].open is 1"),
        ([{"open": True, "closed_dates": ["2026-12-25"]}], "callingHours[0].timezone is None"),
        ([{**HOURS, "name": "south"}, {**HOURS, "name": "south"}], "callingHours[1].name is 'south'"),
        ({**HOURS, "name_patterns": "FL-*"}, "callingHours has the key 'name_patterns', which is unknown."),
        ({**HOURS, "name_pattern": ["FL-*", "GA-*, TX-*"]}, "callingHours.name_pattern is 'GA-*, TX-*'"),
        ({**HOURS, "name_pattern": ["FL-*", 7]}, "callingHours.name_pattern is 7"),
        ({**HOURS, "campaign_types": ["sms", "email"]}, "callingHours.campaign_types is 'email'"),
        *(({**HOURS, "name_pattern": value}, f"callingHours.name_pattern is {value!r}") for value in ("FL-[*", "None")),
        *(({**HOURS, name: " "}, f"callingHours.{name} is ' '") for name in ("name", "ignore_case")),
    ],
)
def test_what_is_no_rule_is_refused_with_the_field_and_the_value(value: Any, problem: str) -> None:
    with pytest.raises(CampaignConfigError) as caught:
        CallingRules.read(value)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 1000
