"""Sonarly campaigns: from a connection of type ``sonarly`` to its platform."""

from __future__ import annotations

from functools import partial

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields, form_behaviour, form_widgets
from airflow_provider_campaign.platforms.sonarly import SonarlyPlatform


class SonarlyHook(CampaignHook):
    """
    Sonarly campaigns.

    :param campaign_conn_id: The id of a connection of type ``sonarly``.
    """

    conn_type = "sonarly"
    hook_name = "Sonarly Campaigns"
    get_connection_form_widgets = staticmethod(partial(form_widgets, conn_type))
    get_ui_field_behaviour = staticmethod(partial(form_behaviour, conn_type))

    def create_platform(self, fields: ConnectionFields) -> SonarlyPlatform:
        return SonarlyPlatform(fields.identifier("account_group_id"), fields.header("password"))
