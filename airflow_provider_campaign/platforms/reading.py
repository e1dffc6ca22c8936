"""Reading the fields of a platform's JSON: what is not as documented raises, instead of passing for something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_campaign.platforms.base import InvalidResponseError

MAX_WORD_LENGTH = 300
"""Characters of the longest id or status that is believed."""


def optional_text(document: Mapping[str, Any], key: str) -> str | None:
    """Return a field's text or number as text; None where it is absent, empty or anything else."""
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def optional_count(document: Mapping[str, Any], key: str) -> int | None:
    """Return a field's whole number; None where it is absent or anything else."""
    value = document.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def required_text(document: Mapping[str, Any], key: str) -> str:
    """Return a field's text; raise if there is none, or it is not a word."""
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InvalidResponseError(f"the response has no {key}")
    return validate_word(value.strip(), key)


def validate_word(text: str, key: str) -> str:
    """Return a field's text if it can be an id or a status: no control characters, and not far too long."""
    if not text.isprintable() or len(text) > MAX_WORD_LENGTH:
        raise InvalidResponseError(f"the response's {key} is not a word")
    return text


def required_object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a field's JSON object; raise if there is none."""
    value = document.get(key)
    if not isinstance(value, Mapping):
        raise InvalidResponseError(f"the response has no object {key}")
    return value


def required_rows(document: Mapping[str, Any], key: str) -> list[Any]:
    """Return a field's list, whose rows may be anything; raise if there is none."""
    value = document.get(key)
    if not isinstance(value, list):
        raise InvalidResponseError(f"the response has no list {key}")
    return value
