"""An account on each platform, and a client of it that no test has to wait for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.transport import Transport
from airflow_provider_campaign.platforms.base import HttpResponse, Platform
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.platforms.sonarly import SonarlyPlatform
from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.scripted_transport import response

CONFIG = SandboxConfig()
KORE_V1 = KorePlatform(CONFIG.client_id, "st-1", "acc-1", "HS256", "airflow", CONFIG.client_secret)
KORE_V2 = replace(KORE_V1, api_version="v2")
SONARLY = SonarlyPlatform("ag-1", CONFIG.api_key)
ONCE = Deadline(60, VirtualClock(), retries=False)
PLATFORMS: dict[str, Platform] = {"kore-v1": KORE_V1, "kore-v2": KORE_V2, "sonarly": SONARLY}


def client_of(
    platform: Platform, transport: Transport, clock: VirtualClock | None = None, **settings: Any
) -> CampaignClient:
    return CampaignClient(
        platform,
        transport,
        description=f"connection 'a_connection', {platform.name}",
        clock=clock or VirtualClock(),
        **settings,
    )


def type_on(platform: Platform) -> str | None:
    """Return a campaign type that the platform has; None where it tells none apart."""
    return next(iter(platform.campaign_types), None)


def shows(status: str, **details: Any) -> HttpResponse:
    """Return what either platform responds to a request that reads or deletes the campaign ``c-1``."""
    campaign = {"id": "c-1", "status": status, **details}
    return response({"status": "success", "success": True, "data": campaign})


def done(status: str) -> HttpResponse:
    """Return what either platform responds to a stop or start of the campaign ``c-1``."""
    campaign = {"id": "c-1", "status": status}
    return response({"status": status, "success": True, "message": "Done", "data": {"campaign": campaign}})


def refuses(status: int, text: str = "No", **headers: str) -> HttpResponse:
    """Return a refusal, as either platform writes it."""
    error = {"message": text, "code": f"E-{status}"}
    document = {"errors": [{"msg": text, "code": f"E-{status}"}], "success": False, "error": error, "traceId": "t-1"}
    return response(document, status, body=None, **headers)
