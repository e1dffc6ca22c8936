"""Calls in a thread of their own, so that whoever waits for them can be interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread

from airflow_provider_campaign.client.clock import CANCEL_CHECK_INTERVAL


def call_in_thread(call: Callable[[], object], seconds: float = math.inf) -> None:
    """
    Call in a daemon thread, wait until it has ended, and raise its error.

    Airflow's signal handlers raise wherever the main thread is. Within :class:`threading.Condition`, on which pools,
    queues, and events are built, that leaves a lock locked for ever: only this thread can be held up by it then. The
    wait is in slices, because a signal that comes just before one is handled at its end.

    :raises TimeoutError: When it takes longer than this number of seconds; it goes on.
    """
    ended: Future[object] = Future()

    def run() -> None:
        try:
            ended.set_result(call())
        except BaseException as error:  # noqa: BLE001 it is raised where the end is waited for
            ended.set_exception(error)

    ends = time.monotonic() + seconds
    Thread(target=run, daemon=True).start()
    while (left := ends - time.monotonic()) > 0 and wait([ended], min(left, CANCEL_CHECK_INTERVAL)).not_done:
        pass
    if not ended.done():
        raise TimeoutError
    ended.result()
