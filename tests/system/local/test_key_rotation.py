"""A key that is rotated while tasks of a live Airflow run: their threads look the connection up by the supervisor."""

from __future__ import annotations

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from tests.meanwhile import requests_received
from tests.system.conftest import SecretsBackend
from tests.system.live_airflow import LiveAirflow

NEW_SECRET = "a-new-secret-" * 8
DAGS = """
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator, StopSmsCampaignOperator

with DAG("rotated_sweep"):
    StopActiveCampaignsOperator(task_id="sweep", campaign_conn_id="rotated", retries=0)

with DAG("rotated_waits"):
    for number in range(10):
        wait = {"deferrable": True, "poll_interval": 10, "retries": 0}
        StopSmsCampaignOperator(task_id=f"stop_{number}", campaign_id=f"cd-{number}", **wait)
"""


def is_refused(platform: Sandbox) -> bool:
    return 401 in {request.status_code for request in platform.requests}


def test_a_key_that_is_rotated_during_a_sweep_leaves_nothing_live(airflow: LiveAirflow, platform: Sandbox) -> None:
    platform.config.latency = 0.05
    airflow.enter_connection("POST", "rotated", platform.kore_connection("v2"))
    campaigns = [platform.add_campaign(f"cd-{number}") for number in range(40)]

    def rotate(request: ReceivedRequest) -> None:
        if request.action == "stop" and request.campaign_id == campaigns[10].id:
            platform.config.client_secret = NEW_SECRET
            airflow.enter_connection("PATCH", "rotated", platform.kore_connection("v2"))

    platform.on_request(rotate)
    run = airflow.run_dag("rotated_sweep")
    assert {campaign.status for campaign in campaigns} == {"Stopped"}
    assert is_refused(platform)
    log = airflow.task_log("rotated_sweep", run, "sweep")
    assert log.count("the connection has new ones by now, and they are used") == 1
    assert NEW_SECRET not in log


def test_a_secret_rotated_in_a_secrets_backend_ends_no_deferred_wait(
    airflow: LiveAirflow, platform: Sandbox, backend: SecretsBackend
) -> None:
    campaigns = [platform.add_campaign(f"cd-{number}", stop_delay=100_000) for number in range(10)]
    run = airflow.trigger_dag("rotated_waits")
    platform.wait_for(requests_received(10, "stop"), timeout=120)
    platform.wait_for(lambda sandbox: sandbox.requests[-1].action in ("list", "status"), timeout=120)
    platform.config.client_secret = NEW_SECRET
    backend.store(**platform.connections())
    platform.wait_for(is_refused, timeout=120)
    for campaign in campaigns:
        platform.set_status(campaign.id, "Stopped")
    airflow.wait_for_run("rotated_waits", run)
    assert [campaign.stop_requests for campaign in campaigns] == [1] * 10
