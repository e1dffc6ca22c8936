"""Start the day's campaigns when their calling hours start, and wait until each is running."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StartCampaignOperator
from airflow_provider_campaign.timetables import calling_hours_start

CALLING_HOURS = {
    "frequency": "DAILY",
    "timezone": "America/New_York",
    "days": [{"start": "8:00 AM", "end": "9:00 PM"}],
}

with DAG(
    dag_id="start_of_window",
    description="Start the day's campaigns when their calling hours start",
    doc_md=__doc__,
    tags=["campaigns", "window"],
    schedule=calling_hours_start(CALLING_HOURS, offset=timedelta(minutes=5)),
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
) as dag:
    # With calling_hours, a run outside of them, late or after unpausing, starts nothing and is skipped.
    StartCampaignOperator.partial(task_id="start", calling_hours=CALLING_HOURS, poll_interval=5).expand_kwargs(
        [
            {"campaign_id": "cd-sms-morning-1", "campaign_type": "sms"},
            {"campaign_id": "cd-voice-tomorrow-1", "campaign_type": "voice"},
        ]
    )
