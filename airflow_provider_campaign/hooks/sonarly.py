"""Sonarly campaigns: the API key, the endpoint table, reading the envelope."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import requests

from airflow_provider_campaign.campaign import Campaign, CampaignStatus, canonical_status
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.calls import (
    Call,
    Target,
    Unreadable,
    Verdict,
    required_object,
    required_rows,
    required_text,
    text_of,
)
from airflow_provider_campaign.hooks.form import connection_form
from airflow_provider_campaign.hooks.retry import Deadline
from airflow_provider_campaign.hooks.transport import Request

_CAMPAIGNS = "/v1/accounts/{account_group_id}/campaigns"

ENDPOINTS: Mapping[Call, str] = {
    Call.STOP: f"POST {_CAMPAIGNS}/{{campaign_id}}/stop",
    Call.START: f"POST {_CAMPAIGNS}/{{campaign_id}}/start",
    Call.STATUS: f"GET {_CAMPAIGNS}/{{campaign_id}}",
    Call.GET: f"GET {_CAMPAIGNS}/{{campaign_id}}",
    Call.LIST: f"GET {_CAMPAIGNS}",
}
"""Method and path of every call; none of them carries a body."""


class BearerKey(requests.auth.AuthBase):
    """
    Put the API key on each request.

    :param api_key: An integration API key.
    """

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


@connection_form
class SonarlyHook(CampaignHook):
    """
    Sonarly campaigns.

    :param campaign_conn_id: The id of a connection of type ``sonarly``.
    """

    conn_type = "sonarly"
    hook_name = "Sonarly Campaigns"
    platform = "Sonarly"
    documents_statuses = False
    advice = {
        401: "Check the connection's API Key (password): it is missing, mistyped or revoked.",
        403: "Check that the API key has the permissions campaigns:read and campaigns:execute.",
        404: "Check the campaign's id, and the connection's Account Group ID (account_group_id).",
    }

    @cached_property
    def account_group_id(self) -> str:
        """The account group that scopes every path."""
        return self.fields.required("account_group_id")

    def auth(self) -> requests.auth.AuthBase:
        """Return what signs a request."""
        return BearerKey(self.fields.header("password"))

    def request_for(self, target: Target) -> Request:
        """Return a call as it goes over the wire."""
        if target.call not in ENDPOINTS:
            raise CampaignConfigError(
                f"{target} ({self.where}): {self.platform} has no such call. Nothing was sent. "
                f"It can {', '.join(call.value for call in ENDPOINTS)}."
            )
        method, template = ENDPOINTS[target.call].split(" ", 1)
        values = {"account_group_id": self.account_group_id, "campaign_id": target.campaign_id or ""}
        return Request(method, template.format_map({name: quote(value, safe="") for name, value in values.items()}))

    def verdict(self, document: Mapping[str, Any]) -> Verdict:
        """Return what the envelope says about the call."""
        error = document.get("error")
        error = error if isinstance(error, Mapping) else {}
        message = " ".join(filter(None, (text_of(error, "message"), text_of(error, "details"))))
        return Verdict(
            document.get("success") is not True,
            message or None,
            text_of(error, "code"),
            text_of(document, "traceId"),
        )

    def read_campaign(self, target: Target, document: Mapping[str, Any]) -> Campaign:
        """
        Return the campaign in an envelope.

        The status words are not documented, so that ``success`` on a stop or start is the platform's word for it;
        ``raw`` keeps what it called the status.
        """
        data = required_object(document, "data")
        if target.call is Call.STOP:
            campaign = _campaign(required_object(data, "campaign"), target.campaign_id)
            return replace(campaign, status=CampaignStatus.STOPPED.value, message=_instances(data), raw=document)
        if target.call is Call.START:
            campaign = _campaign(required_object(data, "campaign"), target.campaign_id)
            status = campaign.status if data.get("triggered") is False else CampaignStatus.ACTIVE.value
            return replace(campaign, status=status, raw=document)
        return replace(_campaign(data, target.campaign_id), raw=document)

    def list_pages(
        self, campaign_type: str | None, statuses: Collection[str], newest_first: bool, deadline: Deadline
    ) -> Iterator[Campaign]:
        """Yield each campaign once; the platform documents neither filter nor order, but a cursor."""
        target = Target(Call.LIST)
        request = self.request_for(target)
        seen: set[str] = set()
        cursor: str | None = None
        stale = 0
        while True:
            query = f"?{urlencode({'cursor': cursor})}" if cursor else ""
            rows, cursor = self.fetch(target, replace(request, path=request.path + query), deadline, _page)
            fresh = {row.id: row for row in rows if row.id not in seen}
            yield from fresh.values()
            if cursor is None:
                return
            stale = 0 if fresh else stale + 1
            self.check_progress(target, stale)
            seen.update(fresh)

    def describe_list(self, document: Mapping[str, Any]) -> str:
        """Say how many campaigns the first page shows."""
        rows, following = _page(document)
        count = f"{len(rows)}{' or more' if following else ''}"
        return f"account group {self.account_group_id} has {count} campaigns."


def _page(document: Mapping[str, Any]) -> tuple[list[Campaign], str | None]:
    """Return the campaigns of a page, and the cursor of the next one."""
    data = required_object(document, "data")
    following = text_of(data, "nextCursor") if data.get("hasMore") is not False else None
    return [_campaign(row) for row in required_rows(data, "items")], following


def _campaign(row: Mapping[str, Any], campaign_id: str | None = None) -> Campaign:
    row_id = required_text(row, "id")
    if campaign_id is not None and row_id != campaign_id:
        raise Unreadable(f"the answer is about another campaign, {row_id!r}")
    return Campaign(
        id=row_id,
        status=canonical_status(required_text(row, "status")),
        name=text_of(row, "name"),
        updated_at=text_of(row, "updatedAt"),
        raw=row,
    )


def _instances(data: Mapping[str, Any]) -> str | None:
    """Return what the platform says in place of a message."""
    count = text_of(data, "instancesStopped")
    return None if count is None else f"instancesStopped: {count}"
