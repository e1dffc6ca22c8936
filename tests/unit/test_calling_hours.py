"""Calling hours are read as the platform means them, and followed through every change of the clock."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.exceptions import CampaignConfigError
from tests.calling_hours import DAYS, daily, weekly

EVERY_DAY = " ".join(DAYS)


def shown(minute: int) -> str:
    """Return a minute of the week as one reads it: "MO 09:00"."""
    return f"{DAYS[minute // 1440 % 7]} {minute % 1440 // 60:02}:{minute % 60:02}"


def read(hours: Any) -> list[str]:
    """Return the windows as one reads them: "MO 09:00 - MO 18:00"."""
    return [f"{shown(window.start)} - {shown(window.stop)}" for window in CallingHours.read(hours).windows]


class TestReading:
    def test_the_platforms_own_sample_is_a_window_a_day(self) -> None:
        assert read(weekly("MO TU", "9:00 AM", "6:00 PM")) == ["MO 09:00 - MO 18:00", "TU 09:00 - TU 18:00"]

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            ("12:00 AM", "12:00 PM", "MO 00:00 - MO 12:00"),
            ("12:30 PM", "12:30 AM", "MO 12:30 - TU 00:30"),
            ("12:30 AM", "12:30 PM", "MO 00:30 - MO 12:30"),
            ("9:00 PM", "2:00 AM", "MO 21:00 - TU 02:00"),
            ("6:00 PM", "6:00 PM", "MO 18:00 - TU 18:00"),
            ("09:00", "18:05", "MO 09:00 - MO 18:05"),
            ("00:00", "24:00", "MO 00:00 - TU 00:00"),
            ("9:00am", "06:00 pm", "MO 09:00 - MO 18:00"),
        ],
    )
    def test_an_end_that_is_not_after_its_start_is_on_the_next_day(self, start: str, end: str, expected: str) -> None:
        assert read(weekly("MO", start, end)) == [expected]

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("9:00\N{NARROW NO-BREAK SPACE}AM", "6:00\N{NARROW NO-BREAK SPACE}PM"),
            ("9:00\N{NO-BREAK SPACE}AM", "6:00\N{NO-BREAK SPACE}PM"),
            ("9:00\N{THIN SPACE}AM", "6:00\N{THIN SPACE}PM"),
            ("\N{FULLWIDTH DIGIT NINE}\N{FULLWIDTH COLON}00 AM", "\N{LEFT-TO-RIGHT MARK}6:00 PM"),
            ("9:00 a.m.", "6:00 P.M."),
            ("9:00 a.\N{NO-BREAK SPACE}m.", "6:00 p. m."),
        ],
    )
    def test_a_time_may_be_written_as_other_software_shows_it(self, start: str, end: str) -> None:
        assert read(weekly("MO", start, end)) == ["MO 09:00 - MO 18:00"]

    @pytest.mark.parametrize("day", ["SU", "su", "Sun", "SUNDAY", " Su "])
    def test_a_day_may_be_written_out(self, day: str) -> None:
        hours = {"timezone": "UTC", "days": [{"day": day, "start": "9:00 AM", "end": "6:00 PM"}]}
        assert read(hours) == ["SU 09:00 - SU 18:00"]

    @pytest.mark.parametrize(
        "hours",
        [
            {"frequency": "DAILY", "timezone": "UTC", "start": "9:00 AM", "end": "6:00 PM"},
            {"frequency": "daily", "timezone": "Etc/UTC", "days": [{"start": "9:00 AM", "end": "6:00 PM"}]},
            {"frequency": "DAILY", "timezone": "UTC", "days": [{"day": None, "start": "9:00 AM", "end": "6:00 PM"}]},
            {**weekly(EVERY_DAY, "9:00 AM", "6:00 PM"), "frequency": "CUSTOM"},
        ],
    )
    def test_daily_hours_are_open_every_day_in_whichever_form_they_come(self, hours: dict[str, Any]) -> None:
        assert read(hours) == [f"{day} 09:00 - {day} 18:00" for day in DAYS]

    def test_windows_that_overlap_or_touch_are_one_over_the_end_of_the_week_too(self) -> None:
        hours = weekly("SA SU", "6:00 PM", "9:30 PM")
        hours["days"] += weekly("SA SU", "9:00 PM", "2:00 AM")["days"] + weekly("MO", "2:00", "5:00")["days"]
        assert read(hours) == ["SA 18:00 - SU 02:00", "SU 18:00 - MO 05:00"]


def test_a_window_of_days_has_one_end_a_week() -> None:
    days = weekly("SU MO TU WE TH", "0:00", "24:00")["days"]
    days += [*weekly("SA", "12:00", "24:00")["days"], *weekly("FR", "0:00", "12:00")["days"]]
    hours = CallingHours.read({"timezone": "UTC", "days": days})
    moment, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
    assert [f"{end:%a %H:%M}" for end in hours.ends(moment, until)] == ["Fri 12:00"] * 52
    while moment < until:
        is_weekend = f"{moment:%a %H}" in {f"Fri {hour}" for hour in range(12, 24)} | {f"Sat {h:02}" for h in range(12)}
        assert hours.is_open(moment) is not is_weekend, moment
        moment += timedelta(hours=1)


class TestWhatIsHardlyMeant:
    def test_an_end_in_the_morning_that_was_meant_for_the_evening_is_a_warning(self) -> None:
        hours = weekly("MO TU", "9:00 AM", "8:00 AM")
        hours["days"][0]["end"] = "8:00 PM"
        assert CallingHours.read(hours).warnings == (
            "Calling hours: callingHours.days[1] is open for 23 hours, from 09:00 to 08:00. "
            "Look whether AM stands where PM is meant.",
        )

    def test_sixteen_hours_are_usual(self) -> None:
        assert not CallingHours.read(daily("UTC", ("6:00 AM", "10:00 PM"))).warnings


class TestWhatCantBeRead:
    MONDAY = {"day": "MO", "start": "9:00 AM", "end": "6:00 PM"}

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"frequency": "MONTHLY"}, "callingHours.frequency is 'MONTHLY'"),
            ({"frequency": ["DAILY"]}, "callingHours.frequency is ['DAILY']"),
            ({"frequency": 0}, "callingHours.frequency is 0"),
            ({"timezone": "Mars/Olympus"}, "callingHours.timezone is 'Mars/Olympus'"),
            ({"timezone": "America"}, "callingHours.timezone is 'America'"),
            ({"timezone": "../../etc/passwd"}, "callingHours.timezone is '../../etc/passwd'"),
            ({"timezone": ""}, "callingHours.timezone is ''"),
            ({"timezone": None}, "callingHours.timezone is None"),
            ({"timezone": 5.5}, "callingHours.timezone is 5.5"),
            ({"timezone": ["UTC"]}, "callingHours.timezone is ['UTC']"),
            ({"days": []}, "callingHours.days is []"),
            ({"days": "MO"}, "callingHours.days is 'MO'"),
            ({"days": {"MO": MONDAY}}, "callingHours.days is {'MO'"),
            ({"days": None}, "callingHours.start is None"),
            ({"days": ["MO"]}, "callingHours.days[0] is 'MO'"),
            ({"days": [MONDAY, {**MONDAY, "day": "XX"}]}, "callingHours.days[1].day is 'XX'"),
            ({"days": [{**MONDAY, "day": "M"}]}, "callingHours.days[0].day is 'M'"),
            ({"days": [{**MONDAY, "day": None}]}, "callingHours.days[0].day is None"),
            ({"days": [{**MONDAY, "day": ["MO", "TU"]}]}, "callingHours.days[0].day is ['MO', 'TU']"),
            ({"frequency": "DAILY", "days": [{**MONDAY, "day": []}]}, "callingHours.days[0].day is []"),
            ({"frequency": "DAILY", "days": [{**MONDAY, "day": 0}]}, "callingHours.days[0].day is 0"),
            ({"frequency": "CUSTOM", "days": [{"start": "9:00 AM", "end": "6:00 PM"}]}, "callingHours.days[0].day is"),
            ({"days": [{**MONDAY, "start": None}]}, "callingHours.days[0].start is None"),
            ({"days": [{**MONDAY, "start": 9}]}, "callingHours.days[0].start is 9"),
            ({"days": [{**MONDAY, "end": "9"}]}, "callingHours.days[0].end is '9'"),
            ({"days": [{**MONDAY, "end": "13:00 PM"}]}, "callingHours.days[0].end is '13:00 PM'"),
            ({"days": [{**MONDAY, "end": "0:00 AM"}]}, "callingHours.days[0].end is '0:00 AM'"),
            ({"days": [{**MONDAY, "end": "6:60 PM"}]}, "callingHours.days[0].end is '6:60 PM'"),
            ({"days": [{**MONDAY, "end": "24:01"}]}, "callingHours.days[0].end is '24:01'"),
            ({"days": [{**MONDAY, "end": "24:00 PM"}]}, "callingHours.days[0].end is '24:00 PM'"),
            ({"days": [{**MONDAY, "end": "noon"}]}, "callingHours.days[0].end is 'noon'"),
        ],
    )
    def test_the_error_names_field_and_value_and_the_fix(self, change: dict[str, Any], field: str) -> None:
        with pytest.raises(CampaignConfigError) as caught:
            CallingHours.read({"frequency": "WEEKLY", "timezone": "UTC", "days": [self.MONDAY], **change})
        assert str(caught.value).startswith(f"Calling hours: {field}")
        assert any(word in str(caught.value) for word in ("Use ", "Give "))

    @pytest.mark.parametrize("hours", [None, "WEEKLY", [], 9])
    def test_what_is_no_object_is_refused(self, hours: Any) -> None:
        with pytest.raises(CampaignConfigError, match=r"callingHours is .*not an object"):
            CallingHours.read(hours)

    @pytest.mark.parametrize(
        ("timezone", "meant"),
        [
            ("EST", "America/New_York"),
            ("est", "America/New_York"),
            ("EDT", "America/New_York"),
            ("EST5EDT", "America/New_York"),
            ("Etc/GMT+5", "America/New_York"),
            ("MST", "America/Denver"),
            ("PST8PDT", "America/Los_Angeles"),
            ("HST", "Pacific/Honolulu"),
            ("IST", "Asia/Kolkata"),
            ("GMT", "Europe/London"),
            ("CET", "Europe/Berlin"),
            ("GMT+5", "America/New_York"),
            ("Etc/GMT-3", "America/New_York"),
            ("Singapore", "Asia/Kolkata"),
        ],
    )
    def test_a_zone_that_is_no_regions_is_refused_with_one_that_is(self, timezone: str, meant: str) -> None:
        with pytest.raises(
            CampaignConfigError, match=rf"timezone is '{timezone.replace('+', '.')}', .*Give .*'{meant}'"
        ):
            CallingHours.read(weekly("MO", "9:00 AM", "6:00 PM", timezone))

    @pytest.mark.parametrize("timezone", ["Asia/Calcutta", "US/Eastern", "America/Argentina/Buenos_Aires"])
    def test_another_name_of_a_regions_clock_is_taken(self, timezone: str) -> None:
        assert CallingHours.read(weekly("MO", "9:00 AM", "6:00 PM", timezone)).zone.key == timezone

    @pytest.mark.parametrize(
        "hours",
        [daily("UTC", ("12:00 AM", "12:00 AM")), daily("UTC", ("8:00 AM", "8:00 PM"), ("8:00 PM", "8:00 AM"))],
    )
    def test_hours_around_the_clock_neither_end_nor_start(self, hours: dict[str, Any]) -> None:
        with pytest.raises(CampaignConfigError, match=r"callingHours\.days cover the whole week"):
            CallingHours.read(hours)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["MO", "9:00 AM", "UTC"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["frequency", "timezone", "days", "day", "start", "end"]), inner, max_size=6
                )
            ),
        )
    )
    def test_whatever_json_comes_only_the_one_error_comes_out(self, document: Any) -> None:
        with contextlib.suppress(CampaignConfigError):
            CallingHours.read(document)


class TestWhenTheClockChanges:
    """Real dates: New York's clock skips 2:00 to 3:00 on 2026-03-08, and repeats 1:00 to 2:00 on 2026-11-01."""

    @pytest.mark.parametrize(
        ("window", "day", "opens", "closes"),
        [
            (("9:00 AM", "9:00 PM"), "2026-03-07", "03-07 09:00 -0500", "03-07 21:00 -0500"),
            (("9:00 AM", "9:00 PM"), "2026-03-08", "03-08 09:00 -0400", "03-08 21:00 -0400"),
            (("9:00 PM", "2:30 AM"), "2026-03-07", "03-07 21:00 -0500", "03-08 03:00 -0400"),
            (("2:30 AM", "9:00 PM"), "2026-03-08", "03-08 03:00 -0400", "03-08 21:00 -0400"),
            (("2:10 AM", "2:50 AM"), "2026-03-08", "03-09 02:10 -0400", "03-09 02:50 -0400"),
            (("9:00 PM", "1:30 AM"), "2026-10-31", "10-31 21:00 -0400", "11-01 01:30 -0400"),
            (("9:00 PM", "2:00 AM"), "2026-10-31", "10-31 21:00 -0400", "11-01 02:00 -0500"),
            (("1:30 AM", "9:00 PM"), "2026-11-01", "11-01 01:30 -0500", "11-01 21:00 -0500"),
            (("1:10 AM", "1:50 AM"), "2026-11-01", "11-02 01:10 -0500", "11-02 01:50 -0500"),
        ],
    )
    def test_nobody_is_called_early_or_late(self, window: tuple[str, str], day: str, opens: str, closes: str) -> None:
        zone = ZoneInfo("America/New_York")
        hours = CallingHours.read(daily(zone.key, window))
        start = hours.next_start(datetime.fromisoformat(day).replace(tzinfo=zone))
        assert start
        moments = [start, hours.next_end(start)]
        assert [moment.astimezone(zone).strftime("%m-%d %H:%M %z") for moment in moments if moment] == [opens, closes]

    def test_windows_between_which_the_clock_leaves_no_time_are_one(self) -> None:
        hours = CallingHours.read(daily("America/New_York", ("9:00 PM", "2:10 AM"), ("2:50 AM", "8:00 AM")))
        evening = datetime(2026, 3, 8, 2, tzinfo=UTC)
        assert hours.next_end(evening) == datetime(2026, 3, 8, 12, tzinfo=UTC)
        assert hours.next_start(evening) == datetime(2026, 3, 9, 1, tzinfo=UTC)

    def test_a_weeks_only_window_that_the_clock_skips_comes_in_the_next_week(self) -> None:
        hours = CallingHours.read(weekly("SU", "2:10 AM", "2:50 AM", "America/New_York"))
        assert hours.next_end(datetime(2026, 3, 1, 12, tzinfo=UTC)) == datetime(2026, 3, 15, 6, 50, tzinfo=UTC)
        assert hours.last_end(datetime(2026, 3, 9, 5, tzinfo=UTC)) == datetime(2026, 3, 1, 7, 50, tzinfo=UTC)
