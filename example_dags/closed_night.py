"""Stop everything that is live when the calling hours end, and whatever somebody starts until they start again."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.timetables import calling_hours_closed

CALLING_HOURS = {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}

with DAG(
    dag_id="closed_night",
    description="Stop everything that is live when the calling hours end, and again until they start",
    doc_md=__doc__,
    tags=["campaigns", "window"],
    schedule=calling_hours_closed(CALLING_HOURS, every=timedelta(minutes=5)),
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
) as dag:
    StopActiveCampaignsOperator(task_id="stop_active_campaigns", calling_hours=CALLING_HOURS)
