"""The ASGI application in front of both platforms: record, recognise, let go wrong or let through, answer."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.types import Receive, Scope, Send

from airflow_provider_campaign.sandbox.answers import (
    NOT_FOUND_PAGE,
    Answer,
    Platform,
    PlatformCall,
    html_answer,
    parse_query,
)
from airflow_provider_campaign.sandbox.faults import LIST_FAULT_KINDS, Fault
from airflow_provider_campaign.sandbox.misbehaviour import damaged_answer, false_answer, misbehave
from airflow_provider_campaign.sandbox.requestlog import ReceivedRequest
from airflow_provider_campaign.sandbox.state import SandboxState
from airflow_provider_campaign.sandbox.wire import Wire

# Faults during which the client does see a status line.
STATUS_OF_MISBEHAVIOUR = {"dribble": 200, "huge": 200}


class Gateway:
    """
    All platform paths.

    :param state: the sandbox's state
    :param platforms: the platforms, asked in turn whether a path is theirs
    """

    def __init__(self, state: SandboxState, *platforms: Platform) -> None:
        self.state = state
        self.platforms = platforms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one request.

        :param scope: the ASGI scope
        :param receive: the ASGI receive function
        :param send: the ASGI send function
        """
        # A request is cancelled only when the server ends; there is nobody left to tell.
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(scope, Wire(scope, receive, send))

    async def _serve(self, scope: Scope, wire: Wire) -> None:
        body = await wire.body()
        if body is None:
            return
        request = _received(scope, body, self.state.timeline.now())
        platform, call = self._recognise(request)
        if platform is None or call is None:
            self.state.requests.record(request)
            await self._answer(wire, request, html_answer(404, NOT_FOUND_PAGE))
            return
        fault = self._record(request, platform, call)
        if fault is None:
            await self._answer(wire, request, platform.perform(call, request))
        else:
            await self._go_wrong(fault, wire, request, platform, call)

    def _recognise(self, request: ReceivedRequest) -> tuple[Platform | None, PlatformCall | None]:
        query = parse_query(request.query)
        for platform in self.platforms:
            call = platform.route(request.method, request.path, query)
            if call is not None:
                return platform, call
        return None, None

    def _record(self, request: ReceivedRequest, platform: Platform, call: PlatformCall) -> Fault | None:
        request.platform, request.call, request.campaign_id = call.platform, call.call, call.campaign_id
        request.claims = platform.claims(request.headers)
        with self.state.changed:
            campaign = self.state.account.find(request.campaign_id or "")
            request.campaign_type = campaign.campaign_type if campaign else platform.campaign_type(call, request.body)
            fault = self.state.faults.draw(request)
            request.fault = fault.kind if fault else None
            self.state.requests.record(request)
        return fault

    async def _go_wrong(
        self, fault: Fault, wire: Wire, request: ReceivedRequest, platform: Platform, call: PlatformCall
    ) -> None:
        if fault.kind == "slow":
            await asyncio.sleep(fault.options["seconds"])
            await self._answer(wire, request, platform.perform(call, request))
            return
        if fault.kind in LIST_FAULT_KINDS:
            await self._answer(wire, request, platform.perform(replace(call, list_fault=fault), request))
            return
        answer = false_answer(fault, platform)
        deed = fault.kind
        if fault.kind == "lost":
            answer = damaged_answer(fault, platform.perform(call, request), platform)
            deed = fault.options["how"]
        if answer is not None:
            await self._answer(wire, request, answer)
            return
        self.state.requests.announce(request, STATUS_OF_MISBEHAVIOUR.get(deed))
        await misbehave(deed, fault.options, wire)

    async def _answer(self, wire: Wire, request: ReceivedRequest, answer: Answer) -> None:
        if self.state.config.latency > 0:
            await asyncio.sleep(self.state.config.latency)
        self.state.requests.announce(request, answer.status)
        await wire.answer(answer, self._date())

    def _date(self) -> str:
        timeline = self.state.timeline
        return format_datetime(timeline.date(timeline.platform_time(timeline.now())), usegmt=True)


def _received(scope: Scope, body: bytes, at: float) -> ReceivedRequest:
    return ReceivedRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("ascii"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        at=at,
        wall=datetime.now(UTC),
    )
