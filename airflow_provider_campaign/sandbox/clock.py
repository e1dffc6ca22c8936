"""The sandbox's time: a clock that tests may replace, and the platform's dates."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """
    What the sandbox needs of a clock; the module ``time`` has it, too.

    One that also has ``time()``, the seconds since the epoch, says what date it is.
    """

    def monotonic(self) -> float:
        """Return the present time in seconds, on any scale that does not run backwards."""


class RealClock:
    """The monotonic clock of this machine."""

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()


class Timeline:
    """
    Converts between readings of a clock and dates.

    :param clock: What delays and rate limits go by.
    :param offset: Returns by how many seconds the platform's own clock is ahead.
    """

    def __init__(self, clock: Clock, offset: Callable[[], float]) -> None:
        self.clock = clock
        self._offset = offset
        self._anchor = clock.monotonic()
        self._anchor_date = datetime.fromtimestamp(getattr(clock, "time", time.time)(), UTC)

    def now(self) -> float:
        """Return the clock's time in seconds."""
        return self.clock.monotonic()

    def epoch(self) -> float:
        """Return the seconds since the epoch that the platform's clock shows now."""
        return self.date(self.platform_time(self.now())).timestamp()

    def platform_time(self, at: float) -> float:
        """
        Return the reading of the platform's clock at a reading of ours.

        :param at: Seconds.
        """
        return at + self._offset()

    def iso(self, at: float) -> str:
        """
        Return the date of a reading in the platforms' format.

        :param at: Seconds.
        """
        return self.date(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def date(self, at: float) -> datetime:
        """
        Return the date of a reading.

        :param at: Seconds.
        """
        return self._anchor_date + timedelta(seconds=at - self._anchor)

    def at(self, date: datetime) -> float:
        """
        Return the reading at a date.

        :param date: Aware.
        """
        return self._anchor + (date - self._anchor_date).total_seconds()
