"""Virtual time, for tests: it passes only while something sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_campaign.client.clock import Clock

Result = TypeVar("Result")

LEAST_STEP = 1e-6
"""Seconds; years after the clock began, a smaller step would be lost in the rounding of a float."""


def read_date(given: datetime | str) -> datetime:
    """Return a date that may be ISO text; one without an offset is in UTC, as it is in Airflow."""
    date = datetime.fromisoformat(given) if isinstance(given, str) else given
    return date if date.tzinfo else date.replace(tzinfo=UTC)


class VirtualClock(Clock):
    """
    A clock for client, sandbox, and test alike; a sleep moves it on and returns at once.

    :param began_on: The date that it shows at first; None for the present one.
    """

    def __init__(self, began_on: datetime | None = None) -> None:
        self.began = self.now = 1000.0
        """Seconds, as the sandbox's request log and the histories of its campaigns have them."""
        self.slept: list[float] = []
        """The seconds of each sleep."""
        self._epoch = (time.time() if began_on is None else began_on.timestamp()) - self.now
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._lock = threading.RLock()

    @property
    def date(self) -> datetime:
        """The date that it shows, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    @property
    def passed(self) -> float:
        """Seconds that have passed since it began."""
        return self.now - self.began

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._epoch + self.now

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return self.now

    def reading(self, date: datetime | str) -> float:
        """Return what ``now`` is at a date."""
        return read_date(date).timestamp() - self._epoch

    def sleep(self, seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, with all that happens meanwhile; less of it if the sleep is cancelled."""
        if not is_cancelled():
            self.slept.append(seconds)
            self.advance(seconds, is_cancelled)

    def advance(self, seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, with all that happens meanwhile."""
        ends = self.now + seconds
        with self._lock:
            while self._events and self._events[0][0] <= ends:
                at, _, event = heapq.heappop(self._events)
                self.now = max(self.now, at)
                event()
            if not is_cancelled():
                self.now = max(self.now, ends)

    def go_to(self, date: datetime | str) -> None:
        """Let time pass until a date, with all that happens meanwhile; none if the date has passed."""
        self.advance(max(0.0, self.reading(date) - self.now))

    def on(self, date: datetime | str, event: Callable[[], object]) -> None:
        """Have something happen at a date."""
        self.at(self.reading(date) - self.began, event)

    def at(self, seconds: float, event: Callable[[], object]) -> None:
        """Have something happen this number of seconds after the clock began."""
        heapq.heappush(self._events, (self.began + seconds, next(self._order), event))

    def change(self, seconds: float) -> None:
        """Have the date differ from now on: the clock was wrong, or another machine's is."""
        self._epoch += seconds


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """
    An event loop on whose clock no time passes except what something waits for: if all wait, the next moment is now.

    As long as a thread is at work for the loop, time stands still, so that nothing overtakes it.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._virtual_clock = clock
        self._began = clock.monotonic()
        self._threads = 0
        super().__init__(_SkippingSelector(self))

    def time(self) -> float:
        """Return the seconds since it began: asyncio reckons with differences of a nanosecond."""
        return self._virtual_clock.monotonic() - self._began

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Run a function in a thread, and let no time pass meanwhile."""
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, future: object) -> None:
        self._threads -= 1

    def skip(self, seconds: float) -> bool:
        """Let time pass, unless a thread is at work; return whether it has."""
        if self._threads == 0:
            self._virtual_clock.advance(max(seconds, LEAST_STEP))
        return self._threads == 0


class _SkippingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None and self._loop.skip(timeout):
            return []
        return super().select(None)


def run(coroutine: Coroutine[Any, Any, Result], clock: VirtualClock) -> Result:
    """Run a coroutine on an event loop that uses a clock."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(clock)) as runner:
        return runner.run(coroutine)
