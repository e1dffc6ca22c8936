"""``make airflow``: a person clicks through Airflow with the sandbox behind it, and ends it with Ctrl-C."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from airflow_provider_campaign.sandbox.playground import isolated_environment
from tests.system.live_airflow.api import AirflowApi
from tests.system.live_airflow.component import Component, has_ended
from tests.system.live_airflow.services import free_port
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.tooling

REPOSITORY = Path(__file__).parents[2]
PLAYGROUND = [sys.executable, "-m", "airflow_provider_campaign.sandbox.playground", str(REPOSITORY / "example_dags")]


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Component]:
    """Run the playground where Ctrl-C is ignored, as it is in a background job of a shell, and leave nothing of it."""
    (tmp_path / "temporary").mkdir()
    command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *PLAYGROUND, "--sandbox-port=0", f"--port={free_port()}"]
    environment = {**isolated_environment(), "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(REPOSITORY)}
    process = Component("playground", command, tmp_path, environment, works=lambda _: "Ctrl-C" in process.output())
    process.start()
    yield process
    process.kill()


def assert_ends_without_a_trace(playground: Component, folder: Path) -> None:
    started = playground.pids()
    assert len(started) > 1
    assert playground.wait(60) == 0
    assert playground.output().endswith("\nEverything is stopped.\n")
    assert [pid for pid in started if not has_ended(pid)] == []
    assert list(folder.iterdir()) == []


def test_it_prints_where_everything_is_runs_dags_and_leaves_nothing_behind(
    playground: Component, tmp_path: Path
) -> None:
    playground.wait_until_ready()
    ui, sandbox = re.findall(r"http://127\.0\.0\.1:\d+", playground.output())
    assert f"--port={ui.rpartition(':')[2]}" in playground.command
    assert f"Sandbox   {sandbox}" in playground.output()
    airflow = AirflowApi(ui)
    listed = [entry["connection_id"] for entry in airflow.pages("/connections", "connections")]
    assert set(listed) == {"campaign_default", "kore_v2", "sonarly"}
    assert f"Conn ids  {', '.join(listed)}" in playground.output()
    sockets = [each for pid in playground.pids() for each in psutil.Process(pid).net_connections("inet")]
    assert {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    airflow.run_dag("mapped_stop")
    assert len(airflow.pages("/dags/mapped_stop/dagRuns", "dag_runs")) == 1

    playground.signal(signal.SIGINT)
    wait_until(lambda: "Stopping;" in playground.output(), 10, playground.output)
    playground.signal(signal.SIGINT)  # an impatient person changes nothing
    assert_ends_without_a_trace(playground, tmp_path / "temporary")


def test_it_ends_on_sigterm_even_while_airflow_is_starting(playground: Component, tmp_path: Path) -> None:
    wait_until(lambda: len(playground.pids()) > 1, 60, playground.output)
    playground.signal(signal.SIGTERM)
    assert_ends_without_a_trace(playground, tmp_path / "temporary")


def test_a_folder_that_is_missing_or_a_port_that_is_taken_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command, said in (
            ([*PLAYGROUND[:-1], "no-such-folder"], "There is no folder no-such-folder."),
            ([*PLAYGROUND, f"--port={port}"], f"Can't listen on port {port}"),
        ):
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            assert (done.returncode, said in done.stderr) == (1, True)
