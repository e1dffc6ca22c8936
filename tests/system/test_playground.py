"""``make airflow``: a person clicks through Airflow with the sandbox behind it, and ends it with Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from tests.system.live_airflow.api import AirflowApi
from tests.system.live_airflow.environment import isolated_environment
from tests.system.live_airflow.services import free_ports
from tests.system.live_airflow.waiting import wait_until

pytestmark = [pytest.mark.timeout(400), pytest.mark.tooling]

REPOSITORY = Path(__file__).parents[2]
PLAYGROUND = [sys.executable, "-m", "airflow_provider_campaign.sandbox.playground", "example_dags"]


@contextmanager
def playground(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """
    Run the playground where Ctrl-C is ignored, as it is in a background job of a shell, and leave nothing of it.

    :param folder: for all its files, and in the environment of all its processes
    :return: its process, and what tells all that it has printed so far
    """
    output = folder.with_name("output")
    folder.mkdir()
    with output.open("wb") as terminal:
        process = subprocess.Popen(
            ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *PLAYGROUND, *arguments],
            cwd=REPOSITORY,
            env={**isolated_environment(), "TMPDIR": str(folder)},
            stdout=terminal,
            stderr=terminal,
        )
    try:
        yield process, output.read_text
    finally:
        for pid in processes_of(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(10)


def processes_of(folder: Path) -> list[int]:
    """Return the processes that have a folder in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder) in (process / "environ").read_text(errors="replace"):
                found.append(int(process.name))
    return found


def listening(pid: int) -> list[Any]:
    """Return the addresses on which a process and its descendants listen."""
    root = psutil.Process(pid)
    connections = [
        each for process in (root, *root.children(recursive=True)) for each in process.net_connections("inet")
    ]
    return [each.laddr for each in connections if each.status == psutil.CONN_LISTEN]


def test_it_prints_where_everything_is_runs_dags_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port, sandbox_port = free_ports(2)
    folder = tmp_path / "temporary"
    with playground(folder, f"--port={port}", f"--sandbox-port={sandbox_port}") as (process, output):
        wait_until(lambda: "Ctrl-C" in output() or process.poll(), 250, output)
        addresses = re.findall(r"http://127\.0\.0\.1:\d+", output())
        assert addresses == [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"]
        airflow = AirflowApi(addresses[0])
        listed = {entry["connection_id"]: entry for entry in airflow.pages("/connections", "connections")}
        assert listed.keys() == {"campaign_default", "kore_v2", "sonarly"}
        assert f"Conn ids  {', '.join(listed)}" in output()
        assert {address.ip for address in listening(process.pid)} == {"127.0.0.1"}
        run = airflow.trigger_dag("mapped_stop")["dag_run_id"]
        assert airflow.wait_for_run("mapped_stop", run)["state"] == "success"
        assert len(airflow.pages("/dags/mapped_stop/dagRuns", "dag_runs")) == 1

        process.send_signal(signal.SIGINT)
        wait_until(lambda: "Stopping;" in output(), 10, output)
        process.send_signal(signal.SIGINT)  # an impatient person changes nothing
        assert process.wait(60) == 0
        assert output().endswith("\nEverything is stopped.\n")
        assert processes_of(folder) == []
        assert list(folder.iterdir()) == []


def test_it_ends_on_sigterm_even_while_airflow_is_starting(tmp_path: Path) -> None:
    port, sandbox_port = free_ports(2)
    folder = tmp_path / "temporary"
    with playground(folder, f"--port={port}", f"--sandbox-port={sandbox_port}") as (process, output):
        wait_until(lambda: len(processes_of(folder)) > 1, 60, output)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert output().endswith("\nEverything is stopped.\n")
        assert processes_of(folder) == []
        assert list(folder.iterdir()) == []


def test_a_folder_that_is_missing_or_a_port_that_is_taken_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            (*PLAYGROUND[:-1], "no-such-folder"): "There is no folder no-such-folder.",
            (*PLAYGROUND, f"--port={port}"): f"Can't listen on port {port}",
        }
        for command, said in cases.items():
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            assert (done.returncode, said in done.stderr) == (1, True)
