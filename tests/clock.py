"""The time of tests: it passes when somebody sleeps, and at no other moment."""

from __future__ import annotations

import threading


class VirtualClock:
    """A clock for hook and sandbox alike; a sleep moves it on and returns at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
