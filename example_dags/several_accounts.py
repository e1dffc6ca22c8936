"""Stop all live campaigns of several accounts at the same time, one task for each connection."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.timetables import calling_hours_end

CALLING_HOURS = {
    "frequency": "DAILY",
    "timezone": "America/New_York",
    "days": [{"start": "8:00 AM", "end": "9:00 PM"}],
}

with DAG(
    dag_id="several_accounts",
    description="Stop all live campaigns of several accounts",
    doc_md=__doc__,
    tags=["campaigns", "window"],
    schedule=calling_hours_end(CALLING_HOURS),
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
) as dag:
    StopActiveCampaignsOperator.partial(
        task_id="stop_active_campaigns",
        calling_hours=CALLING_HOURS,
        map_index_template="{{ task.campaign_conn_id }}",
    ).expand(campaign_conn_id=["campaign_default", "kore_v2", "sonarly"])
