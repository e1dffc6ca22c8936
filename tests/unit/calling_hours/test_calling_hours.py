"""Calling hours are read as the platform means them; which campaign has which, and what dates and overrides do."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.calling_hours import CallingHours, CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignConfigError
from tests.calling_hours import DAYS, daily, weekly

HOURS = daily("America/New_York", ("8:00 AM", "9:00 PM"))
NEW_YEAR = {"from": "2026-12-31T12:00", "until": "2027-01-02T00:00"}
NO_REGION, GIVE = "which is not the clock of a region", "Give a name of the IANA database, such as"
MONDAY = {"day": "MO", "start": "9:00 AM", "end": "6:00 PM"}


def shown(minute: int) -> str:
    """Return a minute of the week as one reads it: "MO 09:00"."""
    return f"{DAYS[minute // 1440 % 7]} {minute % 1440 // 60:02}:{minute % 60:02}"


def read(hours: Any) -> list[str]:
    """Return the windows as one reads them: "MO 09:00 - MO 18:00"."""
    return [f"{shown(window.start)} - {shown(window.stop)}" for window in CallingHours.read(hours).windows]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("12:00 AM", "12:00 PM", "MO 00:00 - MO 12:00"),
        ("12:30 PM", "12:30 AM", "MO 12:30 - TU 00:30"),
        ("9:00 PM", "2:00 AM", "MO 21:00 - TU 02:00"),
        ("6:00 PM", "6:00 PM", "MO 18:00 - TU 18:00"),
        ("09:00", "18:05", "MO 09:00 - MO 18:05"),
        ("9:00am", "06:00 pm", "MO 09:00 - MO 18:00"),
        ("9:00\N{NARROW NO-BREAK SPACE}AM", "6:00\N{THIN SPACE}PM", "MO 09:00 - MO 18:00"),
        ("\N{FULLWIDTH DIGIT NINE}\N{FULLWIDTH COLON}00 AM", "\N{LEFT-TO-RIGHT MARK}6:00 PM", "MO 09:00 - MO 18:00"),
    ],
)
def test_an_end_that_is_not_after_its_start_is_on_the_next_day(start: str, end: str, expected: str) -> None:
    assert read(weekly("MO", start, end)) == [expected]


def test_a_day_may_be_written_out_and_a_clock_have_an_older_name() -> None:
    for day in ("SU", "su", "Sun", "SUNDAY", " Su "):
        assert read({"timezone": "US/Eastern", "days": [{**MONDAY, "day": day}]}) == ["SU 09:00 - SU 18:00"]


@pytest.mark.parametrize(
    "hours",
    [
        {"frequency": "DAILY", "timezone": "UTC", "start": "9:00 AM", "end": "6:00 PM"},
        {"frequency": "daily", "timezone": "Etc/UTC", "days": [{**MONDAY, "day": None}]},
        {**weekly(" ".join(DAYS), "9:00 AM", "6:00 PM"), "frequency": "CUSTOM"},
    ],
)
def test_daily_hours_are_open_every_day_in_whichever_form_they_come(hours: dict[str, Any]) -> None:
    assert read(hours) == [f"{day} 09:00 - {day} 18:00" for day in DAYS]


def test_windows_that_overlap_or_touch_are_one_over_the_end_of_the_week_too() -> None:
    hours = weekly("SA SU", "6:00 PM", "9:30 PM")
    hours["days"] += weekly("SA SU", "9:00 PM", "2:00 AM")["days"] + weekly("MO", "2:00", "5:00")["days"]
    assert read(hours) == ["SA 18:00 - SU 02:00", "SU 18:00 - MO 05:00"]


def test_closed_dates_and_overrides_may_be_what_a_template_renders_to() -> None:
    dated = {"closed_dates": ["2026-12-25"], "overrides": [{**NEW_YEAR, "open": True}]}
    texts = {key: json.dumps(value) for key, value in dated.items()}
    native = {"closed_dates": [date(2026, 12, 25)], "overrides": str(dated["overrides"])}
    expected = CallingHours.read({**HOURS, **dated})
    blanks: tuple[Any, ...] = ("", " ", "[]", [], None)
    for blank in blanks:  # a variable that was emptied lifts all overrides
        assert CallingHours.read({**HOURS, "overrides": blank}).overrides == ()
    assert CallingHours.read({**HOURS, **texts}) == CallingHours.read({**HOURS, **native}) == expected


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"days": [{"start": "6:00 AM", "end": "10:00 PM"}]}, None),
        ({"days": [{"start": "9:00 AM", "end": "8:00 AM"}]}, "days[0] is open for 23 hours. Look whether AM stands"),
        ({"closed_dates": []}, "closed_dates is empty. Look whether its years were given."),
        ({"overrides": [NEW_YEAR, {"from": "2026-11-03T12:00", "until": None}]}, None),
        (
            {"overrides": [NEW_YEAR, {"from": "2026-11-03T12:00", "open": True, "reason": "storm alerts"}]},
            "overrides[1] is open until further notice (storm alerts): nothing is stopped from then on. Give it",
        ),
    ],
)
def test_what_is_hardly_meant_is_a_warning(change: dict[str, Any], warning: str | None) -> None:
    warnings = CallingHours.read({**HOURS, **change}).warnings
    assert len(warnings) == (warning is not None)
    assert all(f"Calling hours: callingHours.{warning}" in each for each in warnings)


ODD_FIELDS = {
    "frequency": ("MONTHLY", 0),
    "timezone": ("Mars/Olympus", "../../etc/passwd", "America", "", None, ["UTC"]),
    "days": ([],),
    "closed_dates": ("2026-12-25",),
    "overrides": ("{{ var.value.emergency }}",),
}
ODD_DAYS = [
    *(("day", day) for day in ("M", None)),
    *(("end", end) for end in ("9", "13:00 PM", "0:00 AM", "6:60 PM", "24:00")),
]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        *(({name: value}, f"{name} is {value!r}") for name, values in ODD_FIELDS.items() for value in values),
        *(({"days": [{**MONDAY, name: value}]}, f"days[0].{name} is {value!r}") for name, value in ODD_DAYS),
        ({"timezone": "EST"}, f"timezone is 'EST', {NO_REGION}. {GIVE} 'America/New_York'."),
        ({"timezone": "pst"}, f"timezone is 'pst', which is not a time zone. {GIVE} 'America/Los_Angeles'."),
        ({"timezone": "Etc/GMT+5"}, f"timezone is 'Etc/GMT+5', {NO_REGION}"),
        ({"timezone": "Singapore"}, f"timezone is 'Singapore', {NO_REGION}"),
        ({"days": {"MO": MONDAY}}, "days is {'MO'"),
        ({"days": None}, "start is None"),
        ({"days": ["MO"]}, "days[0] is 'MO'"),
        ({"days": [MONDAY, {**MONDAY, "day": "XX"}]}, "days[1].day is 'XX'"),
        ({"frequency": "DAILY", "days": [{**MONDAY, "day": 0}]}, "days[0].day is 0"),
        (daily("UTC", ("12:00 AM", "12:00 AM")), "days cover the whole week"),
        (daily("UTC", ("8:00 AM", "8:00 PM"), ("8:00 PM", "8:00 AM")), "days cover the whole week"),
        ({"open": True}, "open is True, which can't be given with hours"),
        ({"closed_dates": ["2026-12-25", "25.12.2026"]}, "closed_dates[1] is '25.12.2026'"),
        ({"closed_dates": [datetime(2026, 12, 25)]}, "closed_dates[0] is datetime"),
        ({"overrides": ["closed"]}, "overrides[0] is 'closed'"),
        ({"overrides": [{"until": None}]}, "overrides[0].from is None"),
        ({"overrides": [{**NEW_YEAR, "from": "2026-12-31"}]}, "overrides[0].from is '2026-12-31'"),
        ({"overrides": [{**NEW_YEAR, "until": date(2027, 1, 1)}]}, "overrides[0].until is datetime.date"),
        ({"overrides": [{**NEW_YEAR, "until": "2026-12-31T12:00"}]}, "overrides[0].until is"),
        ({"overrides": [{**NEW_YEAR, "open": "false"}]}, "overrides[0].open is 'false'"),
        ({"overrides": [{**NEW_YEAR, "from": "0001-01-01T00:00+14:00"}]}, "overrides[0].from is"),
    ],
)
def test_the_error_names_field_and_value_and_the_fix(change: dict[str, Any], error: str) -> None:
    with pytest.raises(CampaignConfigError) as caught:
        CallingHours.read({"frequency": "WEEKLY", "timezone": "UTC", "days": [MONDAY], **change})
    assert str(caught.value).startswith(f"Calling hours: callingHours.{error}")
    assert any(word in str(caught.value) for word in ("Use ", "Give "))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"holidays": ["2026-12-25"]}, "callingHours has the key 'holidays'"),
        ({"overrides": [{**NEW_YEAR, "to": ""}]}, "callingHours.overrides[0] has the key 'to'"),
        ({"days": [{"start": "9:00", "ends": "18:00"}]}, "callingHours.days[0] has the key 'ends'"),
    ],
)
def test_an_unknown_key_is_an_error_with_those_that_there_are(change: dict[str, Any], key: str) -> None:
    with pytest.raises(CampaignConfigError) as caught:
        CallingHours.read({**HOURS, **change})
    assert str(caught.value).startswith(f"Calling hours: {key}, which is unknown. Use some of ")


KEYS = ["frequency", "timezone", "days", "day", "start", "end", "open", "closed_dates", "overrides", "from", "until"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["MO", "9:00 AM", "UTC"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    )
)
def test_whatever_json_comes_only_the_one_error_comes_out(document: Any) -> None:
    with contextlib.suppress(CampaignConfigError):
        CallingHours.read(document)


def test_a_weeks_only_window_that_the_clock_skips_comes_in_the_next_week() -> None:
    hours = CallingHours.read(weekly("SU", "2:10 AM", "2:50 AM", "America/New_York"))
    assert hours.next_end(datetime(2026, 3, 1, 12, tzinfo=UTC)) == datetime(2026, 3, 15, 6, 50, tzinfo=UTC)
    assert hours.last_end(datetime(2026, 3, 9, 5, tzinfo=UTC)) == datetime(2026, 3, 1, 7, 50, tzinfo=UTC)


# Rules.

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
