"""A third platform, as pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from airflow_provider_campaign.campaign import Campaign, canonical_status
from airflow_provider_campaign.platforms.base import (
    Action,
    ApiRequest,
    ApiStatus,
    HttpRequest,
    ListQuery,
    Pager,
    Platform,
)
from airflow_provider_campaign.platforms.reading import (
    optional_text,
    optional_word,
    required_rows,
    required_text,
    required_word,
)

ENDPOINTS = {
    Action.STOP: ("POST", "/campaigns/{}/stop"),
    Action.START: ("POST", "/campaigns/{}/start"),
    Action.DELETE: ("DELETE", "/campaigns/{}"),
    Action.STATUS: ("GET", "/campaigns/{}"),
    Action.GET: ("GET", "/campaigns/{}"),
    Action.LIST: ("GET", "/campaigns"),
}

PRIORITIES = {"low": "1", "normal": "3", "high": "5"}
"""Toy's words for it, as far as its author has met them: any other one is a KeyError."""


@dataclass(frozen=True)
class ToyPlatform(Platform):
    """Toy campaigns."""

    key: str = field(repr=False)

    name = "Toy"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,)

    def signed_headers(self, now: float) -> Mapping[str, str]:
        return {"X-Toy-Key": self.key}

    def http_request(self, request: ApiRequest) -> HttpRequest:
        method, path = ENDPOINTS[request.action]
        return HttpRequest(method, path.format(quote(request.campaign_id or "", safe="")))

    def api_status(self, document: Mapping[str, Any]) -> ApiStatus:
        return ApiStatus("error" in document, optional_text(document, "error"))

    def read_campaign(self, request: ApiRequest, document: Mapping[str, Any]) -> Campaign:
        return read_row(document)

    def pager(self, query: ListQuery) -> Pager:
        return ToyPager(self.http_request(ApiRequest(Action.LIST)))


class ToyPager(Pager):
    """Two campaigns a page, and where the next one begins."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        self._path = request.path
        self._next: HttpRequest | None = request

    @property
    def next_request(self) -> HttpRequest | None:
        return self._next

    def read_page(self, document: Mapping[str, Any]) -> list[Campaign]:
        fresh = self.read_rows(required_rows(document, "rows"), read_row)
        following = optional_word(document, "next")
        has_more = self.makes_progress() and following
        self._next = HttpRequest("GET", f"{self._path}?from={following}") if has_more else None
        return fresh


def read_row(row: Mapping[str, Any]) -> Campaign:
    return Campaign(
        id=required_word(row, "id"),
        status=canonical_status(required_text(row, "state")),
        priority=PRIORITIES[optional_text(row, "urgency") or "normal"],
        updated_at=optional_text(row, "changed"),
    )
