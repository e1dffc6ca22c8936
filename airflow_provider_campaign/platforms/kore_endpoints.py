"""Kore.ai's endpoint table, API v1 and v2, and what may replace an entry of it."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

from airflow_provider_campaign.campaign import is_path_segment

_V1_STOP = "POST /campaign/api/v1/public/{iid}/campaign/{campaign_id}"
_V1 = "/agentassist/api/v1/public/{iid}/campaign"
_V2 = "/campaign/api/v2/public/{iid}/campaign"
_V2_VOICE = "/api/v2/public/{iid}/campaign"  # without the prefix that every other path of v2 has
_ACCOUNT = "accountId={account_id}"

ENDPOINTS: Mapping[str, Mapping[str, str]] = {
    "stop_sms": {
        "v1": f"{_V1_STOP}?campaignType=sms&trigger=stop",
        "v2": f"POST {_V2}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=sms&trigger=stop",
    },
    "stop_voice": {
        "v1": f"{_V1_STOP}?campaignType=voice&trigger=stop",
        "v2": f"POST {_V2_VOICE}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=voice&trigger=stop",
    },
    "start_sms": {
        "v1": f"{_V1_STOP}?campaignType=sms&trigger=play",
        "v2": f"POST {_V2}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=sms&trigger=play",
    },
    "start_voice": {
        "v1": f"{_V1_STOP}?campaignType=voice&trigger=play",
        "v2": f"POST {_V2_VOICE}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=voice&trigger=play",
    },
    "delete_sms": {
        "v1": f"DELETE {_V1}/{{campaign_id}}?campaignType=sms",
        "v2": f"DELETE {_V2}/{{campaign_id}}?{_ACCOUNT}&campaignType=sms",
    },
    "delete_voice": {
        "v1": f"DELETE {_V1}/{{campaign_id}}?campaignType=voice",
        "v2": f"DELETE {_V2}/{{campaign_id}}?{_ACCOUNT}&campaignType=voice",
    },
    "status": {
        "v1": f"POST {_V1}/{{campaign_id}}/status?view=status",
        "v2": f"POST {_V2}/{{campaign_id}}/status?{_ACCOUNT}&view=status",
    },
    "list": {
        "v1": f"POST {_V1}/getAllCampaignDetails",
        "v2": f"POST {_V2}/getAllCampaignDetails?{_ACCOUNT}",
    },
    "get": {
        "v1": f"GET {_V1}/{{campaign_id}}",
        "v2": f"GET {_V2}/{{campaign_id}}?{_ACCOUNT}",
    },
}
"""Method and path of every request, as the platform's pages print them (their slips settled)."""

SCHEDULE_OFF = f"POST {_V2}/schedule?enableSchedule=false&campaignName={{campaign_name}}"
"""Method and path of a request that only API v2 has, and that finds the campaign by its name."""

PLACEHOLDERS = ("{iid}", "{campaign_id}", "{account_id}")


def endpoints_of(api_version: str, replacements: Mapping[str, str]) -> Mapping[str, str]:
    """Return method and path of every request of a version, where some paths are replaced."""
    table = {name: row[api_version] for name, row in ENDPOINTS.items()}
    return table | {name: f"{table[name].split(' ', 1)[0]} {path}" for name, path in replacements.items()}


def replacement_problem(name: str, path: Any) -> str | None:
    """Return what is wrong with an entry that replaces a path; None if nothing is."""
    if name not in ENDPOINTS:
        return f"replaces {name!r}, which is not an endpoint"
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//") or not path.isprintable():
        return f"gives {name} something that is not a path beginning with one /"
    if "#" in path or not all(map(is_path_segment, path.partition("?")[0].split("/"))):
        return f"gives {name} a path that leads elsewhere: it holds one of .. . # or an encoded / \\ ? #"
    try:
        fields = [field for _, *field in Formatter().parse(path) if field[0] is not None]
    except ValueError:
        return f"gives {name} a path with a single brace"
    names = {f"{{{field}}}" if not (spec or conversion) else f"{{{field}…}}" for field, spec, conversion in fields}
    unknown = names - set(PLACEHOLDERS)
    if unknown:
        return f"gives {name} a path with the unknown placeholder {', '.join(sorted(unknown))}"
    if "{campaign_id}" in ENDPOINTS[name]["v1"] and "{campaign_id}" not in names:
        return f"gives {name} a path without {{campaign_id}}"
    return None
