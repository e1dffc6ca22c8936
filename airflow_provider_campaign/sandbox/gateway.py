"""The ASGI application in front of both platforms: log and route each request, inject a fault or respond."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.types import Receive, Scope, Send

from airflow_provider_campaign.sandbox.client_connection import ClientConnection
from airflow_provider_campaign.sandbox.fault_injection import disrupt, injected_response, lost_response
from airflow_provider_campaign.sandbox.faults import LIST_FAULT_KINDS, Fault
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from airflow_provider_campaign.sandbox.responses import NOT_FOUND_PAGE, HttpResponse, html_response
from airflow_provider_campaign.sandbox.routing import Platform, RouteMatch, parse_query
from airflow_provider_campaign.sandbox.state import SandboxState

# Of the faults that break the connection, those that send a status line.
STATUS_SENT = {"dribble": 200, "huge": 200}


class Gateway:
    """
    All platform paths.

    :param platforms: Asked in turn whether a path is theirs.
    """

    def __init__(self, state: SandboxState, *platforms: Platform) -> None:
        self.state = state
        self.platforms = platforms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # A request is cancelled only when the server stops; there is no client left to respond to.
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(scope, ClientConnection(scope, receive, send))

    async def _serve(self, scope: Scope, connection: ClientConnection) -> None:
        body = await connection.read_body()
        if body is None:
            return
        request = _received_request(scope, body, self.state.timeline.now())
        platform, match = self._route(request)
        if platform is None or match is None:
            self.state.requests.record(request)
            await self._respond(connection, request, html_response(404, NOT_FOUND_PAGE))
            return
        fault = self._record(request, platform, match)
        for listener in self.state.listeners:
            listener(request)
        if fault is not None and fault.kind in LIST_FAULT_KINDS:
            match, fault = replace(match, list_fault=fault), None
        if fault is None:
            await self._respond(connection, request, platform.handle(match, request))
        else:
            await self._inject(fault, connection, request, platform, match)

    def _route(self, request: ReceivedRequest) -> tuple[Platform | None, RouteMatch | None]:
        query = parse_query(request.query)
        for platform in self.platforms:
            match = platform.route(request.method, request.path, query)
            if match is not None:
                return platform, match
        return None, None

    def _record(self, request: ReceivedRequest, platform: Platform, match: RouteMatch) -> Fault | None:
        request.platform, request.action, request.campaign_id = match.platform, match.action, match.campaign_id
        request.claims = platform.claims(request.headers)
        with self.state.changed:
            campaign = self.state.account.find(request.campaign_id or "")
            request.campaign_type = campaign.campaign_type if campaign else platform.campaign_type(match, request.body)
            fault = self.state.faults.next_fault(request)
            request.fault = fault.kind if fault else None
            self.state.requests.record(request)
        return fault

    async def _inject(
        self,
        fault: Fault,
        connection: ClientConnection,
        request: ReceivedRequest,
        platform: Platform,
        match: RouteMatch,
    ) -> None:
        response, disruption = injected_response(fault, platform), fault.kind
        if fault.kind == "slow":
            await asyncio.sleep(fault.options["seconds"])
            response = platform.handle(match, request)
        if fault.kind == "lost":
            disruption = fault.options["how"]
            response = lost_response(disruption, platform.handle(match, request), platform)
        if fault.kind == "framing":
            response = platform.handle(match, request)
            connection.send_first(None if fault.options["how"] == "early_hints" else response, self._date_header())
        if response is not None:
            await self._respond(connection, request, response)
            return
        self.state.requests.record_response(request, STATUS_SENT.get(disruption))
        await disrupt(connection, disruption, fault.options)

    async def _respond(self, connection: ClientConnection, request: ReceivedRequest, response: HttpResponse) -> None:
        if self.state.config.latency > 0:
            await asyncio.sleep(self.state.config.latency)
        self.state.requests.record_response(request, response.status)
        if self.state.config.rate_limit_headers:
            response = replace(response, headers={**response.headers, **self._rate_limit_headers()})
        await connection.send_response(response, self._date_header())

    def _rate_limit_headers(self) -> dict[str, str]:
        config = self.state.config
        left = (config.rate_limit or 0) - self.state.kore_limiter.used(config.rate_window)
        return {"X-RateLimit-Limit": str(config.rate_limit), "X-RateLimit-Remaining": str(max(0, left))}

    def _date_header(self) -> str:
        timeline = self.state.timeline
        return format_datetime(timeline.date(timeline.platform_time(timeline.now())), usegmt=True)


def _received_request(scope: Scope, body: bytes, at: float) -> ReceivedRequest:
    return ReceivedRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("ascii"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        at=at,
        wall=datetime.now(UTC),
    )
