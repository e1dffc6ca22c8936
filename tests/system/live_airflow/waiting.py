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
    """
    Call ``check`` until it gives something true, and return that.

    :param timeout: seconds until giving up; the check is made at least once, and once more at the end
    :param failure: says what was waited for and how things stand
    :param interval: seconds between two checks
    :raises TimeoutError: with the text of ``failure``
    """
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() >= deadline
        found = check()
        if found:
            return found
        if late:
            raise TimeoutError(f"after {timeout} s: {failure()}")
        time.sleep(interval)
