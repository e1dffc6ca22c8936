"""Kore.ai's campaign management, API v1 and v2: the endpoint table and what each request does."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from airflow_provider_campaign.sandbox.campaigns import KORE_TYPES, Campaign, new_instance_id
from airflow_provider_campaign.sandbox.kore_auth import TokenError, check_jti, check_scope, verify_token
from airflow_provider_campaign.sandbox.kore_documents import ListQuery, campaign_record, parse_object
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from airflow_provider_campaign.sandbox.responses import ApiError, HttpResponse, json_response
from airflow_provider_campaign.sandbox.routing import Endpoint, RouteMatch
from airflow_provider_campaign.sandbox.state import SandboxState
from airflow_provider_campaign.sandbox.statuses import (
    ACTIVE,
    ENDED_STATUSES,
    PAUSED,
    PREPARING,
    READY,
    RERUN,
    RESCHEDULED,
    SCHEDULED,
    STOPPED,
)

RATE_LIMIT_TEXT = "You've exceeded the per-minute rate limit. Please wait for sometime before retrying."
STOPPABLE = (ACTIVE, PREPARING, PAUSED, RERUN)
STARTABLE = (READY, SCHEDULED, RESCHEDULED, STOPPED, PAUSED)

_V1 = "/campaign/api/v1/public/{iid}/campaign"
_V1_AGENT_ASSIST = "/agentassist/api/v1/public/{iid}/campaign"
_V2 = "/campaign/api/v2/public/{iid}/campaign"
_V2_VOICE = "/api/v2/public/{iid}/campaign"

ENDPOINTS = (
    Endpoint("kore-v1", "trigger", "POST", f"{_V1}/{{campaign_id}}"),
    Endpoint("kore-v1", "status", "POST", f"{_V1_AGENT_ASSIST}/{{campaign_id}}/status"),
    Endpoint("kore-v1", "list", "POST", f"{_V1_AGENT_ASSIST}/getAllCampaignDetails"),
    Endpoint("kore-v1", "get", "GET", f"{_V1_AGENT_ASSIST}/{{campaign_id}}"),
    Endpoint("kore-v1", "delete", "DELETE", f"{_V1_AGENT_ASSIST}/{{campaign_id}}"),
    Endpoint("kore-v2", "trigger", "POST", f"{_V2}/trigger/{{campaign_id}}", campaign_type="sms"),
    Endpoint("kore-v2", "trigger", "POST", f"{_V2_VOICE}/trigger/{{campaign_id}}", campaign_type="voice"),
    Endpoint("kore-v2", "status", "POST", f"{_V2}/{{campaign_id}}/status"),
    Endpoint("kore-v2", "list", "POST", f"{_V2}/getAllCampaignDetails"),
    Endpoint("kore-v2", "schedule", "POST", f"{_V2}/schedule"),
    Endpoint("kore-v2", "get", "GET", f"{_V2}/{{campaign_id}}"),
    Endpoint("kore-v2", "delete", "DELETE", f"{_V2}/{{campaign_id}}"),
)
TRIGGERS = {"stop": "stop", "play": "start"}


class KorePlatform:
    """Kore.ai, v1 and v2."""

    def __init__(self, state: SandboxState) -> None:
        self.state = state
        self._handlers = {
            "stop": self._stop,
            "start": self._start,
            "status": self._status,
            "list": self._list,
            "get": self._get,
            "delete": self._delete,
            "schedule": self._schedule,
        }

    def route(self, method: str, path: str, query: dict[str, str]) -> RouteMatch | None:
        """Return the endpoint that a request is for, None if no document has that path."""
        for endpoint in ENDPOINTS:
            parameters = endpoint.match(method, path)
            if parameters is None:
                continue
            if endpoint.campaign_type and query.get("campaignType") in {*KORE_TYPES} - {endpoint.campaign_type}:
                continue
            action = TRIGGERS.get(query.get("trigger", "")) if endpoint.action == "trigger" else endpoint.action
            return RouteMatch(endpoint.platform, action, parameters, query)
        return None

    def claims(self, headers: dict[str, str]) -> dict[str, Any] | None:
        """Return the claims of a request's token, None if it is not valid."""
        try:
            return verify_token(headers.get("auth"), self.state.config, self.state.timeline.epoch())
        except TokenError:
            return None

    def campaign_type(self, match: RouteMatch, body: bytes) -> str | None:
        """Return the campaign type in the query, or in the body of a list request."""
        with contextlib.suppress(ValueError, AttributeError):
            if match.action == "list":
                return str(json.loads(body).get("type"))
        return match.query.get("campaignType")

    def handle(self, match: RouteMatch, request: ReceivedRequest) -> HttpResponse:
        """Execute a request and return the response."""
        with self.state.changed:
            try:
                self._check_access(match, request)
                if match.action is None:
                    raise ApiError(400, "trigger must be stop or play", "INVALID_TRIGGER")
                return json_response(200, self._handlers[match.action](match, request))
            except ApiError as error:
                return self.error_response(error)

    def error_response(self, error: ApiError) -> HttpResponse:
        """Return an error in Kore's format."""
        errors = [{"msg": error.message, "code": error.code}]
        return json_response(error.status, {"errors": errors}, error.headers)

    def failure_response(self, message: str) -> HttpResponse:
        """Return HTTP 200 with the status ``failure``."""
        return json_response(200, {"status": "failure", "message": message})

    def rate_limit_error(self, retry_after: str | None) -> ApiError:
        """Return the error of a request past the rate limit."""
        return ApiError(429, RATE_LIMIT_TEXT, 429, retry_after)

    def _check_access(self, match: RouteMatch, request: ReceivedRequest) -> None:
        state, config = self.state, self.state.config
        try:
            claims = verify_token(request.headers.get("auth"), config, state.timeline.epoch())
            if config.require_jti:
                check_jti(claims, state.seen_jtis)
        except TokenError as error:
            raise ApiError(401, f"Unauthorized: {error}", 401) from error
        check_scope(match, request.headers, config)
        if not state.kore_limiter.try_acquire(config.rate_limit, config.rate_window):
            retry_after = str(state.kore_limiter.retry_after(config.rate_window))
            raise self.rate_limit_error(retry_after if config.retry_after_header else None)

    def _find(self, match: RouteMatch, campaign_type: str | None = None, lag: float = 0.0) -> Campaign:
        campaign = self.state.account.find(match.parameters["campaign_id"], lag)
        allowed = KORE_TYPES if campaign_type is None else (campaign_type,)
        if campaign is None or campaign.campaign_type not in allowed:
            raise ApiError(404, "Campaign not found", "CAMPAIGN_NOT_FOUND")
        return campaign

    def _find_to_read(self, match: RouteMatch) -> Campaign:
        return self._find(match, lag=self.state.config.status_lag)

    def _required_campaign_type(self, match: RouteMatch) -> str:
        campaign_type = match.query.get("campaignType", "")
        if campaign_type not in KORE_TYPES:
            raise ApiError(400, "campaignType must be sms or voice", "INVALID_CAMPAIGN_TYPE")
        return campaign_type

    def _find_triggered(self, match: RouteMatch, request: ReceivedRequest) -> Campaign:
        campaign_type = self._required_campaign_type(match)
        parse_object(request.body, request.headers.get("content-type"))
        return self._find(match, campaign_type)

    def _stop(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find_triggered(match, request)
        campaign.stop_requests += 1
        config = self.state.config
        if campaign.status in STOPPABLE:
            campaign.stop(config.stop_delay)
        elif campaign.status not in ENDED_STATUSES or config.stop_when_stopped == "conflict":
            raise ApiError(config.conflict_status, _not_stoppable(campaign), "CAMPAIGN_NOT_ACTIVE")
        elif config.stop_when_stopped == "bad_request":
            raise ApiError(400, _not_stoppable(campaign), "CAMPAIGN_NOT_ACTIVE")
        stopped = campaign.status in ENDED_STATUSES
        message = f"Campaign {campaign.status}" if stopped else "Campaign stop requested"
        return _trigger_document(campaign, message)

    def _start(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find_triggered(match, request)
        if campaign.status not in STARTABLE:
            raise ApiError(409, f"Campaign is already {campaign.status.lower()}", "CAMPAIGN_NOT_STARTABLE")
        campaign.instance_id = new_instance_id()
        campaign.start(self.state.config.start_delay)
        return _trigger_document(campaign, "Campaign Started")

    def _status(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        if match.query.get("view") != "status":
            raise ApiError(400, "view must be status", "INVALID_VIEW")
        parse_object(request.body, request.headers.get("content-type"))
        campaign = self._find_to_read(match)
        data = {"id": campaign.id, "status": campaign.status, "name": campaign.name}
        return {"status": "success", "data": data}

    def _list(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        query = ListQuery.parse(parse_object(request.body, request.headers.get("content-type")))
        config = self.state.config
        types = KORE_TYPES if config.ignore_type else [query.campaign_type]
        campaigns = self.state.account.campaigns(types, in_id_order=not config.ignore_sort, lag=config.list_lag)
        data = query.document(query.select(campaigns, self.state.timeline, config), match)
        return {"status": "success", "message": "Campaigns retrieved successfully", "data": data}

    def _get(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find_to_read(match)
        message = f"Campaign {campaign.name} retrieved successfully"
        return {"status": "success", "message": message, "data": campaign_record(campaign)}

    def _delete(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find(match, self._required_campaign_type(match))
        record = campaign_record(campaign)
        self.state.account.remove(campaign.id)
        message = f"Campaign {campaign.name} deleted successfully"
        return {"status": "success", "message": message, "data": record}

    def _schedule(self, match: RouteMatch, request: ReceivedRequest) -> dict[str, Any]:
        enabled = {"true": True, "false": False}.get(match.query.get("enableSchedule", ""))
        if enabled is None or not match.query.get("campaignName"):
            raise ApiError(400, "enableSchedule and campaignName are required", "INVALID_REQUEST")
        for campaign in self.state.account.campaigns(KORE_TYPES):
            if campaign.name == match.query["campaignName"]:
                campaign.enable_schedule(enabled)
                word = "enabled" if enabled else "disabled"
                message = f"Campaign schedule {word} successfully"
                return {"status": "success", "message": message, "data": campaign_record(campaign)}
        raise ApiError(404, "Campaign not found", "CAMPAIGN_NOT_FOUND")


def _not_stoppable(campaign: Campaign) -> str:
    if campaign.status in ENDED_STATUSES:
        return f"Campaign is already {campaign.status.lower()}"
    return f"Campaign is {campaign.status.lower()} and cannot be stopped"


def _trigger_document(campaign: Campaign, message: str) -> dict[str, Any]:
    document = {"status": campaign.status, "message": message, "updatedAt": campaign.updated_at}
    if campaign.campaign_type == "sms":
        document["campaignExecutionType"] = campaign.execution_type
    else:
        document["campaignInstanceId"] = campaign.instance_id
    return document
