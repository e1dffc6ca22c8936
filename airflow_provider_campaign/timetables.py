"""Schedules that follow a campaign's calling hours, made of Airflow's own cron timetables."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.version_compat import trigger_timetables

if TYPE_CHECKING:
    from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable

__all__ = ["calling_hours_end", "calling_hours_start"]

FREQUENCIES = ("WEEKLY", "DAILY", "CUSTOM")
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")

MINUTE = timedelta(minutes=1)
MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY

DAYS_AHEAD = 366
"""Days in which changes of the clock are looked for; a DAG file is read again long before they are over."""

_TIME = re.compile(r"(\d{1,2}):(\d{2})\s*(AM|PM)?", re.IGNORECASE)

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def calling_hours_end(
    calling_hours: Mapping[str, Any], offset: timedelta = timedelta(0)
) -> CronTriggerTimetable | MultipleCronTriggerTimetable:
    """
    Return the schedule of the moments at which the calling hours end.

    Where a change of the clock skips or repeats an end, Airflow comes to it up to an hour late; on that night the
    schedule has the last minute before the change too.

    :param calling_hours: The platform's ``callingHours`` object.
    :param offset: How long after the end to run, in whole minutes; negative for before.
    :raises CampaignConfigError: When a field of it can't be read, or the hours have no end.
    """
    zone, windows = _read(calling_hours)
    minutes = _open_minutes(windows)
    ends = {(minute + 1) % MINUTES_A_WEEK for minute in minutes} - minutes
    moments = _shifted(ends, offset)
    return _timetable(zone, [*_weekly_crons(moments), *_clock_change_crons(moments, zone)])


def calling_hours_start(
    calling_hours: Mapping[str, Any], offset: timedelta = timedelta(0)
) -> CronTriggerTimetable | MultipleCronTriggerTimetable:
    """
    Return the schedule of the moments at which the calling hours start.

    :param calling_hours: The platform's ``callingHours`` object.
    :param offset: How long after the start to run, in whole minutes; negative for before.
    :raises CampaignConfigError: When a field of it can't be read, or the hours have no start.
    """
    zone, windows = _read(calling_hours)
    minutes = _open_minutes(windows)
    starts = minutes - {(minute + 1) % MINUTES_A_WEEK for minute in minutes}
    return _timetable(zone, _weekly_crons(_shifted(starts, offset)))


def _error(field: str, value: Any, problem: str, fix: str) -> CampaignConfigError:
    return CampaignConfigError(f"Calling hours: {field} is {value!r}, {problem}. {fix}")


def _read(calling_hours: Mapping[str, Any]) -> tuple[ZoneInfo, list[range]]:
    """Return the time zone, and the windows as minutes since Monday 00:00."""
    if not isinstance(calling_hours, Mapping):
        raise _error("callingHours", calling_hours, "not an object", "Give the object that the platform shows.")
    frequency = str(calling_hours.get("frequency") or "WEEKLY").upper()
    if frequency not in FREQUENCIES:
        raise _error("callingHours.frequency", frequency, "which is unknown", f"Use one of {', '.join(FREQUENCIES)}.")
    zone = _zone(calling_hours.get("timezone"))
    days = calling_hours.get("days")
    if days is None:
        return zone, list(_windows("callingHours", calling_hours, frequency))
    if not isinstance(days, list) or not days:
        raise _error("callingHours.days", days, "not a list of days", "Give objects with day, start and end in it.")
    entries = {f"callingHours.days[{number}]": entry for number, entry in enumerate(days)}
    return zone, [window for field, entry in entries.items() for window in _windows(field, entry, frequency)]


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, TypeError, OSError, LookupError):
        fix = "Give a name of the IANA database, such as 'Asia/Kolkata' or 'America/New_York'."
        raise _error("callingHours.timezone", name, "which is not a time zone", fix) from None


def _windows(field: str, entry: Any, frequency: str) -> Iterator[range]:
    """Yield the windows of an entry: one, or one for each day of the week where it names none."""
    if not isinstance(entry, Mapping):
        raise _error(field, entry, "not an object", "Give an object with day, start and end.")
    start = _minute_of_day(f"{field}.start", entry.get("start"))
    end = _minute_of_day(f"{field}.end", entry.get("end"))
    if end <= start:
        end += MINUTES_A_DAY
    every_day = frequency == "DAILY" and not entry.get("day")
    for weekday in range(7) if every_day else [_weekday(f"{field}.day", entry.get("day"))]:
        midnight = weekday * MINUTES_A_DAY
        yield range(midnight + start, midnight + end)


def _weekday(field: str, day: Any) -> int:
    word = str(day or "").strip().upper()
    for weekday, name in enumerate(WEEKDAYS):
        if len(word) >= 2 and name.startswith(word):
            return weekday
    fix = "Use MO, TU, WE, TH, FR, SA or SU; only hours with the frequency DAILY may leave the day out."
    raise _error(field, day, "which is not a day of the week", fix)


def _minute_of_day(field: str, text: Any) -> int:
    match = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if match:
        hour, minute, half = int(match[1]), int(match[2]), (match[3] or "").upper()
        if half and 1 <= hour <= 12:
            hour = hour % 12 + (12 if half == "PM" else 0)
        elif half:
            hour = 24
        if minute < 60 and (hour < 24 or (hour, minute, half) == (24, 0, "")):
            return hour * 60 + minute
    raise _error(field, text, "which is not a time of day", "Give it as '6:00 PM' or '18:00'.")


def _open_minutes(windows: Iterable[range]) -> set[int]:
    """Return every minute of the week that is in a window, so that those which touch are one."""
    minutes = {minute % MINUTES_A_WEEK for window in windows for minute in window}
    if len(minutes) == MINUTES_A_WEEK:
        raise CampaignConfigError(
            "Calling hours: callingHours.days cover the whole week, so that they neither end nor start. "
            "Give the window in which campaigns may run, or schedule the DAG by a cron expression of your own."
        )
    return minutes


def _shifted(moments: Collection[int], offset: timedelta) -> set[int]:
    if offset % MINUTE:
        raise _error("offset", offset, "not a number of whole minutes", "Give it as timedelta(minutes=…).")
    return {(moment + offset // MINUTE) % MINUTES_A_WEEK for moment in moments}


def _weekly_crons(moments: Iterable[int]) -> list[str]:
    """Return few cron expressions for minutes of the week: times that share their days share one where it fits."""
    days_at = _grouped((moment % MINUTES_A_DAY, moment // MINUTES_A_DAY + 1) for moment in sorted(moments))
    hours_at = _grouped(((at % 60, days), at // 60) for at, days in sorted(days_at.items()))
    minutes_at = _grouped(((hours, days), minute) for (minute, days), hours in sorted(hours_at.items()))
    return [
        f"{_listed(minutes)} {_listed(hours)} * * {_spanned(days)}" for (hours, days), minutes in minutes_at.items()
    ]


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, tuple[Value, ...]]:
    groups: dict[Key, tuple[Value, ...]] = {}
    for key, value in pairs:
        groups[key] = (*groups.get(key, ()), value)
    return groups


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _spanned(days: Sequence[int]) -> str:
    """Return days of the week, 1 for Monday to 7 for Sunday, as cron writes them."""
    if len(days) == 7:
        return "*"
    whole = len(days) > 1 and days[-1] - days[0] == len(days) - 1
    return f"{days[0]}-{days[-1]}" if whole else _listed(days)


def _clock_change_crons(moments: Collection[int], zone: ZoneInfo) -> list[str]:
    """Return expressions for the last minute before each coming change of the clock that makes a moment late."""
    today = datetime.combine(datetime.now(zone), time.min, zone)
    crons = set()
    for day in (today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD)):
        for moment in moments:
            local = day + moment % MINUTES_A_DAY * MINUTE
            if moment // MINUTES_A_DAY == day.weekday() and _comes_late(local):
                while _clock_change(local):
                    local -= MINUTE
                crons.add(f"{local.minute} {local.hour} {local.day} {local.month} *")
    return sorted(crons)


def _comes_late(local: datetime) -> bool:
    """
    Say whether Airflow comes to a time of day after the clock first shows it or has jumped over it.

    Of a repeated time it takes the second; one that is skipped it moves by the length of the jump, which is right for
    the very first minute only.
    """
    change = _clock_change(local)
    return change < timedelta(0) or (change > timedelta(0) and bool(_clock_change(local - MINUTE)))


def _clock_change(local: datetime) -> timedelta:
    """Return how far the clock jumps over a time of day, negative where it repeats it, zero where it does neither."""
    return local.astimezone(UTC) - local.replace(fold=1).astimezone(UTC)


def _timetable(zone: ZoneInfo, crons: Sequence[str]) -> CronTriggerTimetable | MultipleCronTriggerTimetable:
    one, several = trigger_timetables()
    if len(crons) == 1:
        return one(crons[0], timezone=zone.key)
    if several is None:
        raise CampaignConfigError(
            f"Calling hours: this schedule takes {len(crons)} cron expressions ({'; '.join(crons)}), and Airflow 2 has "
            f"no timetable for several. Give each a DAG of its own, with CronTriggerTimetable('{crons[0]}', "
            f"timezone='{zone.key}') and so on, or use Airflow 3."
        )
    return several(*crons, timezone=zone.key)
