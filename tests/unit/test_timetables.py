"""Calling hours as schedules: what the scheduler makes of them, on every version of Airflow, is what they say."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.serialization import serialized_objects
from airflow.timetables.base import TimeRestriction
from croniter import croniter  # type: ignore[import-untyped]
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.timetables import (
    calling_hours_closed,
    calling_hours_end,
    calling_hours_start,
    log_missed_deadline,
    trigger_timetables,
)
from tests.calling_hours import DAYS, Window, as_calling_hours, daily, quarters, times_by_day, weekly, windows
from tests.profiles import examples

SEVERAL = trigger_timetables()[1] is not None
needs_several = pytest.mark.skipif(not SEVERAL, reason="Airflow 2 has no timetable for several cron expressions")

DAG_SERIALIZATION = "DagSerialization" if hasattr(serialized_objects, "DagSerialization") else "SerializedDAG"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EVERY_DAY, WORKDAYS = " ".join(DAYS), " ".join(DAYS[:5])


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
    """Return the runs between two local times, each as the clock on the wall shows it, with the offset from UTC."""
    zone = ZoneInfo(timezone)
    first, last = (datetime.fromisoformat(day).replace(tzinfo=zone) for day in (start, end))
    return [
        run.astimezone(zone).strftime("%m-%d %H:%M %z") for run in runs(timetable, first, last.astimezone(UTC) - MINUTE)
    ]


class TestExpressions:
    def test_the_weekdays_of_the_platforms_own_sample_make_one_expression(self) -> None:
        hours = weekly(WORKDAYS, "9:00 AM", "6:00 PM")
        assert crons(calling_hours_end(hours)) == ["0 18 * * 1-5"]
        assert crons(calling_hours_start(hours)) == ["0 9 * * 1-5"]

    def test_an_end_on_sunday_at_midnight_is_on_monday(self) -> None:
        assert crons(calling_hours_end(weekly("SU", "9:00 AM", "12:00 AM"))) == ["0 0 * * 1"]

    def test_they_are_kept_in_the_campaigns_time_zone(self) -> None:
        timetable = calling_hours_end(weekly("MO", "9:00 AM", "6:00 PM"))
        assert runs(timetable, datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)) == [
            datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
        ]

    def test_windows_that_touch_end_and_start_once(self) -> None:
        hours = daily("UTC", ("9:00", "12:00"), ("12:00", "15:00"), ("14:00", "18:00"), ("16:00", "17:00"))
        assert crons(calling_hours_end(hours)) == ["0 18 * * *"]
        assert crons(calling_hours_start(hours)) == ["0 9 * * *"]

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


class TestArguments:
    @pytest.mark.parametrize(
        ("offset", "expected"),
        [
            (timedelta(minutes=-5), "55 17 * * 1-5"),
            (timedelta(minutes=10), "10 18 * * 1-5"),
            (timedelta(hours=6), "0 0 * * 2-6"),
            (timedelta(hours=-18, minutes=-1), "59 23 * * 1-4,7"),
            (timedelta(days=2), "0 18 * * 3-7"),
        ],
    )
    def test_an_offset_moves_the_schedule_over_midnight_too(self, offset: timedelta, expected: str) -> None:
        hours = weekly(WORKDAYS, "9:00 AM", "6:00 PM")
        assert crons(calling_hours_end(hours, offset)) == [expected]

    def test_a_start_can_be_moved_as_well(self) -> None:
        hours = weekly("MO", "12:05 AM", "6:00 PM")
        assert crons(calling_hours_start(hours, timedelta(minutes=-10))) == ["55 23 * * 7"]

    @pytest.mark.parametrize("make", [calling_hours_end, calling_hours_start, calling_hours_closed])
    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ({"closed_dates": ["2026-12-25"]}, "calling hours with closed_dates"),
            ({"closed_dates": [], "overrides": []}, "calling hours with closed_dates and overrides"),
            ({"open": True}, "calling hours with open"),
            ({"name_pattern": "FL-*"}, "calling hours with name_pattern"),
        ],
    )
    def test_what_no_cron_expression_follows_is_refused(
        self, make: Callable[[Any], Any], change: dict[str, Any], what: str
    ) -> None:
        hours = daily("UTC", ("9:00 AM", "6:00 PM"))
        for value, named in (({**hours, **change}, what), ([hours], "a list of rules")):
            with pytest.raises(
                CampaignConfigError, match=rf"follows {named}\. Give the DAG schedule='\*/5 \* \* \* \*'"
            ):
                make(value)

    @pytest.mark.parametrize("make", [calling_hours_end, calling_hours_start, calling_hours_closed])
    @pytest.mark.parametrize("offset", [timedelta(seconds=30), timedelta(minutes=-1, seconds=-1), 5, "5", None, True])
    def test_an_offset_that_is_no_timedelta_of_minutes_is_refused(self, make: Any, offset: Any) -> None:
        with pytest.raises(CampaignConfigError, match=r"offset is .*Give it as timedelta\(minutes=…\)"):
            make(weekly("MO", "9:00 AM", "6:00 PM"), offset=offset)

    @pytest.mark.parametrize("every", [timedelta(0), timedelta(minutes=-5), timedelta(seconds=90), 5, "5", None])
    def test_runs_that_are_not_minutes_apart_are_refused(self, every: Any) -> None:
        with pytest.raises(CampaignConfigError, match=r"every is .*Give it as timedelta\(minutes=…\)"):
            calling_hours_closed(daily("UTC", ("9:00 AM", "6:00 PM")), every)

    @pytest.mark.parametrize("offset", [timedelta(hours=-9), timedelta(hours=15)])
    def test_an_offset_that_leads_into_another_window_is_refused_for_the_closed_time(self, offset: timedelta) -> None:
        with pytest.raises(CampaignConfigError, match=r"offset is .*leads into another window.*Give one"):
            calling_hours_closed(daily("UTC", ("9:00 AM", "6:00 PM")), offset=offset)

    @pytest.mark.parametrize("make", [calling_hours_end, calling_hours_start, calling_hours_closed])
    def test_hours_that_cant_be_read_have_no_schedule(self, make: Any) -> None:
        with pytest.raises(CampaignConfigError, match=r"callingHours\.timezone is 'EST'"):
            make(daily("EST", ("9:00 AM", "6:00 PM")))

    def test_hours_that_are_hardly_meant_are_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            calling_hours_end(daily("UTC", ("9:00 AM", "8:00 AM")))
        assert "callingHours.days[0] is open for 23 hours" in caplog.text


class TestClosed:
    def test_the_whole_night_is_one_expression(self) -> None:
        hours = daily("America/New_York", ("8:00 AM", "9:00 PM"))
        assert crons(calling_hours_closed(hours)) == ["*/5 0-7,21-23 * * *"]
        assert crons(calling_hours_closed(hours, MINUTE)) == ["* 0-7,21-23 * * *"]
        assert crons(calling_hours_closed(hours, 20 * MINUTE, 2 * MINUTE)) == ["2-42/20 0-7,21-23 * * *"]
        assert crons(calling_hours_closed(hours, HOUR)) == ["0 0-7,21-23 * * *"]

    @needs_several
    def test_it_runs_all_weekend_where_the_weekend_is_closed(self) -> None:
        hours = weekly(WORKDAYS, "9:00 AM", "6:00 PM", "America/New_York")
        assert crons(calling_hours_closed(hours)) == ["*/5 0-8,18-23 * * *", "*/5 9-17 * * 6-7"]
        weekend = calling_hours_closed(hours, every=9 * HOUR)
        assert local_runs(weekend, "America/New_York", "2026-06-05T12:00", "2026-06-08T12:00") == [
            "06-05 18:00 -0400",
            "06-06 03:00 -0400",
            "06-06 12:00 -0400",
            "06-06 21:00 -0400",
            "06-07 06:00 -0400",
            "06-07 15:00 -0400",
            "06-08 00:00 -0400",
        ]

    @needs_several
    def test_an_offset_before_the_end_counts_from_there(self) -> None:
        timetable = calling_hours_closed(daily("UTC", ("8:00 AM", "9:00 PM")), every=4 * HOUR, offset=-2 * MINUTE)
        assert local_runs(timetable, "UTC", "2026-06-01T12:00", "2026-06-02T12:00") == [
            "06-01 20:58 +0000",
            "06-02 00:58 +0000",
            "06-02 04:58 +0000",
        ]

    @needs_several
    def test_a_schedule_that_airflow_cant_store_is_refused_with_the_way_out(self) -> None:
        with pytest.raises(CampaignConfigError, match=r"34 cron expressions.*divides an hour.*fewer different windows"):
            calling_hours_closed(weekly(WORKDAYS, "9:00 AM", "6:00 PM"), every=7 * MINUTE)

    @needs_several
    @examples(full=100, exhaustive=200)
    @given(
        windows(quarters, quarters),
        st.sampled_from([1, 5, 10, 15, 30, 60, 90, 1440]).map(lambda minutes: minutes * MINUTE),
        st.sampled_from([0, 0, 2, 30, -2, -30]).map(lambda minutes: minutes * MINUTE),
    )
    def test_every_run_is_at_an_end_or_so_often_later_until_the_next_start(
        self, drawn: list[Window], every: timedelta, offset: timedelta
    ) -> None:
        document = as_calling_hours("Asia/Kolkata", drawn)
        timetable = accepted(document, every, offset)
        zone, week = ZoneInfo("Asia/Kolkata"), datetime(2026, 6, 1, tzinfo=UTC)
        moments = closed_moments(CallingHours.read(document), every, offset, week, week + 7 * DAY)
        local = [moment.astimezone(zone) for moment in moments]
        assert {(run.weekday(), run.hour, run.minute) for run in local} == times_of(crons(timetable))
        assert len(scheduled(timetable).description) <= 1000

    @needs_several
    @examples(full=100, brief=10)
    @given(
        st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]),
        windows(times_by_day, quarters),
        st.sampled_from([20, 30, 60]).map(lambda minutes: minutes * MINUTE),
        st.sampled_from(["2026-03-07", "2026-03-28", "2026-04-04", "2026-04-23", "2026-10-24", "2026-10-31"]),
    )
    def test_what_is_closed_is_never_alone_for_more_than_an_hour_longer_when_the_clock_changes(
        self, zone: str, drawn: list[Window], every: timedelta, day: str
    ) -> None:
        document = as_calling_hours(zone, drawn)
        timetable, hours = accepted(document, every, timedelta(0)), CallingHours.read(document)
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        made = runs(timetable, start - HOUR, start + 2 * DAY)
        assert not [run for run in made if hours.is_open(run)]
        for moment in closed_moments(hours, every, timedelta(0), start, start + 2 * DAY - HOUR):
            assert any(moment - every < run <= moment + HOUR for run in made), moment


def accepted(document: dict[str, Any], every: timedelta, offset: timedelta) -> Any:
    """Return the schedule of drawn hours, unless they are such as have none."""
    try:
        return calling_hours_closed(document, every, offset)
    except CampaignConfigError as error:
        if not re.search("cover the whole week|leads into another window|more than Airflow can store", str(error)):
            raise
        assume(False)


def closed_moments(
    hours: CallingHours, every: timedelta, offset: timedelta, start: datetime, end: datetime
) -> Iterator[datetime]:
    """Yield the moments between two others at which the schedule of the closed time is to run."""
    closed = hours.last_end(start - offset)
    while closed and closed + offset < end:
        moment, opened = closed + offset, hours.next_start(closed)
        assert opened
        while moment < min(opened, end):
            if moment >= start:
                yield moment
            moment += every
        closed = hours.next_end(opened)


def times_of(expressions: list[str]) -> set[tuple[int, int, int]]:
    """Return day of the week, hour and minute of all runs that cron expressions make."""
    times = set()
    for expression in expressions:
        minutes, hours, _, _, days = (
            range(size) if field == ["*"] else field
            for field, size in zip(croniter.expand(expression)[0], (60, 24, 31, 12, 7), strict=True)
        )
        times |= {((day - 1) % 7, hour, minute) for day in days for hour in hours for minute in minutes}
    return times


class TestWhenTheClockChanges:
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
    def test_an_evening_end_stays_at_its_time_of_day(self, timezone: str, day: str, expected: list[str]) -> None:
        timetable = calling_hours_end(daily(timezone, ("9:00 AM", "9:00 PM")))
        end = (datetime.fromisoformat(day) + 3 * DAY).date().isoformat()
        assert local_runs(timetable, timezone, day, end) == expected

    @pytest.mark.parametrize(
        ("timezone", "end", "night", "expected"),
        [
            ("America/New_York", "2:00 AM", "2026-03-08", "03-08 03:00 -0400"),
            ("America/New_York", "2:30 AM", "2026-03-08", "03-08 03:30 -0400"),
            ("America/New_York", "12:59 AM", "2026-11-01", "11-01 00:59 -0400"),
            ("America/New_York", "1:30 AM", "2026-11-01", "11-01 01:30 -0500"),
            ("America/New_York", "2:00 AM", "2026-11-01", "11-01 02:00 -0500"),
            ("Australia/Lord_Howe", "1:45 AM", "2026-04-05", "04-05 01:45 +1030"),
            ("Asia/Beirut", "12:00 AM", "2026-03-29", "03-29 01:00 +0300"),
        ],
    )
    def test_airflow_comes_to_an_end_in_a_skipped_or_repeated_hour_late(
        self, timezone: str, end: str, night: str, expected: str
    ) -> None:
        timetable = calling_hours_end(daily(timezone, ("9:00 AM", end)))
        after = (datetime.fromisoformat(night) + DAY).date().isoformat()
        assert local_runs(timetable, timezone, night, after) == [expected]

    def test_airflow_leaves_a_repeated_hour_out_the_first_time(self) -> None:
        timetable = calling_hours_closed(daily("America/New_York", ("8:00 AM", "9:00 PM")), every=30 * MINUTE)
        assert local_runs(timetable, "America/New_York", "2026-11-01", "2026-11-01T02:30") == [
            "11-01 00:00 -0400",
            "11-01 00:30 -0400",
            "11-01 01:00 -0500",
            "11-01 01:30 -0500",
            "11-01 02:00 -0500",
        ]


STEADY_ZONES = ("UTC", "Asia/Kolkata")
CHANGING_ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo")
QUIET = tuple(datetime(2026, month, 7, tzinfo=UTC) for month in (1, 5, 6, 7, 12))
"""In the two weeks from each of these days no clock of those zones changes; in those from the next ones many do."""
CHANGING = tuple(datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 1), (3, 22), (4, 1), (10, 1), (10, 22)))
TWO_WEEKS = 14 * DAY

same_on_some_days = st.builds(
    lambda days, start, end: [(day, start, end) for day in days],
    st.sets(st.integers(0, 6), min_size=1, max_size=6),
    quarters,
    quarters,
)
"""Windows that one cron expression can say."""


class TestEveryEndIsRunAt:
    @examples(full=100, exhaustive=200)
    @given(
        st.sampled_from((*STEADY_ZONES, *CHANGING_ZONES)),
        windows(quarters, quarters) if SEVERAL else same_on_some_days,
        st.sampled_from(QUIET),
        st.integers(-3000, 3000),
    )
    def test_the_runs_of_two_weeks_are_the_moments_at_which_a_window_ends(
        self, zone: str, drawn: list[Window], start: datetime, offset: int
    ) -> None:
        document, moved = as_calling_hours(zone, drawn), offset * MINUTE
        expected = [moment + moved for moment in ends(document, start - moved, start + TWO_WEEKS - moved)]
        assert runs(calling_hours_end(document, moved), start, start + TWO_WEEKS) == expected

    @examples(full=100, exhaustive=200)
    @given(
        st.sampled_from(CHANGING_ZONES),
        windows(times_by_day, quarters) if SEVERAL else same_on_some_days,
        st.sampled_from(CHANGING),
    )
    def test_no_end_goes_without_a_run_within_the_hour_when_the_clock_changes(
        self, zone: str, drawn: list[Window], start: datetime
    ) -> None:
        document = as_calling_hours(zone, drawn)
        made = runs(calling_hours_end(document), start - DAY, start + TWO_WEEKS + DAY)
        for end in ends(document, start, start + TWO_WEEKS):
            assert any(end <= run <= end + HOUR for run in made), end


def ends(document: dict[str, Any], start: datetime, last: datetime) -> list[datetime]:
    """Return the ends of calling hours between two moments."""
    return CallingHours.read(document).ends(start - MINUTE, last)


def test_a_missed_deadline_is_an_error_that_names_the_run_the_dag_and_the_moment(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = {
        "dag_run": {"dag_id": "end_of_window", "dag_run_id": "scheduled__2026-03-02T02:00:00+00:00"},
        "deadline": {"id": "1", "deadline_time": datetime(2026, 3, 2, 2, 5, tzinfo=UTC)},
    }
    asyncio.run(log_missed_deadline(context))
    [record] = [record for record in caplog.records if record.name == "airflow_provider_campaign.timetables"]
    assert record.levelno == logging.ERROR
    for part in ("scheduled__2026-03-02T02:00:00+00:00", "end_of_window", "2026-03-02 02:05:00+00:00"):
        assert part in record.getMessage()
