"""Kore.ai campaign management, API v1 and v2: from a connection of type ``kore`` to its platform."""

from __future__ import annotations

from typing import Any

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields
from airflow_provider_campaign.hooks.form import connection_form
from airflow_provider_campaign.platforms.kore import KoreApp, KorePlatform
from airflow_provider_campaign.platforms.kore_endpoints import ENDPOINTS, PLACEHOLDERS, replacement_problem

CLIENT_ID_PREFIX = "cs-"
"""How the ids of client apps begin."""


@connection_form
class KoreHook(CampaignHook):
    """
    Kore.ai campaign management, API v1 and v2.

    :param campaign_conn_id: The id of a connection of type ``kore``.
    """

    conn_type = "kore"
    hook_name = "Kore.ai Campaigns"

    def create_platform(self, fields: ConnectionFields) -> KorePlatform:
        return KorePlatform(_app(fields), fields.choice("api_version"), _endpoint_replacements(fields))


def _app(fields: ConnectionFields) -> KoreApp:
    algorithm = fields.choice("jwt_algorithm")
    symmetric = algorithm.startswith("HS")
    app = KoreApp(
        client_id=fields.required("login"),
        iid=fields.identifier("iid"),
        account_id=fields.identifier("account_id"),
        algorithm=algorithm,
        subject=fields.text("jwt_subject", "airflow"),
        key=fields.required("password") if symmetric else fields.required("private_key").replace("\\n", "\n"),
    )
    if symmetric and app.key.startswith(CLIENT_ID_PREFIX) and not app.client_id.startswith(CLIENT_ID_PREFIX):
        fix = "It stands in the other field: swap Client ID and Client Secret, or the secret travels in every token."
        raise fields.error("password", "holds a Client ID", fix)
    if not app.can_sign():
        field = "password" if symmetric else "private_key"
        fix = "Give the Client Secret" if symmetric else "Give the PEM private key, all of it, without a pass phrase"
        raise fields.error(field, f"is not a key for {algorithm}", f"{fix}, or choose another JWT Algorithm.")
    return app


def _endpoint_replacements(fields: ConnectionFields) -> dict[str, Any]:
    replacements = dict(fields.mapping("endpoints"))
    for name, path in replacements.items():
        if problem := replacement_problem(name, path):
            fix = f"Known endpoints: {', '.join(ENDPOINTS)}. Known placeholders: {', '.join(PLACEHOLDERS)}."
            raise fields.error("endpoints", problem, fix)
    return replacements
