"""Campaigns with names that Airflow can't keep, on a live Airflow: deferred stops and asset events end no triggerer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from tests.odd_texts import ODD
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until
from tests.system.local.conftest import Deploy

pytestmark = pytest.mark.timeout(400)

INTERVAL = 3

DAGS = f"""
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator, StopCampaignOperator
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger

ODD = range({len(ODD)})
WAIT = {{"deferrable": True, "poll_interval": {INTERVAL}}}

with DAG("odd_stops"):
    for number in ODD:
        # With an outlet the result goes to a worker; without, the triggerer puts it into XCom.
        StopCampaignOperator(
            task_id=f"stop_{{number}}",
            campaign_id=f"kore-{{number}}",
            campaign_type="sms",
            campaign_conn_id="kore",
            outlets=[Asset(f"kore-{{number}}")] if number % 2 else [],
            **WAIT,
        )

with DAG("odd_sweep"):
    StopActiveCampaignsOperator(task_id="sweep", campaign_conn_id="sonarly", deferrable=True)

stopped = [
    Asset(
        f"watched-{{number}}",
        watchers=[
            AssetWatcher(
                name="stopped",
                trigger=CampaignStatusTrigger(
                    campaign_id=f"watched-{{number}}", campaign_conn_id="sonarly", poll_interval={INTERVAL}
                ),
            )
        ],
    )
    for number in ODD
]

with DAG("odd_report", schedule=stopped):

    @task
    def report(triggering_asset_events=None):
        return {{asset.name: event.extra for asset, [event] in triggering_asset_events.items()}}

    report()
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None) as sandbox:
        for number, fields in enumerate(ODD.values()):
            sandbox.add_campaign(f"kore-{number}", "sms", stop_delay=8.0, **fields)
            sandbox.add_campaign(f"sonarly-{number}", "sonarly", stop_delay=8.0, **fields)
            sandbox.add_campaign(f"watched-{number}", "sonarly", status="Paused", **fields)
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: Sandbox, deploy: Deploy) -> LiveAirflow:
    return deploy(DAGS, kore=sandbox.kore_connection(), sonarly=sandbox.sonarly_connection())


@pytest.fixture(autouse=True)
def triggerer_lives(airflow: LiveAirflow) -> Iterator[None]:
    """Check that the triggerer is the same process before and after a test."""
    before = airflow.processes["triggerer"].pids()
    yield
    assert before
    assert set(before) <= set(airflow.processes["triggerer"].pids())
    assert airflow.health()["triggerer"]["status"] == "healthy"


def test_deferred_stops_end_in_an_xcom(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger_dag("odd_stops")["dag_run_id"]
    assert airflow.wait_for_run("odd_stops", run_id)["state"] == "success"
    for number in range(len(ODD)):
        result = airflow.xcom("odd_stops", run_id, f"stop_{number}")
        assert (result["campaign_id"], result["status"]) == (f"kore-{number}", "Stopped")
        assert len(json.dumps(result)) < 40_000
        assert sandbox.campaign(f"kore-{number}").status == "Stopped"
    assert {task["try_number"] for task in airflow.task_instances("odd_stops", run_id)} == {1}


def test_a_sweep_ends_in_an_xcom(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger_dag("odd_sweep")["dag_run_id"]
    assert airflow.wait_for_run("odd_sweep", run_id)["state"] == "success"
    result = airflow.xcom("odd_sweep", run_id, "sweep")
    assert {each["campaign_id"] for each in result["stopped"]} == {f"sonarly-{number}" for number in range(len(ODD))}
    log = airflow.task_log("odd_sweep", run_id, "sweep")
    assert not [line for line in log.splitlines() if line.startswith("[2026-03-02")]


def test_asset_events_reach_a_dag(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    airflow.api("PATCH", f"/dags/{airflow.wait_for_dag('odd_report')['dag_id']}", json={"is_paused": False})
    names = [f"watched-{number}" for number in range(len(ODD))]
    sandbox.clear_requests()
    sandbox.wait_for(lambda sandbox: [request.action for request in sandbox.requests].count("list") > 1, 60)
    for name in names:
        sandbox.set_status(name, "Stopped")
    [run] = wait_until(lambda: airflow.pages("/dags/odd_report/dagRuns", "dag_runs"), 120, lambda: "no asset events")
    assert airflow.wait_for_run("odd_report", run["dag_run_id"])["state"] == "success"
    events = airflow.xcom("odd_report", run["dag_run_id"], "report")
    assert sorted(events) == names
    assert all("Stopped" in str(event) and name in str(event) for name, event in events.items())
