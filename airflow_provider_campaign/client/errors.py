"""From a response that is no success to the error that says what happened and what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_campaign.client.retry import parse_retry_after
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.platforms.base import ApiStatus, HttpResponse, Platform
from airflow_provider_campaign.text import sanitize

log = logging.getLogger(__name__)

_ERRORS: Mapping[int, type[CampaignError]] = {
    401: CampaignAuthError,
    403: CampaignAuthError,
    404: CampaignNotFoundError,
    408: CampaignUnavailableError,
    409: CampaignConflictError,
    425: CampaignUnavailableError,
    429: CampaignRateLimitError,
}

_REFUSALS = (CampaignAuthError, CampaignConflictError, CampaignRequestError)
"""What ends an operation by the platform's word, which only its own JSON is: a gateway knows nothing of the account."""

_REMEDIATION: Mapping[int, str] = {
    200: "If it keeps happening, check that the connection's Host points to the platform's API.",
    400: "The request itself was refused: check the campaign's type and the connection's fields.",
    401: "Check the connection's credentials.",
    403: "The credentials are valid but lack the permission: ask the platform's administrator for it.",
    404: "Check the id in the platform's console; it may have been deleted, or belong to another account.",
    409: "It has not started or can't be changed now: look at it, and at its schedule, in the platform's console.",
    429: "The account's rate limit is reached: wait for the next window, and see which other clients send requests.",
    500: "The platform has a problem: check its status page, and the campaign in its console.",
    503: "Check that the platform is up and reachable from the worker, and the connection's Host.",
}


def remediation(platform: Platform, status: int) -> str:
    """Return what to do about an HTTP status."""
    default = _REMEDIATION.get(status) or _REMEDIATION[500 if status >= 500 else 400]
    return platform.remediation.get(status) or default


def error_class(status: int) -> type[CampaignError] | None:
    """Return the error that an HTTP status stands for; None for a success."""
    if 200 <= status < 300:
        return None
    return _ERRORS.get(status, CampaignUnavailableError if status >= 500 else CampaignRequestError)


def response_error(
    platform: Platform,
    subject: str,
    response: HttpResponse,
    document: Mapping[str, Any] | None,
    api_status: ApiStatus,
    clock_error: float = 0.0,
) -> CampaignError:
    """
    Return the error for a response that is not a success.

    :param subject: How the message begins: the action, the campaign, the connection.
    :param document: The response's JSON object, None if it has none.
    :param clock_error: Seconds that the platform's clock is ahead of ours by, 0 if they agree.
    """
    text = sanitize(api_status.message, platform.secrets)
    is_own = document is not None and api_status.is_own
    kind, problem, advice = _classify(platform, response, document, text, is_own=is_own)
    code, trace_id = (sanitize(mark, platform.secrets) for mark in (api_status.code, api_status.trace_id))
    marks = ", ".join(filter(None, (code and f"code {code}", trace_id and f"trace id {trace_id}")))
    message = f"{subject}: HTTP {response.status}"
    message += f", {problem.rstrip('.')}" if problem else ""
    message += f" [{marks}]" if marks else ""
    details: dict[str, Any] = {
        "http_status": response.status,
        "code": code,
        "trace_id": trace_id,
        "platform_text": text,
    }
    if response.status == 401 and clock_error and platform.retries_unauthorized:
        side = "ahead of" if clock_error > 0 else "behind"
        advice += (
            f" The platform's clock is {abs(clock_error):.0f} s {side} that of this machine: one of them is wrong."
        )
    if issubclass(kind, CampaignUnavailableError):
        details["outcome_unknown"] = not issubclass(kind, CampaignRateLimitError)
        details["retry_after"] = _seconds_to_wait(platform, response, kind)
    return kind(f"{message}. {advice}", **details)


def _seconds_to_wait(platform: Platform, response: HttpResponse, kind: type[CampaignError]) -> float | None:
    """Return the seconds that a platform asks to wait, or else those of its window if the rate limit is reached."""
    value = response.headers.get("Retry-After") if response.status in (429, 503) else None
    seconds = parse_retry_after(value, platform.rate_window)
    return platform.rate_window if seconds is None and issubclass(kind, CampaignRateLimitError) else seconds


def _classify(
    platform: Platform, response: HttpResponse, document: Mapping[str, Any] | None, text: str | None, *, is_own: bool
) -> tuple[type[CampaignError], str | None, str]:
    """Return the class of error, what is wrong, and what to do about it."""
    kind = error_class(response.status)
    is_json = response.body.lstrip().startswith(b"{")
    if platform.rate_limit_text and platform.rate_limit_text.encode() in response.body:
        return CampaignRateLimitError, text, remediation(platform, 429)
    if 300 <= response.status < 400:
        origin = sanitize(_origin(response.headers.get("Location", "")), platform.secrets)
        problem = f"it redirects to {origin}, which is not followed"
        return CampaignRequestError, problem, "Put the address of the API itself into the connection's field Host."
    if kind is CampaignNotFoundError and document is None and response.body.strip() and not is_json:
        problem = "no such path, and the response is not the platform's"
        return CampaignRequestError, problem, "Check the connection's Host, and its Endpoints where there are any."
    if kind is CampaignNotFoundError and document is None and is_json:
        # Cut short: whether it is the campaign or the path that was not found is in what is missing.
        kind = None
    if kind in _REFUSALS and not is_own:
        problem = ", ".join(filter(None, (text, "the response is not the platform's")))
        advice = f"A gateway or proxy in front of it may refuse the request. {remediation(platform, response.status)}"
        return CampaignUnavailableError, problem, advice
    if kind is None and document is None:
        return CampaignUnavailableError, "the response is not a JSON object", remediation(platform, 200)
    if kind is None:
        problem = text or "the response says that the request failed"
        return CampaignUnavailableError, problem, remediation(platform, 500)
    return kind, text, remediation(platform, response.status)


def _origin(location: str) -> str:
    """Return scheme and host of an address; what follows them may hold secrets."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an address that can't be read"
    if not parts.hostname:
        return "another path of the same host"
    return f"{parts.scheme}://{parts.hostname}" if parts.scheme else parts.hostname


def quote_refusal(refusal: CampaignError | None) -> str:
    """Return what the platform said with a refusal, to be added to a message."""
    if refusal is None:
        return ""
    named = {"HTTP": refusal.http_status, "code": refusal.code, "trace id": refusal.trace_id}
    marks = ", ".join(f"{name} {value}" for name, value in named.items() if value)
    return f" The platform said: {refusal.platform_text or 'nothing'} [{marks}]."


def refusal_details(refusal: CampaignError | None) -> dict[str, Any]:
    """Return what the platform said with a refusal, for another error that stands for it."""
    return {name: getattr(refusal, name, None) for name in ("http_status", "code", "trace_id", "platform_text")}


def as_campaign_error(error: Exception, subject: str) -> CampaignError:
    """
    Return an error as one of this provider's, so that an unexpected one about one campaign does not affect the others.

    The traceback of an unexpected error is logged. Its outcome counts as unknown, and Airflow may retry.

    :param subject: What failed, as a message begins: the action, the campaign, the connection.
    """
    if isinstance(error, CampaignError):
        return error
    log.error("%s: unexpected %s", subject, type(error).__name__, exc_info=error)
    return CampaignUnavailableError(
        f"{subject}: unexpected {type(error).__name__}: {sanitize(error, ())}. "
        "This is a bug: report it with the traceback from the task's log.",
        outcome_unknown=True,
    )
