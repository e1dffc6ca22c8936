"""Deferred waits on a live Airflow: ended by the trigger, when the triggerer is lost, by a user, as an asset."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from packaging.version import Version
from sqlalchemy import create_engine, text

from airflow_provider_campaign.sandbox import Sandbox
from tests.odd_texts import ODD
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until
from tests.system.local.conftest import Deploy

pytestmark = pytest.mark.timeout(400)

SHARED = Version("3.3") <= VERSION
"""Whether waits share a poll, and tasks can start from their trigger."""

MANY = 50  # that many reads need not wait for the next minute's
STOPS = 12
INTERVAL = 3

DAGS = f"""
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_campaign.operators.campaign import StopSmsCampaignOperator
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger

WAIT = {{"deferrable": True, "poke_interval": {INTERVAL}}}


def note(context):
    path = Path(context["params"]["folder"]) / context["ti"].task_id
    path.write_text("called back")


with DAG("stops"):
    stop = StopSmsCampaignOperator.partial(task_id="stop", deferrable=True, poll_interval={INTERVAL}).expand(
        campaign_id=[f"cd-stop-{{number}}" for number in range({STOPS})]
    )

    @task
    def stopped(records):
        return [record["campaign_id"] for record in records if record["status"] == "Stopped"]

    stopped(stop.output)

with DAG("left_to_do", params={{"folder": ""}}):
    stop = {{"deferrable": True, "poll_interval": {INTERVAL}}}
    StopSmsCampaignOperator(task_id="outlet", campaign_id="cd-outlet", outlets=[Asset("stopped")], **stop)
    StopSmsCampaignOperator(task_id="callback", campaign_id="cd-callback", on_success_callback=note, **stop)

with DAG("no_worker", params={{"campaign_id": "cd-direct"}}):
    for number in range(5):
        CampaignStatusSensor(
            task_id=f"wait_{{number}}", campaign_id="{{{{ params.campaign_id }}}}", start_from_trigger=True, **WAIT
        )
    CampaignStatusSensor.partial(task_id="mapped", start_from_trigger=True, **WAIT).expand(
        campaign_id=["cd-direct", "cd-direct"]
    )

with DAG("timeouts"):
    brief = {{"campaign_id": "cd-live", "timeout": 5, "retries": 0, **WAIT}}
    CampaignStatusSensor(task_id="from_worker", **brief)
    CampaignStatusSensor(task_id="from_trigger", start_from_trigger=True, **brief)
    CampaignStatusSensor(task_id="softly", soft_fail=True, **brief)
    CampaignStatusSensor(task_id="softly_from_trigger", soft_fail=True, start_from_trigger=True, **brief)
    StopSmsCampaignOperator(
        task_id="stop", campaign_id="cd-deaf", timeout=5, deferrable=True, poll_interval={INTERVAL}, retries=0
    )

with DAG("many"):
    for number in range({MANY}):
        CampaignStatusSensor(
            task_id=f"wait_{{number}}", campaign_id=f"cd-many-{{number}}", start_from_trigger=True, **WAIT
        )

with DAG("acted_on"):
    for end in ("success", "failed", "cleared"):
        CampaignStatusSensor(task_id=end, campaign_id="cd-live", start_from_trigger=True, **WAIT)

stopped = Asset(
    "cd-watched-stopped",
    watchers=[
        AssetWatcher(
            name="stopped",
            trigger=CampaignStatusTrigger(
                campaign_id="cd-watched", campaign_conn_id="watched", poll_interval={INTERVAL}
            ),
        )
    ],
)

with DAG("report", schedule=[stopped]):

    @task
    def report(triggering_asset_events=None):
        [event] = triggering_asset_events[stopped]
        return event.extra

    report()
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None) as sandbox:
        for number, fields in zip(range(STOPS), itertools.cycle(ODD.values()), strict=False):
            sandbox.add_campaign(f"cd-stop-{number}", stop_delay=12.0, **fields)
        for number in range(MANY):
            sandbox.add_campaign(f"cd-many-{number}")
        sandbox.add_campaign("cd-outlet", stop_delay=8.0)
        sandbox.add_campaign("cd-callback", stop_delay=8.0)
        sandbox.add_campaign("cd-direct")
        sandbox.add_campaign("cd-live")
        sandbox.add_campaign("cd-deaf", stoppable=False)
        yield sandbox


@pytest.fixture(scope="module")
def watched() -> Iterator[Sandbox]:
    """The account that the asset is watched in."""
    with Sandbox(rate_limit=None) as sandbox:
        sandbox.add_campaign("cd-watched", status="Stopped", **ODD["half an emoji"])
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: Sandbox, watched: Sandbox, deploy: Deploy) -> LiveAirflow:
    return deploy(DAGS, campaign_default=sandbox.kore_connection(), watched=watched.kore_connection())


def start(airflow: LiveAirflow, dag_id: str, **conf: Any) -> str:
    run_id: str = airflow.trigger_dag(dag_id, conf=conf)["dag_run_id"]
    return run_id


def states(airflow: LiveAirflow, dag_id: str, run_id: str) -> Counter[tuple[str, int]]:
    """Count the states and tries of a run's tasks."""
    return Counter((task["state"], task["try_number"]) for task in airflow.task_instances(dag_id, run_id))


def triggers(airflow: LiveAirflow) -> int:
    """Return how many triggers wait for a task."""
    engine = create_engine(airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    query = text("select count(*) from trigger where id in (select trigger_id from task_instance)")
    with engine.connect() as connection:
        found = int(connection.execute(query).scalar_one())
    engine.dispose()
    return found


def test_stops_of_campaigns_with_odd_names_are_ended_from_the_trigger(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    """A name that Airflow can't keep would end the triggerer's process, and each one that takes the trigger over."""
    before = airflow.processes["triggerer"].pids()
    run_id = start(airflow, "stops")
    assert airflow.wait_for_run("stops", run_id)["state"] == "success"
    assert states(airflow, "stops", run_id) == {("success", 1): STOPS + 1}
    assert airflow.xcom("stops", run_id, "stopped") == [f"cd-stop-{number}" for number in range(STOPS)]
    for number in range(STOPS):
        record = airflow.xcom("stops", run_id, "stop", map_index=number)
        assert (record["campaign_id"], record["status"]) == (f"cd-stop-{number}", "Stopped")
        assert record["already_stopped"] is False
        assert len(json.dumps(record)) < 40_000
    assert before
    assert set(before) <= set(airflow.processes["triggerer"].pids())
    assert Counter(request.action for request in sandbox.requests)["stop"] == STOPS


def test_a_task_with_outlets_or_a_callback_ends_on_a_worker(airflow: LiveAirflow, tmp_path: Path) -> None:
    run_id = start(airflow, "left_to_do", folder=str(tmp_path))
    assert airflow.wait_for_run("left_to_do", run_id)["state"] == "success"
    wait_until((tmp_path / "callback").exists, 10, lambda: "not called back")
    events = airflow.pages("/assets/events", "asset_events", source_dag_id="left_to_do")
    assert [event["source_task_id"] for event in events] == ["outlet"]
    assert airflow.xcom("left_to_do", run_id, "outlet")["status"] == "Stopped"


def test_a_sensor_that_starts_from_its_trigger_needs_no_worker(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    run_id = start(airflow, "no_worker")
    for number in range(5):
        airflow.wait_for_task_state("no_worker", run_id, f"wait_{number}", "deferred")
    airflow.wait_for_task_state("no_worker", run_id, "mapped", "deferred", count=2)
    sandbox.set_status("cd-direct", "Stopped")
    assert airflow.wait_for_run("no_worker", run_id)["state"] == "success"
    assert states(airflow, "no_worker", run_id) == {("success", 1): 7}
    ran = {task["task_id"]: bool(task["pid"]) for task in airflow.task_instances("no_worker", run_id)}
    assert ran == {**{f"wait_{number}": not SHARED for number in range(5)}, "mapped": True}
    assert airflow.xcom("no_worker", run_id, "wait_3") == "Stopped"
    assert airflow.xcom("no_worker", run_id, "mapped", map_index=1) == "Stopped"


def test_a_wait_that_runs_out_of_time_fails_or_is_skipped_as_a_poking_one(airflow: LiveAirflow) -> None:
    run_id = start(airflow, "timeouts")
    airflow.wait_for_run("timeouts", run_id)
    ends = {task["task_id"]: task["state"] for task in airflow.task_instances("timeouts", run_id)}
    assert ends == {
        "from_worker": "failed",
        "from_trigger": "failed",
        "softly": "skipped",
        "softly_from_trigger": "skipped",
        "stop": "failed",
    }
    for task, error in (
        ("from_worker", "AirflowSensorTimeout"),
        ("from_trigger", "AirflowSensorTimeout"),
        ("stop", "CampaignTimeoutError"),
    ):
        log = airflow.task_log("timeouts", run_id, task)
        assert error in log
        assert "is not Stopped" in log
        assert "after 5 s; last seen: Active" in log


def test_waits_survive_the_loss_of_the_triggerer_and_none_is_repeated(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    run_id = start(airflow, "many")
    sandbox.clear_requests()
    wait_until(lambda: triggers(airflow) == MANY, 200, lambda: f"{triggers(airflow)} triggers")
    if SHARED:  # where they are listed
        sandbox.clear_requests()
        sandbox.wait_for(lambda sandbox: sandbox.requests, 60)
    else:
        sandbox.wait_for(lambda sandbox: len(reads_of(sandbox)) == MANY, 200)
    airflow.kill("triggerer")
    for number in range(MANY // 2):
        sandbox.set_status(f"cd-many-{number}", "Stopped")
    airflow.start("triggerer")
    for number in range(MANY // 2, MANY):
        sandbox.set_status(f"cd-many-{number}", "Stopped")
    assert airflow.wait_for_run("many", run_id)["state"] == "success"
    assert states(airflow, "many", run_id) == {("success", 1): MANY}
    if SHARED:
        assert max(reads_of(sandbox).values(), default=0) <= 3
    for number in (0, MANY - 1):
        assert airflow.xcom("many", run_id, f"wait_{number}") == "Stopped"


def reads_of(sandbox: Sandbox) -> Counter[str | None]:
    """Return how often the status of each campaign was read."""
    return Counter(request.campaign_id for request in sandbox.requests if request.action == "status")


def test_a_wait_that_a_user_ends_or_clears_leaves_no_trigger_behind(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    run_id = start(airflow, "acted_on")
    wait_until(lambda: triggers(airflow) == 3, 60, lambda: f"{triggers(airflow)} triggers")
    body = {"dag_run_id": run_id, "task_ids": ["cleared"], "dry_run": False, "only_failed": False}
    airflow.api("POST", "/dags/acted_on/clearTaskInstances", json=body)
    again = airflow.wait_for_task_state("acted_on", run_id, "cleared", "deferred")
    wait_until(lambda: triggers(airflow) == 3, 60, lambda: f"{triggers(airflow)} triggers")
    assert [task["task_id"] for task in again] == ["cleared"]
    for task, state in (("success", "success"), ("failed", "failed"), ("cleared", "failed")):
        path = f"/dags/acted_on/dagRuns/{run_id}/taskInstances/{task}"
        airflow.api("PATCH", path, json={"new_state": state})
    wait_until(lambda: triggers(airflow) == 0, 60, lambda: f"{triggers(airflow)} triggers")
    assert airflow.wait_for_run("acted_on", run_id)["state"] == "failed"
    wait_until(lambda: not asked_within(sandbox, 3 * INTERVAL), 60, lambda: "still asking")


def asked_within(sandbox: Sandbox, seconds: float) -> bool:
    """Return whether the platform is asked anything in the next seconds."""
    sandbox.clear_requests()
    try:
        sandbox.wait_for(lambda sandbox: sandbox.requests, seconds)
    except TimeoutError:
        return False
    return True


def test_an_asset_starts_its_dag_each_time_its_campaign_is_stopped(airflow: LiveAirflow, watched: Sandbox) -> None:
    airflow.wait_for_dag("report")
    airflow.api("PATCH", "/dags/report", json={"is_paused": False})
    seen_by_watcher(watched)

    def become(status: str) -> None:
        watched.set_status("cd-watched", status)
        seen_by_watcher(watched)

    def runs() -> int:
        return len(airflow.pages("/dags/report/dagRuns", "dag_runs"))

    def expect(count: int) -> None:
        wait_until(lambda: runs() == count, 120, lambda: f"{runs()} runs instead of {count}")
        seen_by_watcher(watched)
        assert runs() == count

    expect(0)
    become("Active")
    become("Stopped")
    expect(1)
    become("Active")
    become("Stopped")
    expect(2)
    airflow.kill("triggerer")
    airflow.start("triggerer")
    expect(2)
    become("Active")
    become("Stopped")
    expect(3)
    run = airflow.pages("/dags/report/dagRuns", "dag_runs")[0]
    airflow.wait_for_run("report", run["dag_run_id"])
    extra = airflow.xcom("report", run["dag_run_id"], "report")
    assert "cd-watched" in str(extra)
    assert "Stopped" in str(extra)


def seen_by_watcher(watched: Sandbox) -> None:
    """Wait until the watcher has looked twice, so that it has judged what it saw first."""
    watched.clear_requests()
    watched.wait_for(lambda sandbox: len(sandbox.requests) >= 2, 120)
