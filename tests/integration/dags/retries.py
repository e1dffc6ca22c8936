"""A task for each way to fail, each with two retries; what became of them is the last line printed."""

from __future__ import annotations

import json
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopCampaignOperator, StopSmsCampaignOperator

OPERATORS = {"kore": StopSmsCampaignOperator, "sonarly": StopCampaignOperator}
FAULTS = ("unauthorized", "forbidden", "not_found", "bad_request", "redirect", "rate_limit", "lost")

with DAG("retries", schedule=None) as dag:
    for platform, operator in OPERATORS.items():
        for fault in FAULTS:
            operator(
                task_id=f"{platform}-{fault}",
                campaign_id=f"{platform}-{fault}",
                campaign_conn_id=platform,
                retries=2,
                retry_delay=timedelta(seconds=0.1),
            )

if __name__ == "__main__":
    run = dag.test()
    tasks = run.get_task_instances()
    print(json.dumps({task.task_id: [str(task.state), task.try_number] for task in tasks}))
