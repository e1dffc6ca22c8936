"""The command ``watch``, as a cron on another machine runs it: a paused DAG and a dead Airflow do not go unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.environment import isolated_environment
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.timeout(600)

GRACE = 90
"""Seconds that the newest record may be old; the DAG runs every minute."""

DAG = """
from datetime import datetime, timezone
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

with DAG("guard", schedule="* * * * *", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False):
    StopActiveCampaignsOperator(task_id="close", calling_hours={hours}, records_path="file://{records}", retries=0)
"""


def hours_that_ended_a_while_ago() -> dict[str, Any]:
    now = datetime.now(UTC)
    starts, ended = now + timedelta(hours=12), now - timedelta(minutes=15)
    return {"frequency": "DAILY", "timezone": "UTC", "start": f"{starts:%H:%M}", "end": f"{ended:%H:%M}"}


@pytest.fixture
def platform() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def test_a_paused_dag_is_4_and_a_start_while_everything_is_dead_is_3(platform: Sandbox, tmp_path: Path) -> None:
    hours, dags = hours_that_ended_a_while_ago(), tmp_path / "dags"
    dags.mkdir()
    (tmp_path / "hours.json").write_text(json.dumps(hours))
    (dags / "guard.py").write_text(DAG.format(hours=hours, records=tmp_path / "records"))
    connection = {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(platform.kore_connection("v2"))}

    def watch() -> int:
        """Run the command without an Airflow: no database, no scheduler, nothing but the connection and the hours."""
        command = ["watch", "--calling-hours", "hours.json", "--records-path", f"file://{tmp_path}/records"]
        environment = {**isolated_environment(), **connection, "AIRFLOW_HOME": str(tmp_path / "no-airflow")}
        done = subprocess.run(
            [sys.executable, "-m", "airflow_provider_campaign", *command, "--newest-record", str(GRACE)],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        print(done.returncode, done.stdout, done.stderr)
        return done.returncode

    def becomes(status: int) -> Callable[[], bool]:
        return lambda: watch() == status

    with LiveAirflow(dags, env=connection) as airflow:
        assert watch() == 4  # no run has closed anything yet
        airflow.cli("dags", "unpause", "guard")
        wait_until(becomes(0), timeout=240, interval=5, failure=lambda: "the guard has closed nothing")
        airflow.cli("dags", "pause", "guard")
        wait_until(becomes(4), timeout=2 * GRACE, interval=5, failure=lambda: "a paused DAG went unnoticed")
        for name in ("scheduler", "api-server", "triggerer", "dag-processor", "postgres"):
            airflow.kill(name)
        platform.add_campaign("cd-night")
        assert watch() == 3
