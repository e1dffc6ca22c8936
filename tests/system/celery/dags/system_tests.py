"""What the system tests run beside the example DAGs."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator, StopSmsCampaignOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("stop_one", default_args=RETRIES):
    StopSmsCampaignOperator(task_id="stop", campaign_id="cd-one", poll_interval=1)

with DAG("sweep", default_args=RETRIES):
    StopActiveCampaignsOperator(task_id="sweep", timeout=300)

with DAG("stop_given", params={"campaign_ids": []}):

    @task
    def campaign_ids(params: dict[str, list[str]]) -> list[str]:
        """Return what the run was asked for."""
        return params["campaign_ids"]

    StopSmsCampaignOperator.partial(task_id="stop").expand(campaign_id=campaign_ids())  # type: ignore[call-arg, misc]
