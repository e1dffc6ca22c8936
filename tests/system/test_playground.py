"""``make airflow``: a person clicks through Airflow with the sandbox behind it, and ends it with Ctrl-C."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from tests.system.live_airflow.api import AirflowApi
from tests.system.live_airflow.environment import isolated_environment
from tests.system.live_airflow.services import free_ports
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.timeout(400)

REPOSITORY = Path(__file__).parents[2]
PLAYGROUND = [sys.executable, "-m", "airflow_provider_campaign.sandbox.playground", "example_dags"]


def test_it_prints_where_everything_is_runs_dags_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port, sandbox_port = free_ports(2)
    output = tmp_path / "output"
    home = tmp_path / "temporary"
    home.mkdir()
    with (
        output.open("wb") as terminal,
        subprocess.Popen(
            [*PLAYGROUND, f"--port={port}", f"--sandbox-port={sandbox_port}"],
            cwd=REPOSITORY,
            env={**isolated_environment(), "TMPDIR": str(home)},
            stdout=terminal,
            stderr=terminal,
        ) as playground,
    ):
        try:
            wait_until(lambda: "Ctrl-C" in output.read_text() or playground.poll(), 250, output.read_text)
            addresses = re.findall(r"http://127\.0\.0\.1:\d+", output.read_text())
            assert addresses == [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"]
            airflow = AirflowApi(addresses[0])
            listed = {entry["connection_id"]: entry for entry in airflow.pages("/connections", "connections")}
            assert listed.keys() == {"campaign_default", "kore_v2", "sonarly"}
            run = airflow.trigger_dag("mapped_stop")["dag_run_id"]
            assert airflow.wait_for_run("mapped_stop", run)["state"] == "success"
            assert len(airflow.pages("/dags/mapped_stop/dagRuns", "dag_runs")) == 1
        finally:
            playground.send_signal(signal.SIGINT)
        assert playground.wait(60) == 0
    assert list(home.iterdir()) == []
    assert str(home) not in " ".join(environments())


def environments() -> list[str]:
    """Return the environment of every process there is."""
    texts = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts.append((process / "environ").read_text(errors="replace"))
        except OSError:
            continue
    return texts


def test_a_port_that_is_taken_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*PLAYGROUND, f"--port={port}"], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"Can't listen on port {port}" in done.stderr
