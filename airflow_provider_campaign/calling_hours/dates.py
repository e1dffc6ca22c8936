"""What differs from the week: dates that are closed, and overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.calling_hours.fields import calling_hours_error, read_flag, read_list, read_object

OVERRIDE_KEYS = ("from", "until", "open", "reason")


@dataclass(frozen=True)
class Override:
    """
    A span of local time in which campaigns may run, or may not, whatever the week says.

    :param end: None until further notice.
    """

    start: datetime
    end: datetime | None
    is_open: bool
    reason: str | None = None


def read_closed_dates(field: str, value: Any) -> tuple[date, ...]:
    """Return dates, given as such (as by the library ``holidays``) or as ISO texts, in order."""
    fix = "Give a list, such as ['2026-12-25'] or sorted(holidays.country_holidays('US', years=2026))."
    days = read_list(field, value, fix)
    return tuple(sorted({_read_date(f"{field}[{number}]", day) for number, day in enumerate(days)}))


def read_overrides(field: str, value: Any, zone: ZoneInfo) -> tuple[Override, ...]:
    """Return overrides in the order in which they are given: a later one applies in place of an earlier one."""
    fix = "Give a list of objects with from, until, open and reason."
    entries = read_list(field, value, fix)
    return tuple(_read_override(f"{field}[{number}]", entry, zone) for number, entry in enumerate(entries))


def endless_exemptions(field: str, overrides: tuple[Override, ...]) -> list[str]:
    """Return a warning for each override that allows campaigns without an end: temporary exemptions are forgotten."""
    return [
        f"Calling hours: {field}[{number}] is open until further notice"
        f"{f' ({override.reason})' if override.reason else ''}: nothing is stopped from then on. Give it an until."
        for number, override in enumerate(overrides)
        if override.is_open and override.end is None
    ]


def _read_override(field: str, entry: Any, zone: ZoneInfo) -> Override:
    given: Mapping[str, Any] = read_object(
        field, entry, OVERRIDE_KEYS, "Give an object with from, until, open and reason."
    )
    start = _read_time(f"{field}.from", given.get("from"), zone)
    end = None if given.get("until") is None else _read_time(f"{field}.until", given["until"], zone)
    if end is not None and end <= start:
        fix = "Give a later time, or null for until further notice."
        raise calling_hours_error(
            f"{field}.until", given["until"], f"which is not after from ({start.isoformat()})", fix
        )
    reason = given.get("reason")
    return Override(
        start, end, read_flag(f"{field}.open", given.get("open", False)), None if reason is None else str(reason)
    )


def _read_date(field: str, value: Any) -> date:
    text = value.isoformat() if isinstance(value, date) else value
    try:
        return date.fromisoformat(text.strip())
    except (AttributeError, ValueError):
        raise calling_hours_error(field, value, "which is not a date", "Give it as '2026-12-25'.") from None


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
