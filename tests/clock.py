"""The time of tests: it passes when somebody sleeps, and at no other moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class VirtualClock:
    """A clock for client and sandbox alike; a sleep moves it on and returns at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._epoch = time.time() - self.now
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def time(self) -> float:
        return self._epoch + self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        if is_cancelled():
            return
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


class EventfulClock(VirtualClock):
    """A clock on which things happen in the account while somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.began = self.now
        self._events: list[tuple[float, Callable[[], object]]] = []

    @property
    def passed(self) -> float:
        return self.now - self.began

    def at(self, seconds: float, event: Callable[[], object]) -> None:
        self._events.append((self.began + seconds, event))

    def sleep(self, seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        ends = self.now + seconds
        while due := min(
            (event for event in self._events if event[0] <= ends), key=lambda event: event[0], default=None
        ):
            self._events.remove(due)
            self.now = max(self.now, due[0])
            due[1]()
        super().sleep(max(0.0, ends - self.now), is_cancelled)
