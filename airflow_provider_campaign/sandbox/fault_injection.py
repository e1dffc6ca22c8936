"""What each kind of fault does to a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_campaign.sandbox.client_connection import ClientConnection
from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.kore import RATE_LIMIT_TEXT
from airflow_provider_campaign.sandbox.responses import (
    BAD_GATEWAY_PAGE,
    ApiError,
    HttpResponse,
    html_response,
    json_response,
)
from airflow_provider_campaign.sandbox.routing import Platform

ERRORS = {
    "unauthorized": (401, "Unauthorized"),
    "forbidden": (403, "Forbidden"),
    "conflict": (409, "The campaign's state prevents this"),
    "bad_request": (400, "Bad request"),
    "not_found": (404, "Not found"),
}
FORBIDDEN_PAGE = "<!doctype html>\n<title>403 Forbidden</title>\n<h1>403 Forbidden</h1>\n"
SIGN_IN_PAGE = "<!doctype html>\n<title>Sign in</title>\n<h1>Sign in to continue</h1>\n"


def injected_response(fault: Fault, platform: Platform) -> HttpResponse | None:
    """
    Return the response that replaces the platform's, None for faults that break the connection.

    :param platform: Determines the format of an error.
    """
    options = fault.options
    if fault.kind in ERRORS:
        status, message = ERRORS[fault.kind]
        return platform.error_response(ApiError(status, message, fault.kind.upper()))
    handlers: dict[str, Callable[[], HttpResponse]] = {
        "rate_limit": lambda: platform.error_response(platform.rate_limit_error(options["retry_after"])),
        "rate_limit_text": lambda: HttpResponse(400, RATE_LIMIT_TEXT.encode(), "text/plain; charset=utf-8"),
        "error": lambda: _internal_error(platform, options),
        "html": lambda: html_response(options["status"], BAD_GATEWAY_PAGE),
        "gateway": lambda: html_response(options["status"], FORBIDDEN_PAGE),
        "html_ok": lambda: html_response(200, SIGN_IN_PAGE),
        "broken_json": lambda: HttpResponse(200, b'{"status": "Stopped", "mess'),
        "empty": lambda: HttpResponse(200),
        "failure": lambda: platform.failure_response(options["message"]),
        "wrong_shape": lambda: json_response(200, options["body"]),
        "redirect": lambda: HttpResponse(options["status"], headers={"Location": options["location"]}),
    }
    handler = handlers.get(fault.kind)
    return None if handler is None else handler()


def _internal_error(platform: Platform, options: dict[str, Any]) -> HttpResponse:
    if not options["json"]:
        return HttpResponse(options["status"], content_type=None)
    return platform.error_response(ApiError(options["status"], "Internal error", "INTERNAL_ERROR"))


def lost_response(how: str, response: HttpResponse, platform: Platform) -> HttpResponse | None:
    """
    Return what reaches the client of the response to an executed request, None if the connection breaks.

    :param how: One of ``LOST_WAYS``.
    :param response: The platform's own.
    :param platform: Determines the format of an error.
    """
    handlers: dict[str, Callable[[], HttpResponse]] = {
        "error": lambda: platform.error_response(ApiError(502, "Bad gateway", "BAD_GATEWAY")),
        "broken_json": lambda: HttpResponse(response.status, response.body[: len(response.body) // 2]),
        "empty": lambda: HttpResponse(response.status),
    }
    handler = handlers.get(how)
    return None if handler is None else handler()


async def disrupt(connection: ClientConnection, kind: str, options: dict[str, Any]) -> None:
    """
    Break the connection instead of responding.

    :param kind: The kind of fault, or the way a response is lost.
    :param options: Those of the fault.
    """
    handlers: dict[str, Callable[[], Awaitable[None]]] = {
        "reset": connection.reset,
        "hang": lambda: connection.hang(options.get("seconds")),
        "dribble": lambda: connection.dribble(options["interval"]),
        "dribble_headers": lambda: connection.dribble_headers(options["interval"]),
        "huge": lambda: connection.huge(options["size"], options["chunked"]),
    }
    await handlers[kind]()
