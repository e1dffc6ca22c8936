"""Run the operators, the sensor and the hook's reads on the toy platform; print what came out as JSON."""

from __future__ import annotations

import json

from airflow.providers_manager import ProvidersManager

from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.campaign import (
    DeleteCampaignOperator,
    StartCampaignOperator,
    StopCampaignOperator,
    StopSmsCampaignOperator,
)
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor


def failure_of_an_sms_stop() -> str:
    try:
        StopSmsCampaignOperator(task_id="sms", campaign_id="toy-1").execute({})
    except CampaignError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


PROVIDERS = ProvidersManager()  # type: ignore[no-untyped-call]
hook = CampaignHook.for_conn_id("campaign_default")
outcome = {
    "known": {name: info.hook_class_name for name, info in PROVIDERS.hooks.items() if info},
    "hook": type(hook).__name__,
    "check": hook.test_connection(),
    "list": [campaign.id for campaign in hook.client.list_campaigns(statuses=("Active",))],
    "stop": StopCampaignOperator(task_id="stop", campaign_id="toy-1", poll_interval=1).execute({}),
    "stop again": StopCampaignOperator(task_id="again", campaign_id="toy-1").execute({}),
    "sensor": CampaignStatusSensor(task_id="wait", campaign_id="toy-1").execute({}),
    "start": StartCampaignOperator(task_id="start", campaign_id="toy-1").execute({}),
    "delete": DeleteCampaignOperator(task_id="delete", campaign_id="toy-1").execute({}),
    "delete again": DeleteCampaignOperator(task_id="gone", campaign_id="toy-1", ignore_missing=True).execute({}),
    "sms": failure_of_an_sms_stop(),
}
print(json.dumps(outcome))
