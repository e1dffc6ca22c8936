"""At night, with a dead scheduler and api-server: the commands stop what is live, by a connection from the database."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from tests.system.live_airflow import LiveAirflow

pytestmark = pytest.mark.timeout(400)

CAMPAIGNS = 50


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(platform: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    with LiveAirflow(tmp_path_factory.mktemp("dags")) as live:
        live.cli("connections", "add", "in_database", "--conn-json", json.dumps(platform.kore_connection()))
        yield live


def command(airflow: LiveAirflow, *arguments: str) -> tuple[float, str, str]:
    """Run a command; return its seconds, and what it printed."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_campaign", *arguments, "--conn-id", "in_database"],
        env=airflow.environment,
        cwd=Path(airflow.directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - began, done.stdout, done.stderr


def test_fifty_campaigns_are_stopped_while_scheduler_and_api_server_are_dead(
    airflow: LiveAirflow, platform: Sandbox
) -> None:
    for number in range(CAMPAIGNS):
        platform.add_campaign(f"cd-{number}", ("sms", "voice")[number % 2])
    for name in ("scheduler", "api-server"):
        airflow.kill(name)
    outputs = [command(airflow, *arguments) for arguments in (("live",), ("stop-active", "--yes"), ("live",))]
    for seconds, _, stderr in outputs:
        print(f"{seconds:.1f} s in all: {stderr.strip().splitlines()[-1]}")
    assert f"{CAMPAIGNS} live" in outputs[0][2]
    assert f"Stopped {CAMPAIGNS} of {CAMPAIGNS} live campaigns" in outputs[1][2]
    assert "0 live" in outputs[2][2]
    assert {campaign.status for campaign in platform.campaigns()} == {"Stopped"}
    assert {campaign.stop_requests for campaign in platform.campaigns()} == {1}
