"""What the system tests run beside the example DAGs."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

with DAG("sweep"):
    StopActiveCampaignsOperator(task_id="sweep", timeout=300)
