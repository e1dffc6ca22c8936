"""Deferred waits on a live Airflow: ended by the trigger, when the triggerer is lost, as an asset."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_campaign.sandbox import Sandbox
from tests.odd_texts import ODD
from tests.system.conftest import SecretsBackend
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until

SHARED = Version("3.3") <= VERSION
"""Whether waits share a poll, and tasks can start from their trigger."""

MANY = 50  # that many reads need not wait for the next minute's
STOPS = 12

DAGS = f"""
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_campaign.operators.campaign import StopSmsCampaignOperator
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger

STOP = {{"deferrable": True, "poll_interval": 3}}
WAIT = {{"deferrable": True, "poke_interval": 3}}
BRIEF = {{"campaign_id": "cd-live", "timeout": 5, "retries": 0, **WAIT}}


def note(context):
    Path("FOLDER/callback").write_text("called back")


with DAG("stops"):
    stop = StopSmsCampaignOperator.partial(task_id="stop", **STOP).expand(
        campaign_id=[f"cd-stop-{{number}}" for number in range({STOPS})]
    )

    @task
    def stopped(records):
        return [record["campaign_id"] for record in records if record["status"] == "Stopped"]

    stopped(stop.output)

with DAG("left_to_do"):
    StopSmsCampaignOperator(task_id="outlet", campaign_id="cd-outlet", outlets=[Asset("stopped")], **STOP)
    StopSmsCampaignOperator(task_id="callback", campaign_id="cd-callback", on_success_callback=note, **STOP)

with DAG("timeouts"):
    CampaignStatusSensor(task_id="from_worker", **BRIEF)
    CampaignStatusSensor(task_id="from_trigger", start_from_trigger=True, **BRIEF)
    CampaignStatusSensor(task_id="softly", soft_fail=True, **BRIEF)
    CampaignStatusSensor(task_id="softly_from_trigger", soft_fail=True, start_from_trigger=True, **BRIEF)
    StopSmsCampaignOperator(task_id="stop", campaign_id="cd-deaf", timeout=5, retries=0, **STOP)

with DAG("many"):
    for number in range({MANY}):
        CampaignStatusSensor(
            task_id=f"wait_{{number}}", campaign_id=f"cd-many-{{number}}", start_from_trigger=True, **WAIT
        )
    CampaignStatusSensor.partial(task_id="mapped", start_from_trigger=True, **WAIT).expand(campaign_id=["cd-many-0"])

stopped = Asset(
    "cd-watched-stopped",
    watchers=[
        AssetWatcher(
            name="stopped",
            trigger=CampaignStatusTrigger(campaign_id="cd-watched", campaign_conn_id="watched", poll_interval=3),
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


def states(airflow: LiveAirflow, dag_id: str, run_id: str) -> Counter[tuple[str, int]]:
    """Count the states and tries of a run's tasks."""
    return Counter((task["state"], task["try_number"]) for task in airflow.task_instances(dag_id, run_id))


def test_stops_of_campaigns_with_odd_names_are_ended_from_the_trigger(airflow: LiveAirflow, platform: Sandbox) -> None:
    """A name that Airflow can't keep would end the triggerer's process, and each one that takes the trigger over."""
    ids = [f"cd-stop-{number}" for number in range(STOPS)]
    for campaign_id, fields in zip(ids, itertools.cycle(ODD.values()), strict=False):
        platform.add_campaign(campaign_id, stop_delay=12.0, **fields)
    before = airflow.processes["triggerer"].pids()
    run_id = airflow.run_dag("stops")
    assert states(airflow, "stops", run_id) == {("success", 1): STOPS + 1}
    assert airflow.xcom("stops", run_id, "stopped") == ids
    for number, campaign_id in enumerate(ids):
        record = airflow.xcom("stops", run_id, "stop", map_index=number)
        assert (record["campaign_id"], record["status"]) == (campaign_id, "Stopped")
        assert record["already_stopped"] is False
        assert len(json.dumps(record)) < 40_000
    assert before
    assert set(before) <= set(airflow.processes["triggerer"].pids())
    assert Counter(request.action for request in platform.requests)["stop"] == STOPS


def test_a_task_with_outlets_or_a_callback_ends_on_a_worker(
    airflow: LiveAirflow, platform: Sandbox, folder: Path
) -> None:
    for name in ("outlet", "callback"):
        platform.add_campaign(f"cd-{name}", stop_delay=8.0)
    run_id = airflow.run_dag("left_to_do")
    wait_until((folder / "callback").exists, 10, lambda: "not called back")
    events = airflow.pages("/assets/events", "asset_events", source_dag_id="left_to_do")
    assert [event["source_task_id"] for event in events] == ["outlet"]
    assert airflow.xcom("left_to_do", run_id, "outlet")["status"] == "Stopped"


def test_a_wait_that_runs_out_of_time_fails_or_is_skipped_as_a_poking_one(
    airflow: LiveAirflow, platform: Sandbox
) -> None:
    platform.add_campaign("cd-live")
    platform.add_campaign("cd-deaf", stoppable=False)
    run_id = airflow.run_dag("timeouts", state="failed")
    ends = {task["task_id"]: task["state"] for task in airflow.task_instances("timeouts", run_id)}
    errors = {
        "from_worker": "AirflowSensorTimeout",
        "from_trigger": "AirflowSensorTimeout",
        "stop": "CampaignTimeoutError",
    }
    assert ends == {"softly": "skipped", "softly_from_trigger": "skipped", **dict.fromkeys(errors, "failed")}
    for task, error in errors.items():
        log = airflow.task_log("timeouts", run_id, task)
        for text in (error, "is not Stopped", "after 5 s; last seen: Active"):
            assert text in log


def test_waits_survive_the_loss_of_the_triggerer_and_need_no_worker(airflow: LiveAirflow, platform: Sandbox) -> None:
    ids = [platform.add_campaign(f"cd-many-{number}").id for number in range(MANY)]

    def reads() -> Counter[str | None]:
        return Counter(request.campaign_id for request in platform.requests if request.action == "status")

    run_id = airflow.trigger_dag("many")
    airflow.wait_for_tasks("many", run_id, "deferred", count=MANY + 1, timeout=200)
    if SHARED:  # where they are listed
        platform.clear_requests()
        platform.wait_for(lambda platform: platform.requests, 60)
    else:
        platform.wait_for(lambda _: len(reads()) == MANY, 200)
    airflow.kill("triggerer")
    for campaign_id in ids[: MANY // 2]:
        platform.set_status(campaign_id, "Stopped")
    airflow.start("triggerer")
    for campaign_id in ids[MANY // 2 :]:
        platform.set_status(campaign_id, "Stopped")
    airflow.wait_for_run("many", run_id)
    assert states(airflow, "many", run_id) == {("success", 1): MANY + 1}
    on_worker = {task["task_id"] for task in airflow.task_instances("many", run_id) if task["pid"]}
    assert on_worker == ({"mapped"} if SHARED else {"mapped", *(f"wait_{number}" for number in range(MANY))})
    if SHARED:
        assert max(reads().values(), default=0) <= 3
    assert airflow.xcom("many", run_id, f"wait_{MANY - 1}") == "Stopped"
    assert airflow.xcom("many", run_id, "mapped", map_index=0) == "Stopped"


@pytest.fixture(scope="module", autouse=True)
def watched(backend: SecretsBackend) -> Iterator[Sandbox]:
    """An account of its own, from before to after its watcher."""
    with Sandbox(rate_limit=None) as sandbox:
        backend.store(watched=sandbox.kore_connection())
        sandbox.add_campaign("cd-watched", status="Stopped", **ODD["half an emoji"])
        yield sandbox


@pytest.mark.usefixtures("platform")
def test_an_asset_starts_its_dag_each_time_its_campaign_is_stopped(airflow: LiveAirflow, watched: Sandbox) -> None:
    def look_twice() -> None:
        """Wait until the watcher has judged what it saw first."""
        watched.clear_requests()
        watched.wait_for(lambda sandbox: len(sandbox.requests) >= 2, 120)

    def runs() -> list[dict[str, Any]]:
        return airflow.pages("/dags/report/dagRuns", "dag_runs")

    def expect(count: int, *statuses: str) -> None:
        for status in statuses:
            watched.set_status("cd-watched", status)
            look_twice()
        wait_until(lambda: len(runs()) == count, 120, lambda: f"{len(runs())} runs instead of {count}")
        look_twice()
        assert len(runs()) == count

    airflow.wait_for_dag("report")
    airflow.pause("report", is_paused=False)
    expect(0)
    expect(1, "Active", "Stopped")
    expect(2, "Active", "Stopped")
    airflow.kill("triggerer")
    airflow.start("triggerer")
    expect(2)
    expect(3, "Active", "Stopped")
    run_id = runs()[0]["dag_run_id"]
    airflow.wait_for_run("report", run_id)
    extra = str(airflow.xcom("report", run_id, "report"))
    assert "cd-watched" in extra
    assert "Stopped" in extra
