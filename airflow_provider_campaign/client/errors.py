"""From a response that is no success to the error that says what happened and what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

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

MAX_RETRY_AFTER = 300.0  # seconds: the most that a Retry-After is respected if no window is documented
RETRY_AFTER_MARGIN = 5.0  # seconds past the documented window: what is longer is milliseconds or a date

_ERRORS: Mapping[int, type[CampaignError]] = {
    401: CampaignAuthError,
    403: CampaignAuthError,
    404: CampaignNotFoundError,
    408: CampaignUnavailableError,
    409: CampaignConflictError,
    425: CampaignUnavailableError,
    429: CampaignRateLimitError,
}

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


def response_error(
    platform: Platform, subject: str, response: HttpResponse, document: Mapping[str, Any] | None, said: ApiStatus
) -> CampaignError:
    """Return the error for a response that is no success; its message begins with a subject, as all do."""
    text, code, trace_id = (sanitize(each, platform.secrets) for each in (said.message, said.code, said.trace_id))
    kind, problem, advice = _classify(platform, response, document, text, is_own=said.is_own)
    message = ", ".join(filter(None, (f"{subject}: HTTP {response.status}", problem and problem.rstrip("."))))
    marks = ", ".join(filter(None, (code and f"code {code}", trace_id and f"trace id {trace_id}")))
    details = {"http_status": response.status, "code": code, "trace_id": trace_id, "platform_text": text}
    error = kind(f"{message}{marks and f' [{marks}]'}. {advice}", **details)
    if isinstance(error, CampaignUnavailableError):
        value = response.headers.get("Retry-After") if response.status in (429, 503) else None
        error.retry_after = parse_retry_after(value, platform.rate_window)
        if not isinstance(error, CampaignRateLimitError):
            error.note_unknown_outcome()
        elif error.retry_after is None:
            error.retry_after = platform.rate_window
    return error


def _classify(
    platform: Platform, response: HttpResponse, document: Mapping[str, Any] | None, text: str | None, *, is_own: bool
) -> tuple[type[CampaignError], str | None, str]:
    """Return the class of error, what is wrong, and what to do about it."""
    status, foreign = response.status, "the response is not the platform's"
    advice = remediation(platform, status)
    if platform.rate_limit_text and platform.rate_limit_text.encode() in response.body:
        return CampaignRateLimitError, text, remediation(platform, 429)
    is_cut_short = status == 404 and response.body.lstrip().startswith(b"{")  # what is missing would say which it is
    if document is None and (status < 300 or is_cut_short):
        return CampaignUnavailableError, "the response is not a JSON object", remediation(platform, 200)
    if status < 300:
        return CampaignUnavailableError, text or "the response says that the request failed", remediation(platform, 500)
    if status < 400:
        advice = "Put the address of the API itself into the connection's field Host."
        return CampaignRequestError, "it redirects, which is not followed", advice
    if status == 404 and document is None and response.body.strip():
        advice = "Check the connection's Host, and its Endpoints where there are any."
        return CampaignRequestError, f"no such path, and {foreign}", advice
    kind = _ERRORS.get(status, CampaignUnavailableError if status >= 500 else CampaignRequestError)
    if is_own or status == 404 or issubclass(kind, CampaignUnavailableError):
        return kind, text, advice
    # Only the platform's own JSON ends an operation: a gateway knows nothing of the account.
    advice = f"A gateway or proxy in front of it may refuse the request. {advice}"
    return CampaignUnavailableError, ", ".join(filter(None, (text, foreign))), advice


def parse_retry_after(value: str | None, rate_window: float | None = None) -> float | None:
    """Read a ``Retry-After`` in either form, as seconds: at most those of the documented window and a bit."""
    longest = MAX_RETRY_AFTER if rate_window is None else rate_window + RETRY_AFTER_MARGIN
    try:
        return min(Retry().parse_retry_after(value or ""), longest)
    except (InvalidHeader, ValueError, TypeError, IndexError, OverflowError):
        return None


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
