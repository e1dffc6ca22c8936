"""Stop a Sonarly campaign: the connection's type says which platform it is."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopCampaignOperator

with DAG(
    dag_id="sonarly",
    description="Stop a Sonarly campaign",
    doc_md=__doc__,
    tags=["campaigns", "sonarly"],
    schedule="30 17 * * MON-FRI",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/London"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={"campaign_id": "650000000000000000000001"},
):
    StopCampaignOperator(task_id="stop", campaign_id="{{ params.campaign_id }}", campaign_conn_id="sonarly")
