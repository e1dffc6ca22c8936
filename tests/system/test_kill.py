"""A task dies by SIGKILL between its request and the answer; Airflow runs it again, and nothing is done twice."""

from __future__ import annotations

import json
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

pytestmark = pytest.mark.timeout(400)

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import (
    DeleteCampaignOperator,
    StartCampaignOperator,
    StopCampaignOperator,
)

OPERATORS = {"stop": StopCampaignOperator, "start": StartCampaignOperator, "delete": DeleteCampaignOperator}

for name, operator in OPERATORS.items():
    for platform, campaign_type in (("kore", "sms"), ("sonarly", None)):
        with DAG(f"{name}_{platform}"):
            operator(
                task_id="task",
                campaign_id="{{ dag_run.conf['campaign_id'] }}",
                campaign_conn_id=platform,
                campaign_type=campaign_type,
                retries=1,
                retry_delay=timedelta(seconds=1),
            )
"""


RETRIED_FROM_3_1 = pytest.mark.skipif(
    Version("3.1") > VERSION, reason="Airflow 3.0 does not retry a task of which only the own process is killed"
)


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
    fault: Fault
    sent: int
    state: str = "success"

    @property
    def campaign_id(self) -> str:
        return f"{self.action}-{self.platform}-{self.fault.kind}"


def case(action: str, platform: str, kind: str, sent: int, state: str = "success") -> Case:
    options: dict[str, Any] = {"how": "hang"} if kind == "lost" else {}
    fault = Fault(kind, action=action, campaign_id=f"{action}-{platform}-{kind}", **options)
    return Case(action, platform, fault, sent, state)


CASES = [
    case("stop", "kore", "lost", sent=1),
    case("stop", "kore", "hang", sent=2),
    case("stop", "sonarly", "lost", sent=1),
    case("start", "kore", "lost", sent=1),
    # Whoever is killed leaves no record, so nothing says that a delete was sent: a mistyped id would look the same.
    case("delete", "kore", "lost", sent=2, state="failed"),
]
BEFORE = {"stop": "Active", "start": "Stopped", "delete": "Stopped"}
AFTER = {"stop": "Stopped", "start": "Active", "delete": None}


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(platform: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    folder = tmp_path_factory.mktemp("dags")
    (Path(folder) / "tasks.py").write_text(DAGS)
    environment = {
        "AIRFLOW_CONN_KORE": json.dumps(platform.kore_connection()),
        "AIRFLOW_CONN_SONARLY": json.dumps(platform.sonarly_connection()),
        # A task that died with its supervisor is noticed after this many seconds.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    }
    with LiveAirflow(folder, parallelism=len(CASES), env=environment) as live:
        yield live


def parent_of(pid: int) -> int:
    """Return the process that has started another: of a task, the worker that supervises it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def asked(platform: Sandbox) -> list[str | None]:
    """Return the campaigns that were to be stopped, started or deleted."""
    return [request.campaign_id for request in platform.requests if request.action in AFTER]


def status_of(platform: Sandbox, campaign_id: str) -> str | None:
    found = {campaign.id: campaign.status for campaign in platform.campaigns()}
    return found.get(campaign_id)


@pytest.mark.parametrize("victim", [pytest.param("task", marks=RETRIED_FROM_3_1), "worker"])
def test_what_a_killed_task_had_asked_for_is_done_once(airflow: LiveAirflow, platform: Sandbox, victim: str) -> None:
    platform.reset()
    for case in CASES:
        campaign_type = "sms" if case.platform == "kore" else "sonarly"
        platform.add_campaign(case.campaign_id, campaign_type, status=BEFORE[case.action])
        platform.add_fault(case.fault)
        airflow.trigger_dag(
            f"{case.action}_{case.platform}", {"campaign_id": case.campaign_id}, run_id=f"{victim}-{case.fault.kind}"
        )
    platform.wait_for(lambda platform: len(asked(platform)) == len(CASES), 120)
    tasks = task_processes(airflow)
    assert len(tasks) == len(CASES)
    for pid in [*map(parent_of, tasks), *tasks] if victim == "worker" else tasks:
        os.kill(pid, signal.SIGKILL)

    for case in CASES:
        dag_id, run_id = f"{case.action}_{case.platform}", f"{victim}-{case.fault.kind}"
        assert airflow.wait_for_run(dag_id, run_id, timeout=180)["state"] == case.state
        [task] = airflow.task_instances(dag_id, run_id)
        assert task["try_number"] == 2
        assert status_of(platform, case.campaign_id) == AFTER[case.action]
        mine = [request.action for request in platform.requests if request.campaign_id == case.campaign_id]
        assert mine.count(case.action) == case.sent
        look = "get" if case.platform == "sonarly" else "status"
        assert mine[mine.index(case.action) + 1] == look
        log = airflow.task_log(dag_id, run_id, "task", try_number=2)
        if case.state == "success":
            assert airflow.xcom(dag_id, run_id, "task")["status"] == AFTER[case.action]
        else:
            assert "ignore_missing" in log
        assert leak_in(log) is None
