"""The status page: one self-contained HTML document that reads ``/_sandbox/state`` every second."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def status_page(request: Request) -> Response:
    """Return the page."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


def page_routes() -> list[Route]:
    """Return the routes of the page."""
    return [Route("/", status_page, methods=["GET"])]
