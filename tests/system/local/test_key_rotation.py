"""A key that is rotated while tasks of a live Airflow run: their threads look the connection up by the supervisor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from tests.system.live_airflow import LiveAirflow
from tests.system.local.conftest import Deploy, SecretsBackend

pytestmark = pytest.mark.timeout(400)

CAMPAIGNS = 40
NEW_SECRET = "a-new-secret-" * 8
DAGS = """
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator, StopCampaignOperator

with DAG("rotated_sweep"):
    StopActiveCampaignsOperator(task_id="sweep", campaign_conn_id="rotated", retries=0)

with DAG("rotated_waits"):
    for number in range(10):
        StopCampaignOperator(
            task_id=f"stop_{number}", campaign_id=f"cd-{number}", campaign_type="sms", campaign_conn_id="in_backend",
            deferrable=True, poll_interval=10, retries=0,
        )
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    with Sandbox(latency=0.05) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(platform: Sandbox, deploy: Deploy) -> LiveAirflow:
    return deploy(DAGS, in_backend=platform.kore_connection("v2"))


def in_the_form(connection: dict[str, Any]) -> dict[str, Any]:
    return {"connection_id": "rotated", **connection, "extra": json.dumps(connection["extra"])}


def test_a_key_that_is_rotated_during_a_sweep_leaves_nothing_live(airflow: LiveAirflow, platform: Sandbox) -> None:
    airflow.create_connection(in_the_form(platform.kore_connection("v2")))
    campaigns = [platform.add_campaign(f"cd-{number}") for number in range(CAMPAIGNS)]

    def rotate(request: ReceivedRequest) -> None:
        if request.action == "stop" and request.campaign_id == campaigns[10].id:
            platform.config.client_secret = NEW_SECRET
            airflow.api("PATCH", "/connections/rotated", json=in_the_form(platform.kore_connection("v2")))

    platform.on_request(rotate)
    run = airflow.trigger_dag("rotated_sweep")["dag_run_id"]
    assert airflow.wait_for_run("rotated_sweep", run)["state"] == "success", airflow.describe("rotated_sweep", run)
    assert {campaign.status for campaign in campaigns} == {"Stopped"}
    assert 401 in {request.status_code for request in platform.requests}
    log = airflow.task_log("rotated_sweep", run, "sweep")
    assert log.count("the connection has new ones by now, and they are used") == 1
    assert NEW_SECRET not in log


def test_a_secret_rotated_in_a_secrets_backend_ends_no_deferred_wait(
    airflow: LiveAirflow, platform: Sandbox, backend: SecretsBackend
) -> None:
    platform.reset()
    backend.store(in_backend=platform.kore_connection("v2"))
    campaigns = [platform.add_campaign(f"cd-{number}", stop_delay=100_000) for number in range(10)]
    run = airflow.trigger_dag("rotated_waits")["dag_run_id"]
    platform.wait_for(lambda sandbox: sum(each.action == "stop" for each in sandbox.requests) == 10, timeout=120)
    platform.wait_for(lambda sandbox: sandbox.requests[-1].action in ("list", "status"), timeout=120)
    platform.config.client_secret = "another-secret-" * 8
    backend.store(in_backend=platform.kore_connection("v2"))
    platform.wait_for(lambda sandbox: 401 in {request.status_code for request in sandbox.requests}, timeout=120)
    for campaign in campaigns:
        platform.set_status(campaign.id, "Stopped")
    assert airflow.wait_for_run("rotated_waits", run)["state"] == "success", airflow.describe("rotated_waits", run)
    assert [campaign.stop_requests for campaign in campaigns] == [1] * 10
