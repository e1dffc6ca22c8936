"""Read the fields of calling hours; an unreadable value or an unknown key is an error that names field and value."""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.text import shown

OTHER_WORDS = {"holidays": "closed_dates", "tz": "timezone", "exceptions": "overrides", "to": "until"}
"""Keys that people use, and ours."""


def calling_hours_error(field: str, value: Any, problem: str, fix: str) -> CampaignConfigError:
    """Return the error for a field, or an argument, that is unreadable."""
    return CampaignConfigError(f"Calling hours: {field} is {shown(value)}, {problem}. {fix}")


def read_object(field: str, value: Any, keys: Collection[str], fix: str) -> Mapping[str, Any]:
    """
    Return an object that has no other than some keys.

    :param fix: What to give in place of what is no object.
    """
    if not isinstance(value, Mapping):
        raise calling_hours_error(field, value, "not an object", fix)
    for key in value:
        if key not in keys:
            near = (OTHER_WORDS.get(str(key), ""), *difflib.get_close_matches(str(key), keys, 1))
            nearest = next(filter(keys.__contains__, near), None)
            hint = f"Did you mean {nearest!r}?" if nearest else f"Known are {', '.join(keys)}."
            raise CampaignConfigError(f"Calling hours: {field} has the key {key!r}, which is unknown. {hint}")
    return value


def read_list(field: str, value: Any, fix: str) -> list[Any]:
    """Return a list, given as such or as the text of one, which a template renders to; null or a blank is no entry."""
    if isinstance(value, str):
        value = parse_literal(field, value) if value.strip() else None
    if value is None:
        return []
    if not isinstance(value, list | tuple | set | frozenset):
        raise calling_hours_error(field, value, "not a list", fix)
    return list(value)


def read_flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise calling_hours_error(field, value, "which is neither true nor false", "Use true or false.")
    return value


def read_words(field: str, value: Any) -> tuple[str, ...]:
    """Return one text or several, which may be the text of a list; null and an empty list are none."""
    words = _listed(value) or [value] if isinstance(value, str) else read_list(field, value, "Give a text, or a list.")
    for word in words:
        if not isinstance(word, str) or word.strip().casefold() in ("", "none", "null", "undefined"):
            fix = "Leave the key out, or check what the template gives."
            raise calling_hours_error(field, word, "which is no text, or stands for a missing one", fix)
    return tuple(word.strip() for word in words)


def _listed(text: str) -> list[str] | None:
    """Return the texts of a list that a template rendered to; None if it is none, such as a pattern with ``[ab]``."""
    with suppress(CampaignConfigError):
        found = parse_literal("", text)
        if isinstance(found, list) and all(isinstance(word, str) for word in found):
            return found
    return None


def parse_literal(field: str, text: str) -> Any:
    """Return the list or object that a text stands for, as JSON or as Python writes it."""
    for parse in (_parse_json, ast.literal_eval):
        try:
            return parse(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    raise calling_hours_error(field, text, "which can't be read", "Give a list or an object, or the JSON text of one.")


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object in which no key stands twice: of two lists of overrides the first would be ignored."""
    for number, (key, _) in enumerate(pairs):
        if any(key == other for other, _ in pairs[:number]):
            raise CampaignConfigError(f"Calling hours: the key {key!r} stands twice in one object. Merge the two.")
    return dict(pairs)
