"""Reading a response's body: as JSON without secrets, and as text that a message may quote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_campaign.platforms.base import HttpResponse
from airflow_provider_campaign.text import MASK, MAX_LINE_LENGTH, clean, one_line

MAX_DIGITS = 20
"""Digits of the longest number that has 64 bits; Python refuses to read one of some thousands."""


def parse_json(response: HttpResponse, secrets: Iterable[str] = ()) -> Mapping[str, Any] | None:
    """
    Return the JSON object of a response, cleaned; None if its body is anything else.

    A byte that is not UTF-8 and a bare control character harm the text that they are in, and nothing else.

    :param secrets: Masked in all its texts: they go into logs and XCom.
    """
    try:
        body = response.body.decode(json.detect_encoding(response.body), "replace")
        document = json.loads(body, strict=False, parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    return clean(document, secrets) if isinstance(document, dict) else None


def sanitize(text: object, secrets: Iterable[str], max_length: int = MAX_LINE_LENGTH) -> str | None:
    """
    Return a text from outside as a message may quote it: one line, not long, without secrets or tokens.

    :param secrets: Masked even if they are short.
    :param max_length: Characters.
    """
    if text is None or isinstance(text, Mapping | list):
        return None
    secrets = [secret for secret in secrets if secret]
    cleaned: str = clean(str(text), secrets)
    for secret in secrets:
        cleaned = cleaned.replace(secret, MASK)
    return one_line(cleaned, max_length) or None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits
