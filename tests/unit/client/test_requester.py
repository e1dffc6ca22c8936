"""The one request path: signed, sent, classified; and credentials that are looked up once more if they are refused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import Any

import jwt
import pytest

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.client.requester import MIN_REQUEST_TIMEOUT
from airflow_provider_campaign.client.transport import CertificateError, NotSent, OutcomeUnknown
from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignConfigError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import ApiRequest, HttpResponse, Platform
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.accounts import KORE_V1, ONCE, SONARLY, client_of, done, refuses, shows, type_on
from tests.scripted_transport import ScriptedTransport, SentRequest, response


@pytest.mark.parametrize(("failure", "outcome_unknown"), [(NotSent, False), (OutcomeUnknown, True)])
def test_an_error_says_whether_the_platform_may_have_acted(failure: type[Exception], outcome_unknown: bool) -> None:
    client = client_of(SONARLY, ScriptedTransport([failure("the cable was cut")]))
    with pytest.raises(CampaignUnavailableError, match=r"the cable was cut \(https://platform.test\)\. ") as caught:
        client.get_campaign_status("c-1", deadline=ONCE)
    assert caught.value.outcome_unknown is outcome_unknown


def test_a_certificate_that_is_not_trusted_ends_it_and_points_to_the_field_for_it() -> None:
    transport = ScriptedTransport([CertificateError("the host's certificate could not be verified")])
    with pytest.raises(CampaignConfigError, match=r"could not be verified\. Nothing was sent\..*CA Bundle \(ca_bundle"):
        client_of(SONARLY, transport).stop_campaign("c-1")
    assert len(transport.requests) == 1


def test_each_request_of_kores_has_a_token_of_its_own() -> None:
    transport = ScriptedTransport([refuses(401), done("Stopped"), done("Stopped")])
    told: list[tuple[ApiRequest, int, int]] = []
    client = client_of(KORE_V1, transport).observed_by(on_count=lambda *count: told.append(count))
    for _ in range(2):
        assert client.stop_campaign("c-1", "sms").status == "Stopped"
    assert len({sent.headers["auth"] for sent in transport.requests}) == 3, "a 401 is worth a fresh one"
    assert {(sent.headers["iid"], sent.headers["accountId"]) for sent in transport.requests} == {("st-1", "acc-1")}
    assert [(str(request), *count) for request, *count in told] == [("Stop of SMS campaign 'c-1'", 1, 0)] * 3


def test_a_request_may_take_as_long_as_its_timeout_but_no_longer_than_the_time_left() -> None:
    clock = VirtualClock()
    transport = ScriptedTransport([shows("Active")] * 3)
    client = client_of(SONARLY, transport, clock, timeout=30)
    client.get_campaign_status("c-1")
    client.get_campaign_status("c-1", deadline=Deadline(12, clock))
    client.get_campaign_status("c-1", deadline=Deadline(0, clock))
    assert [sent.seconds for sent in transport.requests] == [30, 12, MIN_REQUEST_TIMEOUT]


@pytest.mark.parametrize(
    ("step", "change"), [(refuses(429), (0, 1)), (NotSent("refused"), (-1, 0)), (CertificateError("unknown"), (-1, 0))]
)
def test_a_request_that_was_not_carried_out_is_taken_back(step: HttpResponse | Exception, change: Any) -> None:
    counts: list[tuple[int, ...]] = []
    client = client_of(KORE_V1, ScriptedTransport([step])).observed_by(on_count=lambda _, *count: counts.append(count))
    with pytest.raises((CampaignConfigError, CampaignUnavailableError)):
        client.get_campaign_status("c-1", deadline=ONCE)
    assert counts == [(1, 0), change]


@pytest.mark.parametrize("is_at_once", [True, False])
def test_a_cancelled_operation_sends_nothing_more(is_at_once: bool) -> None:
    clock, cancellation = VirtualClock(), Cancellation()

    def respond(_: object) -> NotSent:
        cancellation.request()
        return NotSent("the connection was refused")

    transport = ScriptedTransport(respond)
    if is_at_once:
        cancellation.request()
    deadline = Deadline(100, clock, cancellation=cancellation)
    with pytest.raises(exceptions.CampaignTimeoutError, match="cancelled"):
        client_of(SONARLY, transport, clock).stop_campaign("c-1", deadline=deadline)
    assert transport.actions == ([] if is_at_once else ["stop"])


def test_a_retry_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    client_of(SONARLY, ScriptedTransport([NotSent("the connection was refused"), done("Stopped")])).stop_campaign("c-1")
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("Trying again in ")
    assert "the connection was refused" in line


@pytest.mark.parametrize(
    ("platform", "document", "problem"),
    [
        (KORE_V1, {"status": "a\nb"}, "the response's status is not a word"),
        (SONARLY, {"success": True}, "the response has no object data"),
    ],
)
def test_a_success_of_another_shape_is_an_unknown_outcome(platform: Platform, document: object, problem: str) -> None:
    client = client_of(platform, ScriptedTransport(lambda _: response(document)))
    with pytest.raises(CampaignUnavailableError, match=f"{problem}. The response's format is unexpected") as caught:
        client.stop_campaign("c-1", type_on(platform), deadline=client.deadline(10, retries=False))
    assert caught.value.outcome_unknown


# Credentials that are refused.

URL = ScriptedTransport.base_url
NEW_KORE = replace(KORE_V1, key="a-new-secret-" * 8)
NEW_SONARLY = replace(SONARLY, api_key="sk_live_a_new_key")


class Account:
    """A platform that takes one account's credentials and no others."""

    def __init__(self, valid: Platform | None) -> None:
        self.valid = valid
        self.transport = ScriptedTransport(self.respond)
        self.looked_up: list[str] = []

    def respond(self, sent: SentRequest) -> HttpResponse:
        return shows("Active") if self.is_valid(sent) else refuses(401)

    def is_valid(self, sent: SentRequest) -> bool:
        if not isinstance(self.valid, KorePlatform):
            return self.valid is not None and sent.headers == self.valid.signed_headers(0)
        try:
            return bool(jwt.decode(sent.headers["auth"], self.valid.secrets[0], ["HS256"]))
        except jwt.InvalidSignatureError:
            return False

    def client(self, known: Platform, look_up: Callable[[], Any]) -> CampaignClient:
        def counted() -> Any:
            self.looked_up.append(threading.current_thread().name)
            return look_up()

        return client_of(known, self.transport, look_up=counted)


@pytest.mark.parametrize(("old", "new"), [(KORE_V1, NEW_KORE), (SONARLY, NEW_SONARLY)], ids=["kore", "sonarly"])
def test_rotated_credentials_are_taken_up(old: Platform, new: Platform, caplog: pytest.LogCaptureFixture) -> None:
    account = Account(new)
    client = account.client(old, lambda: (new, URL))
    assert client.get_campaign_status("c-1").status == "Active"
    assert len(account.transport.requests) == 2
    assert client.platform == new
    client.observed_by(on_count=lambda *_: None).get_campaign_status("c-1")
    assert len(account.transport.requests) == 3, "from now on they are used at once, by all"
    assert (len(account.looked_up), len(caplog.records)) == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "requests"),
    [
        (KORE_V1, copy(KORE_V1), 2),  # the second has another token
        (SONARLY, copy(SONARLY), 1),
        (KORE_V1, NEW_KORE, 2),
        (SONARLY, NEW_SONARLY, 2),
    ],
    ids=["the same of kore", "the same of sonarly", "others of kore", "others of sonarly"],
)
def test_credentials_that_are_refused_again_are_refused_for_good(old: Platform, new: Platform, requests: int) -> None:
    account = Account(None)
    with pytest.raises(CampaignAuthError, match="HTTP 401"):
        account.client(old, lambda: (new, URL)).get_campaign_status("c-1")
    assert (len(account.transport.requests), len(account.looked_up)) == (requests, 1)


OTHERS: dict[str, tuple[Platform, str]] = {
    "account": (replace(NEW_KORE, account_id="acc-2"), URL),
    "application": (replace(NEW_KORE, iid="st-2"), URL),
    "host": (NEW_KORE, "https://elsewhere.test"),
    "platform": (SONARLY, URL),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_account_is_sent_nothing(other: tuple[Platform, str]) -> None:
    account = Account(NEW_KORE)
    client = account.client(KORE_V1, lambda: other)
    with pytest.raises(CampaignAuthError, match=r"HTTP 401.* By now the connection is one to another account"):
        client.get_campaign_status("c-1")
    assert (len(account.transport.requests), client.platform) == (1, KORE_V1)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (RuntimeError("sk_live_secret"), "RuntimeError"),
        (CampaignConfigError("the field API Key (password) is missing"), "the field API Key"),
    ],
)
def test_credentials_that_can_not_be_looked_up_now_are_not_refused_for_good(problem: Exception, text: str) -> None:
    def look_up() -> tuple[Platform, str]:
        raise problem

    client = Account(NEW_SONARLY).client(SONARLY, look_up)
    with pytest.raises(CampaignUnavailableError, match=f"HTTP 401.* can't be looked up: {text}") as caught:
        client.get_campaign_status("c-1", deadline=ONCE)
    assert "sk_live_secret" not in str(caught.value)
    assert not caught.value.outcome_unknown


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
