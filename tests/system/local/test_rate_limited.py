"""Stops that are refused for the rate, on a live Airflow: they wait without a slot, and survive the triggerer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.task_processes import task_processes
from tests.system.live_airflow.waiting import wait_until
from tests.system.local.conftest import Deploy

pytestmark = pytest.mark.timeout(400)

MANY = 12

DAGS = f"""
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopSmsCampaignOperator

with DAG("refused"):
    StopSmsCampaignOperator.partial(
        task_id="stop", campaign_conn_id="refusing", deferrable=True, poll_interval=3, retries=0
    ).expand(
        campaign_id=[f"cd-{{number}}" for number in range({MANY})]
    )
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A platform that refuses each stop once; some campaigns wind down, the others stop at once."""
    with Sandbox() as sandbox:
        for number in range(MANY):
            sandbox.add_campaign(f"cd-{number}", stop_delay=5.0 * (number % 2))
            sandbox.add_fault(Fault("rate_limit", action="stop", campaign_id=f"cd-{number}", retry_after="60"))
        yield sandbox


@pytest.fixture
def airflow(sandbox: Sandbox, deploy: Deploy) -> LiveAirflow:
    return deploy(DAGS, refusing=sandbox.kore_connection())


def stops(sandbox: Sandbox) -> Counter[tuple[str | None, int | None]]:
    """Count the stops of each campaign, accepted and refused."""
    sent = (request for request in sandbox.requests if request.action == "stop")
    return Counter((request.campaign_id, request.status_code) for request in sent)


def test_the_loss_of_the_triggerer_loses_and_repeats_no_stop(airflow: LiveAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger_dag("refused")["dag_run_id"]
    airflow.wait_for_task_state("refused", run_id, "stop", "deferred", count=MANY)
    wait_until(lambda: not task_processes(airflow), 30, lambda: "tasks hold their slots")
    airflow.kill("triggerer")
    airflow.start("triggerer")
    sandbox.wait_for(lambda sandbox: any(status == 200 for _, status in stops(sandbox)), 120)
    airflow.kill("triggerer")
    airflow.start("triggerer")
    assert airflow.wait_for_run("refused", run_id, timeout=180)["state"] == "success"
    states = Counter((task["state"], task["try_number"]) for task in airflow.task_instances("refused", run_id))
    assert states == {("success", 1): MANY}
    once = {(f"cd-{number}", status): 1 for number in range(MANY) for status in (200, 429)}
    assert stops(sandbox) == once
    assert not any(campaign.live for campaign in sandbox.campaigns())
