"""Kore.ai campaign management, API v1 and v2: from a connection of type ``kore`` to its platform."""

from __future__ import annotations

from functools import partial
from typing import Any

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields, form_behaviour, form_widgets
from airflow_provider_campaign.platforms.kore import ENDPOINTS, PLACEHOLDERS, KorePlatform, replacement_problem

CLIENT_ID_PREFIX = "cs-"  # how the ids of client apps begin


class KoreHook(CampaignHook):
    """
    Kore.ai campaign management, API v1 and v2.

    :param campaign_conn_id: The id of a connection of type ``kore``.
    """

    conn_type = "kore"
    hook_name = "Kore.ai Campaigns"
    get_connection_form_widgets = staticmethod(partial(form_widgets, conn_type))
    get_ui_field_behaviour = staticmethod(partial(form_behaviour, conn_type))

    def create_platform(self, fields: ConnectionFields) -> KorePlatform:
        algorithm = fields.choice("jwt_algorithm")
        symmetric = algorithm.startswith("HS")
        platform = KorePlatform(
            client_id=fields.required("login"),
            iid=fields.identifier("iid"),
            account_id=fields.identifier("account_id"),
            algorithm=algorithm,
            subject=fields.text("jwt_subject", "airflow"),
            key=fields.required("password") if symmetric else fields.required("private_key").replace("\\n", "\n"),
            api_version=fields.choice("api_version"),
            endpoint_replacements=_endpoint_replacements(fields),
        )
        _check_key(platform, fields, "password" if symmetric else "private_key")
        return platform

    def switch_schedule_off(self, campaign_name: str, **options: Any) -> Campaign:
        """Switch off a campaign's own schedule, so that it does not start by itself; the request goes by its name."""
        return self.client.switch_schedule_off(campaign_name, **options)


def _check_key(platform: KorePlatform, fields: ConnectionFields, field: str) -> None:
    """Raise if the key does not fit the algorithm, or is in the wrong field."""
    is_client_id = platform.key.startswith(CLIENT_ID_PREFIX) and not platform.client_id.startswith(CLIENT_ID_PREFIX)
    if is_client_id and field == "password":
        fix = "It stands in the other field: swap Client ID and Client Secret, or the secret travels in every token."
        raise fields.error(field, "holds a Client ID", fix)
    if not platform.can_sign():
        wanted = "Client Secret" if field == "password" else "PEM private key, all of it, without a pass phrase"
        fix = f"Give the {wanted}, or choose another JWT Algorithm."
        raise fields.error(field, f"is not a key for {platform.algorithm}", fix)


def _endpoint_replacements(fields: ConnectionFields) -> dict[str, Any]:
    replacements = dict(fields.mapping("endpoints"))
    for name, path in replacements.items():
        if problem := replacement_problem(name, path):
            known, placeholders = ", ".join(ENDPOINTS["v1"]), ", ".join(PLACEHOLDERS)
            fix = f"Known endpoints: {known}. Known placeholders: {placeholders}."
            raise fields.error("endpoints", problem, fix)
    return replacements
