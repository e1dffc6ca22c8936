"""Credentials that the platform refuses are looked up once more, before that is final."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import Any

import jwt
import pytest

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.requester import LookUp
from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignConfigError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import HttpResponse, Platform
from tests.accounts import KORE_V1, SONARLY, client_of, refuses, shows
from tests.scripted_transport import ScriptedTransport, SentRequest

URL = ScriptedTransport.base_url
NEW_KORE = replace(KORE_V1, key="a-new-secret-" * 8)
NEW_SONARLY = replace(SONARLY, api_key="sk_live_a_new_key")
ROTATED: dict[str, tuple[Platform, Platform, int]] = {
    "kore": (KORE_V1, NEW_KORE, 2),
    "sonarly": (SONARLY, NEW_SONARLY, 1),
}
"""The account before and after, and how often credentials that stay the same are tried: each token is another."""


class Account:
    """A platform that takes one account's credentials and no others."""

    def __init__(self, valid: Platform | None) -> None:
        self.valid = valid
        self.transport = ScriptedTransport(self.respond)
        self.looked_up: list[str] = []

    def respond(self, sent: SentRequest) -> HttpResponse:
        return shows("Active") if self.is_valid(sent) else refuses(401)

    def is_valid(self, sent: SentRequest) -> bool:
        if self.valid is None:
            return False
        if self.valid.name == "Sonarly":
            return sent.headers["Authorization"] == self.valid.signed_headers(0)["Authorization"]
        try:
            jwt.decode(sent.headers["auth"], self.valid.secrets[0], ["HS256"])
        except jwt.InvalidSignatureError:
            return False
        return True

    def client(self, known: Platform, look_up: Callable[[], Any]) -> CampaignClient:
        def counted() -> Any:
            self.looked_up.append(threading.current_thread().name)
            return look_up()

        return client_of(known, self.transport, look_up=counted)


@pytest.mark.parametrize("name", ROTATED)
def test_credentials_that_were_rotated_are_taken_up(name: str, caplog: pytest.LogCaptureFixture) -> None:
    old, new, _ = ROTATED[name]
    account = Account(new)
    client = account.client(old, lambda: (new, URL))
    assert client.get_campaign_status("c-1").status == "Active"
    assert len(account.transport.requests) == 2
    assert client.platform == new
    client.observed_by(lambda _: None).get_campaign_status("c-1")
    assert len(account.transport.requests) == 3, "from now on they are used at once, by all"
    assert (len(account.looked_up), len(caplog.records)) == (1, 1)


@pytest.mark.parametrize("name", ROTATED)
def test_credentials_that_are_still_the_same_are_refused_for_good(name: str) -> None:
    old, new, tries = ROTATED[name]
    account = Account(new)
    with pytest.raises(CampaignAuthError, match="HTTP 401"):
        account.client(old, lambda: (copy(old), URL)).get_campaign_status("c-1")
    assert (len(account.transport.requests), len(account.looked_up)) == (tries, 1)


@pytest.mark.parametrize("name", ROTATED)
def test_new_credentials_that_are_refused_too_are_refused_for_good(name: str) -> None:
    old, new, _ = ROTATED[name]
    account = Account(None)
    with pytest.raises(CampaignAuthError):
        account.client(old, lambda: (new, URL)).get_campaign_status("c-1")
    assert (len(account.transport.requests), len(account.looked_up)) == (2, 1)


OTHERS: dict[str, tuple[Platform, str]] = {
    "account": (replace(NEW_KORE, account_id="acc-2"), URL),
    "application": (replace(NEW_KORE, iid="st-2"), URL),
    "host": (NEW_KORE, "https://elsewhere.test"),
    "platform": (SONARLY, URL),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_account_is_sent_nothing(other: str) -> None:
    account = Account(NEW_KORE)
    client = account.client(KORE_V1, lambda: OTHERS[other])
    with pytest.raises(CampaignAuthError, match=r"HTTP 401.* By now the connection is one to another account"):
        client.get_campaign_status("c-1")
    assert (len(account.transport.requests), client.platform) == (1, KORE_V1)


def raises(error: Exception) -> LookUp:
    def look_up() -> tuple[Platform, str]:
        raise error

    return look_up


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (RuntimeError("sk_live_secret"), "RuntimeError"),
        (CampaignConfigError("the field API Key (password) is missing"), "the field API Key"),
    ],
)
def test_credentials_that_can_not_be_looked_up_now_are_not_refused_for_good(problem: Exception, text: str) -> None:
    client = Account(NEW_SONARLY).client(SONARLY, raises(problem))
    with pytest.raises(CampaignUnavailableError, match=f"HTTP 401.* can't be looked up: {text}") as caught:
        client.get_campaign_status("c-1", retry=False)
    assert "sk_live_secret" not in str(caught.value)
    assert not caught.value.outcome_unknown


def test_a_look_up_that_failed_explains_no_missing_permission() -> None:
    transport = ScriptedTransport([refuses(401), refuses(403)])
    client = client_of(SONARLY, transport, look_up=raises(RuntimeError("the vault is sealed")))
    with pytest.raises(CampaignUnavailableError):
        client.get_campaign_status("c-1", retry=False)
    with pytest.raises(CampaignAuthError, match="HTTP 403"):
        client.get_campaign_status("c-1", retry=False)


def test_threads_that_are_refused_at_the_same_time_look_them_up_once() -> None:
    account, refused = Account(NEW_SONARLY), threading.Barrier(5)
    respond = account.respond

    def respond_together(sent: SentRequest) -> HttpResponse:
        response = respond(sent)
        if response.status == 401:
            refused.wait(10)
        return response

    account.transport = ScriptedTransport(respond_together)
    client = account.client(SONARLY, lambda: (NEW_SONARLY, URL))
    with ThreadPoolExecutor(5) as pool:
        statuses = list(pool.map(lambda _: client.get_campaign_status("c-1").status, range(5)))
    assert statuses == ["Active"] * 5
    assert (len(account.looked_up), len(account.transport.requests)) == (1, 10)
