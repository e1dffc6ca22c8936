"""Rate-limited stops on a live Airflow wait without a slot, and survive the triggerer."""

from __future__ import annotations

from collections import Counter

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until

MANY = 12

DAGS = f"""
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopSmsCampaignOperator

with DAG("refused"):
    StopSmsCampaignOperator.partial(task_id="stop", deferrable=True, poll_interval=3, retries=0).expand(
        campaign_id=[f"cd-{{number}}" for number in range({MANY})]
    )
"""


def stops(platform: Sandbox) -> Counter[tuple[str | None, int | None]]:
    """Count the stops of each campaign, accepted and refused."""
    sent = (request for request in platform.requests if request.action == "stop")
    return Counter((request.campaign_id, request.status_code) for request in sent)


def test_the_loss_of_the_triggerer_loses_and_repeats_no_stop(airflow: LiveAirflow, platform: Sandbox) -> None:
    for number in range(MANY):
        platform.add_campaign(f"cd-{number}", stop_delay=5.0 * (number % 2))
        platform.add_fault(Fault("rate_limit", action="stop", campaign_id=f"cd-{number}", retry_after="60"))
    run_id = airflow.trigger_dag("refused")
    airflow.wait_for_tasks("refused", run_id, "deferred", count=MANY)
    wait_until(lambda: not airflow.task_processes(), 30, lambda: "tasks hold their slots")
    airflow.kill("triggerer")
    airflow.start("triggerer")
    platform.wait_for(lambda platform: any(status == 200 for _, status in stops(platform)), 120)
    airflow.kill("triggerer")
    airflow.start("triggerer")
    airflow.wait_for_run("refused", run_id)
    states = Counter((task["state"], task["try_number"]) for task in airflow.task_instances("refused", run_id))
    assert states == {("success", 1): MANY}
    assert stops(platform) == {(f"cd-{number}", status): 1 for number in range(MANY) for status in (200, 429)}
    assert not any(campaign.live for campaign in platform.campaigns())
