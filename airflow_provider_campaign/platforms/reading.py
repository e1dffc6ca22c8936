"""Reading the fields of a platform's JSON: what is not as documented raises, instead of passing for something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_campaign.platforms.base import InvalidResponseError
from airflow_provider_campaign.text import CUT, MASK, MAX_LINE_LENGTH, REPLACEMENT, one_line


def optional_text(document: Mapping[str, Any], key: str) -> str | None:
    """Return a field's text or number as one line to be shown; None if it is absent, empty, or anything else."""
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return one_line(str(value)) or None


def optional_word(document: Mapping[str, Any], *keys: str, max_length: int = MAX_LINE_LENGTH) -> str | None:
    """Return the first field's text or whole number that there is, exactly as it has to go back to the platform."""
    for key in keys:
        value = document.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return _validated(str(value), key, max_length)
    return None


def required_word(document: Mapping[str, Any], *keys: str) -> str:
    """Return what :func:`optional_word` returns; raise if that is nothing."""
    word = optional_word(document, *keys)
    if word is None:
        raise InvalidResponseError(f"the response has no {' or '.join(keys)}")
    return word


def required_text(document: Mapping[str, Any], key: str) -> str:
    """Return a field's text; raise if it is missing, or not a word."""
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InvalidResponseError(f"the response has no {key}")
    return _validated(value.strip(), key, MAX_LINE_LENGTH)


def check_id(found: str | None, expected: str | None) -> None:
    """Raise if a response is about another campaign than the one that was asked for."""
    if found is not None and expected is not None and found != expected:
        raise InvalidResponseError(f"the response is about another campaign, {found!r}")


def optional_count(document: Mapping[str, Any], key: str) -> int | None:
    """Return a field's whole number; None if it is absent or anything else."""
    value = document.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def required_object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a field's JSON object; raise if it is missing."""
    value = document.get(key)
    if not isinstance(value, Mapping):
        raise InvalidResponseError(f"the response has no object {key}")
    return value


def required_rows(document: Mapping[str, Any], key: str) -> list[Any]:
    """Return a field's list, whose rows may be anything; raise if it is missing."""
    value = document.get(key)
    if not isinstance(value, list):
        raise InvalidResponseError(f"the response has no list {key}")
    return value


def _validated(text: str, key: str, max_length: int) -> str:
    """Return a text if it can be an id or a status: printable, bounded, and not changed when it was cleaned."""
    is_changed = text != text.strip() or MASK in text or REPLACEMENT in text or text.endswith(CUT)
    if is_changed or not text.isprintable() or len(text) > max_length:
        raise InvalidResponseError(f"the response's {key} is not a word")
    return text
