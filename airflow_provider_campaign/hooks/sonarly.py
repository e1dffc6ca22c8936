"""Sonarly campaigns: from a connection of type ``sonarly`` to its platform."""

from __future__ import annotations

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields
from airflow_provider_campaign.hooks.form import connection_form
from airflow_provider_campaign.platforms.sonarly import SonarlyPlatform


@connection_form
class SonarlyHook(CampaignHook):
    """
    Sonarly campaigns.

    :param campaign_conn_id: The id of a connection of type ``sonarly``.
    """

    conn_type = "sonarly"
    hook_name = "Sonarly Campaigns"

    def create_platform(self, fields: ConnectionFields) -> SonarlyPlatform:
        return SonarlyPlatform(fields.identifier("account_group_id"), fields.header("password"))
