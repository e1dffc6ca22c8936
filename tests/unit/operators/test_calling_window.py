"""The window that a run is for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.operators.calling_window import CallingWindow

HOURS = CallingHours.read({"frequency": "DAILY", "timezone": "UTC", "start": "8:00 AM", "end": "9:00 PM"})
END = datetime(2026, 1, 6, 21, tzinfo=UTC)


def context(cron: str, run_type: str = "scheduled") -> dict[str, Any]:
    """Return what Airflow 2 makes of a cron expression, and Airflow 3 with ``create_cron_data_intervals``."""
    earliest = pendulum.instance(END - timedelta(days=1, minutes=15))
    timetable = CronDataIntervalTimetable(cron, "UTC")
    run = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(earliest, None, catchup=True)
    )
    assert run is not None
    assert run.data_interval is not None
    interval = run.data_interval
    return {
        "logical_date": run.logical_date,
        "data_interval_start": interval.start,
        "data_interval_end": interval.end,
        "dag_run": SimpleNamespace(run_type=run_type),
    }


@pytest.mark.parametrize("cron", ["50 20 * * *", "0 21 * * *", "5 21 * * *"])
def test_a_cron_expression_with_intervals_is_for_the_evening_on_which_it_runs(cron: str) -> None:
    run = context(cron)
    now = run["data_interval_end"]
    assert run["logical_date"] == now - timedelta(days=1)
    window = CallingWindow.of_run(HOURS, run, now)
    assert window is not None
    assert window.end == END
    window.check_not_open_again(now)


def test_a_run_of_yesterday_that_begins_today_is_skipped() -> None:
    run = context("50 20 * * *")
    now = END + timedelta(hours=13)
    window = CallingWindow.of_run(HOURS, run, now)
    assert window is not None
    with pytest.raises(AirflowSkipException, match="nothing was stopped"):
        window.check_not_open_again(now)


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered", "asset_triggered", "dataset_triggered"])
def test_a_run_that_somebody_or_something_triggers_is_for_no_other_evening(run_type: str) -> None:
    run = context("50 20 * * *", run_type)
    assert CallingWindow.of_run(HOURS, run, END + timedelta(hours=13)) is None
