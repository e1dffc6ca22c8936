"""Requests about many campaigns at the same time, as many as the rate limit allows and the platform's pace asks for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from airflow_provider_campaign.client.clock import Clock

Item = TypeVar("Item")

CONCURRENCY = 5
"""Requests in flight at the same time, unless the platform is slow: as many get a 429 if the limit is reached."""

MAX_CONCURRENCY = 20
"""Requests in flight at the same time, however slow the platform is; each has a connection of its own."""

PER_SECOND = 4
"""What more requests in flight are to achieve if it is slow: a minute's limit in fifteen seconds."""

PROGRESS_INTERVAL = 1.0
"""Seconds after which the progress is reported although nothing has ended."""


class Workers:
    """Threads that do the same with many campaigns; more of them, the longer the platform takes to respond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_at: dict[int, float] = {}
        """When the work that is under way began (seconds since the epoch), by a number."""
        self._last_took = 0.0
        """Seconds."""

    def run(self, work: Callable[[Item], None], items: Iterable[Item], report: Callable[[], None]) -> None:
        """
        Do the work on each item; what it raises ends all of it, once what is under way has ended.

        :param report: Called now and then, and after each item.
        """
        waiting, in_flight = deque(enumerate(items)), set[Future[None]]()
        pool = ThreadPoolExecutor(MAX_CONCURRENCY, thread_name_prefix="sweep")
        try:
            while waiting or in_flight:
                while waiting and len(in_flight) < self._concurrency:
                    number, item = waiting.popleft()
                    in_flight.add(pool.submit(self._timed, work, number, item))
                done, in_flight = wait(in_flight, PROGRESS_INTERVAL, FIRST_COMPLETED)
                for future in done:
                    future.result()
                report()
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def _concurrency(self) -> int:
        now = self._clock.time()
        longest = max((now - began_at for began_at in list(self._began_at.values())), default=0.0)
        return min(MAX_CONCURRENCY, max(CONCURRENCY, math.ceil(PER_SECOND * max(longest, self._last_took))))

    def _timed(self, work: Callable[[Item], None], number: int, item: Item) -> None:
        self._began_at[number] = self._clock.time()
        try:
            work(item)
        finally:
            self._last_took = self._clock.time() - self._began_at.pop(number)
