"""The example DAGs as their users run them: scheduled by Airflow, on two Celery workers."""

from __future__ import annotations

import pytest
from packaging.version import Version

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.seeds import SEEDS, seed
from tests.integration.docs.test_example_dags import EXAMPLES, changes
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.timeout(400)


def first_run(airflow: LiveAirflow, dag_id: str) -> str:
    """Unpause a DAG, and return the id of the run that Airflow makes up for: the one that was last due."""
    airflow.wait_for_dag(dag_id)
    airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    runs = wait_until(
        lambda: airflow.pages(f"/dags/{dag_id}/dagRuns", "dag_runs"), 90, lambda: f"no run of {dag_id} is started"
    )
    assert {run["run_type"] for run in runs} == {"scheduled"}
    return str(runs[0]["dag_run_id"])


@pytest.mark.parametrize("dag_id", ["end_of_window", "start_of_window", "several_accounts", "stop_campaigns"])
def test_an_example_dag_run_by_its_schedule_changes_its_campaigns_only(
    dag_id: str, shared_airflow: LiveAirflow, platform: Sandbox
) -> None:
    seed(platform, len(SEEDS))
    run = first_run(shared_airflow, dag_id)
    assert shared_airflow.wait_for_run(dag_id, run)["state"] == "success"
    tasks = shared_airflow.task_instances(dag_id, run)
    # It depends on the time of day: a sweep is skipped while the calling hours are open, a start while they are not.
    is_skipped = "skipped" in {task["state"] for task in tasks}
    assert changes(platform) == ({} if is_skipped else EXAMPLES[dag_id].changes)
    assert {task["try_number"] for task in tasks} <= {0, 1}


@pytest.mark.skipif(Version("3.1") > VERSION, reason="before 3.1, the DAG with a deadline can't be parsed")
def test_every_example_dag_is_parsed(shared_airflow: LiveAirflow) -> None:
    assert shared_airflow.pages("/importErrors", "import_errors") == []


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
