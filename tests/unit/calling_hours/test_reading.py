"""Calling hours are read as the platform means them, and followed through every change of the clock."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.calling_hours import CallingHours
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
