"""What Airflow discovers: connection types and the fields of their forms, hooks, operators, sensors, triggers."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

_PACKAGE = "airflow_provider_campaign"

_HOW_TO_GUIDES = ["/docs/connections.md", "/docs/operators.md", "/docs/end-of-window.md"]


def _field(label: str, description: str) -> JSON:
    return {"label": label, "description": description, "schema": {"type": "string"}}


def _optional_field(label: str, description: str, kind: str = "string", **schema: Any) -> JSON:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


_COMMON_FIELDS: JSON = {
    "timeout": _optional_field(
        "Request Timeout (seconds)", "The longest that one request may take. Default: 30.", "number", exclusiveMinimum=0
    ),
    "retry_budget": _optional_field(
        "Retry Budget (seconds)",
        "The longest that one action, such as a stop, may take with its retries. "
        "Default: 120, or what is left of the operator's timeout.",
        "number",
        exclusiveMinimum=0,
    ),
    "ca_bundle": _optional_field(
        "CA Bundle", "Path of a PEM file with the certificates to trust, where the host's own CA is private."
    ),
}

# The field Port is shown because Airflow 3.3.1 and 3.3.2 can't test a connection that has none (apache/airflow 73298).
_KORE: JSON = {
    "connection-type": "kore",
    "hook-class-name": f"{_PACKAGE}.hooks.kore.KoreHook",
    "hook-name": "Kore.ai Campaigns",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "extra"],
        "relabeling": {"host": "Host", "port": "Port", "login": "Client ID", "password": "Client Secret"},
        "placeholders": {"host": "https://platform.kore.ai", "port": "443", "login": "cs-…"},
    },
    "conn-fields": {
        "iid": _field("Application ID", "The app's id, st-…, sent as the header iid."),
        "account_id": _field("Account ID", "The account's id, sent as the header accountId."),
        "api_version": _optional_field(
            "API Version", "Which version of the campaign API to use. Default: v1.", enum=["v1", "v2"], default="v1"
        ),
        "jwt_algorithm": _optional_field(
            "JWT Algorithm",
            "The signing algorithm chosen for the client app. Default: HS256, with the Client Secret.",
            enum=["HS256", "HS384", "HS512", "RS256", "ES256"],
            default="HS256",
        ),
        "jwt_subject": _optional_field(
            "JWT Subject", "The token's sub claim: any name, for the platform's logs. Default: airflow."
        ),
        "private_key": _optional_field(
            "Private Key",
            "The PEM private key, for RS256 and ES256 only; line breaks may be written as \\n.",
            format="password",
        ),
        **_COMMON_FIELDS,
        "endpoints": _optional_field(
            "Endpoints",
            "Paths that replace single entries of the endpoint table, keyed by request: "
            '{"stop_voice": "/campaign/api/v2/public/{iid}/…"}.',
            "object",
        ),
    },
}

_SONARLY: JSON = {
    "connection-type": "sonarly",
    "hook-class-name": f"{_PACKAGE}.hooks.sonarly.SonarlyHook",
    "hook-name": "Sonarly Campaigns",
    "ui-field-behaviour": {
        "hidden-fields": ["login", "schema", "extra"],
        "relabeling": {"host": "Host", "port": "Port", "password": "API Key"},
        "placeholders": {"host": "https://api.sonarly.io", "port": "443"},
    },
    "conn-fields": {
        "account_group_id": _field("Account Group ID", "The account group that the campaigns belong to."),
        **_COMMON_FIELDS,
    },
}

_CONFIG: JSON = {
    "campaign": {
        "description": "Options of the provider for outreach campaigns.",
        "options": {
            "records_path": {
                "description": "Where StopActiveCampaignsOperator and the command line write their records, unless the "
                "argument records_path says: any path that ObjectStoragePath takes.",
                "version_added": "1.1.0",
                "type": "string",
                "example": "s3://aws_default@bucket/campaign-records",
                "default": None,
            }
        },
    }
}

_DOCUMENTATION = {
    "Kore.ai": "https://koreai.mintlify.app/llms.txt",
    "Sonarly": "https://api.sonarly.io",  # no other address of Sonarly's is documented
}


def _of_each_platform(*modules: str) -> list[JSON]:
    """Return the modules as those of both integrations: operators, sensors, and triggers know no platform."""
    names = [f"{_PACKAGE}.{module}" for module in modules]
    return [{"integration-name": platform, "python-modules": names} for platform in _DOCUMENTATION]


def get_provider_info() -> JSON:
    """Return the provider's metadata, as the entry point ``apache_airflow_provider`` promises."""
    return {
        "package-name": "airflow-provider-campaign",
        "name": "Campaigns",
        "description": "Stops outreach campaigns (SMS, voice, outreach) at the end of their window "
        "and proves that they are stopped.",
        "integrations": [
            {"integration-name": name, "external-doc-url": url, "how-to-guide": _HOW_TO_GUIDES, "tags": ["service"]}
            for name, url in _DOCUMENTATION.items()
        ],
        "hooks": [
            {"integration-name": "Kore.ai", "python-modules": [f"{_PACKAGE}.hooks.kore"]},
            {"integration-name": "Sonarly", "python-modules": [f"{_PACKAGE}.hooks.sonarly"]},
        ],
        "operators": _of_each_platform(*(f"operators.{name}" for name in ("campaign", "status_change", "sweep"))),
        "sensors": _of_each_platform("sensors.campaign"),
        "triggers": _of_each_platform("triggers.campaign", "triggers.wait"),
        "connection-types": [_KORE, _SONARLY],
        "cli": [f"{_PACKAGE}.cli.definition.get_commands"],
        "config": _CONFIG,
    }


def connection_type_info(conn_type: str) -> JSON:
    """Return the metadata of one connection type; an empty form for a type of another provider."""
    known: dict[str, JSON] = {info["connection-type"]: info for info in get_provider_info()["connection-types"]}
    return known.get(conn_type, {"conn-fields": {}, "ui-field-behaviour": {"relabeling": {}, "placeholders": {}}})
