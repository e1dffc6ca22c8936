"""Sonarly's campaigns API: the endpoint table, the envelope, and what each call does."""

from __future__ import annotations

import secrets
from typing import Any

from airflow_provider_campaign.sandbox.answers import Answer, Endpoint, PlatformCall, Refusal, json_answer
from airflow_provider_campaign.sandbox.campaigns import ACTIVE, COMPLETED, PREPARING, Campaign
from airflow_provider_campaign.sandbox.listing import Page, spoil_row
from airflow_provider_campaign.sandbox.requestlog import ReceivedRequest
from airflow_provider_campaign.sandbox.state import SandboxState

READ, EXECUTE = "campaigns:read", "campaigns:execute"

_CAMPAIGNS = "/v1/accounts/{account_group_id}/campaigns"

ENDPOINTS = (
    Endpoint("sonarly", "accounts", "GET", "/v1/accounts"),
    Endpoint("sonarly", "list", "GET", _CAMPAIGNS),
    Endpoint("sonarly", "get", "GET", f"{_CAMPAIGNS}/{{campaign_id}}"),
    Endpoint("sonarly", "stop", "POST", f"{_CAMPAIGNS}/{{campaign_id}}/stop"),
    Endpoint("sonarly", "start", "POST", f"{_CAMPAIGNS}/{{campaign_id}}/start"),
)
PERMISSIONS = {"list": READ, "get": READ, "stop": EXECUTE, "start": EXECUTE}


class SonarlyPlatform:
    """
    Sonarly's side of a call.

    :param state: the sandbox's state
    """

    def __init__(self, state: SandboxState) -> None:
        self.state = state
        self._calls = {
            "accounts": self._accounts,
            "list": self._list,
            "get": self._get,
            "stop": self._stop,
            "start": self._start,
        }

    def route(self, method: str, path: str, query: dict[str, str]) -> PlatformCall | None:
        """
        Return which call a request is, None when no document has such a path.

        :param method: HTTP method
        :param path: the path as it was sent
        :param query: the query's parameters
        """
        for endpoint in ENDPOINTS:
            parameters = endpoint.match(method, path)
            if parameters is not None:
                return PlatformCall(endpoint.platform, endpoint.call, parameters, query)
        return None

    def claims(self, headers: dict[str, str]) -> dict[str, Any] | None:
        """
        Return None: Sonarly's key is not a token with claims.

        :param headers: the request's headers
        """
        return None

    def campaign_type(self, call: PlatformCall, body: bytes) -> str | None:
        """
        Return the only type of campaign there is.

        :param call: the call
        :param body: the request's body
        """
        return "sonarly"

    def perform(self, call: PlatformCall, request: ReceivedRequest) -> Answer:
        """
        Do what was asked.

        :param call: the call
        :param request: the request
        """
        with self.state.changed:
            try:
                self._admit(call, request)
                return _envelope(200, self._calls[call.call or ""](call, request))
            except Refusal as refusal:
                return self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> Answer:
        """
        Return a refusal in Sonarly's envelope.

        :param refusal: the refusal
        """
        error = {"code": str(refusal.code), "message": refusal.message, "details": None}
        return _envelope(refusal.status, None, error, refusal.headers)

    def failure(self, message: str) -> Answer:
        """
        Return HTTP 200 with `success: false`.

        :param message: what Sonarly says
        """
        return _envelope(200, None, {"code": "OPERATION_FAILED", "message": message, "details": None})

    def rate_limited(self, retry_after: str | None) -> Refusal:
        """
        Return the refusal of a request that is one too many.

        :param retry_after: the `Retry-After` header, None for none
        """
        return Refusal(429, "Rate limit exceeded", "RATE_LIMITED", retry_after)

    def _admit(self, call: PlatformCall, request: ReceivedRequest) -> None:
        config = self.state.config
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or key.strip() != config.api_key:
            raise Refusal(401, "Invalid or missing API key", "UNAUTHORIZED")
        limiter = self.state.sonarly_limiter
        if not limiter.admit(config.sonarly_rate_limit, config.rate_window):
            wait = str(limiter.seconds_to_wait(config.rate_window))
            raise self.rate_limited(wait if config.retry_after_header else None)
        permission = PERMISSIONS.get(call.call or "")
        if permission is not None and permission not in config.sonarly_permissions:
            raise Refusal(403, f"Missing required permission: {permission}", "FORBIDDEN")
        if call.parameters.get("account_group_id", config.account_group_id) != config.account_group_id:
            raise Refusal(404, "Account group not found", "NOT_FOUND")

    def _find(self, call: PlatformCall) -> Campaign:
        campaign = self.state.account.find(call.parameters["campaign_id"])
        if campaign is None or campaign.campaign_type != "sonarly":
            raise Refusal(404, "Campaign not found", "NOT_FOUND")
        return campaign

    def _accounts(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        group = {"id": self.state.config.account_group_id, "name": "Sandbox account group"}
        return {"items": [group], "nextCursor": None, "hasMore": False}

    def _list(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        campaigns = self.state.account.campaigns(["sonarly"])
        size, fault = self.state.config.sonarly_page_size, call.list_fault
        cursor = call.query.get("cursor", "0")
        if not cursor.isdecimal():
            raise Refusal(400, "Request validation failed: cursor", "VALIDATION_ERROR")
        page = Page.of(campaigns, int(cursor), len(campaigns) if size is None else size, fault)
        items = [campaign_document(campaign) for campaign in page.campaigns]
        spoil_row(items, fault)
        contradiction = fault.options["how"] if fault is not None and fault.kind == "contradiction" else None
        if size is None and contradiction is None:
            return {"items": items}
        return {"items": items, **_paging(page, contradiction)}

    def _get(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        return campaign_document(self._find(call))

    def _stop(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        if request.body:
            raise Refusal(400, "Request validation failed: this endpoint takes no body", "VALIDATION_ERROR")
        campaign = self._find(call)
        campaign.stop_requests += 1
        if campaign.status != ACTIVE:
            raise Refusal(409, f"Campaign is {campaign.status.lower()}, not active", "CAMPAIGN_NOT_ACTIVE")
        # Sonarly documents `success` as done: only a delay of the campaign's own makes it lag behind.
        acted = campaign.stop(default_delay=0.0)
        document = campaign_document(campaign, self.state.config.stop_status_word)
        return {"campaign": document, "instancesStopped": campaign.lead_count if acted else 0}

    def _start(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find(call)
        if campaign.status in (ACTIVE, PREPARING, COMPLETED):
            message = f"Campaign is {campaign.status.lower()} and cannot be started"
            raise Refusal(409, message, "CAMPAIGN_NOT_STARTABLE")
        campaign.start(default_delay=0.0)
        document = campaign_document(campaign, self.state.config.start_status_word)
        return {"campaign": document, "triggered": True, "instancesCreated": campaign.lead_count}


def _paging(page: Page, contradiction: str | None) -> dict[str, Any]:
    """Return what Sonarly says about the rest of a list, which it doesn't count."""
    if contradiction == "no_rows":
        return {"nextCursor": None, "hasMore": True}
    has_cursor = page.has_more or contradiction in ("total", "short")
    return {"nextCursor": str(page.end) if has_cursor else None, "hasMore": page.has_more}


def campaign_document(campaign: Campaign, status_word: str | None = None) -> dict[str, Any]:
    """
    Return a campaign as Sonarly shows it.

    :param campaign: the campaign
    :param status_word: shown in the place of its status
    """
    return {
        "id": campaign.id,
        "name": campaign.name,
        "description": campaign.description,
        "status": status_word or campaign.status.lower(),
        "selectedLeadCount": campaign.lead_count,
        "includeConversationHistory": True,
        "autoCancelOnMessageReceived": True,
        "outreachLanguage": "en",
        "createdAt": campaign.created_at,
        "updatedAt": campaign.updated_at,
        "startedAt": campaign.started_at,
        "rateLimitedUntil": None,
    }


def _envelope(
    status: int, data: Any, error: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Answer:
    document = {"success": error is None, "data": data, "error": error, "traceId": secrets.token_hex(12)}
    return json_answer(status, document, headers)
