"""A task for each way to fail, each with two retries; run after the evening's, both as one line of JSON."""

from __future__ import annotations

import json
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopCampaignOperator, StopSmsCampaignOperator

TASK_IDS = (
    "kore-unauthorized",
    "sonarly-forbidden",
    "kore-not_found",
    "sonarly-rate_limit",
    "kore-lost",
)
OPERATORS = {"kore": StopSmsCampaignOperator, "sonarly": StopCampaignOperator}

with DAG("retries", schedule=None) as dag:
    for task_id in TASK_IDS:
        platform = task_id.partition("-")[0]
        OPERATORS[platform](
            task_id=task_id,
            campaign_id=task_id,
            campaign_conn_id=platform,
            retries=2,
            retry_delay=timedelta(seconds=0.1),
        )


def outcome() -> dict[str, list[object]]:
    """Run the DAG and return each task's state and number of tries."""
    run = dag.test()
    return {task.task_id: [str(task.state), task.try_number] for task in run.get_task_instances()}


if __name__ == "__main__":
    import evening  # type: ignore[import-not-found]

    print(json.dumps({"evening": evening.outcome(), "retries": outcome()}, default=str))
