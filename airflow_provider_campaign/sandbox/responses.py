"""HTTP responses as plain data, before they go to the client."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

NOT_FOUND_PAGE = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
    "<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
BAD_GATEWAY_PAGE = NOT_FOUND_PAGE.replace("404 Not Found", "502 Bad Gateway")


@dataclass(frozen=True)
class HttpResponse:
    """
    An HTTP response.

    :param content_type: None sends no such header.
    :param headers: Those beside ``Content-Type``.
    """

    status: int
    body: bytes = b""
    content_type: str | None = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """
    A platform's refusal of a request.

    :param status: HTTP status.
    :param code: The platform's own error code.
    :param retry_after: Value of the ``Retry-After`` header; None sends none.
    """

    def __init__(self, status: int, message: str, code: str | int, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = {} if retry_after is None else {"Retry-After": retry_after}


def json_response(status: int, document: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return a response with a JSON body."""
    return HttpResponse(status, _encoded(document), headers=headers or {})


def _encoded(document: Any) -> bytes:
    """Return JSON in UTF-8; half a surrogate pair, which UTF-8 does not have, as the escape that platforms send."""
    text = json.dumps(document, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def html_response(status: int, page: str) -> HttpResponse:
    """Return a response as a gateway in front of the platform would send it."""
    return HttpResponse(status, page.encode(), "text/html")
