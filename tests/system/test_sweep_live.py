"""The sweep in a live Airflow: its process is killed in the middle, and Airflow's retry takes the rest."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.task_processes import task_processes
from tests.system.live_airflow.waiting import wait_until

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        Version("3.1") > VERSION, reason="Airflow 3.0 does not retry a task of which only the own process is killed"
    ),
]

CAMPAIGNS = 40

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator

with DAG("sweep"):
    StopActiveCampaignsOperator(task_id="sweep", retries=1, retry_delay=timedelta(seconds=1))
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(platform: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    folder = tmp_path_factory.mktemp("dags")
    (Path(folder) / "sweep.py").write_text(DAGS)
    environment = {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(platform.kore_connection("v2"))}
    with LiveAirflow(folder, parallelism=2, env=environment) as live:
        yield live


def test_a_sweep_that_is_killed_in_the_middle_is_ended_by_the_retry_without_a_second_stop(
    airflow: LiveAirflow, platform: Sandbox
) -> None:
    for number in range(CAMPAIGNS):
        platform.add_campaign(f"cd-{number}", ("sms", "voice")[number % 2])
    platform.add_fault(Fault("lost", action="stop", skip=10, count=None, how="hang"))
    run = airflow.trigger_dag("sweep")["dag_run_id"]
    platform.wait_for(lambda platform: len(stopped(platform)) == 15, 60)  # ten were answered, five are heard

    progress = r"Stopped \d+ of 40, 0 stopping, 0 with a problem"
    wait_until(
        lambda: re.search(progress, airflow.task_log("sweep", run, "sweep")),
        timeout=20,
        failure=lambda: f"no progress in the log of the running task:\n{airflow.describe('sweep', run)}",
    )
    [task] = task_processes(airflow)
    os.kill(task, signal.SIGKILL)
    platform.clear_faults()

    assert airflow.wait_for_run("sweep", run)["state"] == "success"
    assert airflow.task_instances("sweep", run)[0]["try_number"] == 2
    assert len(stopped(platform)) == CAMPAIGNS
    assert {campaign.stop_requests for campaign in platform.campaigns()} == {1}
    assert len(airflow.xcom("sweep", run, "sweep")["stopped"]) == CAMPAIGNS - 15


def stopped(platform: Sandbox) -> list[str]:
    return [campaign.id for campaign in platform.campaigns() if campaign.status == "Stopped"]
