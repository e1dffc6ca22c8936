"""
The files of the page, and the ends of the calling hours that it sends. Airflow does not authenticate what it mounts, so
there is nothing here that needs it: what the page shows it asks of Airflow's REST API.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from airflow_provider_campaign.ui import ends

FOLDER = Path(__file__).parent / "static"

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class StaticPage(StaticFiles):
    """Starlette's static files, with headers that let the page load and ask nothing but its own server."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


PAGE = Starlette(
    routes=[
        Route("/ends", ends.respond, methods=["POST"]),
        Mount("/", StaticPage(directory=FOLDER, html=True)),
    ]
)
