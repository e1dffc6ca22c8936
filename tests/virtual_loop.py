"""An event loop on whose clock no time passes but what somebody waits for."""

from __future__ import annotations

import asyncio
import selectors
from asyncio import AbstractEventLoop
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.clock import VirtualClock

Result = TypeVar("Result")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """
    Where everybody waits for some moment, it is that moment at once.

    As long as a thread is at work for the loop, time stands still, so that nothing overtakes it.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._virtual_clock = clock
        self._threads = 0
        super().__init__(_SkippingSelector(self))

    def time(self) -> float:
        return self._virtual_clock.monotonic()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, future: object) -> None:
        self._threads -= 1

    def skip(self, seconds: float) -> bool:
        """Let the time pass, unless a thread is at work."""
        if self._threads == 0:
            self._virtual_clock.advance(seconds)
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
    """Run a coroutine on an event loop that goes by this clock."""

    def new_loop() -> AbstractEventLoop:
        return VirtualTimeLoop(clock)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(coroutine)
