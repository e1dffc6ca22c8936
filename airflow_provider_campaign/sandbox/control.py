"""The control API under ``/_sandbox/``: what the Python interface does, for other processes."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from airflow_provider_campaign.sandbox.campaigns import Campaign
from airflow_provider_campaign.sandbox.config import PUBLIC_SETTINGS
from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.statuses import LIVE_STATUSES, STOPPED

if TYPE_CHECKING:
    from airflow_provider_campaign.sandbox.sandbox import Sandbox

Handler = Callable[[Request], Awaitable[JSONResponse]]

PLATFORM_OF_TYPE = {"sms": "Kore.ai", "voice": "Kore.ai", "sonarly": "Sonarly"}
CHANGEABLE = {
    "name",
    "description",
    "priority",
    "dialing_mode",
    "calling_hours",
    "lead_count",
    "stop_delay",
    "start_delay",
    "stoppable",
    "completes",
    "restarts",
    "restart_delay",
}
ADDABLE = CHANGEABLE | {"campaign_id", "campaign_type", "status"}


class Control:
    """The handlers of the control API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def state(self, request: Request) -> JSONResponse:
        """
        Return campaigns, counters, settings, and planned faults.

        Query parameters: how many ``campaigns`` and ``requests`` (newest first); ``connections=0`` omits connections.
        """
        query, state = request.query_params, self.sandbox.state
        requests = int(query.get("requests", 0))
        with state.changed:
            campaigns = self.sandbox.campaigns()
            shown = most_relevant(campaigns, int(query.get("campaigns", len(campaigns))))
            document: dict[str, Any] = {
                "url": self.sandbox.url,
                "now": state.timeline.iso(state.timeline.now()),
                "campaigns": [self._describe(campaign) for campaign in shown],
                "counters": self._counters(campaigns),
                "config": state.config.public_settings(),
                "faults": state.faults.describe(),
                "requests": [request.describe() for request in state.requests.latest(requests)],
            }
        if query.get("connections") != "0":
            document["connections"] = {
                "kore": self.sandbox.kore_connection(),
                "kore_v2": self.sandbox.kore_connection("v2"),
                "sonarly": self.sandbox.sonarly_connection(),
            }
        return JSONResponse(document)

    async def requests(self, request: Request) -> JSONResponse:
        """Return the platform requests, oldest first, without headers and bodies."""
        return JSONResponse([request.describe() for request in self.sandbox.requests])

    async def add_campaigns(self, request: Request) -> JSONResponse:
        """Add a campaign, or each of a list."""
        document = await request.json()
        items = document if isinstance(document, list) else [document]
        for item in items:
            _check_keys(item, ADDABLE)
        added = [self.sandbox.add_campaign(**item) for item in items]
        described = [self._describe(campaign) for campaign in added]
        return JSONResponse(described if isinstance(document, list) else described[0], status_code=201)

    async def change_campaign(self, request: Request) -> JSONResponse:
        """Change a campaign's status or other fields."""
        changes = await request.json()
        _check_keys(changes, CHANGEABLE | {"status"})
        campaign = self.sandbox.campaign(request.path_params["campaign_id"])
        with self.sandbox.state.changed:
            for name in changes.keys() - {"status"}:
                setattr(campaign, name, changes[name])
            if "status" in changes:
                self.sandbox.set_status(campaign.id, changes["status"])
        return JSONResponse(self._describe(campaign))

    async def remove_campaign(self, request: Request) -> JSONResponse:
        """Remove a campaign."""
        self.sandbox.remove_campaign(request.path_params["campaign_id"])
        return JSONResponse({})

    async def change_config(self, request: Request) -> JSONResponse:
        """Change settings; return all of them."""
        changes = await request.json()
        _check_keys(changes, set(PUBLIC_SETTINGS))
        config = self.sandbox.config
        with self.sandbox.state.changed:
            for name, value in changes.items():
                setattr(config, name, value)
            self.sandbox.state.changed.notify_all()
        return JSONResponse(config.public_settings())

    async def add_fault(self, request: Request) -> JSONResponse:
        """Add a fault; the body holds the arguments of ``Fault``."""
        self.sandbox.add_fault(Fault(**await request.json()))
        return JSONResponse(self.sandbox.state.faults.describe(), status_code=201)

    async def clear_faults(self, request: Request) -> JSONResponse:
        """Remove all faults."""
        self.sandbox.clear_faults()
        return JSONResponse([])

    async def reset(self, request: Request) -> JSONResponse:
        """Do what ``Sandbox.reset`` does."""
        self.sandbox.reset()
        return JSONResponse({})

    def _describe(self, campaign: Campaign) -> dict[str, Any]:
        timeline, pending = self.sandbox.state.timeline, campaign.pending
        now = timeline.now()
        return {
            "id": campaign.id,
            "name": campaign.name,
            "platform": PLATFORM_OF_TYPE[campaign.campaign_type],
            "campaign_type": campaign.campaign_type,
            "status": campaign.status,
            "live": campaign.live,
            "created_at": campaign.created_at,
            "updated_at": campaign.updated_at,
            "seconds_since_change": max(0.0, timeline.platform_time(now) - campaign.changed),
            "pending": pending and {"status": pending.status, "seconds": max(0.0, pending.due - now)},
            "stop_requests": campaign.stop_requests,
            "history": [[timeline.iso(at), status] for at, status in campaign.history],
        }

    def _counters(self, campaigns: list[Campaign]) -> dict[str, Any]:
        state = self.sandbox.state
        statuses = Counter(campaign.settled_status for campaign in campaigns)
        return {
            "campaigns": len(campaigns),
            "live": sum(statuses[status] for status in LIVE_STATUSES),
            "stopped": statuses[STOPPED],
            "requests": state.requests.total,
            "refused": state.requests.refused,
            "window_used": state.kore_limiter.used(state.config.rate_window),
        }


def most_relevant(campaigns: list[Campaign], limit: int) -> list[Campaign]:
    """
    Return all campaigns if they are few enough; else the live ones first, then those that changed last.

    :param limit: Campaigns at most.
    """
    if len(campaigns) <= limit:
        return campaigns
    return sorted(campaigns, key=lambda campaign: (not campaign.live, -campaign.changed))[:limit]


def control_routes(sandbox: Sandbox) -> list[Mount]:
    """Return the routes of the control API."""
    control = Control(sandbox)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/state", control.state),
        ("GET", "/requests", control.requests),
        ("POST", "/campaigns", control.add_campaigns),
        ("PATCH", "/campaigns/{campaign_id:path}", control.change_campaign),
        ("DELETE", "/campaigns/{campaign_id:path}", control.remove_campaign),
        ("PATCH", "/config", control.change_config),
        ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.clear_faults),
        ("POST", "/reset", control.reset),
    ]
    routes = [Route(path, _with_error_responses(handler), methods=[method]) for method, path, handler in table]
    return [Mount("/_sandbox", routes=routes)]


def _with_error_responses(handler: Handler) -> Handler:
    """
    Have a handler respond 4xx to invalid requests.

    A browser sends requests of other origins without a question first, unless their content type is JSON.
    """

    @functools.wraps(handler)
    async def respond(request: Request) -> JSONResponse:
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and content_type != "application/json":
            return JSONResponse({"error": "the content type must be application/json"}, status_code=415)
        try:
            return await handler(request)
        except KeyError as error:
            return JSONResponse({"error": f"no campaign {error.args[0]!r}"}, status_code=404)
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return respond


def _check_keys(document: Any, known: set[str]) -> None:
    if not isinstance(document, dict):
        raise TypeError("a JSON object is expected")
    unknown = document.keys() - known
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
