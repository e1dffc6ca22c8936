"""The sandbox's time: a clock that tests may replace, and the dates that its readings stand for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the sandbox needs of a clock; the module `time` would do, too."""

    def time(self) -> float:
        """Return the present time in seconds, on any scale that does not run backwards."""


class RealClock:
    """The monotonic clock of this machine."""

    def time(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()


class Timeline:
    """
    A clock whose readings can be written as dates: it was anchored to the wall clock once.

    :param clock: what delays and rate limits go by
    :param offset: tells by how many seconds the platform's own clock, which its dates are from, is ahead
    """

    def __init__(self, clock: Clock, offset: Callable[[], float]) -> None:
        self.clock = clock
        self._offset = offset
        self._anchor = clock.time()
        self._anchor_date = datetime.now(UTC)

    def now(self) -> float:
        """Return the clock's time in seconds."""
        return self.clock.time()

    def platform_time(self, at: float) -> float:
        """
        Return what the platform's clock shows at a time of ours.

        :param at: a reading of the clock, in seconds
        """
        return at + self._offset()

    def iso(self, at: float) -> str:
        """
        Return a clock time the way the platforms write dates.

        :param at: a reading of the clock, in seconds
        """
        return self.date(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def date(self, at: float) -> datetime:
        """
        Return the date that a clock time stands for.

        :param at: a reading of the clock, in seconds
        """
        return self._anchor_date + timedelta(seconds=at - self._anchor)

    def at(self, date: datetime) -> float:
        """
        Return the clock time of a date.

        :param date: an aware date
        """
        return self._anchor + (date - self._anchor_date).total_seconds()
