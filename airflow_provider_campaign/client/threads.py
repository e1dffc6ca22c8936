"""Work in a thread of its own, so that whoever waits for it can be interrupted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread


def in_thread(call: Callable[[], object]) -> Future[None]:
    """
    Call in a daemon thread, and return what waits for the end, or raises the call's error.

    Airflow's signal handlers raise wherever the main thread is. Within :class:`threading.Condition`, on which pools,
    queues, and events are built, that leaves a lock locked for ever: only this thread can be held up by it then.
    """
    ended: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 it is raised where the end is waited for
            ended.set_exception(error)
        else:
            ended.set_result(None)

    Thread(target=run, daemon=True).start()
    return ended
