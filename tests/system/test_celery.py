"""The example DAGs as their users run them: scheduled by Airflow, on two Celery workers."""

from __future__ import annotations

import pytest
from packaging.version import Version

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.seeds import SEEDS, seed
from tests.integration.docs.test_example_dags import EXAMPLE_DAGS, EXAMPLES, changes
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.timeout(400)


WITH_CALLING_HOURS = {"deadline_alert", "end_of_window", "morning_start", "several_accounts", "start_of_window"}
NOT_SCHEDULED = {
    *("report_on_asset", "incident_alarm"),
    *("calling_hours_guard", "account_with_rules", "closing_with_alarms"),
}
"""What an asset starts, and what runs every few minutes."""

FILES = {file.stem for file in EXAMPLE_DAGS.glob("*.py")}

SCHEDULED = sorted(
    dag_id
    for dag_id, example in EXAMPLES.items()
    if dag_id in FILES - NOT_SCHEDULED and not example.form and Version(example.since) <= VERSION
)


def unpause(airflow: LiveAirflow, dag_id: str) -> None:
    airflow.wait_for_dag(dag_id)
    airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})


def first_run(airflow: LiveAirflow, dag_id: str, run_type: str) -> str:
    """Wait until Airflow starts a run by itself, and return its id."""
    runs = wait_until(
        lambda: airflow.pages(f"/dags/{dag_id}/dagRuns", "dag_runs"), 90, lambda: f"no run of {dag_id} is started"
    )
    assert {run["run_type"] for run in runs} == {run_type}
    return str(runs[0]["dag_run_id"])


def answered(platform: Sandbox) -> set[str | None]:
    """Return the campaigns about which a request has been answered."""
    return {request.campaign_id for request in platform.requests if request.status_code}


def test_the_report_is_started_by_the_end_of_its_campaign(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    seed(platform, len(SEEDS))
    unpause(shared_airflow, "report_on_asset")
    platform.wait_for(lambda platform: "cd-sms-evening-1" in answered(platform), 90)
    platform.set_status("cd-sms-evening-1", "Stopped")
    run = first_run(shared_airflow, "report_on_asset", "asset_triggered")
    assert shared_airflow.wait_for_run("report_on_asset", run)["state"] == "success"
    assert "is Stopped" in shared_airflow.xcom("report_on_asset", run, "report")
    shared_airflow.api("PATCH", "/dags/report_on_asset", json={"is_paused": True})


@pytest.mark.parametrize("dag_id", SCHEDULED)
def test_an_example_dag_run_by_its_schedule_changes_the_campaigns_that_it_names_and_no_other(
    dag_id: str, shared_airflow: LiveAirflow, platform: Sandbox
) -> None:
    seed(platform, len(SEEDS))
    unpause(shared_airflow, dag_id)  # Airflow makes up for the run that was last due
    run = first_run(shared_airflow, dag_id, "scheduled")
    assert shared_airflow.wait_for_run(dag_id, run)["state"] == "success"
    tasks = shared_airflow.task_instances(dag_id, run)
    # It depends on the time of day: a sweep is skipped while the calling hours are open, a start while they are not.
    is_skipped = dag_id in WITH_CALLING_HOURS and "skipped" in {task["state"] for task in tasks}
    assert changes(platform) == ({} if is_skipped else EXAMPLES[dag_id].changes)
    assert {task["try_number"] for task in tasks} <= {0, 1}


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
