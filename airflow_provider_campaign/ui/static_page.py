"""
An ASGI application that serves the files of the page, and nothing else.

Airflow does not authenticate what it mounts, so there is nothing here that needs it: what the page shows it asks of
Airflow's REST API. Plain ASGI, because Airflow loads plugins in processes that have no use for a web framework.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FOLDER = Path(__file__).parent / "static"

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class StaticPage:
    """
    The application.

    :param prefix: The path that it is mounted at; what is before that, such as the path of ``[api] base_url``, and
        whether a proxy has removed it, does not matter.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request; websockets are refused."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        if scope["type"] != "http":
            return
        status, headers, body = self._respond(scope["method"], scope["path"])
        headers = {**headers, **HEADERS, "content-length": str(len(body))}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _respond(self, method: str, path: str) -> tuple[int, Mapping[str, str], bytes]:
        plain = {"content-type": "text/plain; charset=utf-8"}
        if method not in ("GET", "HEAD"):
            return 405, {**plain, "allow": "GET, HEAD"}, b"Method Not Allowed"
        folder, _, name = path.rpartition("/")
        files = {file.name: file for file in FOLDER.iterdir() if file.suffix in CONTENT_TYPES}
        file = files.get(name or "index.html") if folder.endswith(self.prefix) else None
        if file is None:
            return 404, plain, b"Not Found"
        return 200, {"content-type": CONTENT_TYPES[file.suffix]}, file.read_bytes()
