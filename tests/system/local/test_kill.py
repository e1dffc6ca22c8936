"""A task dies by SIGKILL between its request and the answer; Airflow runs it again, and nothing is done twice."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from packaging.version import Version

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.secrets_guard import leak_in
from tests.system.live_airflow import VERSION, LiveAirflow

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators import campaign

AGAIN = {"retries": 1, "retry_delay": timedelta(seconds=1)}

for action in ("stop", "start", "delete"):
    for conn_id, campaign_type in (("campaign_default", "sms"), ("sonarly", None)):
        with DAG(f"{action}_{campaign_type or 'sonarly'}"):
            which = {"campaign_id": "{{ dag_run.conf['campaign_id'] }}", "campaign_type": campaign_type}
            operator = getattr(campaign, f"{action.title()}CampaignOperator")
            operator(task_id="task", campaign_conn_id=conn_id, **which, **AGAIN)

with DAG("killed_sweep"):
    campaign.StopActiveCampaignsOperator(task_id="sweep", **AGAIN)
"""


CASES = [
    # action, campaign type, fault, how often the request has arrived when all is over, and how the run ends;
    # with "lost", the platform has done what it was asked by the time of the kill, with "hang" it has not
    ("stop", "sms", "lost", 1, "success"),
    ("stop", "sms", "hang", 2, "success"),
    ("stop", "sonarly", "lost", 1, "success"),
    ("start", "sms", "lost", 1, "success"),
    # Whoever is killed leaves no record, so nothing says that a delete was sent: a mistyped id would look the same.
    ("delete", "sms", "lost", 2, "failed"),
]
AFTER = {"stop": "Stopped", "start": "Active", "delete": None}


def statuses(platform: Sandbox) -> dict[str, str]:
    return {campaign.id: campaign.status for campaign in platform.campaigns()}


def test_what_a_killed_task_had_asked_for_is_done_once(airflow: LiveAirflow, platform: Sandbox) -> None:
    runs = []
    for action, campaign_type, fault, *_ in CASES:
        campaign_id = f"{action}-{campaign_type}-{fault}"
        platform.add_campaign(campaign_id, campaign_type, status="Active" if action == "stop" else "Stopped")
        options: dict[str, Any] = {"how": "hang"} if fault == "lost" else {}
        platform.add_fault(Fault(fault, action=action, campaign_id=campaign_id, **options))
        runs.append((campaign_id, airflow.trigger_dag(f"{action}_{campaign_type}", {"campaign_id": campaign_id})))
    platform.wait_for(lambda platform: sum(request.action in AFTER for request in platform.requests) == len(CASES), 120)
    tasks = airflow.task_processes()
    assert len(tasks) == len(CASES)
    workers = [psutil.Process(task).ppid() for task in tasks]
    for pid in [*workers, *tasks]:
        os.kill(pid, signal.SIGKILL)

    for (action, campaign_type, _, sent, state), (campaign_id, run_id) in zip(CASES, runs, strict=True):
        dag_id = f"{action}_{campaign_type}"
        airflow.wait_for_run(dag_id, run_id, state)
        assert [task["try_number"] for task in airflow.task_instances(dag_id, run_id)] == [2]
        assert statuses(platform).get(campaign_id) == AFTER[action]
        mine = [request.action for request in platform.requests if request.campaign_id == campaign_id]
        assert mine.count(action) == sent
        assert mine[mine.index(action) + 1] == ("get" if campaign_type == "sonarly" else "status")
        log = airflow.task_log(dag_id, run_id, "task", try_number=2)
        if state == "success":
            assert airflow.xcom(dag_id, run_id, "task")["status"] == AFTER[action]
        else:
            assert "ignore_missing" in log
        assert leak_in(log) is None


@pytest.mark.skipif(
    Version("3.1") > VERSION, reason="Airflow 3.0 does not retry a task of which only the own process is killed"
)
def test_a_sweep_that_is_killed_in_the_middle_is_ended_by_the_retry(airflow: LiveAirflow, platform: Sandbox) -> None:
    for number in range(40):
        platform.add_campaign(f"cd-{number}", ("sms", "voice")[number % 2])
    platform.add_fault(Fault("lost", action="stop", skip=10, count=None, how="hang"))
    run = airflow.trigger_dag("killed_sweep")
    # Ten stops were answered, ten have reached the platform.
    platform.wait_for(lambda platform: list(statuses(platform).values()).count("Stopped") == 20, 60)
    [task] = airflow.task_processes()
    os.kill(task, signal.SIGKILL)
    platform.clear_faults()

    airflow.wait_for_run("killed_sweep", run)
    assert airflow.task_instances("killed_sweep", run)[0]["try_number"] == 2
    assert set(statuses(platform).values()) == {"Stopped"}
    assert {campaign.stop_requests for campaign in platform.campaigns()} == {1}
    assert len(airflow.xcom("killed_sweep", run, "sweep")["stopped"]) == 20
