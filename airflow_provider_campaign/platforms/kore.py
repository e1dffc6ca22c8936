"""Kore.ai campaign management, API v1 and v2: what a request looks like, and how to read the response."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import jwt

from airflow_provider_campaign.campaign import Campaign, CampaignStatus, CampaignType, is_path_segment
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.platforms.base import (
    Action,
    ApiRequest,
    ApiStatus,
    HttpRequest,
    ListQuery,
    Pager,
    Platform,
)
from airflow_provider_campaign.platforms.kore_list import LISTABLE_STATUSES, KorePager, read_row
from airflow_provider_campaign.platforms.reading import optional_text, required_object

_V1_STOP = "POST /campaign/api/v1/public/{iid}/campaign/{campaign_id}"
_V1 = "/agentassist/api/v1/public/{iid}/campaign"
_V2 = "/campaign/api/v2/public/{iid}/campaign"
_V2_VOICE = "/api/v2/public/{iid}/campaign"  # without the prefix that every other path of v2 has
_ACCOUNT = "accountId={account_id}"

ENDPOINTS: Mapping[str, Mapping[str, str]] = {
    "v1": {
        "stop_sms": f"{_V1_STOP}?campaignType=sms&trigger=stop",
        "stop_voice": f"{_V1_STOP}?campaignType=voice&trigger=stop",
        "start_sms": f"{_V1_STOP}?campaignType=sms&trigger=play",
        "start_voice": f"{_V1_STOP}?campaignType=voice&trigger=play",
        "delete_sms": f"DELETE {_V1}/{{campaign_id}}?campaignType=sms",
        "delete_voice": f"DELETE {_V1}/{{campaign_id}}?campaignType=voice",
        "status": f"POST {_V1}/{{campaign_id}}/status?view=status",
        "list": f"POST {_V1}/getAllCampaignDetails",
        "get": f"GET {_V1}/{{campaign_id}}",
    },
    "v2": {
        "stop_sms": f"POST {_V2}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=sms&trigger=stop",
        "stop_voice": f"POST {_V2_VOICE}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=voice&trigger=stop",
        "start_sms": f"POST {_V2}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=sms&trigger=play",
        "start_voice": f"POST {_V2_VOICE}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=voice&trigger=play",
        "delete_sms": f"DELETE {_V2}/{{campaign_id}}?{_ACCOUNT}&campaignType=sms",
        "delete_voice": f"DELETE {_V2}/{{campaign_id}}?{_ACCOUNT}&campaignType=voice",
        "status": f"POST {_V2}/{{campaign_id}}/status?{_ACCOUNT}&view=status",
        "list": f"POST {_V2}/getAllCampaignDetails?{_ACCOUNT}",
        "get": f"GET {_V2}/{{campaign_id}}?{_ACCOUNT}",
    },
}
"""Method and path of every request of each version, as the platform's pages print them (their slips settled)."""

# Only API v2 has this request, which finds the campaign by its name.
SCHEDULE_OFF = f"POST {_V2}/schedule?enableSchedule=false&campaignName={{campaign_name}}"
PLACEHOLDERS = ("{iid}", "{campaign_id}", "{account_id}")

TOKEN_LIFETIME = 300  # seconds: a token is used once, at once, but the platform's clock may be ahead of ours

_TYPED_ACTIONS = (Action.STOP, Action.START, Action.DELETE)
_EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True)
class KorePlatform(Platform):
    """
    One account of Kore.ai, and the client app that signs.

    :param key: The Client Secret, or the PEM private key for RS256 and ES256.
    :param endpoint_replacements: Paths that replace single entries of the endpoint table.
    """

    client_id: str
    iid: str
    account_id: str
    algorithm: str
    subject: str
    key: str = field(repr=False)
    api_version: str = "v1"
    endpoint_replacements: Mapping[str, str] = field(default_factory=dict)

    name = "Kore.ai"
    campaign_types = (CampaignType.SMS.value, CampaignType.VOICE.value)
    listable_statuses = LISTABLE_STATUSES
    retries_unauthorized = True
    rate_limit = 60
    rate_window = 60.0
    rate_limit_text = "exceeded the per-minute rate limit"
    remediation = {
        401: "Check the connection's Client ID (login) and Client Secret (password), that JWT Algorithm is the one "
        "of the client app, and the clock of the machine that signs.",
        403: "Check that the client app has the scope Campaign Management, and the connection's Application ID (iid) "
        "and Account ID (account_id).",
        429: "The account's 60 requests a minute are used up: find the account's other clients, or wait for a minute.",
    }

    @property
    def account(self) -> str:
        return f"{self.account_id}/{self.iid}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,)

    def signed_headers(self, now: float) -> Mapping[str, str]:
        """Return the app's headers with a fresh token; no document asks for ``iat``, which clocks could contradict."""
        claims: dict[str, Any] = {"sub": self.subject, "appId": self.client_id}
        claims |= {"jti": str(uuid.uuid4()), "exp": int(now) + TOKEN_LIFETIME}
        token = jwt.encode(claims, self.key, algorithm=self.algorithm)
        return {"auth": token, "iid": self.iid, "accountId": self.account_id}

    def can_sign(self) -> bool:
        """Return whether the key is one for the algorithm."""
        try:
            return bool(self.signed_headers(0))
        except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
            return False

    def http_request(self, request: ApiRequest) -> HttpRequest:
        if request.action is Action.SCHEDULE:
            return self._schedule_off(request)
        typed = request.action in _TYPED_ACTIONS
        if typed and request.campaign_type is None:
            raise CampaignConfigError(
                "campaign_type is missing. Nothing was sent. Give 'sms' or 'voice' (command line: --campaign-type)."
            )
        name = f"{request.action}_{request.campaign_type}" if typed else request.action.value
        method, template = ENDPOINTS[self.api_version][name].split(" ", 1)
        template = self.endpoint_replacements.get(name, template)
        path = _fill(template, iid=self.iid, account_id=self.account_id, campaign_id=request.campaign_id or "")
        return HttpRequest(method, path, _EMPTY if method == "POST" else None)

    def api_status(self, document: Mapping[str, Any]) -> ApiStatus:
        """Return what a response says: ``status: failure|error`` or the like, or the first of its errors."""
        errors = document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
        message = optional_text(first, "msg") or optional_text(first, "message") or optional_text(document, "message")
        failed = bool(errors) or document.get("success") is False or self.rate_limit_text in (message or "")
        failed = failed or str(document.get("status")).strip().casefold().startswith(("fail", "err"))
        code = optional_text(first, "code") or optional_text(document, "code")
        is_own = bool(errors) or isinstance(document.get("success"), bool) or isinstance(document.get("status"), str)
        return ApiStatus(failed, message, code, optional_text(document, "traceId"), is_own)

    def read_campaign(self, request: ApiRequest, document: Mapping[str, Any]) -> Campaign:
        """Return the campaign that a response shows: at its top for stop and start, else under ``data``."""
        is_change = request.action in (Action.STOP, Action.START)
        row = document if is_change else required_object(document, "data")
        campaign_id = None if request.action is Action.SCHEDULE else request.campaign_id  # that is about a name
        campaign = read_row(row, request.campaign_type, campaign_id)
        # A stop leads to Stopped; Completed is what it was before.
        was_over = request.action is Action.STOP and campaign.status == CampaignStatus.COMPLETED
        return replace(campaign, message=optional_text(document, "message"), already_stopped=was_over)

    def pager(self, query: ListQuery) -> Pager:
        return KorePager(self.http_request(ApiRequest(Action.LIST, None, query.campaign_type)), query)

    def _schedule_off(self, request: ApiRequest) -> HttpRequest:
        name = request.campaign_id or ""
        if self.api_version != "v2" or not name.strip():
            raise CampaignConfigError(
                "only API v2 has this action, and it takes the campaign's name. "
                "Nothing was sent. Set API Version (api_version) to v2, and give the name."
            )
        method, template = SCHEDULE_OFF.split(" ", 1)
        return HttpRequest(method, _fill(template, iid=self.iid, campaign_name=name), _EMPTY)


def _fill(template: str, **values: str) -> str:
    return template.format_map({name: quote(value, safe="") for name, value in values.items()})


def replacement_problem(name: str, path: object) -> str | None:
    """Return what is wrong with an entry that replaces a path; None if nothing is."""
    if name not in ENDPOINTS["v1"]:
        return f"replaces {name!r}, which is not an endpoint"
    if not isinstance(path, str) or not re.fullmatch("/(?!/)[!-~]*", path):
        return f"gives {name} something that is not a path beginning with one /"
    if "#" in path or not all(map(is_path_segment, path.partition("?")[0].split("/"))):
        return f"gives {name} a path that leads elsewhere: it holds one of .. . # or an encoded / \\ ? #"
    if "{campaign_id}" in ENDPOINTS["v1"][name] and "{campaign_id}" not in path:
        return f"gives {name} a path without {{campaign_id}}"
    for placeholder in PLACEHOLDERS:
        path = path.replace(placeholder, "")
    return f"gives {name} a path with an unknown placeholder" if set(path) & set("{}") else None
