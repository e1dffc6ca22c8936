"""A third platform: what its hook takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import requests

from airflow_provider_campaign.campaign import Campaign, canonical_status
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.calls import Call, Target, Verdict, required_rows, required_text, text_of
from airflow_provider_campaign.hooks.retry import Deadline
from airflow_provider_campaign.hooks.transport import Request

ENDPOINTS = {
    Call.STOP: ("POST", "/campaigns/{}/stop"),
    Call.START: ("POST", "/campaigns/{}/start"),
    Call.DELETE: ("DELETE", "/campaigns/{}"),
    Call.STATUS: ("GET", "/campaigns/{}"),
    Call.GET: ("GET", "/campaigns/{}"),
    Call.LIST: ("GET", "/campaigns"),
}


class ToyKey(requests.auth.AuthBase):
    """Put the key on each request."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Toy-Key"] = self.key
        return request


class ToyHook(CampaignHook):
    """Toy campaigns."""

    conn_type = "toy"
    hook_name = "Toy Campaigns"
    platform = "Toy"

    def auth(self) -> requests.auth.AuthBase:
        return ToyKey(self.fields.required("password"))

    def request_for(self, target: Target) -> Request:
        method, path = ENDPOINTS[target.action]
        return Request(method, path.format(target.campaign_id))

    def verdict(self, document: Mapping[str, Any]) -> Verdict:
        return Verdict("error" in document, text_of(document, "error"))

    def read_campaign(self, target: Target, document: Mapping[str, Any]) -> Campaign:
        return Campaign(required_text(document, "id"), canonical_status(required_text(document, "state")), raw=document)

    def list_pages(
        self, campaign_type: str | None, statuses: Collection[str], newest_first: bool, deadline: Deadline
    ) -> Iterator[Campaign]:
        target = Target(Call.LIST)
        rows = self.fetch(target, self.request_for(target), deadline, lambda document: required_rows(document, "rows"))
        for row in rows:
            yield self.read_campaign(target, row)
