"""
What the page is served: its files, and the ends of calling hours that it expects evidence of.

Airflow does not authenticate what it mounts, so there is nothing here that needs it: what the page shows it asks of
Airflow's REST API. Whoever reaches Airflow's server may ask: what one request costs is limited, and one at a time is
computed.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.exceptions import CampaignConfigError

FOLDER = Path(__file__).parent / "static"

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

MAX_BODY = 32 * 1024  # bytes; Airflow keeps 4,096 characters of a rendered argument, unless configured otherwise
MAX_WINDOWS = 1000  # windows of a week, of all rules together
MAX_SPAN = timedelta(days=62)

# A closed date, as Airflow before 3.2 writes what is no JSON.
_DATE = re.compile(r"datetime\.date\((\d+), (\d+), (\d+)\)")

_computing = asyncio.Lock()


class StaticPage(StaticFiles):
    """Starlette's static files, with headers that let the page load and ask nothing but its own server."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


async def respond(request: Request) -> Response:
    """Return the ends for ``{"calling_hours": …, "from": …, "until": …}``; with 400, why that is unreadable."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return JSONResponse({"detail": f"Calling hours longer than {MAX_BODY} bytes are not read."}, 413)
    try:
        async with _computing:
            return JSONResponse(await run_in_threadpool(expected_ends, body))
    except (CampaignConfigError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        return JSONResponse({"detail": str(error)}, 400)


def expected_ends(body: bytes) -> list[dict[str, str | None]]:
    """Return each end with its rule and time zone, and when the rule's calling hours start again."""
    asked = json.loads(body)
    start, until = (datetime.fromisoformat(asked[key]) for key in ("from", "until"))
    if until - start > MAX_SPAN:
        raise ValueError(f"from and until are more than {MAX_SPAN.days} days apart.")
    hours = asked["calling_hours"]
    if isinstance(hours, str):
        hours = _DATE.sub(lambda date: "'{:04}-{:02}-{:02}'".format(*map(int, date.groups())), hours)
    rules = CallingRules.read(hours)
    if sum(len(rule.windows) for rule in rules.rules) > MAX_WINDOWS:
        raise ValueError(f"Calling hours with more than {MAX_WINDOWS} windows a week are not read.")
    ends = [(rule, end, rule.next_start(end)) for rule, end in rules.ends(start, until)]
    return [
        {
            "rule": rule.name,
            "zone": rule.zone.key,
            "end": end.isoformat(),
            "opens": opens.isoformat() if opens else None,
        }
        for rule, end, opens in ends
    ]


PAGE = Starlette(
    routes=[Route("/ends", respond, methods=["POST"]), Mount("/", StaticPage(directory=FOLDER, html=True))]
)
