"""Calling hours as schedules: every end is run at, on every line of Airflow, and in every night of the year."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.serialization import serialized_objects
from airflow.timetables.base import TimeRestriction
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_campaign import timetables
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.timetables import calling_hours_end, calling_hours_start
from airflow_provider_campaign.version_compat import trigger_timetables

SEVERAL = trigger_timetables()[1] is not None
needs_several = pytest.mark.skipif(not SEVERAL, reason="Airflow 2 has no timetable for several cron expressions")

DAG_SERIALIZATION = "DagSerialization" if hasattr(serialized_objects, "DagSerialization") else "SerializedDAG"
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def weekly(days: str, start: str, end: str, timezone: str = "Asia/Kolkata") -> dict[str, Any]:
    """Return calling hours with the same window on some days."""
    windows = [{"day": day, "start": start, "end": end} for day in days.split()]
    return {"frequency": "WEEKLY", "timezone": timezone, "days": windows}


def daily(timezone: str, *windows: tuple[str, str]) -> dict[str, Any]:
    """Return calling hours with the same windows every day."""
    return {"frequency": "DAILY", "timezone": timezone, "days": [{"start": a, "end": b} for a, b in windows]}


def scheduled(timetable: Any) -> Any:
    """Return a timetable as the scheduler has it: out of the DAG that was serialised to JSON and back."""
    serialization: Any = getattr(serialized_objects, DAG_SERIALIZATION)
    dag = DAG("window", schedule=timetable, start_date=pendulum.datetime(2020, 1, 1))
    return serialization.from_dict(json.loads(json.dumps(serialization.to_dict(dag)))).timetable


def crons(timetable: Any) -> list[str]:
    """Return the cron expressions that the scheduler has."""
    return str(scheduled(timetable).summary).split(", ")


def runs(timetable: Any, start: datetime, end: datetime) -> list[datetime]:
    """Return the moments (UTC) at which the scheduler makes a run, from one moment to another."""
    core, last, found = scheduled(timetable), None, []
    restriction = TimeRestriction(earliest=pendulum.instance(start), latest=pendulum.instance(end), catchup=True)
    while info := core.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        found.append(info.run_after.astimezone(UTC))
        last = info.data_interval
    return found


def local_runs(timetable: Any, timezone: str, start: str, end: str) -> list[str]:
    """Return the runs between two local days, each as the clock on the wall shows it, with the offset from UTC."""
    zone = ZoneInfo(timezone)
    first, last = (datetime.fromisoformat(day).replace(tzinfo=zone) for day in (start, end))
    return [
        run.astimezone(zone).strftime("%m-%d %H:%M %z") for run in runs(timetable, first, last.astimezone(UTC) - MINUTE)
    ]


@pytest.fixture
def new_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let today be 1 January 2026, so that the changes of the clock that are ahead are those of that year."""
    set_today(monkeypatch, datetime(2026, 1, 1, tzinfo=UTC))


def set_today(monkeypatch: pytest.MonkeyPatch, today: datetime) -> None:
    class Calendar(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return today.astimezone(tz)

    monkeypatch.setattr(timetables, "datetime", Calendar)


class TestReading:
    def test_the_weekdays_of_the_platforms_own_sample_make_one_expression(self) -> None:
        hours = weekly("MO TU WE TH FR", "9:00 AM", "6:00 PM")
        assert crons(calling_hours_end(hours)) == ["0 18 * * 1-5"]
        assert crons(calling_hours_start(hours)) == ["0 9 * * 1-5"]

    def test_they_are_kept_in_the_campaigns_time_zone(self) -> None:
        timetable = calling_hours_end(weekly("MO", "9:00 AM", "6:00 PM"))
        assert runs(timetable, datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)) == [
            datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
        ]

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            ("12:00 AM", "12:00 PM", "0 12 * * 1"),
            ("12:00 PM", "12:00 AM", "0 0 * * 2"),
            ("12:30 AM", "12:30 PM", "30 12 * * 1"),
            ("12:30 PM", "12:30 AM", "30 0 * * 2"),
            ("9:00 PM", "2:00 AM", "0 2 * * 2"),
            ("6:00 PM", "6:00 PM", "0 18 * * 2"),
            ("09:00", "18:05", "5 18 * * 1"),
            ("00:00", "24:00", "0 0 * * 2"),
            ("9:00am", "06:00 pm", "0 18 * * 1"),
            ("9:00 AM", "11:59 PM", "59 23 * * 1"),
        ],
    )
    def test_an_end_that_is_not_after_its_start_is_on_the_next_day(self, start: str, end: str, expected: str) -> None:
        assert crons(calling_hours_end(weekly("MO", start, end))) == [expected]

    def test_an_end_on_sunday_at_midnight_is_on_monday(self) -> None:
        assert crons(calling_hours_end(weekly("SU", "9:00 AM", "12:00 AM"))) == ["0 0 * * 1"]

    @pytest.mark.parametrize("day", ["SU", "su", "Sun", "SUNDAY", " Su "])
    def test_a_day_may_be_written_out(self, day: str) -> None:
        hours = {"timezone": "UTC", "days": [{"day": day, "start": "9:00 AM", "end": "6:00 PM"}]}
        assert crons(calling_hours_end(hours)) == ["0 18 * * 7"]

    @pytest.mark.parametrize(
        "hours",
        [
            {"frequency": "DAILY", "timezone": "UTC", "start": "9:00 AM", "end": "6:00 PM"},
            {"frequency": "daily", "timezone": "UTC", "days": [{"start": "9:00 AM", "end": "6:00 PM"}]},
            {"frequency": "DAILY", "timezone": "UTC", "days": [{"day": None, "start": "9:00 AM", "end": "6:00 PM"}]},
            {**weekly(" ".join(DAYS), "9:00 AM", "6:00 PM", "UTC"), "frequency": "DAILY"},
        ],
    )
    def test_daily_hours_end_every_day_in_whichever_form_they_come(self, hours: dict[str, Any]) -> None:
        assert crons(calling_hours_end(hours)) == ["0 18 * * *"]

    def test_custom_hours_are_read_by_their_days(self) -> None:
        hours = {**weekly("SA SU", "10:00 AM", "4:00 PM"), "frequency": "CUSTOM"}
        assert crons(calling_hours_end(hours)) == ["0 16 * * 6-7"]


class TestWindows:
    def test_windows_that_overlap_or_touch_end_once(self) -> None:
        hours = daily("UTC", ("9:00", "12:00"), ("12:00", "15:00"), ("14:00", "18:00"), ("16:00", "17:00"))
        assert crons(calling_hours_end(hours)) == ["0 18 * * *"]
        assert crons(calling_hours_start(hours)) == ["0 9 * * *"]

    def test_a_window_over_midnight_touches_the_next_days(self) -> None:
        hours = weekly("MO", "9:00 PM", "2:00 AM")
        hours["days"].append({"day": "TU", "start": "1:00 AM", "end": "5:00 AM"})
        assert crons(calling_hours_end(hours)) == ["0 5 * * 2"]
        assert crons(calling_hours_start(hours)) == ["0 21 * * 1"]

    def test_a_window_over_the_end_of_the_week_touches_mondays(self) -> None:
        hours = weekly("SU", "9:00 PM", "2:00 AM")
        hours["days"].append({"day": "MO", "start": "2:00 AM", "end": "5:00 AM"})
        assert crons(calling_hours_end(hours)) == ["0 5 * * 1"]

    def test_several_windows_a_day_share_an_expression_where_one_can_say_it(self) -> None:
        hours = daily("Europe/Berlin", ("9:00", "12:30"), ("13:00", "18:30"))
        assert crons(calling_hours_end(hours)) == ["30 12,18 * * *"]
        assert crons(calling_hours_end(daily("UTC", ("9:00", "12:00"), ("12:10", "12:30")))) == ["0,30 12 * * *"]

    @needs_several
    def test_days_with_different_ends_take_one_expression_each(self) -> None:
        hours = weekly("MO TU WE TH", "9:00 AM", "6:00 PM")
        hours["days"] += weekly("FR SA", "9:00 AM", "1:00 PM")["days"]
        assert crons(calling_hours_end(hours)) == ["0 18 * * 1-4", "0 13 * * 5-6"]

    @pytest.mark.skipif(SEVERAL, reason="this Airflow has a timetable for several cron expressions")
    def test_what_takes_several_expressions_is_refused_on_airflow_2_with_the_way_out(self) -> None:
        hours = weekly("MO", "9:00 AM", "6:00 PM")
        hours["days"] += weekly("SA", "9:00 AM", "1:00 PM")["days"]
        with pytest.raises(
            CampaignConfigError, match=r"0 18 \* \* 1; 0 13 \* \* 6.*a DAG of its own.*or use Airflow 3"
        ):
            calling_hours_end(hours)

    @pytest.mark.parametrize("make", [calling_hours_end, calling_hours_start])
    @pytest.mark.parametrize(
        "hours",
        [daily("UTC", ("12:00 AM", "12:00 AM")), daily("UTC", ("8:00 AM", "8:00 PM"), ("8:00 PM", "8:00 AM"))],
    )
    def test_hours_around_the_clock_have_no_schedule(self, make: Any, hours: dict[str, Any]) -> None:
        with pytest.raises(CampaignConfigError, match=r"callingHours\.days cover the whole week"):
            make(hours)


class TestOffset:
    @pytest.mark.parametrize(
        ("offset", "expected"),
        [
            (timedelta(minutes=-5), "55 17 * * 1-5"),
            (timedelta(minutes=10), "10 18 * * 1-5"),
            (timedelta(hours=6), "0 0 * * 2-6"),
            (timedelta(hours=-18, minutes=-1), "59 23 * * 1,2,3,4,7"),
            (timedelta(days=2), "0 18 * * 3-7"),
        ],
    )
    def test_an_offset_moves_the_schedule_over_midnight_too(self, offset: timedelta, expected: str) -> None:
        hours = weekly("MO TU WE TH FR", "9:00 AM", "6:00 PM")
        assert crons(calling_hours_end(hours, offset)) == [expected]

    def test_a_start_can_be_moved_as_well(self) -> None:
        hours = weekly("MO", "12:05 AM", "6:00 PM")
        assert crons(calling_hours_start(hours, timedelta(minutes=-10))) == ["55 23 * * 7"]

    @pytest.mark.parametrize("offset", [timedelta(seconds=30), timedelta(minutes=-1, seconds=-1)])
    def test_an_offset_of_less_than_a_minute_is_refused(self, offset: timedelta) -> None:
        with pytest.raises(CampaignConfigError, match=r"offset is .*whole minutes.*timedelta\(minutes=…\)"):
            calling_hours_end(weekly("MO", "9:00 AM", "6:00 PM"), offset)


class TestWhatCantBeRead:
    MONDAY = {"day": "MO", "start": "9:00 AM", "end": "6:00 PM"}

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"frequency": "MONTHLY"}, "callingHours.frequency is 'MONTHLY'"),
            ({"timezone": "Mars/Olympus"}, "callingHours.timezone is 'Mars/Olympus'"),
            ({"timezone": "America"}, "callingHours.timezone is 'America'"),
            ({"timezone": "../../etc/passwd"}, "callingHours.timezone is '../../etc/passwd'"),
            ({"timezone": ""}, "callingHours.timezone is ''"),
            ({"timezone": None}, "callingHours.timezone is None"),
            ({"timezone": 5.5}, "callingHours.timezone is 5.5"),
            ({"days": []}, "callingHours.days is []"),
            ({"days": "MO"}, "callingHours.days is 'MO'"),
            ({"days": None}, "callingHours.start is None"),
            ({"days": ["MO"]}, "callingHours.days[0] is 'MO'"),
            ({"days": [MONDAY, {**MONDAY, "day": "XX"}]}, "callingHours.days[1].day is 'XX'"),
            ({"days": [{**MONDAY, "day": "M"}]}, "callingHours.days[0].day is 'M'"),
            ({"days": [{**MONDAY, "day": None}]}, "callingHours.days[0].day is None"),
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
            calling_hours_end({"frequency": "WEEKLY", "timezone": "UTC", "days": [self.MONDAY], **change})
        assert str(caught.value).startswith(f"Calling hours: {field}")
        assert any(word in str(caught.value) for word in ("Use ", "Give "))

    @pytest.mark.parametrize("hours", [None, "WEEKLY", []])
    def test_what_is_no_object_is_refused(self, hours: Any) -> None:
        with pytest.raises(CampaignConfigError, match=r"callingHours is .*not an object"):
            calling_hours_end(hours)

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
            calling_hours_end(document)


class TestClockChanges:
    """Real dates: clocks go forward on 2026-03-08 and back on 2026-11-01 in New York, 03-29 and 10-25 in Berlin."""

    @pytest.mark.parametrize(
        ("timezone", "day", "expected"),
        [
            ("America/New_York", "2026-03-07", ["03-07 21:00 -0500", "03-08 21:00 -0400", "03-09 21:00 -0400"]),
            ("America/New_York", "2026-10-31", ["10-31 21:00 -0400", "11-01 21:00 -0500", "11-02 21:00 -0500"]),
            ("Europe/Berlin", "2026-03-28", ["03-28 21:00 +0100", "03-29 21:00 +0200", "03-30 21:00 +0200"]),
            ("Europe/Berlin", "2026-10-24", ["10-24 21:00 +0200", "10-25 21:00 +0100", "10-26 21:00 +0100"]),
            ("Australia/Lord_Howe", "2026-04-04", ["04-04 21:00 +1100", "04-05 21:00 +1030", "04-06 21:00 +1030"]),
            ("Australia/Lord_Howe", "2026-10-03", ["10-03 21:00 +1030", "10-04 21:00 +1100", "10-05 21:00 +1100"]),
        ],
    )
    def test_an_evening_end_stays_at_its_time_of_day(
        self, new_year: None, timezone: str, day: str, expected: list[str]
    ) -> None:
        timetable = calling_hours_end(daily(timezone, ("9:00 AM", "9:00 PM")))
        end = (datetime.fromisoformat(day) + 3 * DAY).date().isoformat()
        assert local_runs(timetable, timezone, day, end) == expected

    @needs_several
    @pytest.mark.parametrize(
        ("timezone", "end", "night", "expected"),
        [
            ("America/New_York", "1:30 AM", "2026-11-01", ["11-01 00:59 -0400", "11-01 01:30 -0500"]),
            ("America/New_York", "1:00 AM", "2026-11-01", ["11-01 00:59 -0400", "11-01 01:00 -0500"]),
            ("Europe/Berlin", "2:30 AM", "2026-10-25", ["10-25 01:59 +0200", "10-25 02:30 +0100"]),
            ("Australia/Lord_Howe", "1:45 AM", "2026-04-05", ["04-05 01:29 +1100", "04-05 01:45 +1030"]),
            ("Africa/Cairo", "11:30 PM", "2026-10-29", ["10-29 22:59 +0300", "10-29 23:30 +0200"]),
        ],
    )
    def test_an_end_in_the_repeated_hour_is_run_at_before_that_hour_too(
        self, new_year: None, timezone: str, end: str, night: str, expected: list[str]
    ) -> None:
        timetable = calling_hours_end(daily(timezone, ("9:00 AM", end)))
        after = (datetime.fromisoformat(night) + DAY).date().isoformat()
        assert local_runs(timetable, timezone, night, after) == expected

    @needs_several
    @pytest.mark.parametrize(
        ("timezone", "end", "night", "expected"),
        [
            ("America/New_York", "2:30 AM", "2026-03-08", ["03-08 01:59 -0500", "03-08 03:30 -0400"]),
            ("Europe/Berlin", "2:01 AM", "2026-03-29", ["03-29 01:59 +0100", "03-29 03:01 +0200"]),
            ("Australia/Lord_Howe", "2:15 AM", "2026-10-04", ["10-04 01:59 +1030", "10-04 02:45 +1100"]),
        ],
    )
    def test_an_end_in_the_skipped_hour_is_run_at_before_that_hour_too(
        self, new_year: None, timezone: str, end: str, night: str, expected: list[str]
    ) -> None:
        timetable = calling_hours_end(daily(timezone, ("9:00 AM", end)))
        after = (datetime.fromisoformat(night) + DAY).date().isoformat()
        assert local_runs(timetable, timezone, night, after) == expected

    @pytest.mark.parametrize(
        ("timezone", "end", "night", "expected"),
        [
            ("America/New_York", "2:00 AM", "2026-03-08", "03-08 03:00 -0400"),
            ("America/New_York", "3:00 AM", "2026-03-08", "03-08 03:00 -0400"),
            ("America/New_York", "2:00 AM", "2026-11-01", "11-01 02:00 -0500"),
            ("America/New_York", "12:59 AM", "2026-11-01", "11-01 00:59 -0400"),
            ("Asia/Beirut", "12:00 AM", "2026-03-29", "03-29 01:00 +0300"),
        ],
    )
    def test_an_end_at_the_edge_of_that_hour_needs_nothing_more(
        self, new_year: None, timezone: str, end: str, night: str, expected: str
    ) -> None:
        timetable = calling_hours_end(daily(timezone, ("9:00 AM", end)))
        after = (datetime.fromisoformat(night) + DAY).date().isoformat()
        assert local_runs(timetable, timezone, night, after) == [expected]

    @needs_several
    def test_another_end_that_night_does_not_swallow_the_one_in_the_skipped_hour(self, new_year: None) -> None:
        timetable = calling_hours_end(daily("America/New_York", ("9:00 PM", "2:30 AM"), ("2:50 AM", "3:10 AM")))
        assert local_runs(timetable, "America/New_York", "2026-03-08", "2026-03-09") == [
            "03-08 01:59 -0500",
            "03-08 03:10 -0400",
        ]

    @pytest.mark.parametrize(
        ("start", "night", "expected"),
        [("1:30 AM", "2026-11-01", "11-01 01:30 -0500"), ("2:30 AM", "2026-03-08", "03-08 03:30 -0400")],
    )
    def test_a_start_in_such_an_hour_comes_late_but_never_early(
        self, new_year: None, start: str, night: str, expected: str
    ) -> None:
        timetable = calling_hours_start(daily("America/New_York", (start, "9:00 PM")))
        after = (datetime.fromisoformat(night) + DAY).date().isoformat()
        assert local_runs(timetable, "America/New_York", night, after) == [expected]

    @needs_several
    def test_only_the_coming_changes_are_in_the_schedule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hours = daily("America/New_York", ("9:00 PM", "1:30 AM"))
        for today, expected in [
            (datetime(2026, 11, 1, 12, tzinfo=UTC), "59 0 1 11 *"),
            (datetime(2026, 11, 10, tzinfo=UTC), "59 0 7 11 *"),
        ]:
            set_today(monkeypatch, today)
            assert crons(calling_hours_end(hours)) == ["30 1 * * *", expected]


STEADY_ZONES = ("UTC", "Asia/Kolkata")
CHANGING_ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo")
ZONES = (*STEADY_ZONES, *CHANGING_ZONES) if SEVERAL else STEADY_ZONES
QUIET = tuple(datetime(2026, month, 7, tzinfo=UTC) for month in (1, 5, 6, 7, 12))
"""In the two weeks from each of these days no clock of those zones changes; in those from the next ones many do."""
CHANGING = tuple(datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 1), (3, 22), (4, 1), (10, 1), (10, 22)))
TWO_WEEKS = timedelta(days=14)

Window = tuple[int, int, int]
"""Day of the week, start, and end: minutes of the day; an end not after its start is on the next day."""

times = st.integers(0, 95).map(lambda quarter: quarter * 15)
times_by_day = st.integers(20, 91).map(lambda quarter: quarter * 15)
"""Away from the hours in which clocks change, so that what closes a window is its end and not its start repeated."""


@st.composite
def windows(draw: st.DrawFn, starts: st.SearchStrategy[int] = times) -> list[Window]:
    """Draw windows of a week; on Airflow 2 such as one cron expression can say."""
    if not SEVERAL:
        start, end = draw(starts), draw(times)
        return [(day, start, end) for day in draw(st.sets(st.integers(0, 6), min_size=1, max_size=6))]
    return draw(st.lists(st.tuples(st.integers(0, 6), starts, times), min_size=1, max_size=6))


def as_calling_hours(zone: str, drawn: list[Window]) -> dict[str, Any]:
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(24 * 60)]
    days = [{"day": DAYS[day], "start": clock[start], "end": clock[end]} for day, start, end in drawn]
    return {"frequency": "WEEKLY", "timezone": zone, "days": days}


def closings(zone: str, drawn: list[Window], start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the moments at which the last open window closes, by looking at the clock on the wall every minute."""

    def is_open(moment: datetime) -> bool:
        local = moment.astimezone(ZoneInfo(zone))
        now, today = local.hour * 60 + local.minute, local.weekday()
        return any(
            (day == today and opens <= now and (now < closes or closes <= opens))
            or ((day + 1) % 7 == today and closes <= opens and now < closes)
            for day, opens, closes in drawn
        )

    before = is_open(start - MINUTE)
    while start <= end:
        now = is_open(start)
        if before and not now:
            yield start
        before, start = now, start + MINUTE


class TestEveryEndIsRunAt:
    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(ZONES), windows(), st.sampled_from(QUIET), st.integers(-3000, 3000))
    def test_the_runs_of_two_weeks_are_the_moments_at_which_a_window_closes(
        self, zone: str, drawn: list[Window], start: datetime, offset: int
    ) -> None:
        moved = timedelta(minutes=offset)
        with pytest.MonkeyPatch.context() as patch:
            set_today(patch, start)
            timetable = calling_hours_end(as_calling_hours(zone, drawn), moved)
        expected = [moment + moved for moment in closings(zone, drawn, start - moved, start + TWO_WEEKS - moved)]
        assert runs(timetable, start, start + TWO_WEEKS) == expected

    @needs_several
    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(CHANGING_ZONES), windows(starts=times_by_day), st.sampled_from(CHANGING))
    def test_no_closing_goes_without_a_run_when_the_clock_changes(
        self, zone: str, drawn: list[Window], start: datetime
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            set_today(patch, start)
            timetable = calling_hours_end(as_calling_hours(zone, drawn))
        made = runs(timetable, start - DAY, start + TWO_WEEKS)
        for closing in closings(zone, drawn, start, start + TWO_WEEKS):
            assert any(closing - timedelta(minutes=61) < run <= closing for run in made), closing
