"""
When campaigns may run: the one reading of the platform's ``callingHours`` object.

Its times are those of the clock on the wall. A time that the clock skips takes effect at the jump; of a time that it
shows twice, a window ends at the first and starts at the second, so that nobody is called late or early.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.campaign import plain_text
from airflow_provider_campaign.exceptions import CampaignConfigError

__all__ = ["MINUTE", "MINUTES_A_DAY", "MINUTES_A_WEEK", "CallingHours", "calling_hours_error"]

FREQUENCIES = ("WEEKLY", "DAILY", "CUSTOM")
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")

MINUTE = timedelta(minutes=1)
MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY

MAX_USUAL_WINDOW = 16 * 60
"""Minutes; in a longer window somebody probably took AM for PM."""

NOT_REGIONS = ("Etc", "SystemV", "posix", "right")
"""Names of time zones begin with their area; these are none."""

PROBABLE_ZONES = {
    "America/New_York": ("EST", "EDT", "EST5EDT", "ETC/GMT+5"),
    "America/Chicago": ("CST", "CDT", "CST6CDT", "ETC/GMT+6"),
    "America/Denver": ("MST", "MDT", "MST7MDT", "ETC/GMT+7"),
    "America/Los_Angeles": ("PST", "PDT", "PST8PDT", "ETC/GMT+8"),
    "Pacific/Honolulu": ("HST", "ETC/GMT+10"),
    "Europe/London": ("GMT", "BST", "GB"),
    "Europe/Lisbon": ("WET",),
    "Europe/Berlin": ("CET", "CEST", "MET"),
    "Europe/Athens": ("EET", "EEST"),
    "Asia/Kolkata": ("IST",),
}
"""What is probably meant by a name that is no region's."""

_TIME = re.compile(r"(\d{1,2}):(\d{2})\s*(?:([AP])\.?\s?M\.?)?", re.IGNORECASE | re.ASCII)


def calling_hours_error(field: str, value: Any, problem: str, fix: str) -> CampaignConfigError:
    """Return the error for a field, or an argument, that can't be read."""
    return CampaignConfigError(f"Calling hours: {field} is {value!r}, {problem}. {fix}")


@dataclass(frozen=True)
class CallingHours:
    """
    The windows of a week in which campaigns may run.

    :param windows: Minutes since Monday 00:00, in order; no two touch, and the last may reach into the next week.
    :param warnings: What can be read, but is hardly meant.
    """

    zone: ZoneInfo
    windows: tuple[range, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, calling_hours: Mapping[str, Any]) -> CallingHours:
        """
        Read the platform's ``callingHours`` object.

        :raises CampaignConfigError: When a field of it can't be read, or the hours neither end nor start.
        """
        if not isinstance(calling_hours, Mapping):
            fix = "Give the object that the platform shows."
            raise calling_hours_error("callingHours", calling_hours, "not an object", fix)
        zone = _read_zone(calling_hours.get("timezone"))
        entries = dict(_entries(calling_hours))
        windows = _merged(window for windows in entries.values() for window in windows)
        warnings = (_long_window(field, windows[0]) for field, windows in entries.items())
        return cls(zone, windows, tuple(filter(None, warnings)))

    def is_open(self, at: datetime) -> bool:
        """Say whether campaigns may run; at the moment of an end they may no longer."""
        return self.next_end(at) < self.next_start(at)

    def next_end(self, after: datetime) -> datetime:
        """Return the first end (UTC) that is later than a moment."""
        return min(end for end in self._changes(after)[1] if end > after)

    def next_start(self, after: datetime) -> datetime:
        """Return the first start (UTC) that is later than a moment."""
        return min(start for start in self._changes(after)[0] if start > after)

    def last_end(self, at: datetime) -> datetime:
        """Return the latest end (UTC) that is not later than a moment."""
        return max(end for end in self._changes(at)[1] if end <= at)

    def window_end(self, at: datetime) -> datetime:
        """Return the end (UTC) of the window that is open at a moment, or was the last to be."""
        return self.next_end(at) if self.is_open(at) else self.last_end(at)

    def _changes(self, around: datetime) -> tuple[set[datetime], set[datetime]]:
        """
        Return the starts and the ends (UTC) of the weeks around a moment.

        A change of the clock can leave nothing of a window, or of the time between two.
        """
        today = around.astimezone(self.zone).date()
        monday = datetime.combine(today, time.min) - timedelta(days=today.weekday())
        openings = [
            (self._moment(week + window.start * MINUTE, fold=1), self._moment(week + window.stop * MINUTE, fold=0))
            for week in (monday + timedelta(weeks=number) for number in range(-2, 3))
            for window in self.windows
        ]
        starts = {start for start, end in openings if start < end}
        ends = {end for start, end in openings if start < end}
        return starts - ends, ends - starts

    def _moment(self, local: datetime, fold: int) -> datetime:
        """
        Return the moment (UTC) at which the clock shows a time, or jumps over it.

        :param fold: 0 for the first of two such moments, 1 for the second.
        """
        first, second = (local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first <= second:
            return (first, second)[fold]
        moments = (second + minutes * MINUTE for minutes in count())
        return next(moment for moment in moments if moment.astimezone(self.zone).replace(tzinfo=None) >= local)


def _read_zone(name: Any) -> ZoneInfo:
    """Return a time zone that is the clock of a region, or UTC."""
    probable = next((zone for zone, names in PROBABLE_ZONES.items() if str(name).upper() in names), None)
    fix = "Give a name of the IANA database, such as 'Asia/Kolkata' or 'America/New_York'."
    if probable:
        fix = f"Give {probable!r} if that is meant, or the name that the IANA database has for the region."
    try:
        zone = ZoneInfo(name)
    except (ValueError, TypeError, OSError, LookupError):
        raise calling_hours_error("callingHours.timezone", name, "which is not a time zone", fix) from None
    area, slash, _ = zone.key.partition("/")
    if zone.key not in ("UTC", "Etc/UTC") and (not slash or area in NOT_REGIONS):
        raise calling_hours_error("callingHours.timezone", name, "which is not the clock of a region", fix)
    return zone


def _entries(calling_hours: Mapping[str, Any]) -> Iterator[tuple[str, list[range]]]:
    """Yield each entry's name with its windows: one, or one for each day of the week where it names none."""
    frequency = _word(calling_hours.get("frequency")) or "WEEKLY"
    if frequency not in FREQUENCIES:
        fix = f"Use one of {', '.join(FREQUENCIES)}."
        raise calling_hours_error("callingHours.frequency", calling_hours["frequency"], "which is unknown", fix)
    days = calling_hours.get("days")
    if days is None:
        yield "callingHours", _windows("callingHours", calling_hours, frequency)
        return
    if not isinstance(days, list) or not days:
        fix = "Give objects with day, start and end in it."
        raise calling_hours_error("callingHours.days", days, "not a list of days", fix)
    for number, entry in enumerate(days):
        field = f"callingHours.days[{number}]"
        yield field, _windows(field, entry, frequency)


def _windows(field: str, entry: Any, frequency: str) -> list[range]:
    if not isinstance(entry, Mapping):
        raise calling_hours_error(field, entry, "not an object", "Give an object with day, start and end.")
    start = _minute_of_day(f"{field}.start", entry.get("start"))
    end = _minute_of_day(f"{field}.end", entry.get("end"))
    if end <= start:
        end += MINUTES_A_DAY
    day = entry.get("day")
    weekdays = range(7) if frequency == "DAILY" and not _word(day) else [_weekday(f"{field}.day", day)]
    return [range(weekday * MINUTES_A_DAY + start, weekday * MINUTES_A_DAY + end) for weekday in weekdays]


def _word(value: Any) -> str:
    """Return a value as words are compared; null and an empty text are no word, 0 and an empty list are wrong ones."""
    return "" if value is None else plain_text(str(value)).upper()


def _weekday(field: str, day: Any) -> int:
    word = _word(day)
    for weekday, name in enumerate(WEEKDAYS):
        if len(word) >= 2 and name.startswith(word):
            return weekday
    fix = "Use MO, TU, WE, TH, FR, SA or SU; only hours with the frequency DAILY may leave the day out."
    raise calling_hours_error(field, day, "which is not a day of the week", fix)


def _minute_of_day(field: str, text: Any) -> int:
    match = _TIME.fullmatch(plain_text(text)) if isinstance(text, str) else None
    if match:
        hour, minute, half = int(match[1]), int(match[2]), (match[3] or "").upper()
        if half and 1 <= hour <= 12:
            hour = hour % 12 + (12 if half == "P" else 0)
        elif half:
            hour = 24
        if minute < 60 and (hour < 24 or (hour, minute, half) == (24, 0, "")):
            return hour * 60 + minute
    raise calling_hours_error(field, text, "which is not a time of day", "Give it as '6:00 PM' or '18:00'.")


def _merged(windows: Iterable[range]) -> tuple[range, ...]:
    """Return windows of which none touches another, in the order of their starts."""
    minutes = {minute % MINUTES_A_WEEK for window in windows for minute in window}
    if len(minutes) == MINUTES_A_WEEK:
        raise CampaignConfigError(
            "Calling hours: callingHours.days cover the whole week, so that they neither end nor start. "
            "Give the window in which campaigns may run, or schedule the DAG by a cron expression of your own."
        )
    starts = sorted(minute for minute in minutes if (minute - 1) % MINUTES_A_WEEK not in minutes)
    return tuple(range(start, next(m for m in count(start) if m % MINUTES_A_WEEK not in minutes)) for start in starts)


def _long_window(field: str, window: range) -> str | None:
    """Return a warning for a window that is longer than calling hours are."""
    if len(window) <= MAX_USUAL_WINDOW:
        return None
    start, end = (f"{minute % MINUTES_A_DAY // 60:02}:{minute % 60:02}" for minute in (window.start, window.stop))
    return (
        f"Calling hours: {field} is open for {len(window) / 60:g} hours, from {start} to {end}. "
        "Look whether AM stands where PM is meant."
    )
