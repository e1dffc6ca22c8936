"""Something that happens on a platform while a test waits for something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_campaign.sandbox import Sandbox


@contextmanager
def meanwhile(sandbox: Sandbox, holds: Callable[[Sandbox], object], act: Callable[[], object]) -> Iterator[None]:
    """Act as soon as something holds of the sandbox."""

    def wait_and_act() -> None:
        sandbox.wait_for(holds, timeout=60)
        act()

    thread = threading.Thread(target=wait_and_act, daemon=True)
    thread.start()
    yield
    thread.join()


def requests_received(count: int, action: str | None = None) -> Callable[[Sandbox], bool]:
    """Hold once the sandbox has received so many requests, of one action or any."""
    return lambda sandbox: sum(action in (None, request.action) for request in sandbox.requests) >= count
