"""Sonarly campaigns: what a request looks like, and how to read the envelope of the response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from airflow_provider_campaign.campaign import Campaign, CampaignStatus, canonical_status, is_live
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.platforms import reading
from airflow_provider_campaign.platforms.base import (
    Action,
    ApiRequest,
    ApiStatus,
    HttpRequest,
    ListQuery,
    Pager,
    Platform,
)

_CAMPAIGNS = "/v1/accounts/{account_group_id}/campaigns"

ENDPOINTS: Mapping[Action, str] = {
    Action.STOP: f"POST {_CAMPAIGNS}/{{campaign_id}}/stop",
    Action.START: f"POST {_CAMPAIGNS}/{{campaign_id}}/start",
    Action.STATUS: f"GET {_CAMPAIGNS}/{{campaign_id}}",
    Action.GET: f"GET {_CAMPAIGNS}/{{campaign_id}}",
    Action.LIST: f"GET {_CAMPAIGNS}",
}
"""Method and path of every request; none of them carries a body."""

MAX_CURSOR_LENGTH = 2000  # characters of a cursor that is sent back: servers take addresses of some thousands


@dataclass(frozen=True)
class SonarlyPlatform(Platform):
    """One account group of Sonarly, which scopes every path."""

    account_group_id: str
    api_key: str = field(repr=False)

    name = "Sonarly"
    has_closed_status_set = False
    remediation = {
        401: "Check the connection's API Key (password): it is missing, mistyped or revoked.",
        403: "Check that the API key has the permissions campaigns:read and campaigns:execute.",
        404: "Check the campaign's id, and the connection's Account Group ID (account_group_id).",
    }

    @property
    def account(self) -> str:
        return self.account_group_id

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)

    def signed_headers(self, now: float) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def http_request(self, request: ApiRequest) -> HttpRequest:
        if request.action not in ENDPOINTS:
            known = ", ".join(action.value for action in ENDPOINTS)
            raise CampaignConfigError(f"{self.name} has no such action. Nothing was sent. It can {known}.")
        method, template = ENDPOINTS[request.action].split(" ", 1)
        values = {"account_group_id": self.account_group_id, "campaign_id": request.campaign_id or ""}
        return HttpRequest(method, template.format_map({name: quote(value, safe="") for name, value in values.items()}))

    def api_status(self, document: Mapping[str, Any]) -> ApiStatus:
        """Return what the envelope says about the request."""
        error = document.get("error")
        error = error if isinstance(error, Mapping) else {}
        message = " ".join(filter(None, (reading.optional_text(error, key) for key in ("message", "details"))))
        success, trace_id = document.get("success"), reading.optional_text(document, "traceId")
        code, is_own = reading.optional_text(error, "code"), isinstance(success, bool)
        return ApiStatus(success is not True, message or None, code, trace_id, is_own)

    def read_campaign(self, request: ApiRequest, document: Mapping[str, Any]) -> Campaign:
        """
        Return the campaign in an envelope.

        The status words are not documented, so that ``success`` on a stop or start is the platform's word for it,
        unless the status shown next to it is known to say otherwise.
        """
        data = reading.required_object(document, "data")
        if request.action not in (Action.STOP, Action.START):
            return _read_row(data, request.campaign_id)
        campaign = _read_row(reading.required_object(data, "campaign"), request.campaign_id)
        if request.action is Action.STOP:
            status = campaign.status if is_live(campaign.status) else CampaignStatus.STOPPED.value
            count = reading.optional_text(data, "instancesStopped")
            return replace(campaign, status=status, message=None if count is None else f"instancesStopped: {count}")
        is_started = campaign.status != CampaignStatus.PREPARING and data.get("triggered") is not False
        return replace(campaign, status=CampaignStatus.ACTIVE.value) if is_started else campaign

    def pager(self, query: ListQuery) -> Pager:
        """Return the reading of the list; the platform documents neither filter nor order, but a cursor."""
        return SonarlyPager(self.http_request(ApiRequest(Action.LIST)))


class SonarlyPager(Pager):
    """The reading of the list, from the request for its first page on."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        self._request = request
        self._cursor: str | None = None
        self._rows_read = 0
        self._at_end = False

    @property
    def next_request(self) -> HttpRequest | None:
        if self._at_end:
            return None
        query = f"?{urlencode({'cursor': self._cursor})}" if self._cursor else ""
        return replace(self._request, path=self._request.path + query)

    def read_page(self, document: Mapping[str, Any]) -> list[Campaign]:
        data = reading.required_object(document, "data")
        rows = reading.required_rows(data, "items")
        is_last = data.get("hasMore") is False
        self._cursor = None if is_last else reading.optional_word(data, "nextCursor", max_length=MAX_CURSOR_LENGTH)
        self._rows_read += len(rows)
        self.total = reading.optional_count(data, "total")
        if self._cursor is None and (data.get("hasMore") is True or (self.total or 0) > self._rows_read):
            self.note_problem("the list contradicts itself: it has more, and no cursor to read it by")
        fresh = self.read_rows(rows, _read_row)
        self._at_end = not self.makes_progress() or self._cursor is None
        return fresh


def _read_row(row: Mapping[str, Any], campaign_id: str | None = None) -> Campaign:
    row_id = reading.required_word(row, "id")
    reading.check_id(row_id, campaign_id)
    return Campaign(
        id=row_id,
        status=canonical_status(reading.required_text(row, "status")),
        name=reading.optional_text(row, "name"),
        updated_at=reading.optional_text(row, "updatedAt"),
    )
