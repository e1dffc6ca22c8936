"""A task that is told to end sends nothing more than the request under way, in real time and a real process."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.data import terminated_task
from tests.meanwhile import requests_received
from tests.records_guard import RECORDS_PATH, read_all

# A process that is forked once Airflow is imported starts at once, and is how Airflow starts a task itself.
FORK_SERVER = multiprocessing.get_context("forkserver")
FORK_SERVER.set_forkserver_preload([terminated_task.__name__])
WAYS = ["on_kill and go on", "on_kill and raise", "raise and on_kill"]
LOCKS = ["1", "2", "3"]  # the first of those that a sweep holds for a moment, and is terminated by itself
WINDOW = 60.0  # seconds
RATE_LIMIT = 60  # requests in it


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordStore:
    monkeypatch.setenv(RECORDS_PATH, f"file://{tmp_path}")
    return RecordStore(f"file://{tmp_path}")


@contextmanager
def task_process(sandbox: Sandbox, task: str, how: str) -> Iterator[BaseProcess]:
    """Run a task in a process of its own, which is gone at the end."""
    environment = {
        RECORDS_PATH: os.environ[RECORDS_PATH],
        "AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(sandbox.kore_connection(timeout=600)),  # longer than any test
    }
    process = FORK_SERVER.Process(target=terminated_task.run, args=(task, how, environment))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run_until(sandbox: Sandbox, requests: int, task: str, how: str) -> None:
    """Run a task, terminate it once the sandbox has received so many requests, and wait for its end."""
    with task_process(sandbox, task, how) as process:
        if how in WAYS:
            sandbox.wait_for(requests_received(requests), timeout=60)
            process.terminate()
        process.join(WINDOW / 2)  # far from the next window
        assert process.exitcode, "it succeeded, or still runs"


@pytest.mark.parametrize(
    ("task", "how", "requests", "more"),
    [("sweep", WAYS[0], RATE_LIMIT, 0), ("stop", WAYS[2], 1, 0), ("sensor", WAYS[0], 2, 1)],
)
def test_a_task_that_waits_ends_and_sends_nothing_more(task: str, how: str, requests: int, more: int) -> None:
    with Sandbox(rate_limit=RATE_LIMIT, stop_delay=600) as sandbox:
        for number in range(2 * RATE_LIMIT if task == "sweep" else 1):
            sandbox.add_campaign(f"c-{number}")
        run_until(sandbox, requests, task, how)
        assert len(sandbox.requests) <= requests + more  # the sensor may poll once more before it is told


@pytest.mark.parametrize("how", [*WAYS, *LOCKS])
def test_a_sweep_in_the_middle_of_its_stops_ends_with_those_under_way(how: str, records: RecordStore) -> None:
    with Sandbox(latency=0.3) as sandbox:
        for number in range(50):
            sandbox.add_campaign(f"c-{number}")
        run_until(sandbox, 3, "sweep", how)
        assert len(sandbox.requests) < 20
        [file] = read_all(records)
        record = file.record or {}
        assert record["outcome"] == "killed"
        assert len(record["campaigns"]) == 50
        confirmed = {row["campaign_id"] for row in record["campaigns"] if row["confirmed_at"]}
        assert confirmed <= {campaign.id for campaign in sandbox.campaigns() if not campaign.live}
        asked = {row["campaign_id"] for row in record["campaigns"] if row["asked_at"]}
        assert asked >= {request.campaign_id for request in sandbox.requests if request.action == "stop"}


@pytest.mark.parametrize(("task", "confirmed"), [("sweep", [False] * 5 + [True] * 2), ("recorded stop", [False])])
def test_a_task_whose_requests_hang_leaves_its_record(records: RecordStore, task: str, confirmed: list[bool]) -> None:
    with Sandbox() as sandbox:
        for number, _ in enumerate(confirmed):
            sandbox.add_campaign(f"c-{number}")
        sandbox.add_fault(Fault("hang", action="stop", skip=sum(confirmed), count=None))
        with task_process(sandbox, task, WAYS[0]) as process:
            sandbox.wait_for(requests_received(len(confirmed), "stop"), timeout=60)
            process.terminate()
            until = time.monotonic() + 60
            while not any(file.record for file in read_all(records)) and time.monotonic() < until:
                time.sleep(0.1)  # another process writes it
            process.kill()
        [record] = [file.record or {} for file in read_all(records)]
        assert record["outcome"] == "killed"
        assert sorted(bool(row["confirmed_at"]) for row in record["campaigns"]) == confirmed
        assert all(row["asked_at"] for row in record["campaigns"])
