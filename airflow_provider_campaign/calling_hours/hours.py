"""When campaigns may run: in the windows of a week, except on closed dates, except where an override says otherwise."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.calling_hours.dates import (
    Override,
    endless_exemptions,
    read_closed_dates,
    read_overrides,
)
from airflow_provider_campaign.calling_hours.fields import calling_hours_error, read_flag, read_object
from airflow_provider_campaign.calling_hours.openings import MINUTE, Opening, as_moments, joined, without
from airflow_provider_campaign.calling_hours.weekly import MINUTES_A_WEEK, WEEKLY_KEYS, read_windows, read_zone

HOURS_KEYS = (*WEEKLY_KEYS, "timezone", "open", "closed_dates", "overrides")

MAX_SEARCH = timedelta(days=400)
"""How far ahead or back an end or a start is looked for."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)

PERIOD_DAYS = 28
"""The openings of a period are computed together, and once."""

MARGIN = timedelta(days=3)
"""Longer than any clock differs from UTC, and than any change of it."""


@dataclass(frozen=True)
class _Period:
    """
    The openings (UTC) of a period and a bit around it.

    :param changes: The starts and the ends in the period itself.
    """

    openings: list[Opening]
    changes: tuple[list[datetime], list[datetime]]


STARTS, ENDS = 0, 1


@dataclass(frozen=True)
class CallingHours:
    """
    When campaigns may run.

    :param windows: Minutes since Monday 00:00, in order; no two touch, and the last may reach into the next week.
    :param closed_dates: Days of the zone on which none may run, from midnight to midnight.
    :param overrides: What applies in place of windows and closed dates; a later one in place of an earlier one.
    :param warnings: What can be read, but is hardly meant.
    """

    zone: ZoneInfo
    windows: tuple[range, ...]
    closed_dates: tuple[date, ...] = ()
    overrides: tuple[Override, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, calling_hours: Mapping[str, Any]) -> CallingHours:
        """
        Read the platform's ``callingHours`` object; also ``open`` in its place, ``closed_dates``, and ``overrides``.

        :raises CampaignConfigError: When a key of it is unknown, or a field is unreadable.
        """
        return CallingHours(**read_hours("callingHours", calling_hours))

    def is_open(self, at: datetime) -> bool:
        """Return whether campaigns may run; at the moment of an end they may no longer."""
        openings = self._period(_period_of(at)).openings
        latest = bisect_right(openings, at, key=_start) - 1
        return latest >= 0 and at < openings[latest][1]

    def next_end(self, after: datetime) -> datetime | None:
        """Return the first end (UTC) that is later than a moment, if one comes within 400 days."""
        return next(self._changes(ENDS, after, after + MAX_SEARCH), None)

    def next_start(self, after: datetime) -> datetime | None:
        """Return the first start (UTC) that is later than a moment, if one comes within 400 days."""
        return next(self._changes(STARTS, after, after + MAX_SEARCH), None)

    def last_end(self, at: datetime) -> datetime | None:
        """Return the latest end (UTC) that is not later than a moment, if there is one in the 400 days before."""
        latest = _period_of(at)
        for number in range(latest, latest - MAX_SEARCH.days // PERIOD_DAYS - 2, -1):
            ends = self._period(number).changes[ENDS]
            if found := bisect_right(ends, at):
                return ends[found - 1]
        return None

    def ends(self, start: datetime, until: datetime) -> list[datetime]:
        """Return the ends (UTC) that are later than one moment and not later than another."""
        return list(self._changes(ENDS, start, until))

    def local(self, moment: datetime) -> str:
        """Return a moment as the clock of the time zone shows it."""
        return moment.astimezone(self.zone).isoformat(timespec="minutes")

    def _changes(self, which: int, after: datetime, until: datetime) -> Iterator[datetime]:
        for number in range(_period_of(after), _period_of(until) + 1):
            changes = self._period(number).changes[which]
            yield from changes[bisect_right(changes, after) : bisect_right(changes, until)]

    @cached_property
    def _periods(self) -> dict[int, _Period]:
        return {}

    def _period(self, number: int) -> _Period:
        if number not in self._periods:
            first, last = (EPOCH + (number + following) * PERIOD_DAYS * DAY for following in (0, 1))
            local = self._local(first.replace(tzinfo=None) - MARGIN, last.replace(tzinfo=None) + MARGIN)
            openings = as_moments(local, self.zone)
            starts = [opens for opens, _ in openings if first <= opens < last]
            ends = [closes for _, closes in openings if first <= closes < last]
            self._periods[number] = _Period(openings, (starts, ends))
        return self._periods[number]

    def _local(self, first: datetime, last: datetime) -> list[Opening]:
        """Return the openings between two local times."""
        monday = datetime.combine(first.date(), datetime.min.time()) - first.weekday() * DAY - WEEK
        openings = [
            (monday + week * WEEK + window.start * MINUTE, monday + week * WEEK + window.stop * MINUTE)
            for week in range((last - monday) // WEEK + 1)
            for window in self.windows
        ]
        for day in self.closed_dates:
            if first.date() <= day <= last.date():
                midnight = datetime.combine(day, datetime.min.time())
                openings = without(openings, midnight, midnight + DAY)
        for override in self.overrides:
            start, end = max(override.start, first), min(override.end or last, last)
            if start < end:
                openings = without(openings, start, end) + [(start, end)] * override.is_open
        return joined(openings)


def _period_of(moment: datetime) -> int:
    return int(moment.timestamp() // (PERIOD_DAYS * DAY.total_seconds()))


def _start(opening: Opening) -> datetime:
    return opening[0]


def read_hours(field: str, calling_hours: Any) -> dict[str, Any]:
    """
    Return the fields of :class:`CallingHours`.

    :param field: What errors and warnings call the object.
    """
    read_object(field, calling_hours, HOURS_KEYS, "Give the object that the platform shows.")
    given = {key: value for key, value in calling_hours.items() if value is not None}
    needs_zone = "open" not in given or "closed_dates" in given or "overrides" in given
    zone = read_zone(f"{field}.timezone", given.get("timezone", None if needs_zone else "UTC"))
    windows, warnings = _read_constant(field, given) if "open" in given else read_windows(field, given)
    closed_dates = read_closed_dates(f"{field}.closed_dates", given.get("closed_dates"))
    if "closed_dates" in given and not closed_dates:
        warnings.append(f"Calling hours: {field}.closed_dates is empty. Look whether its years were given.")
    overrides = read_overrides(f"{field}.overrides", given.get("overrides"), zone)
    warnings += endless_exemptions(f"{field}.overrides", overrides)
    return {
        "zone": zone,
        "windows": windows,
        "closed_dates": closed_dates,
        "overrides": overrides,
        "warnings": tuple(warnings),
    }


def _read_constant(field: str, given: Mapping[str, Any]) -> tuple[tuple[range, ...], list[str]]:
    """Return the windows of hours that are open, or closed, at all times."""
    for key in filter(given.__contains__, WEEKLY_KEYS):
        fix = "Give hours, or 'open' in their place."
        raise calling_hours_error(f"{field}.{key}", given[key], "which can't be given with 'open'", fix)
    windows = (range(MINUTES_A_WEEK),) if read_flag(f"{field}.open", given["open"]) else ()
    return windows, []
