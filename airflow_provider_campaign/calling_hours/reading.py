"""Read an object of calling hours; an unreadable value or an unknown key is an error that names field and value."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.campaign import plain_text, text_problem
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.text import shown

FREQUENCIES = ("WEEKLY", "DAILY", "CUSTOM")
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")

WINDOW_KEYS = ("day", "start", "end")
WEEKLY_KEYS = ("frequency", "days", *WINDOW_KEYS)
HOURS_KEYS = (*WEEKLY_KEYS, "timezone", "open", "closed_dates", "overrides")
OVERRIDE_KEYS = ("from", "until", "open", "reason")

MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY
MAX_USUAL_WINDOW = 16 * 60  # minutes; a longer window is probably AM written for PM
PROBABLE_ZONES = {  # by the names that are a fixed offset, or not known at all: 9 p.m. EST is 10 p.m. there in July
    **dict.fromkeys(("EST", "EDT", "EST5EDT"), "America/New_York"),
    **dict.fromkeys(("CST", "CDT", "CST6CDT"), "America/Chicago"),
    **dict.fromkeys(("MST", "MDT", "MST7MDT"), "America/Denver"),
    **dict.fromkeys(("PST", "PDT", "PST8PDT"), "America/Los_Angeles"),
}
NOT_REGIONS = ("Etc", "SystemV", "posix", "right")  # names of time zones begin with their area; these do not

_TIME = re.compile(r"(\d{1,2}):(\d{2})(?: ?([AP])M)?", re.IGNORECASE | re.ASCII)


Override = tuple[datetime, datetime | None, bool]  # local start and end, and whether campaigns may run; None: no end


def read_hours(field: str, calling_hours: Any) -> dict[str, Any]:
    """Return the fields of :class:`.CallingHours`; errors and warnings call the object by the name of its field."""
    given = {key: value for key, value in read_object(field, calling_hours, HOURS_KEYS).items() if value is not None}
    needs_zone = "open" not in given or "closed_dates" in given or "overrides" in given
    zone = read_zone(f"{field}.timezone", given.get("timezone", None if needs_zone else "UTC"))
    warnings: list[str] = []
    if "open" not in given:
        windows = _read_windows(field, given, warnings)
    elif any(key in given for key in WEEKLY_KEYS):
        fix = f"Give {', '.join(WEEKLY_KEYS)}, or 'open' in their place."
        raise calling_hours_error(f"{field}.open", given["open"], "which can't be given with hours", fix)
    else:
        windows = (range(MINUTES_A_WEEK),) if read_flag(f"{field}.open", given["open"]) else ()
    dates = read_entries(f"{field}.closed_dates", given.get("closed_dates"))
    if "closed_dates" in given and not dates:
        warnings.append(f"Calling hours: {field}.closed_dates is empty. Look whether its years were given.")
    closed = [_read_date(name, day) for name, day in dates.items()]
    entries = read_entries(f"{field}.overrides", given.get("overrides"))
    overrides = [_read_override(name, entry, zone, warnings) for name, entry in entries.items()]
    return {"zone": zone, "windows": windows, "overrides": (*closed, *overrides), "warnings": tuple(warnings)}


def read_zone(field: str, name: Any) -> ZoneInfo:
    probable = PROBABLE_ZONES.get(str(name).upper())
    fix = f"Give a name of the IANA database, such as {probable or 'Asia/Kolkata'!r}."
    try:
        zone = ZoneInfo(name)
    except (ValueError, TypeError, OSError, LookupError):
        raise calling_hours_error(field, name, "which is not a time zone", fix) from None
    area, slash, _ = zone.key.partition("/")
    if zone.key not in ("UTC", "Etc/UTC") and (not slash or area in NOT_REGIONS):
        raise calling_hours_error(field, name, "which is not the clock of a region", fix)
    return zone


def _read_windows(field: str, given: Mapping[str, Any], warnings: list[str]) -> tuple[range, ...]:
    """Return the windows of a week in order, in minutes since Monday 00:00; none touches another."""
    minutes = {minute % MINUTES_A_WEEK for window in _windows(field, given, warnings) for minute in window}
    if len(minutes) == MINUTES_A_WEEK:
        raise CampaignConfigError(
            f"Calling hours: {field}.days cover the whole week, so that they neither end nor start. "
            "Give the window in which campaigns may run, or {'open': True} for campaigns that may run at any time."
        )
    starts = sorted(minute for minute in minutes if (minute - 1) % MINUTES_A_WEEK not in minutes)
    return tuple(range(start, next(m for m in count(start) if m % MINUTES_A_WEEK not in minutes)) for start in starts)


def _windows(field: str, given: Mapping[str, Any], warnings: list[str]) -> Iterator[range]:
    """Yield the window of each entry, or one for each day of the week if it names none."""
    frequency = _word(given.get("frequency", "WEEKLY"))
    if frequency not in FREQUENCIES:
        fix = f"Use one of {', '.join(FREQUENCIES)}."
        raise calling_hours_error(f"{field}.frequency", given["frequency"], "which is unknown", fix)
    for name, entry in _entries(field, given):
        start, end = (_minute_of_day(f"{name}.{key}", entry.get(key)) for key in ("start", "end"))
        length = (end - start) % MINUTES_A_DAY or MINUTES_A_DAY
        if length > MAX_USUAL_WINDOW:
            warnings.append(
                f"Calling hours: {name} is open for {length / 60:g} hours. Look whether AM stands where PM is meant."
            )
        is_daily = frequency == "DAILY" and not _word(entry.get("day"))
        for weekday in range(7) if is_daily else [_weekday(f"{name}.day", entry.get("day"))]:
            yield range(weekday * MINUTES_A_DAY + start, weekday * MINUTES_A_DAY + start + length)


def _entries(field: str, given: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Return the objects that have start and end, each with what errors call it."""
    if "days" not in given:
        return [(field, given)]
    days = given["days"]
    if not isinstance(days, list) or not days:
        fix = "Give objects with day, start and end in it."
        raise calling_hours_error(f"{field}.days", days, "not a list of days", fix)
    named = {f"{field}.days[{number}]": entry for number, entry in enumerate(days)}
    return [(name, read_object(name, entry, WINDOW_KEYS)) for name, entry in named.items()]


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
        hours = range(1, 13) if half else range(24)
        if hour in hours and minute < 60:
            return (hour % 12 + 12 * (half == "P") if half else hour) * 60 + minute
    raise calling_hours_error(field, text, "which is not a time of day", "Give it as '6:00 PM' or '18:00'.")


def _read_override(field: str, value: Any, zone: ZoneInfo, warnings: list[str]) -> Override:
    given = read_object(field, value, OVERRIDE_KEYS)
    start, end = _read_time(f"{field}.from", given.get("from"), zone), None
    is_open, reason = read_flag(f"{field}.open", given.get("open", False)), given.get("reason")
    if given.get("until") is not None:
        end = _read_time(f"{field}.until", given["until"], zone)
        if end <= start:
            fix = "Give a later time, or null for until further notice."
            problem = f"which is not after from ({start.isoformat()})"
            raise calling_hours_error(f"{field}.until", given["until"], problem, fix)
    elif is_open:  # temporary exemptions are forgotten
        warnings.append(
            f"Calling hours: {field} is open until further notice{f' ({reason})' if reason else ''}: nothing is "
            "stopped from then on. Give it an until."
        )
    return start, end, is_open


def _read_date(field: str, value: Any) -> Override:
    """Return the closed period of a date, from midnight to midnight."""
    text = value.isoformat() if isinstance(value, date) else value
    try:
        day = date.fromisoformat(text.strip())
    except (AttributeError, ValueError):
        raise calling_hours_error(field, value, "which is not a date", "Give it as '2026-12-25'.") from None
    midnight = datetime.combine(day, time())
    return midnight, None if day == date.max else midnight + timedelta(days=1), False


def _read_time(field: str, value: Any, zone: ZoneInfo) -> datetime:
    """Return a local time; one with an offset from UTC is converted to it."""
    text = value.isoformat() if isinstance(value, datetime) else value
    try:
        read = datetime.fromisoformat(text.strip())
        if len(text.strip()) <= len("2026-11-03"):
            raise ValueError("no time of day")
        return read.astimezone(zone).replace(tzinfo=None) if read.tzinfo else read
    except (AttributeError, ValueError, OverflowError):
        fix = "Give the date and the local time, as '2026-11-03T14:05'."
        raise calling_hours_error(field, value, "which is not a time", fix) from None


def calling_hours_error(field: str, value: Any, problem: str, fix: str) -> CampaignConfigError:
    return CampaignConfigError(f"Calling hours: {field} is {shown(value)}, {problem}. {fix}")


def read_object(field: str, value: Any, keys: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise calling_hours_error(field, value, "not an object", f"Give an object with some of {', '.join(keys)}.")
    for key in value:
        if key not in keys:
            raise CampaignConfigError(
                f"Calling hours: {field} has the key {shown(key)}, which is unknown. Use some of {', '.join(keys)}."
            )
    return value


def read_entries(field: str, value: Any) -> dict[str, Any]:
    """
    Return the entries of a list, by what errors call them; null or a blank has none.

    The list is given as such, or as the text of one, which a template renders to.
    """
    if isinstance(value, str):
        value = parse_literal(field, value) if value.strip() else None
    if not isinstance(value, list | tuple | set | frozenset | None):
        raise calling_hours_error(field, value, "not a list", "Give a list, also of a single entry.")
    return {f"{field}[{number}]": entry for number, entry in enumerate(value or ())}


def read_flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise calling_hours_error(field, value, "which is neither true nor false", "Use true or false.")
    return value


def read_words(field: str, value: Any) -> tuple[str, ...]:
    """Return one text or several, which may be the text of a list; null and an empty list are none."""
    words = text_list(value) or [value] if isinstance(value, str) else read_entries(field, value).values()
    for word in words:
        if not isinstance(word, str) or text_problem(word):
            fix = "Leave the key out, or check what the template gives."
            raise calling_hours_error(field, word, "which is no text, or stands for a missing one", fix)
    return tuple(word.strip() for word in words)


def text_list(text: str) -> list[str] | None:
    """Return the texts of a list that a template rendered to; None if it is none, such as a pattern with ``[ab]``."""
    with suppress(CampaignConfigError):
        found = parse_literal("", text)
        if isinstance(found, list) and all(isinstance(word, str) for word in found):
            return found
    return None


def parse_literal(field: str, text: str) -> Any:
    """Return the list or object that a text stands for, as JSON or as Python writes it."""
    for parse in (_parse_json, ast.literal_eval):
        try:
            return parse(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    raise calling_hours_error(field, text, "which can't be read", "Give a list or an object, or the JSON text of one.")


def _parse_json(text: str) -> Any:
    """Return what JSON stands for; of two lists of overrides in one object the first would be ignored."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise CampaignConfigError(f"Calling hours: of {', '.join(found)}, one key stands twice. Merge the two.")
        return found

    return json.loads(text, object_pairs_hook=unique)
