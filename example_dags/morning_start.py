"""Start yesterday's campaign again when the calling hours begin: it continues where it was stopped."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StartSmsCampaignOperator

CALLING_HOURS = {
    "frequency": "WEEKLY",
    "timezone": "Asia/Kolkata",
    "days": [{"day": day, "start": "9:00 AM", "end": "6:00 PM"} for day in ("MO", "TU", "WE", "TH", "FR")],
}

with DAG(
    dag_id="morning_start",
    description="Start yesterday's campaign again",
    doc_md=__doc__,
    tags=["campaigns", "kore"],
    schedule="0 9 * * MON-FRI",
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Kolkata"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"campaign_id": "cd-sms-morning-1"},
):
    # With calling_hours, a run outside of them, late or after unpausing, starts nothing and is skipped.
    StartSmsCampaignOperator(
        task_id="start", campaign_id="{{ params.campaign_id }}", calling_hours=CALLING_HOURS, timeout=600
    )
