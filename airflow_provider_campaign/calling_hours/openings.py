"""
Spans of time in which something is open: what is cut out of them, and when they are in UTC.

A time that the clock skips takes effect at the jump; of a time that it shows twice, what is open ends at the first and
starts at the second, so that nobody is called late or early.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)

Opening = tuple[datetime, datetime]
"""Start and end."""


def without(openings: Iterable[Opening], start: datetime, end: datetime) -> list[Opening]:
    """Return what is left of openings when a span is cut out."""
    parts = (part for opens, closes in openings for part in ((opens, min(closes, start)), (max(opens, end), closes)))
    return [(opens, closes) for opens, closes in parts if opens < closes]


def joined(openings: Iterable[Opening]) -> list[Opening]:
    """Return openings in order; those that touch or overlap are one."""
    found: list[Opening] = []
    for opens, closes in sorted(openings):
        if found and opens <= found[-1][1]:
            opens, closes = found[-1][0], max(found.pop()[1], closes)
        found.append((opens, closes))
    return found


def as_moments(openings: Iterable[Opening], zone: ZoneInfo) -> list[Opening]:
    """Return openings of local times in UTC; a change of the clock can leave nothing of one, or of the time between."""
    moments = ((_moment(opens, zone, fold=1), _moment(closes, zone, fold=0)) for opens, closes in joined(openings))
    return joined((opens, closes) for opens, closes in moments if opens < closes)


def _moment(local: datetime, zone: ZoneInfo, fold: int) -> datetime:
    """
    Return the moment (UTC) at which the clock shows a time, or jumps over it.

    :param fold: 0 for the first of two such moments, 1 for the second.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return (first, second)[fold]
    jump_or_before = second.replace(second=0, microsecond=0)
    moments = (jump_or_before + minutes * MINUTE for minutes in count())
    return next(moment for moment in moments if moment.astimezone(zone).replace(tzinfo=None) >= local)
