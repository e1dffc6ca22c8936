"""Keep an account's campaigns inside their calling hours, around the clock: this one DAG is all that it takes."""

from __future__ import annotations

import json
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

CALLING_HOURS = {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}

with DAG(
    dag_id="calling_hours_guard",
    description="Stop campaigns before their calling hours end, and any that is started while closed",
    doc_md=__doc__,
    tags=["campaigns", "calling hours"],
    schedule="*/5 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
    params={"calling_hours": Param(json.dumps(CALLING_HOURS), type="string", title="Calling hours")},
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
) as dag:
    StopActiveCampaignsOperator(
        task_id="stop_active_campaigns", calling_hours="{{ params.calling_hours }}", deferrable=True
    )
