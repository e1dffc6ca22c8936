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
)
from airflow_provider_campaign.version_compat import trigger_timetables
from tests.calling_hours import DAYS, Window, as_calling_hours, daily, quarters, weekly, windows
from tests.profiles import examples

SEVERAL = trigger_timetables()[1] is not None
needs_several = pytest.mark.skipif(not SEVERAL, reason="Airflow 2 has no timetable for several cron expressions")

DAG_SERIALIZATION = "DagSerialization" if hasattr(serialized_objects, "DagSerialization") else "SerializedDAG"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WORKDAYS = " ".join(DAYS[:5])
MAKERS: list[Any] = [calling_hours_end, calling_hours_start, calling_hours_closed]


def scheduled(timetable: Any) -> Any:
    """Return a timetable as the scheduler has it: out of the DAG that was serialised to JSON and back."""
    serialization: Any = getattr(serialized_objects, DAG_SERIALIZATION)
    dag = DAG("window", schedule=timetable, start_date=pendulum.datetime(2020, 1, 1))
    return serialization.from_dict(json.loads(json.dumps(serialization.to_dict(dag)))).timetable


def crons(timetable: Any) -> list[str]:
    return str(scheduled(timetable).summary).split(", ")


def local_runs(timetable: Any, timezone: str, start: str, end: str) -> list[str]:
    """Return the runs that the scheduler makes between two local times, as the clock on the wall shows them."""
    zone, core, last, found = ZoneInfo(timezone), scheduled(timetable), None, []
    earliest, latest = (pendulum.instance(datetime.fromisoformat(day).replace(tzinfo=zone)) for day in (start, end))
    restriction = TimeRestriction(earliest, latest.subtract(minutes=1), catchup=True)
    while info := core.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        found.append(info.run_after.astimezone(zone).strftime("%m-%d %H:%M %z"))
        last = info.data_interval
    return found


NINE_TO_SIX = ("9:00 AM", "6:00 PM")


@pytest.mark.parametrize(
    ("hours", "end", "start"),
    [
        (weekly(WORKDAYS, *NINE_TO_SIX), "0 18 * * 1-5", "0 9 * * 1-5"),
        (weekly("SU", "9:00 AM", "12:00 AM"), "0 0 * * 1", "0 9 * * 7"),
        (daily("UTC", ("9:00", "12:00"), ("12:00", "15:00"), ("14:00", "18:00")), "0 18 * * *", "0 9 * * *"),
        (daily("Europe/Berlin", ("9:30", "12:30"), ("13:30", "18:30")), "30 12,18 * * *", "30 9,13 * * *"),
    ],
)
def test_windows_that_share_their_times_make_one_expression(hours: dict[str, Any], end: str, start: str) -> None:
    assert (crons(calling_hours_end(hours)), crons(calling_hours_start(hours))) == ([end], [start])


def test_days_with_different_ends_take_one_expression_each() -> None:
    hours = weekly("MO TU WE TH", *NINE_TO_SIX)
    hours["days"] += weekly("FR SA", "9:00 AM", "1:00 PM")["days"]
    if SEVERAL:
        assert crons(calling_hours_end(hours)) == ["0 18 * * 1-4", "0 13 * * 5-6"]
    else:
        with pytest.raises(CampaignConfigError, match=r"0 18 \* \* 1-4; 0 13 .*a DAG of its own.*or use Airflow 3"):
            calling_hours_end(hours)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (timedelta(minutes=-5), "55 17 * * 1-5"),
        (timedelta(hours=6), "0 0 * * 2-6"),
        (timedelta(hours=-18, minutes=-1), "59 23 * * 1-4,7"),
        (timedelta(days=2), "0 18 * * 3-7"),
    ],
)
def test_an_offset_moves_the_schedule_over_midnight_too(offset: timedelta, expected: str) -> None:
    assert crons(calling_hours_end(weekly(WORKDAYS, *NINE_TO_SIX), offset)) == [expected]
    assert crons(calling_hours_start(weekly("MO", "12:05 AM", "6:00 PM"), timedelta(minutes=-10))) == ["55 23 * * 7"]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"closed_dates": [], "overrides": []}, "calling hours with closed_dates and overrides"),
        ({"open": True}, "calling hours with open"),
        ({"name_pattern": "FL-*"}, "calling hours with name_pattern"),
        (None, "a list of rules"),
    ],
)
def test_what_no_cron_expression_follows_is_refused(make: Callable[[Any], Any], change: Any, what: str) -> None:
    hours = daily("UTC", NINE_TO_SIX)
    with pytest.raises(CampaignConfigError, match=rf"follows {what}\. Give the DAG schedule='\*/5 \* \* \* \*'"):
        make([hours] if change is None else {**hours, **change})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        *(({"offset": value}, "offset is .*minutes=…") for value in (timedelta(seconds=30), 5, "5", None)),
        *(({"every": value}, "every is .*minutes=…") for value in (timedelta(0), -MINUTE, timedelta(seconds=90), 5)),
        *(({"offset": value * HOUR}, "offset is .*leads into another window.*Give one") for value in (-9, 15)),
    ],
)
def test_an_argument_that_is_no_time_between_two_windows_is_refused(arguments: Any, problem: str) -> None:
    for make in MAKERS[2:] if "every" in arguments or "leads" in problem else MAKERS:
        with pytest.raises(CampaignConfigError, match=problem):
            make(daily("UTC", NINE_TO_SIX), **arguments)


@pytest.mark.parametrize("make", MAKERS)
def test_unreadable_hours_have_no_schedule_and_warnings_are_logged(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CampaignConfigError, match=r"callingHours\.timezone is 'EST'"):
        make(daily("EST", NINE_TO_SIX))
    make(daily("UTC", ("9:00 AM", "8:00 AM")))
    assert "callingHours.days[0] is open for 23 hours" in caplog.text


def test_a_whole_closed_period_is_one_expression() -> None:
    hours = daily("America/New_York", ("8:00 AM", "9:00 PM"))
    assert crons(calling_hours_closed(hours)) == ["*/5 0-7,21-23 * * *"]
    assert crons(calling_hours_closed(hours, MINUTE)) == ["* 0-7,21-23 * * *"]
    assert crons(calling_hours_closed(hours, 20 * MINUTE, 2 * MINUTE)) == ["2,22,42 0-7,21-23 * * *"]
    assert crons(calling_hours_closed(hours, HOUR)) == ["0 0-7,21-23 * * *"]


@needs_several
def test_it_runs_all_weekend_where_the_weekend_is_closed() -> None:
    hours = weekly(WORKDAYS, *NINE_TO_SIX, "America/New_York")
    assert crons(calling_hours_closed(hours)) == ["*/5 0-8,18-23 * * *", "*/5 9-17 * * 6-7"]
    weekend = calling_hours_closed(hours, every=9 * HOUR, offset=-2 * MINUTE)
    found = local_runs(weekend, "America/New_York", "2026-06-05T12:00", "2026-06-08T12:00")
    moments = ["05 17:58", "06 02:58", "06 11:58", "06 20:58", "07 05:58", "07 14:58", "07 23:58", "08 08:58"]
    assert found == [f"06-{moment} -0400" for moment in moments]


@needs_several
def test_a_schedule_that_airflow_cant_store_is_refused_with_the_way_out() -> None:
    with pytest.raises(CampaignConfigError, match=r"34 cron expressions.*divides an hour.*fewer different windows"):
        calling_hours_closed(weekly(WORKDAYS, *NINE_TO_SIX), every=7 * MINUTE)


@needs_several
@examples(full=100, exhaustive=200)
@given(
    windows(quarters, quarters),
    st.sampled_from([1, 5, 10, 15, 30, 60, 90, 1440]).map(lambda minutes: minutes * MINUTE),
    st.sampled_from([0, 0, 2, 30, -2, -30]).map(lambda minutes: minutes * MINUTE),
)
def test_runs_go_from_an_end_to_the_next_start(drawn: list[Window], every: timedelta, offset: timedelta) -> None:
    document = as_calling_hours("Asia/Kolkata", drawn)
    try:
        timetable = calling_hours_closed(document, every, offset)
    except CampaignConfigError as error:  # of hours that have no such schedule
        assume(not re.search("cover the whole week|leads into another window|more than Airflow can store", str(error)))
        raise
    zone, week = ZoneInfo("Asia/Kolkata"), datetime(2026, 6, 1, tzinfo=UTC)
    moments = closed_moments(CallingHours.read(document), every, offset, week, week + 7 * DAY)
    local = [moment.astimezone(zone) for moment in moments]
    assert {(run.weekday(), run.hour, run.minute) for run in local} == times_of(crons(timetable))
    assert len(scheduled(timetable).description) <= 1000


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


@pytest.mark.parametrize(
    ("timezone", "end", "night", "expected"),
    [
        ("America/New_York", "9:00 PM", "2026-03-08", "03-08 21:00 -0400"),
        ("America/New_York", "2:30 AM", "2026-03-08", "03-08 03:30 -0400"),
        ("America/New_York", "12:59 AM", "2026-11-01", "11-01 00:59 -0400"),
        ("America/New_York", "1:30 AM", "2026-11-01", "11-01 01:30 -0500"),
    ],
)
def test_airflow_comes_to_a_skipped_or_repeated_end_late(timezone: str, end: str, night: str, expected: str) -> None:
    timetable = calling_hours_end(daily(timezone, ("9:00 AM", end)))
    after = (datetime.fromisoformat(night) + DAY).date().isoformat()
    assert local_runs(timetable, timezone, night, after) == [expected]


def test_airflow_leaves_a_repeated_hour_out_the_first_time() -> None:
    timetable = calling_hours_closed(daily("America/New_York", ("8:00 AM", "9:00 PM")), every=30 * MINUTE)
    found = local_runs(timetable, "America/New_York", "2026-11-01", "2026-11-01T02:30")
    moments = ["00:00 -0400", "00:30 -0400", "01:00 -0500", "01:30 -0500", "02:00 -0500"]
    assert found == [f"11-01 {moment}" for moment in moments]


def test_a_missed_deadline_is_an_error_that_names_run_dag_and_moment(caplog: pytest.LogCaptureFixture) -> None:
    context = {
        "dag_run": {"dag_id": "end_of_window", "dag_run_id": "scheduled__2026-03-02T02:00:00+00:00"},
        "deadline": {"id": "1", "deadline_time": datetime(2026, 3, 2, 2, 5, tzinfo=UTC)},
    }
    asyncio.run(log_missed_deadline(context))
    [record] = [record for record in caplog.records if record.name == "airflow_provider_campaign.timetables"]
    assert record.levelno == logging.ERROR
    for part in ("scheduled__2026-03-02T02:00:00+00:00", "end_of_window", "2026-03-02 02:05:00+00:00"):
        assert part in record.getMessage()
