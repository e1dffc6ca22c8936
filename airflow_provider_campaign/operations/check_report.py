"""A contract check as a file that may be shown to anybody: ids, names and secrets are replaced."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from airflow_provider_campaign import __version__
from airflow_provider_campaign.client.response import sanitize
from airflow_provider_campaign.operations.check import UNKNOWN_ID
from airflow_provider_campaign.operations.check_row import CheckRow
from airflow_provider_campaign.operations.exchanges import Exchange
from airflow_provider_campaign.platforms.base import Platform

SCHEMA = "campaign-check/1"

KEPT_KEYS = frozenset(
    (
        *("status", "success", "code", "type", "priority", "dialingMode", "campaignExecutionType"),
        *("createdAt", "updatedAt", "startedAt", "startDate", "endDate"),
        *("frequency", "timezone", "day", "days", "start", "end"),
        *("hasMore", "nextCursor", "limit", "skip", "page", "totalPages", "totalResults", "sortBy", "filters"),
        *("isSchedulingEnabled", "isRecurrenceEnabled", "instancesStopped", "instancesCreated", "triggered"),
    )
)
"""Fields whose values say how a platform works, and nothing of whom it is used for."""

TEXT_KEYS = frozenset(("message", "msg", "details"))
"""Fields whose texts are kept, without the ids and names in them."""

ID_KEYS, NAME_KEYS = frozenset(("id", "_id")), frozenset(("name", "lname"))

KEPT_HEADERS = re.compile(r"content-type|content-length|date|server|retry-after|.*(rate|quota|limit).*", re.IGNORECASE)

MIN_LENGTH = 4
"""Characters of an id or name that is replaced inside of texts; a shorter one may be part of any word."""

_NUMBER = re.compile(r"\d{5,}")


class Anonymizer:
    """
    Replaces whatever may tell whose account it is.

    What is the same before is the same afterwards.

    :param platform: The account; its fields are replaced by their names.
    """

    def __init__(self, platform: Platform) -> None:
        self._secrets = platform.secrets
        self._known = {value: name for name, value in _texts(dataclasses.asdict(platform)) if name not in _HARMLESS}  # type: ignore[call-overload]
        self._counts: dict[str, int] = {}

    def learn(self, exchanges: Iterable[Exchange]) -> None:
        """Note the ids and names in all responses, so that they are replaced in paths and texts, too."""
        for exchange in exchanges:
            document = _parsed(exchange.response.body)
            for key, value in _texts(document):
                if key in ID_KEYS:
                    self._stand_in("campaign", value)
                elif key in NAME_KEYS:
                    self._stand_in("name", value)

    def text(self, text: str) -> str:
        """Return a text without secrets, ids, names, and numbers that may be a telephone's."""
        masked = sanitize(text, self._secrets) or ""
        for value in self._longest_first():
            masked = masked.replace(value, self._known[value])
        return _NUMBER.sub("00000", masked)

    def path(self, path: str) -> str:
        """Return a request's path without ids."""
        for value in self._longest_first():
            path = path.replace(quote(value, safe=""), self._known[value])
        return path

    def document(self, value: Any, key: str = "", *, keep: bool = False) -> Any:
        """Return a JSON value with all replaced that is not known to be harmless."""
        if isinstance(value, Mapping):
            return {name: self.document(item, name, keep=keep or name in KEPT_KEYS) for name, item in value.items()}
        if isinstance(value, list):
            return [self.document(item, key, keep=keep) for item in value]
        if not isinstance(value, str):
            return value if keep or isinstance(value, bool) or value is None else 0
        if key in TEXT_KEYS:
            return self.text(value)
        if keep or not value or value == UNKNOWN_ID:
            return value
        return self._stand_in("campaign" if key in ID_KEYS else "name" if key in NAME_KEYS else "text", value)

    def _longest_first(self) -> list[str]:
        return sorted((value for value in self._known if len(value) >= MIN_LENGTH), key=len, reverse=True)

    def _stand_in(self, kind: str, value: str) -> str:
        if value not in self._known:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._known[value] = f"{kind}-{self._counts[kind]}"
        return self._known[value]


_HARMLESS = frozenset(("api_version", "algorithm", "subject"))
"""Fields of a platform that say nothing of the account."""


def check_report(platform: Platform, rows: Iterable[CheckRow], exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """Return all that a check has seen, without ids, names and secrets."""
    exchanges = list(exchanges)
    anonymizer = Anonymizer(platform)
    anonymizer.learn(exchanges)
    described = [_exchange(anonymizer, exchange) for exchange in exchanges]
    return {
        "schema": SCHEMA,
        "provider_version": __version__,
        "platform": platform.name,
        "api_version": getattr(platform, "api_version", None),
        "rows": [{key: anonymizer.text(text) for key, text in dataclasses.asdict(row).items()} for row in rows],
        "exchanges": described,
    }


def _exchange(anonymizer: Anonymizer, exchange: Exchange) -> dict[str, Any]:
    response, document = exchange.response, _parsed(exchange.response.body)
    body = {"json": anonymizer.document(document)} if document is not None else {"text": _shape(response.body)}
    return {
        "sent_at": datetime.fromtimestamp(exchange.sent_at, UTC).isoformat(),
        "seconds": round(exchange.seconds, 3),
        "method": exchange.request.method,
        "path": anonymizer.path(exchange.request.path),
        "request": exchange.request.json,
        "status": response.status,
        "headers": {name: value for name, value in response.headers.items() if KEPT_HEADERS.fullmatch(name)},
        **body,
    }


def _shape(body: bytes) -> str:
    """Return what a body that is no JSON looks like: what stands in it may be anything."""
    beginning = body.lstrip()[:1].decode(errors="replace")
    return f"{beginning}… ({len(body)} bytes that are no JSON)" if body else ""


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _texts(value: Any, key: str = "") -> Iterable[tuple[str, str]]:
    """Yield every text that is not empty with the key that it stands under."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, name)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str) and value:
        yield key, value
