"""The windows of a week, as the platform's ``callingHours`` object has them, and its time zone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.calling_hours.fields import calling_hours_error, read_object
from airflow_provider_campaign.campaign import plain_text
from airflow_provider_campaign.exceptions import CampaignConfigError

FREQUENCIES = ("WEEKLY", "DAILY", "CUSTOM")
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")

WINDOW_KEYS = ("day", "start", "end")
WEEKLY_KEYS = ("frequency", "days", *WINDOW_KEYS)

MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY

MAX_USUAL_WINDOW = 16 * 60
"""Minutes; a longer window is probably AM written for PM."""

NOT_REGIONS = ("Etc", "SystemV", "posix", "right")
"""Names of time zones begin with their area; these do not."""

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


def read_zone(field: str, name: Any) -> ZoneInfo:
    """Return a time zone that is the clock of a region, or UTC."""
    probable = next((zone for zone, names in PROBABLE_ZONES.items() if str(name).upper() in names), None)
    fix = "Give a name of the IANA database, such as 'Asia/Kolkata' or 'America/New_York'."
    if probable:
        fix = f"Give {probable!r} if that is meant, or the name that the IANA database has for the region."
    try:
        zone = ZoneInfo(name)
    except (ValueError, TypeError, OSError, LookupError):
        raise calling_hours_error(field, name, "which is not a time zone", fix) from None
    area, slash, _ = zone.key.partition("/")
    if zone.key not in ("UTC", "Etc/UTC") and (not slash or area in NOT_REGIONS):
        raise calling_hours_error(field, name, "which is not the clock of a region", fix)
    return zone


def read_windows(field: str, calling_hours: Mapping[str, Any]) -> tuple[tuple[range, ...], list[str]]:
    """Return the windows of a week, in minutes since Monday 00:00 and merged, and what is hardly meant of them."""
    entries = dict(_entries(field, calling_hours))
    windows = _merged(field, (window for windows in entries.values() for window in windows))
    warnings = (_long_window(entry, windows[0]) for entry, windows in entries.items())
    return windows, list(filter(None, warnings))


def _entries(field: str, calling_hours: Mapping[str, Any]) -> Iterator[tuple[str, list[range]]]:
    """Yield each entry's name with its windows: one, or one for each day of the week if it names none."""
    frequency = _word(calling_hours.get("frequency")) or "WEEKLY"
    if frequency not in FREQUENCIES:
        fix = f"Use one of {', '.join(FREQUENCIES)}."
        raise calling_hours_error(f"{field}.frequency", calling_hours["frequency"], "which is unknown", fix)
    days = calling_hours.get("days")
    if days is None:
        yield field, _windows(field, calling_hours, frequency)
        return
    if not isinstance(days, list) or not days:
        fix = "Give objects with day, start and end in it."
        raise calling_hours_error(f"{field}.days", days, "not a list of days", fix)
    for number, entry in enumerate(days):
        name = f"{field}.days[{number}]"
        fix = "Give an object with day, start and end."
        yield name, _windows(name, read_object(name, entry, WINDOW_KEYS, fix), frequency)


def _windows(field: str, entry: Mapping[str, Any], frequency: str) -> list[range]:
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


def _merged(field: str, windows: Iterable[range]) -> tuple[range, ...]:
    """Return windows of which none touches another, in the order of their starts."""
    minutes = {minute % MINUTES_A_WEEK for window in windows for minute in window}
    if len(minutes) == MINUTES_A_WEEK:
        raise CampaignConfigError(
            f"Calling hours: {field}.days cover the whole week, so that they neither end nor start. "
            "Give the window in which campaigns may run, or {'open': True} for campaigns that may run at any time."
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
