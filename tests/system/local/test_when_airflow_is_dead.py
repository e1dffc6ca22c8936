"""The commands, on call and in a cron on another machine: a paused DAG and a dead Airflow do not go unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.playground import isolated_environment
from tests.calling_hours import daily
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until

GRACE = 45  # seconds that the newest record may be old; the DAG runs every fifteen
NOW = datetime.now(UTC)
HOURS = daily("UTC", (f"{NOW + timedelta(hours=12):%H:%M}", f"{NOW - timedelta(minutes=15):%H:%M}"))

DAGS = f"""
from datetime import datetime, timedelta, timezone
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

with DAG("guard", schedule=timedelta(seconds=15), start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False):
    StopActiveCampaignsOperator(task_id="close", calling_hours={HOURS}, records_path="file://FOLDER", retries=0)
"""


def command(environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    whole = [sys.executable, "-m", "airflow_provider_campaign", *arguments]
    done = subprocess.run(whole, env=environment, input="", capture_output=True, text=True, check=False)
    print(arguments, done)
    return done.returncode, done.stderr


def test_a_paused_dag_is_4_and_a_start_while_everything_is_dead_is_3(
    airflow: LiveAirflow, platform: Sandbox, folder: Path, tmp_path: Path
) -> None:
    kore = platform.kore_connection()
    airflow.enter_connection("POST", "in_database", kore)
    (tmp_path / "hours.json").write_text(json.dumps(HOURS))
    records = ("--records-path", f"file://{folder}", "--newest-record", str(GRACE))
    cron = ("watch", "--calling-hours", f"{tmp_path}/hours.json", *records)
    known = {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(kore), "AIRFLOW_HOME": f"{tmp_path}/home"}
    alone = {**isolated_environment(), **known}

    def becomes(status: int) -> Callable[[], bool]:
        return lambda: command(alone, *cron)[0] == status

    airflow.wait_for_dag("guard")
    assert becomes(4)()  # no run has closed anything yet
    airflow.pause("guard", is_paused=False)
    wait_until(becomes(0), timeout=120, interval=5, failure=lambda: "the guard has closed nothing")
    airflow.pause("guard", is_paused=True)
    wait_until(becomes(4), timeout=3 * GRACE, interval=10, failure=lambda: "a paused DAG went unnoticed")

    for name in ("scheduler", "api-server"):
        airflow.kill(name)
    for number in range(10):
        platform.add_campaign(f"cd-{number}", ("sms", "voice")[number % 2])
    shown = [
        command(airflow.environment, *arguments, "--conn-id", "in_database")
        for arguments in (("live",), ("stop-active", "--yes"), ("live",))
    ]
    assert [status for status, _ in shown] == [0, 0, 0]
    assert "Stopped 10 of 10 live campaigns" in shown[1][1]
    assert {(campaign.status, campaign.stop_requests) for campaign in platform.campaigns()} == {("Stopped", 1)}

    for name in ("triggerer", "dag-processor", "postgres"):
        airflow.kill(name)
    platform.add_campaign("cd-night")
    assert becomes(3)()
