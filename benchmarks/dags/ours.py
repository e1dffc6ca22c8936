"""The sweep, and the mapped deferrable stop."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator, StopSmsCampaignOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=30)}

with DAG("sweep", default_args=RETRIES):
    StopActiveCampaignsOperator(task_id="sweep", campaign_types=("sms",))

for count in (1, 20, 50, 100, 300):
    with DAG(f"deferred_{count}", default_args=RETRIES):
        StopSmsCampaignOperator.partial(task_id="stop", deferrable=True, poll_interval=15).expand(
            campaign_id=[f"c-{number}" for number in range(count)]
        )
