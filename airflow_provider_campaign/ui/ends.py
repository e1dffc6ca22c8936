"""
The ends of calling hours that the page expects evidence of. Whoever reaches Airflow's server may ask: what one request
costs is limited, and one at a time is computed.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.exceptions import CampaignConfigError

MAX_BODY = 32 * 1024  # bytes; Airflow keeps 4,096 characters of a rendered argument, unless configured otherwise
MAX_WINDOWS = 1000  # windows of a week, of all rules together

MAX_SPAN = timedelta(days=62)

# A closed date, as Airflow before 3.2 writes what is no JSON.
_DATE = re.compile(r"datetime\.date\((\d+), (\d+), (\d+)\)")

_computing = asyncio.Lock()


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
    return [
        {
            "rule": rule.name,
            "zone": rule.zone.key,
            "end": end.isoformat(),
            "opens": opens.isoformat() if opens else None,
        }
        for rule, end in rules.ends(start, until)
        for opens in [rule.next_start(end)]
    ]
