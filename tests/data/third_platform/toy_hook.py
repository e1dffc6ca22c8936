"""A third platform: from a connection to the platform."""

from __future__ import annotations

from toy_platform import ToyPlatform  # type: ignore[import-not-found]

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields


class ToyHook(CampaignHook):
    """Toy campaigns."""

    conn_type = "toy"
    hook_name = "Toy Campaigns"

    def create_platform(self, fields: ConnectionFields) -> ToyPlatform:
        return ToyPlatform(fields.header("password"))
