"""Deferred tasks on a live Airflow: ended by the trigger, when the triggerer is lost, rate-limited, as an asset."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.meanwhile import requests_received
from tests.odd_texts import ODD
from tests.system.conftest import SecretsBackend
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until

SHARED = Version("3.3") <= VERSION
"""Whether waits share a poll, and tasks can start from their trigger."""

MANY = 50  # that many reads need not wait for the next minute's
STOPS = 12

DAGS = f"""
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_campaign.operators.campaign import StopSmsCampaignOperator
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger

STOP = {{"deferrable": True, "poll_interval": 3}}
WAIT = {{"deferrable": True, "poke_interval": 3}}
BRIEF = {{"campaign_id": "cd-live", "timeout": 5, "retries": 0, **WAIT}}

with DAG("stops"):
    stop = StopSmsCampaignOperator.partial(task_id="stop", **STOP).expand(
        campaign_id=[f"cd-stop-{{number}}" for number in range({STOPS})]
    )

    @task
    def stopped(records):
        return [record["campaign_id"] for record in records if record["status"] == "Stopped"]

    stopped(stop.output)

with DAG("rate_limited"):
    StopSmsCampaignOperator.partial(task_id="stop", retries=0, **STOP).expand(
        campaign_id=[f"cd-stop-{{number}}" for number in range({STOPS})]
    )

with DAG("timeouts"):
    CampaignStatusSensor(task_id="from_worker", **BRIEF)
    CampaignStatusSensor(task_id="from_trigger", start_from_trigger=True, **BRIEF)
    CampaignStatusSensor(task_id="softly", soft_fail=True, **BRIEF)
    CampaignStatusSensor(task_id="softly_from_trigger", soft_fail=True, start_from_trigger=True, **BRIEF)
    StopSmsCampaignOperator(task_id="stop", campaign_id="cd-deaf", timeout=5, retries=0, **STOP)

with DAG("many"):
    WAIT["start_from_trigger"] = True
    for number in range({MANY}):
        CampaignStatusSensor(task_id=f"wait_{{number}}", campaign_id=f"cd-many-{{number}}", **WAIT)
    CampaignStatusSensor.partial(task_id="mapped", **WAIT).expand(campaign_id=["cd-many-0"])

trigger = CampaignStatusTrigger(campaign_id="cd-watched", campaign_conn_id="watched", poll_interval=3)
stopped = Asset("cd-watched-stopped", watchers=[AssetWatcher(name="stopped", trigger=trigger)])

with DAG("report", schedule=[stopped]):

    @task
    def report(triggering_asset_events=None):
        [event] = triggering_asset_events[stopped]
        return event.extra

    report()
"""


def states(airflow: LiveAirflow, dag_id: str, run_id: str) -> Counter[tuple[str, int]]:
    return Counter((task["state"], task["try_number"]) for task in airflow.task_instances(dag_id, run_id))


def test_stops_of_campaigns_with_odd_names_are_ended_from_the_trigger(airflow: LiveAirflow, platform: Sandbox) -> None:
    ids = [f"cd-stop-{number}" for number in range(STOPS)]
    for campaign_id, fields in zip(ids, itertools.cycle(ODD.values()), strict=False):
        platform.add_campaign(campaign_id, stop_delay=12.0, **fields)
    before = airflow.processes["triggerer"].pids()  # a name that Airflow can't keep would end them
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


def test_the_loss_of_the_triggerer_loses_and_repeats_no_rate_limited_stop(
    airflow: LiveAirflow, platform: Sandbox
) -> None:
    ids = [f"cd-stop-{number}" for number in range(STOPS)]

    def stops() -> Counter[tuple[str | None, int | None]]:
        sent = (request for request in platform.requests if request.action == "stop")
        return Counter((request.campaign_id, request.status_code) for request in sent)

    for number, campaign_id in enumerate(ids):
        platform.add_campaign(campaign_id, stop_delay=5.0 * (number % 2))
        platform.add_fault(Fault("rate_limit", action="stop", campaign_id=campaign_id, retry_after="60"))
    run_id = airflow.trigger_dag("rate_limited")
    airflow.wait_for_tasks("rate_limited", run_id, "deferred", count=STOPS)
    wait_until(lambda: not airflow.task_processes(), 30, lambda: "tasks hold their slots")
    for _ in range(2):  # before the first stop is accepted, and after it
        airflow.kill("triggerer")
        airflow.start("triggerer")
        platform.wait_for(lambda _: any(status == 200 for _, status in stops()), 120)
    airflow.wait_for_run("rate_limited", run_id)
    assert states(airflow, "rate_limited", run_id) == {("success", 1): STOPS}
    assert stops() == {(campaign_id, status): 1 for campaign_id in ids for status in (200, 429)}
    assert not any(campaign.live for campaign in platform.campaigns())


def test_a_wait_that_runs_out_of_time_fails_or_is_skipped_as_a_poking_one(
    airflow: LiveAirflow, platform: Sandbox
) -> None:
    platform.add_campaign("cd-live")
    platform.add_campaign("cd-deaf", stoppable=False)
    run_id = airflow.run_dag("timeouts", state="failed")
    ends = {task["task_id"]: task["state"] for task in airflow.task_instances("timeouts", run_id)}
    errors = dict.fromkeys(("from_worker", "from_trigger"), "AirflowSensorTimeout") | {"stop": "CampaignTimeoutError"}
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
    with Sandbox(rate_limit=None) as sandbox:
        backend.store(watched=sandbox.kore_connection())
        sandbox.add_campaign("cd-watched", status="Stopped", **ODD["half an emoji"])
        yield sandbox


@pytest.mark.usefixtures("platform")
def test_an_asset_starts_its_dag_each_time_its_campaign_is_stopped(airflow: LiveAirflow, watched: Sandbox) -> None:
    def look_twice() -> None:  # so that the watcher has judged what it saw first
        watched.clear_requests()
        watched.wait_for(requests_received(2), 120)

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
    assert ("cd-watched" in extra, "Stopped" in extra) == (True, True)
