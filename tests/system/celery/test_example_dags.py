"""The example DAGs as their users run them: scheduled by Airflow, on a Celery worker."""

from __future__ import annotations

import pytest
from packaging.version import Version

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.seeds import SEEDS, seed
from tests.integration.docs.test_example_dags import EXAMPLES, changes
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until


@pytest.mark.parametrize("dag_id", ["end_of_window", "start_of_window", "several_accounts", "stop_campaigns"])
def test_an_example_dag_run_by_its_schedule_changes_its_campaigns_only(
    dag_id: str, airflow: LiveAirflow, platform: Sandbox
) -> None:
    seed(platform, len(SEEDS))
    airflow.wait_for_dag(dag_id)
    airflow.pause(dag_id, is_paused=False)
    # Airflow makes up for the run that was last due.
    [run] = wait_until(lambda: airflow.pages(f"/dags/{dag_id}/dagRuns", "dag_runs"), 90, lambda: f"no run of {dag_id}")
    assert run["run_type"] == "scheduled"
    airflow.wait_for_run(dag_id, run["dag_run_id"])
    tasks = airflow.task_instances(dag_id, run["dag_run_id"])
    # It depends on the time of day: a sweep is skipped while the calling hours are open, a start while they are not.
    is_skipped = "skipped" in {task["state"] for task in tasks}
    assert changes(platform) == ({} if is_skipped else EXAMPLES[dag_id].changes)
    assert {task["try_number"] for task in tasks} <= {0, 1}


@pytest.mark.skipif(Version("3.1") > VERSION, reason="before 3.1, the DAG with a deadline can't be parsed")
def test_every_example_dag_is_parsed(airflow: LiveAirflow) -> None:
    assert airflow.pages("/importErrors", "import_errors") == []
