"""What is asked of a platform, and how its answer is told apart from its refusal."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.retry import parse_retry_after
from airflow_provider_campaign.hooks.transport import Answer

TEXT_MAX = 300
"""Characters of a platform's text that a message quotes."""

SECRET_MIN = 8
"""Characters of a secret that is masked wherever it stands; a shorter one may be part of any word."""

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+(\.[\w-]*)?")
"""A JSON Web Token: its header is a JSON object, and ``{"`` in base64 is ``eyJ``."""


class Call(StrEnum):
    """The calls that a platform may have."""

    STOP = "stop"
    START = "start"
    DELETE = "delete"
    STATUS = "status"
    GET = "get"
    LIST = "list"
    SCHEDULE = "schedule"


@dataclass(frozen=True)
class Target:
    """
    A call, and the campaign it is about.

    :param campaign_id: The campaign, or None for a list.
    :param campaign_type: ``sms`` or ``voice`` where the platform tells types apart.
    """

    call: Call
    campaign_id: str | None = None
    campaign_type: str | None = None

    def __str__(self) -> str:
        kind = {None: "", "sms": "SMS "}.get(self.campaign_type, f"{self.campaign_type} ")
        about = f"campaign {self.campaign_id!r}" if self.campaign_id is not None else "campaigns"
        return f"{self.call.capitalize()} of {kind}{about}"


@dataclass(frozen=True)
class Verdict:
    """
    What a platform's JSON says about the call itself.

    :param failed: Whether it says that the call failed, whatever the HTTP status.
    :param message: Its text.
    :param code: Its error code.
    :param trace_id: Its trace id.
    """

    failed: bool = False
    message: str | None = None
    code: str | None = None
    trace_id: str | None = None


class Unreadable(Exception):
    """An answer that is not what the platform's documentation promises."""


_ERRORS: dict[int, type[CampaignError]] = {
    401: CampaignAuthError,
    403: CampaignAuthError,
    404: CampaignNotFoundError,
    408: CampaignUnavailableError,
    409: CampaignConflictError,
    425: CampaignUnavailableError,
    429: CampaignRateLimitError,
}


def error_class(answer: Answer) -> type[CampaignError] | None:
    """Return the error that an HTTP status stands for; None for a success."""
    if 200 <= answer.status < 300:
        return None
    default = CampaignUnavailableError if answer.status >= 500 else CampaignRequestError
    return _ERRORS.get(answer.status, default)


def parse_json(answer: Answer, secrets: Iterable[str] = ()) -> Mapping[str, Any] | None:
    """
    Return the JSON object of an answer; None where its body is anything else.

    :param secrets: What is masked in its texts: they go into logs and XCom.
    """
    long = [secret for secret in secrets if len(secret) >= SECRET_MIN]
    try:
        document = _masked(json.loads(answer.body, parse_constant=_finite, parse_float=_finite), long)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, Mapping) else None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("JSON has no such number, nor has XCom")
    return number


def _masked(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, str):
        return _mask(value, secrets)
    if isinstance(value, list):
        return [_masked(item, secrets) for item in value]
    if isinstance(value, dict):
        return {key: _masked(item, secrets) for key, item in value.items()}
    return value


def _mask(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return _TOKEN.sub("***", text)


def build_error(kind: type[CampaignError], message: str, answer: Answer, **details: str | None) -> CampaignError:
    """
    Return the error for an answer; what may have been acted on is marked as maybe heard.

    :param details: ``code``, ``trace_id`` and ``platform_text``.
    """
    if not issubclass(kind, CampaignUnavailableError):
        return kind(message, http_status=answer.status, **details)
    asked = parse_retry_after(answer.headers.get("Retry-After")) if answer.status in (429, 503) else None
    heard = not issubclass(kind, CampaignRateLimitError)
    return kind(message, http_status=answer.status, maybe_heard=heard, retry_after=asked, **details)


def readable(text: object, secrets: Iterable[str]) -> str | None:
    """
    Return a platform's text as a message may quote it: one line, not long, without secrets or tokens.

    :param secrets: What must not be shown even if the platform echoes it.
    """
    if text is None or isinstance(text, Mapping | list):
        return None
    line = " ".join(_mask(str(text), filter(None, secrets)).split())
    line = "".join(mark for mark in line if mark.isprintable())
    return (line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…") or None


def text_of(document: Mapping[str, Any], key: str) -> str | None:
    """Return a field's text or number as text; None where it is absent, empty or anything else."""
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def required_text(document: Mapping[str, Any], key: str) -> str:
    """
    Return a field's text.

    :raises Unreadable: When there is none, or it is not a word.
    """
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise Unreadable(f"the answer has no {key}")
    return word(value.strip(), key)


def word(text: str, key: str) -> str:
    """
    Return a field's text if it can be an id or a status.

    :raises Unreadable: When it holds control characters or is far too long.
    """
    if not text.isprintable() or len(text) > TEXT_MAX:
        raise Unreadable(f"the answer's {key} is not a word")
    return text


def required_object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """
    Return a field's JSON object.

    :raises Unreadable: When there is none.
    """
    value = document.get(key)
    if not isinstance(value, Mapping):
        raise Unreadable(f"the answer has no object {key}")
    return value


def required_rows(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """
    Return a field's list of JSON objects.

    :raises Unreadable: When there is none, or a row is anything else.
    """
    value = document.get(key)
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise Unreadable(f"the answer has no list {key} of objects")
    return value
