"""Schedules that follow a campaign's calling hours, made of Airflow's cron timetables, and an alarm for their runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.calling_hours import MINUTES_A_DAY, MINUTES_A_WEEK, CallingHours, calling_hours_error
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.version_compat import trigger_timetables

if TYPE_CHECKING:
    from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable

__all__ = ["calling_hours_closed", "calling_hours_end", "calling_hours_start", "log_missed_deadline"]

log = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)

MAX_DESCRIPTION = 1000  # characters that Airflow's database takes (``dag.timetable_description``)
NO_CRON_KEYS = ("open", "closed_dates", "overrides", "name_pattern", "campaign_types")  # no cron expression follows


def calling_hours_end(
    calling_hours: Mapping[str, Any], offset: timedelta = timedelta(0)
) -> CronTriggerTimetable | MultipleCronTriggerTimetable:
    """
    Return the schedule of the moments at which the calling hours end.

    :param calling_hours: The platform's ``callingHours`` object.
    :param offset: How long after the end to run, in whole minutes; negative for before.
    :raises CampaignConfigError: When an argument is unreadable.
    """
    hours, shift = _read(calling_hours), _minutes("offset", offset)
    return _timetable(hours.zone, (window.stop + shift for window in hours.windows))


def calling_hours_start(
    calling_hours: Mapping[str, Any], offset: timedelta = timedelta(0)
) -> CronTriggerTimetable | MultipleCronTriggerTimetable:
    """Return the schedule of the moments at which the calling hours start; all else as :func:`calling_hours_end`."""
    hours, shift = _read(calling_hours), _minutes("offset", offset)
    return _timetable(hours.zone, (window.start + shift for window in hours.windows))


def calling_hours_closed(
    calling_hours: Mapping[str, Any], every: timedelta = timedelta(minutes=5), offset: timedelta = timedelta(0)
) -> CronTriggerTimetable | MultipleCronTriggerTimetable:
    """
    Return the schedule of the moments at which the calling hours end, and of every so often until they start again.

    :param every: How long from one run to the next, in whole minutes; counted from the first one.
    :param offset: How long after the end to run first, in whole minutes; negative for before.
    """
    hours, shift, step = _read(calling_hours), _minutes("offset", offset), _minutes("every", every)
    if step < 1:
        raise calling_hours_error("every", every, "less than a minute", "Give it as timedelta(minutes=…).")
    starts = [window.start for window in hours.windows]
    moments: list[int] = []
    for window, next_start in zip(hours.windows, [*starts[1:], starts[0] + MINUTES_A_WEEK], strict=True):
        if not window.start < window.stop + shift < next_start:
            fix = "Give one that is shorter than every window and than the time between them."
            raise calling_hours_error("offset", offset, "which leads into another window", fix)
        moments += range(window.stop + shift, next_start, step)
    return _timetable(hours.zone, moments)


async def log_missed_deadline(context: Mapping[str, Any]) -> None:
    """
    Write an error into the triggerer's log that names the run which has not succeeded in time.

    Deadline alerts run this in the triggerer, which imports installed packages, but no DAG files.
    """
    log.error(
        "Run %s of DAG %s has not succeeded by its deadline, %s: campaigns may be live outside their calling hours",
        context["dag_run"]["dag_run_id"],
        context["dag_run"]["dag_id"],
        context["deadline"]["deadline_time"],
    )


def _read(calling_hours: Mapping[str, Any]) -> CallingHours:
    """Return the hours of a week; what differs from it has no cron expression, and is not to be ignored."""
    found = [key for key in NO_CRON_KEYS if isinstance(calling_hours, Mapping) and calling_hours.get(key) is not None]
    if found or isinstance(calling_hours, list):
        what = f"calling hours with {' and '.join(found)}" if found else "a list of rules"
        raise CampaignConfigError(
            f"Calling hours: no cron expression follows {what}. Give the DAG schedule='*/5 * * * *', and its operator "
            "the calling hours: it acts on what time it is."
        )
    hours = CallingHours.read(calling_hours)
    for warning in hours.warnings:
        log.warning(warning)
    return hours


def _minutes(argument: str, value: Any) -> int:
    if not isinstance(value, timedelta) or value % MINUTE:
        problem = "not a timedelta of whole minutes"
        raise calling_hours_error(argument, value, problem, "Give it as timedelta(minutes=…).")
    return value // MINUTE


def _timetable(zone: ZoneInfo, moments: Iterable[int]) -> CronTriggerTimetable | MultipleCronTriggerTimetable:
    """Return Airflow's timetable for minutes since Monday 00:00, those of the weeks before and after too."""
    crons = _crons({moment % MINUTES_A_WEEK for moment in moments})
    one, several = trigger_timetables()
    if len(crons) == 1:
        return one(crons[0], timezone=zone.key)
    if several is None:
        raise CampaignConfigError(
            f"Calling hours: this schedule takes {len(crons)} cron expressions ({'; '.join(crons)}), and Airflow 2 has "
            f"no timetable for several. Give each a DAG of its own, with CronTriggerTimetable('{crons[0]}', "
            f"timezone='{zone.key}') and so on, or use Airflow 3."
        )
    from airflow.timetables.trigger import MultipleCronTriggerTimetable as SchedulersTimetable

    if len(SchedulersTimetable(*crons, timezone=zone.key).description) > MAX_DESCRIPTION:
        raise CampaignConfigError(
            f"Calling hours: this schedule takes {len(crons)} cron expressions, more than Airflow can store. "
            "Give an `every` that divides an hour, such as timedelta(minutes=5), or fewer different windows."
        )
    return several(*crons, timezone=zone.key)


def _crons(moments: Iterable[int]) -> list[str]:
    """Return few cron expressions for minutes of the week: times that share their days share one where it fits."""
    days_at = _grouped((moment % MINUTES_A_DAY, moment // MINUTES_A_DAY + 1) for moment in sorted(moments))
    hours_at = _grouped(((at % 60, days), at // 60) for at, days in sorted(days_at.items()))
    minutes_at = _grouped(((hours, days), minute) for (minute, days), hours in sorted(hours_at.items()))
    return [
        f"{_minute_field(minutes)} {_field(hours, of=24)} * * {_field(days, of=7)}"
        for (hours, days), minutes in minutes_at.items()
    ]


def _grouped(pairs: Iterable[tuple[Any, int]]) -> dict[Any, tuple[int, ...]]:
    groups: dict[Any, tuple[int, ...]] = {}
    for key, value in pairs:
        groups[key] = (*groups.get(key, ()), value)
    return groups


def _field(numbers: Sequence[int], of: int) -> str:
    """Return numbers as cron writes them, such as "0-7,21-23"."""
    if len(numbers) == of:
        return "*"
    first = [number for number in numbers if number - 1 not in numbers]
    last = [number for number in numbers if number + 1 not in numbers]
    return ",".join(f"{a}-{b}" if a < b else f"{a}" for a, b in zip(first, last, strict=True))


def _minute_field(minutes: Sequence[int]) -> str:
    """Return minutes of the hour as cron writes them, such as "*/5" or "0,30"."""
    step = 60 // len(minutes)
    is_regular = 1 < step < 30 and [*minutes] == [*range(0, 60, step)]
    return f"*/{step}" if is_regular else _field(minutes, of=60)
