"""The example DAGs as their users run them: scheduled by Airflow, on two Celery workers."""

from __future__ import annotations

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.__main__ import SEEDS, seed
from tests.integration.test_example_dags import EXAMPLES, statuses
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.timeout(400)


def run_of_schedule(airflow: LiveAirflow, dag_id: str) -> str:
    """Unpause a DAG, which makes Airflow start the run that was last due, and return its id."""
    airflow.wait_for_dag(dag_id)
    airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    runs = wait_until(
        lambda: airflow.pages(f"/dags/{dag_id}/dagRuns", "dag_runs"), 60, lambda: f"no run of {dag_id} is started"
    )
    assert {run["run_type"] for run in runs} == {"scheduled"}
    return str(runs[0]["dag_run_id"])


@pytest.mark.parametrize("dag_id", sorted(EXAMPLES))
def test_an_example_dag_run_by_its_schedule_changes_the_campaigns_that_it_names_and_no_other(
    dag_id: str, shared_airflow: LiveAirflow, platform: Sandbox
) -> None:
    seed(platform, len(SEEDS))
    before = statuses(platform)
    run = run_of_schedule(shared_airflow, dag_id)
    assert shared_airflow.wait_for_run(dag_id, run)["state"] == "success"
    assert statuses(platform) == {**before, **EXAMPLES[dag_id].changes}
    assert {task["try_number"] for task in shared_airflow.task_instances(dag_id, run)} == {1}


def test_mapped_stops_spread_over_both_workers(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    ids = [platform.add_campaign(f"cd-{number}").id for number in range(8)]
    platform.config.latency = 2  # so that no worker is done with its share before the other begins
    run = shared_airflow.trigger_dag("stop_given", conf={"campaign_ids": ids})["dag_run_id"]
    assert shared_airflow.wait_for_run("stop_given", run)["state"] == "success"
    tasks = [task for task in shared_airflow.task_instances("stop_given", run) if task["task_id"] == "stop"]
    assert {task["hostname"] for task in tasks} == {"worker-1", "worker-2"}
    assert {campaign.status for campaign in platform.campaigns()} == {"Stopped"}
    records = [shared_airflow.xcom("stop_given", run, "stop", task["map_index"]) for task in tasks]
    assert sorted(record["campaign_id"] for record in records) == ids
