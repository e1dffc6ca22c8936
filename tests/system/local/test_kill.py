"""A task dies by SIGKILL between its request and the answer; Airflow runs it again, and nothing is done twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.secrets_guard import leak_in
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.task_processes import task_processes
from tests.system.local.conftest import Deploy

pytestmark = pytest.mark.timeout(400)
RETRIED_FROM_3_1 = pytest.mark.skipif(
    Version("3.1") > VERSION, reason="Airflow 3.0 does not retry a task of which only the own process is killed"
)

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import (
    DeleteCampaignOperator,
    StartCampaignOperator,
    StopActiveCampaignsOperator,
    StopCampaignOperator,
)

AGAIN = {"retries": 1, "retry_delay": timedelta(seconds=1)}
OPERATORS = {"stop": StopCampaignOperator, "start": StartCampaignOperator, "delete": DeleteCampaignOperator}

for name, operator in OPERATORS.items():
    for platform, campaign_type in (("kore", "sms"), ("sonarly", None)):
        with DAG(f"{name}_{platform}"):
            operator(
                task_id="task",
                campaign_id="{{ dag_run.conf['campaign_id'] }}",
                campaign_conn_id=platform,
                campaign_type=campaign_type,
                **AGAIN,
            )

with DAG("killed_sweep"):
    StopActiveCampaignsOperator(task_id="sweep", campaign_conn_id="kore", **AGAIN)
"""


@dataclass(frozen=True)
class Case:
    """
    A task that is killed.

    :param fault: ``lost`` where the platform has done what it was asked by then, ``hang`` where it has not.
    :param sent: How often the request has arrived when all is over.
    :param state: In which state the run ends.
    """

    action: str
    platform: str
    fault: str
    sent: int
    state: str = "success"

    @property
    def campaign_id(self) -> str:
        return f"{self.action}-{self.platform}-{self.fault}"

    def prepare(self, platform: Sandbox) -> None:
        """Put the campaign and its fault into the sandbox."""
        campaign_type = "sms" if self.platform == "kore" else "sonarly"
        platform.add_campaign(self.campaign_id, campaign_type, status=BEFORE[self.action])
        options: dict[str, Any] = {"how": "hang"} if self.fault == "lost" else {}
        platform.add_fault(Fault(self.fault, action=self.action, campaign_id=self.campaign_id, **options))


CASES = [
    Case("stop", "kore", "lost", sent=1),
    Case("stop", "kore", "hang", sent=2),
    Case("stop", "sonarly", "lost", sent=1),
    Case("start", "kore", "lost", sent=1),
    # Whoever is killed leaves no record, so nothing says that a delete was sent: a mistyped id would look the same.
    Case("delete", "kore", "lost", sent=2, state="failed"),
]
BEFORE = {"stop": "Active", "start": "Stopped", "delete": "Stopped"}
AFTER = {"stop": "Stopped", "start": "Active", "delete": None}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def platform(sandbox: Sandbox) -> Sandbox:
    sandbox.reset()
    return sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: Sandbox, deploy: Deploy) -> LiveAirflow:
    return deploy(DAGS, kore=sandbox.kore_connection(), sonarly=sandbox.sonarly_connection())


def parent_of(pid: int) -> int:
    """Return the process that has started another: of a task, the worker that supervises it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def statuses(platform: Sandbox) -> dict[str, str]:
    return {campaign.id: campaign.status for campaign in platform.campaigns()}


@pytest.mark.parametrize("victim", [pytest.param("task", marks=RETRIED_FROM_3_1), "worker"])
def test_what_a_killed_task_had_asked_for_is_done_once(airflow: LiveAirflow, platform: Sandbox, victim: str) -> None:
    runs = {case: (f"{case.action}_{case.platform}", f"{victim}-{case.fault}") for case in CASES}
    for case, (dag_id, run_id) in runs.items():
        case.prepare(platform)
        airflow.trigger_dag(dag_id, {"campaign_id": case.campaign_id}, run_id=run_id)
    platform.wait_for(lambda platform: sum(request.action in AFTER for request in platform.requests) == len(CASES), 120)
    tasks = task_processes(airflow)
    assert len(tasks) == len(CASES)
    for pid in [*map(parent_of, tasks), *tasks] if victim == "worker" else tasks:
        os.kill(pid, signal.SIGKILL)

    for case, (dag_id, run_id) in runs.items():
        assert airflow.wait_for_run(dag_id, run_id, timeout=180)["state"] == case.state
        assert [task["try_number"] for task in airflow.task_instances(dag_id, run_id)] == [2]
        assert statuses(platform).get(case.campaign_id) == AFTER[case.action]
        mine = [request.action for request in platform.requests if request.campaign_id == case.campaign_id]
        assert mine.count(case.action) == case.sent
        assert mine[mine.index(case.action) + 1] == ("get" if case.platform == "sonarly" else "status")
        log = airflow.task_log(dag_id, run_id, "task", try_number=2)
        if case.state == "success":
            assert airflow.xcom(dag_id, run_id, "task")["status"] == AFTER[case.action]
        else:
            assert "ignore_missing" in log
        assert leak_in(log) is None


@RETRIED_FROM_3_1
def test_a_sweep_that_is_killed_in_the_middle_is_ended_by_the_retry(airflow: LiveAirflow, platform: Sandbox) -> None:
    for number in range(40):
        platform.add_campaign(f"cd-{number}", ("sms", "voice")[number % 2])
    platform.add_fault(Fault("lost", action="stop", skip=10, count=None, how="hang"))
    run = airflow.trigger_dag("killed_sweep")["dag_run_id"]
    # Ten stops were answered, ten have reached the platform.
    platform.wait_for(lambda platform: list(statuses(platform).values()).count("Stopped") == 20, 60)
    [task] = task_processes(airflow)
    os.kill(task, signal.SIGKILL)
    platform.clear_faults()

    assert airflow.wait_for_run("killed_sweep", run)["state"] == "success"
    assert airflow.task_instances("killed_sweep", run)[0]["try_number"] == 2
    assert set(statuses(platform).values()) == {"Stopped"}
    assert {campaign.stop_requests for campaign in platform.campaigns()} == {1}
    assert len(airflow.xcom("killed_sweep", run, "sweep")["stopped"]) == 20
