"""Kore.ai's campaign management, API v1 and v2: the endpoint table and what each call does."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from airflow_provider_campaign.sandbox.answers import (
    Answer,
    Endpoint,
    PlatformCall,
    Refusal,
    json_answer,
)
from airflow_provider_campaign.sandbox.campaigns import (
    ACTIVE,
    ENDED,
    KORE_TYPES,
    PAUSED,
    PREPARING,
    READY,
    RESCHEDULED,
    SCHEDULED,
    STOPPED,
    Campaign,
    new_instance_id,
)
from airflow_provider_campaign.sandbox.kore_auth import TokenError, check_jti, check_scope, verify_token
from airflow_provider_campaign.sandbox.kore_documents import ListQuery, campaign_record, parse_object
from airflow_provider_campaign.sandbox.requestlog import ReceivedRequest
from airflow_provider_campaign.sandbox.state import SandboxState

RATE_LIMIT_TEXT = "You've exceeded the per-minute rate limit. Please wait for sometime before retrying."
STOPPABLE = (ACTIVE, PREPARING, PAUSED)
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
    """
    Kore's side of a call.

    :param state: the sandbox's state
    """

    def __init__(self, state: SandboxState) -> None:
        self.state = state
        self._calls = {
            "stop": self._stop,
            "start": self._start,
            "status": self._status,
            "list": self._list,
            "get": self._get,
            "delete": self._delete,
            "schedule": self._schedule,
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
            if parameters is None:
                continue
            if endpoint.campaign_type and query.get("campaignType") in {*KORE_TYPES} - {endpoint.campaign_type}:
                continue
            call = TRIGGERS.get(query.get("trigger", "")) if endpoint.call == "trigger" else endpoint.call
            return PlatformCall(endpoint.platform, call, parameters, query)
        return None

    def claims(self, headers: dict[str, str]) -> dict[str, Any] | None:
        """
        Return the claims of a request's token, None when it does not verify.

        :param headers: the request's headers
        """
        try:
            return verify_token(headers.get("auth"), self.state.config)
        except TokenError:
            return None

    def campaign_type(self, call: PlatformCall, body: bytes) -> str | None:
        """
        Return the campaign type that the query names, or the body of a list call.

        :param call: the call
        :param body: the request's body
        """
        with contextlib.suppress(ValueError, AttributeError):
            if call.call == "list":
                return str(json.loads(body).get("type"))
        return call.query.get("campaignType")

    def perform(self, call: PlatformCall, request: ReceivedRequest) -> Answer:
        """
        Do what was asked.

        :param call: the call
        :param request: the request
        """
        with self.state.changed:
            try:
                self._admit(call, request)
                if call.call is None:
                    raise Refusal(400, "trigger must be stop or play", "INVALID_TRIGGER")
                return json_answer(200, self._calls[call.call](call, request))
            except Refusal as refusal:
                return self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> Answer:
        """
        Return a refusal as Kore words it.

        :param refusal: the refusal
        """
        errors = [{"msg": refusal.message, "code": refusal.code}]
        return json_answer(refusal.status, {"errors": errors}, refusal.headers)

    def failure(self, message: str) -> Answer:
        """
        Return HTTP 200 with the word `failure`.

        :param message: what Kore says
        """
        return json_answer(200, {"status": "failure", "message": message})

    def rate_limited(self, retry_after: str | None) -> Refusal:
        """
        Return the refusal of a request that is one too many.

        :param retry_after: the `Retry-After` header, None for none
        """
        return Refusal(429, RATE_LIMIT_TEXT, 429, retry_after)

    def _admit(self, call: PlatformCall, request: ReceivedRequest) -> None:
        state, config = self.state, self.state.config
        try:
            claims = verify_token(request.headers.get("auth"), config)
            if config.require_jti:
                check_jti(claims, state.seen_jtis)
        except TokenError as error:
            raise Refusal(401, f"Unauthorized: {error}", 401) from error
        check_scope(call, request.headers, config)
        if not state.kore_limiter.admit(config.rate_limit, config.rate_window):
            wait = str(state.kore_limiter.seconds_to_wait(config.rate_window))
            raise self.rate_limited(wait if config.retry_after_header else None)

    def _find(self, call: PlatformCall, campaign_type: str | None = None) -> Campaign:
        campaign = self.state.account.find(call.parameters["campaign_id"])
        allowed = KORE_TYPES if campaign_type is None else (campaign_type,)
        if campaign is None or campaign.campaign_type not in allowed:
            raise Refusal(404, "Campaign not found", "CAMPAIGN_NOT_FOUND")
        return campaign

    def _campaign_type(self, call: PlatformCall) -> str:
        campaign_type = call.query.get("campaignType", "")
        if campaign_type not in KORE_TYPES:
            raise Refusal(400, "campaignType must be sms or voice", "INVALID_CAMPAIGN_TYPE")
        return campaign_type

    def _triggered(self, call: PlatformCall, request: ReceivedRequest) -> Campaign:
        campaign_type = self._campaign_type(call)
        parse_object(request.body, request.headers.get("content-type"))
        return self._find(call, campaign_type)

    def _stop(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._triggered(call, request)
        campaign.stop_requests += 1
        config = self.state.config
        if campaign.status in STOPPABLE:
            campaign.stop(config.stop_delay)
        elif campaign.status not in ENDED or config.stop_when_stopped == "conflict":
            raise Refusal(409, _cannot_stop(campaign), "CAMPAIGN_NOT_ACTIVE")
        elif config.stop_when_stopped == "bad_request":
            raise Refusal(400, _cannot_stop(campaign), "CAMPAIGN_NOT_ACTIVE")
        stopped = campaign.status in ENDED
        message = f"Campaign {campaign.status}" if stopped else "Campaign stop requested"
        return _trigger_document(campaign, message)

    def _start(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._triggered(call, request)
        if campaign.status not in STARTABLE:
            raise Refusal(409, f"Campaign is already {campaign.status.lower()}", "CAMPAIGN_NOT_STARTABLE")
        campaign.instance_id = new_instance_id()
        campaign.start(self.state.config.start_delay)
        return _trigger_document(campaign, "Campaign Started")

    def _status(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        if call.query.get("view") != "status":
            raise Refusal(400, "view must be status", "INVALID_VIEW")
        parse_object(request.body, request.headers.get("content-type"))
        campaign = self._find(call)
        data = {"id": campaign.id, "status": campaign.status, "name": campaign.name}
        return {"status": "success", "data": data}

    def _list(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        query = ListQuery.parse(parse_object(request.body, request.headers.get("content-type")))
        config = self.state.config
        campaigns = self.state.account.campaigns([query.campaign_type], in_id_order=not config.ignore_sort)
        chosen = query.select(campaigns, self.state.timeline, config)
        data = query.document(chosen, call.platform, call.list_fault)
        return {"status": "success", "message": "Campaigns retrieved successfully", "data": data}

    def _get(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find(call)
        message = f"Campaign {campaign.name} retrieved successfully"
        return {"status": "success", "message": message, "data": campaign_record(campaign)}

    def _delete(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        campaign = self._find(call, self._campaign_type(call))
        record = campaign_record(campaign)
        self.state.account.remove(campaign.id)
        message = f"Campaign {campaign.name} deleted successfully"
        return {"status": "success", "message": message, "data": record}

    def _schedule(self, call: PlatformCall, request: ReceivedRequest) -> dict[str, Any]:
        enabled = {"true": True, "false": False}.get(call.query.get("enableSchedule", ""))
        if enabled is None or not call.query.get("campaignName"):
            raise Refusal(400, "enableSchedule and campaignName are required", "INVALID_REQUEST")
        for campaign in self.state.account.campaigns(KORE_TYPES):
            if campaign.name == call.query["campaignName"]:
                campaign.enable_schedule(enabled)
                word = "enabled" if enabled else "disabled"
                message = f"Campaign schedule {word} successfully"
                return {"status": "success", "message": message, "data": campaign_record(campaign)}
        raise Refusal(404, "Campaign not found", "CAMPAIGN_NOT_FOUND")


def _cannot_stop(campaign: Campaign) -> str:
    if campaign.status in ENDED:
        return f"Campaign is already {campaign.status.lower()}"
    return f"Campaign is {campaign.status.lower()} and cannot be stopped"


def _trigger_document(campaign: Campaign, message: str) -> dict[str, Any]:
    document = {"status": campaign.status, "message": message, "updatedAt": campaign.updated_at}
    if campaign.campaign_type == "sms":
        document["campaignExecutionType"] = campaign.execution_type
    else:
        document["campaignInstanceId"] = campaign.instance_id
    return document
