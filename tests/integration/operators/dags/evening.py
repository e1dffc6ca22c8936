"""An evening's campaigns: stopped, waited for, deleted; and how it went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow import __version__
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_campaign.operators.campaign import (
    DeleteSmsCampaignOperator,
    StopCampaignOperator,
    StopSmsCampaignOperator,
    StopVoiceCampaignOperator,
)
from airflow_provider_campaign.operators.task_record import send_metrics
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor

CONN_ID = "kore:prod, \N{LATIN SMALL LETTER E WITH ACUTE}" + "x" * 200

with DAG("evening", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag:

    @task
    def measure() -> None:
        """Send a metric that only a scheduled run would have."""
        campaign = {"confirmed_at": "2026-03-02T21:00:12.500000+00:00", "already_stopped": False}
        campaign["end"] = "2026-03-02T21:00:00+00:00"
        send_metrics(
            {
                **{"action": "sweep", "outcome": "success", "platform": "Kore.ai", "connection_id": CONN_ID},
                **{"requests": 0, "refused": 0, "run": {"try_number": 1}, "missed_closings": []},
                "campaigns": [{**campaign, "try_number": 1, "is_incident": each} for each in (False, True)],
            }
        )

    @task
    def ids() -> list[str]:
        return ["cd-sms-1", "cd-sms-2", "cd-sms-3"]

    stop_sms = StopSmsCampaignOperator.partial(task_id="stop_sms").expand(campaign_id=ids())
    stop_voice = StopVoiceCampaignOperator(
        task_id="stop_voice",
        campaign_id="cd-voice-{{ params.number }}",
        campaign_conn_id="{{ params.account }}",
        wait_for_completion=False,
        params={"number": 1, "account": "kore_v2"},
    )
    wait = CampaignStatusSensor(
        task_id="wait",
        campaign_id="{{ ti.xcom_pull(task_ids='stop_voice')['campaign_id'] }}",
        campaign_conn_id="kore_v2",
        target_statuses="{{ 'stopped' }}",
        # The ``dag.test`` of 3.0 and 3.1 reschedules only once.
        mode="poke" if __version__.startswith(("3.0.", "3.1.")) else "reschedule",
        poke_interval=1,
        timeout=60,
    )
    stop_outreach = StopCampaignOperator.partial(task_id="stop_outreach", campaign_id="outreach-1").expand(
        campaign_conn_id=["sonarly"]
    )
    delete = DeleteSmsCampaignOperator(task_id="delete", campaign_id="cd-sms-1")
    measure()
    [stop_sms, stop_voice >> wait, stop_outreach] >> delete


def outcome() -> dict[str, Any]:
    """Run the DAG and return each task instance's state and XCom."""
    run = dag.test()
    return {
        "state": run.state,
        **{
            instance.task_id + (f"[{instance.map_index}]" if instance.map_index >= 0 else ""): [
                instance.state,
                instance.xcom_pull(task_ids=instance.task_id, map_indexes=instance.map_index),
            ]
            for instance in run.get_task_instances()
        },
    }
