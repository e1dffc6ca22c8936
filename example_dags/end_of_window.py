"""Stop all live campaigns of an account when its calling hours end, and verify that they are stopped."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.timetables import calling_hours_end

CALLING_HOURS = {  # as a campaign of Kore.ai shows them
    "frequency": "WEEKLY",
    "timezone": "America/New_York",
    "days": [
        {"day": "MO", "start": "8:00 AM", "end": "9:00 PM"},
        {"day": "TU", "start": "8:00 AM", "end": "9:00 PM"},
        {"day": "WE", "start": "8:00 AM", "end": "9:00 PM"},
        {"day": "TH", "start": "8:00 AM", "end": "9:00 PM"},
        {"day": "FR", "start": "8:00 AM", "end": "9:00 PM"},
    ],
}

with DAG(
    dag_id="end_of_window",
    description="Stop all live campaigns when the calling hours end",
    doc_md=__doc__,
    tags=["campaigns", "window"],
    schedule=calling_hours_end(CALLING_HOURS),
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
) as dag:
    StopActiveCampaignsOperator(task_id="stop_active_campaigns", calling_hours=CALLING_HOURS)
