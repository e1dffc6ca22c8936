"""The processes in which the LocalExecutor runs tasks."""

from __future__ import annotations

from pathlib import Path

from tests.system.live_airflow.live import LiveAirflow


def task_processes(airflow: LiveAirflow) -> list[int]:
    """Return the ids of the processes that tasks run in now: each is the child of a worker of the scheduler's."""
    workers = children(airflow.processes["scheduler"].pid)
    return [task for worker in workers for task in children(worker) if runs(task)]


def children(pid: int) -> list[int]:
    """Return the ids of a process's children; none if it is gone."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found.extend(map(int, listing.read_text().split()))
        except OSError:  # the thread has ended
            continue
    return found


def runs(pid: int) -> bool:
    """Return whether a process is there and is more than what its parent has not collected yet."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False
