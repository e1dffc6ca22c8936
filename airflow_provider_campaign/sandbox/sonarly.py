"""Sonarly's campaigns API: the endpoint table, the envelope, and what each request does."""

from __future__ import annotations

import secrets
from typing import Any

from airflow_provider_campaign.sandbox.campaigns import Campaign
from airflow_provider_campaign.sandbox.listing import Page, corrupt_row
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from airflow_provider_campaign.sandbox.responses import ApiError, HttpResponse, json_response
from airflow_provider_campaign.sandbox.routing import Endpoint, RouteMatch
from airflow_provider_campaign.sandbox.state import SandboxState
from airflow_provider_campaign.sandbox.statuses import ACTIVE, COMPLETED, PREPARING

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
    """Sonarly."""

    def __init__(self, state: SandboxState) -> None:
        self.state = state
        self._handlers = {
            "accounts": self._accounts,
            "list": self._list,
            "get": self._get,
            "stop": self._stop,
            "start": self._start,
        }

    def route(self, method: str, path: str, query: dict[str, str]) -> RouteMatch | None:
        """Return the endpoint that a request is for, None if no document has that path."""
        for endpoint in ENDPOINTS:
            parameters = endpoint.match(method, path)
            if parameters is not None:
                return RouteMatch(endpoint.platform, endpoint.action, parameters, query)
        return None

    def claims(self, headers: dict[str, str]) -> dict[str, Any] | None:
        """Return None: Sonarly's key is not a token with claims."""
        return None

    def campaign_type(self, match: RouteMatch, body: bytes) -> str | None:
        """Return the only type of campaign there is."""
        return "sonarly"

    def handle(self, match: RouteMatch, request: ReceivedRequest) -> HttpResponse:
        """Execute a request and return the response."""
        with self.state.changed:
            try:
                self._check_access(match, request)
                return _envelope(200, self._handlers[match.action or ""](match, request))
            except ApiError as error:
                return self.error_response(error)

    def error_response(self, error: ApiError) -> HttpResponse:
        """Return an error in Sonarly's envelope."""
        document = {"code": str(error.code), "message": error.message, "details": None}
        return _envelope(error.status, None, document, error.headers)

    def failure_response(self, message: str) -> HttpResponse:
        """Return HTTP 200 with ``success: false``."""
        return _envelope(200, None, {"code": "OPERATION_FAILED", "message": message, "details": None})

    def rate_limit_error(self, retry_after: str | None) -> ApiError:
        """Return the error of a request past the rate limit."""
        return ApiError(429, "Rate limit exceeded", "RATE_LIMITED", retry_after)

    def _check_access(self, match: RouteMatch, request: ReceivedRequest) -> None:
        config = self.state.config
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or key.strip() != config.api_key:
            raise ApiError(401, "Invalid or missing API key", "UNAUTHORIZED")
        limiter = self.state.sonarly_limiter
        if not limiter.try_acquire(config.sonarly_rate_limit, config.rate_window):
            retry_after = str(limiter.retry_after(config.rate_window))
            raise self.rate_limit_error(retry_after if config.retry_after_header else None)
        permission = PERMISSIONS.get(match.action or "")
        if permission is not None and permission not in config.sonarly_permissions:
            raise ApiError(403, f"Missing required permission: {permission}", "FORBIDDEN")
        if match.parameters.get("account_group_id", config.account_group_id) != config.account_group_id:
            raise ApiError(404, "Account group not found", "NOT_FOUND")

    def _find(self, match: RouteMatch, lag: float = 0.0) -> Campaign:
        campaign = self.state.account.find(match.parameters["campaign_id"], lag)
        if campaign is None or campaign.campaign_type != "sonarly":
            raise ApiError(404, "Campaign not found", "NOT_FOUND")
        return campaign

    def _document(self, campaign: Campaign, status_word: str | None = None) -> dict[str, Any]:
        document = campaign_document(campaign, status_word)
        if self.state.config.numeric_ids and campaign.id.isdecimal():
            document["id"] = int(campaign.id)
        return document

    def _accounts(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        group = {"id": self.state.config.account_group_id, "name": "Sandbox account group"}
        return {"items": [group], "nextCursor": None, "hasMore": False}

    def _list(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        config = self.state.config
        campaigns = self.state.account.campaigns(["sonarly"], lag=config.list_lag)
        size, contradiction = config.sonarly_page_size, match.contradiction
        cursor = match.query.get("cursor", "0")
        if not cursor.isdecimal():
            raise ApiError(400, "Request validation failed: cursor", "VALIDATION_ERROR")
        page = Page.of(campaigns, int(cursor), len(campaigns) if size is None else size, contradiction)
        items = [self._document(campaign) for campaign in page.campaigns]
        corrupt_row(items, match.list_fault)
        if size is None and contradiction is None:
            return {"items": items}
        return {"items": items, **_paging(page, contradiction)}

    def _get(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        return self._document(self._find(match, self.state.config.status_lag))

    def _stop(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        if request.body:
            raise ApiError(400, "Request validation failed: this endpoint takes no body", "VALIDATION_ERROR")
        campaign = self._find(match)
        campaign.stop_requests += 1
        if campaign.status != ACTIVE:
            raise ApiError(409, f"Campaign is {campaign.status.lower()}, not active", "CAMPAIGN_NOT_ACTIVE")
        # Sonarly documents ``success`` as done: only a delay of the campaign's own makes it lag behind.
        acted = campaign.stop(default_delay=0.0)
        document = self._document(campaign, self.state.config.stop_status_word)
        return {"campaign": document, "instancesStopped": campaign.lead_count if acted else 0}

    def _start(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find(match)
        if campaign.status in (ACTIVE, PREPARING, COMPLETED):
            message = f"Campaign is {campaign.status.lower()} and cannot be started"
            raise ApiError(409, message, "CAMPAIGN_NOT_STARTABLE")
        campaign.start(default_delay=0.0)
        document = self._document(campaign, self.state.config.start_status_word)
        return {"campaign": document, "triggered": True, "instancesCreated": campaign.lead_count}


def _paging(page: Page, contradiction: str | None) -> dict[str, Any]:
    """Return what Sonarly says about the rest of a list; it does not say how many campaigns there are."""
    if contradiction == "no_rows":
        return {"nextCursor": None, "hasMore": True}
    has_cursor = page.has_more or contradiction in ("total", "short")
    return {"nextCursor": str(page.end) if has_cursor else None, "hasMore": page.has_more}


def campaign_document(campaign: Campaign, status_word: str | None = None) -> dict[str, Any]:
    """
    Return a campaign as Sonarly shows it.

    :param status_word: Replaces its status; None shows the true one.
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
) -> HttpResponse:
    document = {"success": error is None, "data": data, "error": error, "traceId": secrets.token_hex(12)}
    return json_response(status, document, headers)
