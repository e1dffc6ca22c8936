"""The five kinds of campaign that every operator treats alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_campaign.operators import campaign as operators
from airflow_provider_campaign.sandbox import Campaign, Sandbox

Connect = Callable[..., None]
"""The fixture ``connect``: takes a connection of the sandbox, and the id to make it known by."""

SILENT = ("hang", "dribble", "dribble_headers")
"""Faults by which a response never ends: a test gives these a short time-out, and all others one out of the way."""


@dataclass(frozen=True)
class Kind:
    """A platform as request logs name it, a version of its API, and a campaign type there: None on Sonarly."""

    label: str
    platform: str
    api_version: str | None
    campaign_type: str | None
    stop_operator: type[operators.CampaignOperator]
    start_operator: type[operators.CampaignOperator]
    delete_operator: type[operators.CampaignOperator] | None

    def connection(self, sandbox: Sandbox, **extra: Any) -> dict[str, Any]:
        if self.api_version is None:
            return sandbox.sonarly_connection(**extra)
        return sandbox.kore_connection(self.api_version, **extra)

    def add_campaign(self, sandbox: Sandbox, **details: Any) -> Campaign:
        return sandbox.add_campaign(campaign_type=self.campaign_type or "sonarly", **details)

    def stop(self, campaign_id: str, **arguments: Any) -> operators.CampaignOperator:
        return self.stop_operator(task_id="stop", campaign_id=campaign_id, **arguments)

    def start(self, campaign_id: str, **arguments: Any) -> operators.CampaignOperator:
        return self.start_operator(task_id="start", campaign_id=campaign_id, **arguments)

    def delete(self, campaign_id: str, **arguments: Any) -> operators.CampaignOperator:
        assert self.delete_operator is not None
        return self.delete_operator(task_id="delete", campaign_id=campaign_id, **arguments)


_SMS = (
    "sms",
    operators.StopSmsCampaignOperator,
    operators.StartSmsCampaignOperator,
    operators.DeleteSmsCampaignOperator,
)
_VOICE = (
    "voice",
    operators.StopVoiceCampaignOperator,
    operators.StartVoiceCampaignOperator,
    operators.DeleteVoiceCampaignOperator,
)

KORE_KINDS = (
    Kind("v1-sms", "kore-v1", "v1", *_SMS),
    Kind("v1-voice", "kore-v1", "v1", *_VOICE),
    Kind("v2-sms", "kore-v2", "v2", *_SMS),
    Kind("v2-voice", "kore-v2", "v2", *_VOICE),
)
SONARLY = Kind("sonarly", "sonarly", None, None, operators.StopCampaignOperator, operators.StartCampaignOperator, None)
KINDS = (*KORE_KINDS, SONARLY)
