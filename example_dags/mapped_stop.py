"""Stop as many campaigns as an upstream task names, each in a task of its own."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_campaign.operators.campaign import StopSmsCampaignOperator


@task
def campaigns_to_stop() -> list[str]:
    """Return the campaigns' ids; yours may come from a database."""
    return ["cd-sms-evening-1", "cd-sms-evening-2"]


with DAG(
    dag_id="mapped_stop",
    description="Stop the campaigns that an upstream task names",
    doc_md=__doc__,
    tags=["campaigns", "kore"],
    schedule="0 20 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/Chicago"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
):
    StopSmsCampaignOperator.partial(task_id="stop").expand(campaign_id=campaigns_to_stop())
