"""Reading a response's body: as JSON without secrets, and as text that a message may quote."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow_provider_campaign.platforms.base import HttpResponse

MAX_QUOTED_LENGTH = 300
"""Characters of a platform's text that a message quotes."""

MIN_SECRET_LENGTH = 8
"""Characters of a secret that is masked wherever it stands; a shorter one may be part of any word."""

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+(\.[\w-]*)?")
"""A JSON Web Token: its header is a JSON object, and ``{"`` in base64 is ``eyJ``."""


def parse_json(response: HttpResponse, secrets: Iterable[str] = ()) -> Mapping[str, Any] | None:
    """
    Return the JSON object of a response; None where its body is anything else.

    :param secrets: What is masked in its texts: they go into logs and XCom.
    """
    long = [secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH]
    try:
        document = _masked(json.loads(response.body, parse_constant=_finite, parse_float=_finite), long)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, Mapping) else None


def sanitize(text: object, secrets: Iterable[str], max_length: int = MAX_QUOTED_LENGTH) -> str | None:
    """
    Return a platform's text as a message may quote it: one line, not long, without secrets or tokens.

    :param secrets: What must not be shown even if the platform echoes it.
    :param max_length: Characters.
    """
    if text is None or isinstance(text, Mapping | list):
        return None
    line = " ".join(_mask(str(text), filter(None, secrets)).split())
    line = "".join(mark for mark in line if mark.isprintable())
    return (line if len(line) <= max_length else line[: max_length - 1] + "…") or None


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
