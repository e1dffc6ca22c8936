"""Stop a voice campaign through version 2 of Kore.ai's API, and delete it: the connection says which version."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import DeleteVoiceCampaignOperator, StopVoiceCampaignOperator

with DAG(
    dag_id="kore_v2",
    description="Stop a voice campaign through API v2, and delete it",
    doc_md=__doc__,
    tags=["campaigns", "kore"],
    schedule="0 20 * * MON-SAT",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    # The field API Version of this connection is v2; nothing else differs.
    default_args={"campaign_conn_id": "kore_v2", "retries": 3, "retry_delay": timedelta(minutes=1)},
    params={"campaign_id": "cd-voice-evening-1"},
):
    stop = StopVoiceCampaignOperator(task_id="stop", campaign_id="{{ params.campaign_id }}")
    delete = DeleteVoiceCampaignOperator(task_id="delete", campaign_id="{{ params.campaign_id }}")
    stop >> delete
