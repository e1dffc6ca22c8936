"""Wait for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    check: Callable[[], T | None],
    timeout: float,
    failure: Callable[[], str],
    interval: float = 0.1,
) -> T:
    """Call ``check`` until it gives something true, and return that; after ``timeout`` seconds, raise ``failure()``."""
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() >= deadline
        found = check()
        if found:
            return found
        if late:
            raise TimeoutError(f"after {timeout} s: {failure()}")
        time.sleep(interval)
