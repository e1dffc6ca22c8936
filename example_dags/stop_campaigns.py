"""Stop an SMS and a voice campaign when their calling hours end, and delete the SMS campaign once it has stopped."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import (
    DeleteSmsCampaignOperator,
    StopSmsCampaignOperator,
    StopVoiceCampaignOperator,
)
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor

SMS = "{{ params.sms_campaign_id }}"
VOICE = "{{ params.voice_campaign_id }}"

with DAG(
    dag_id="stop_campaigns",
    description="Stop two campaigns, and delete one of them",
    doc_md=__doc__,
    tags=["campaigns", "kore"],
    schedule="0 18 * * MON-FRI",
    # Set this to today: with a past date, Airflow runs the DAG for the last closing as soon as it is unpaused.
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Kolkata"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={"sms_campaign_id": "cd-sms-evening-1", "voice_campaign_id": "cd-voice-evening-1"},
):
    stop_sms = StopSmsCampaignOperator(task_id="stop_sms", campaign_id=SMS, wait_for_completion=False)
    sms_stopped = CampaignStatusSensor(task_id="sms_stopped", campaign_id=SMS, poke_interval=5, timeout=900)
    delete_sms = DeleteSmsCampaignOperator(task_id="delete_sms", campaign_id=SMS)
    stop_sms >> sms_stopped >> delete_sms

    stop_voice = StopVoiceCampaignOperator(task_id="stop_voice", campaign_id=VOICE, wait_for_completion=False)
    voice_stopped = CampaignStatusSensor(task_id="voice_stopped", campaign_id=VOICE, poke_interval=5, timeout=900)
    stop_voice >> voice_stopped
