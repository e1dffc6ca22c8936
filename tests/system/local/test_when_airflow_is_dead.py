"""The commands, on call and in a cron on another machine: a paused DAG and a dead Airflow do not go unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.environment import isolated_environment
from tests.system.live_airflow.waiting import wait_until
from tests.system.local.conftest import Deploy

pytestmark = pytest.mark.timeout(600)

GRACE = 45
"""Seconds that the newest record may be old; the DAG runs every fifteen."""

DAG = """
from datetime import datetime, timedelta, timezone
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

with DAG("guard", schedule=timedelta(seconds=15), start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False):
    StopActiveCampaignsOperator(
        task_id="close", campaign_conn_id="guarded", calling_hours={hours}, records_path="file://{records}", retries=0
    )
"""


def hours_that_ended_a_while_ago() -> dict[str, Any]:
    now = datetime.now(UTC)
    starts, ended = now + timedelta(hours=12), now - timedelta(minutes=15)
    return {"frequency": "DAILY", "timezone": "UTC", "start": f"{starts:%H:%M}", "end": f"{ended:%H:%M}"}


@pytest.fixture
def platform() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture
def airflow(platform: Sandbox, deploy: Deploy, tmp_path: Path) -> LiveAirflow:
    hours = hours_that_ended_a_while_ago()
    (tmp_path / "hours.json").write_text(json.dumps(hours))
    return deploy(DAG.format(hours=hours, records=tmp_path / "records"), guarded=platform.kore_connection("v2"))


def command(folder: Path, environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run a command in a process of its own; return its exit status and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_campaign", *arguments],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(arguments, done.returncode, done.stdout, done.stderr)
    return done.returncode, done.stderr


def test_a_paused_dag_is_4_and_a_start_while_everything_is_dead_is_3(
    airflow: LiveAirflow, platform: Sandbox, tmp_path: Path
) -> None:
    kore = platform.kore_connection("v2")
    airflow.create_connection({"connection_id": "in_database", **kore, "extra": json.dumps(kore["extra"])})
    connection = {"AIRFLOW_CONN_GUARDED": json.dumps(kore)}
    alone = {**isolated_environment(), **connection, "AIRFLOW_HOME": str(tmp_path / "no-airflow")}
    records = ("--records-path", f"file://{tmp_path}/records", "--newest-record", str(GRACE))
    cron = ("watch", "--conn-id", "guarded", "--calling-hours", "hours.json", *records)

    def becomes(status: int) -> Callable[[], bool]:
        return lambda: command(tmp_path, alone, *cron)[0] == status

    def pause(is_paused: bool) -> None:
        airflow.api("PATCH", "/dags/guard", json={"is_paused": is_paused})

    airflow.wait_for_dag("guard")
    assert becomes(4)()  # no run has closed anything yet
    pause(False)
    wait_until(becomes(0), timeout=120, interval=5, failure=lambda: "the guard has closed nothing")
    pause(True)
    wait_until(becomes(4), timeout=3 * GRACE, interval=10, failure=lambda: "a paused DAG went unnoticed")

    for name in ("scheduler", "api-server"):
        airflow.kill(name)
    for number in range(10):
        platform.add_campaign(f"cd-{number}", ("sms", "voice")[number % 2])
    on_call = ("--conn-id", "in_database")
    shown = [
        command(tmp_path, airflow.environment, *arguments, *on_call)
        for arguments in (("live",), ("stop-active", "--yes"), ("live",))
    ]
    assert [status for status, _ in shown] == [0, 0, 0]
    assert "Stopped 10 of 10 live campaigns" in shown[1][1]
    assert {(campaign.status, campaign.stop_requests) for campaign in platform.campaigns()} == {("Stopped", 1)}

    for name in ("triggerer", "dag-processor", "postgres"):
        airflow.kill(name)
    platform.add_campaign("cd-night")
    assert becomes(3)()
