"""The one request path: signed, sent, classified."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.client.requester import MIN_REQUEST_TIMEOUT
from airflow_provider_campaign.client.transport import CertificateError, NotSent, OutcomeUnknown
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignRateLimitError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.platforms.base import ApiRequest, Platform
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.accounts import KORE_V1, PLATFORMS, SONARLY, client_of, done, refuses, shows, type_on
from tests.scripted_transport import ScriptedTransport, response


@pytest.mark.parametrize(("failure", "outcome_unknown"), [(NotSent, False), (OutcomeUnknown, True)])
@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_a_request_without_a_response_says_whether_the_platform_may_have_acted(
    platform: Platform, failure: type[Exception], outcome_unknown: bool
) -> None:
    client = client_of(platform, ScriptedTransport([failure("the cable was cut")]))
    with pytest.raises(CampaignUnavailableError, match=r"the cable was cut \(https://platform.test\)\. ") as caught:
        client.get_campaign_status("c-1", retry=False)
    assert caught.value.outcome_unknown is outcome_unknown


def test_a_certificate_that_is_not_trusted_ends_it_and_points_to_the_field_for_it() -> None:
    transport = ScriptedTransport([CertificateError("the host's certificate could not be verified")])
    with pytest.raises(CampaignConfigError, match=r"could not be verified\. Nothing was sent\..*CA Bundle \(ca_bundle"):
        client_of(SONARLY, transport).stop_campaign("c-1")
    assert len(transport.requests) == 1


def test_kores_401_is_worth_a_fresh_token_and_a_second_one_is_final() -> None:
    transport = ScriptedTransport([refuses(401), done("Stopped")])
    assert client_of(KORE_V1, transport).stop_campaign("c-1", "sms").status == "Stopped"
    first, second = (sent.headers["auth"] for sent in transport.requests)
    assert first != second
    transport = ScriptedTransport([refuses(401), refuses(401)])
    with pytest.raises(CampaignAuthError):
        client_of(KORE_V1, transport).stop_campaign("c-1", "sms")


def test_an_api_key_that_was_refused_is_not_sent_again() -> None:
    transport = ScriptedTransport([refuses(401)])
    with pytest.raises(CampaignAuthError):
        client_of(SONARLY, transport).stop_campaign("c-1")


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_every_request_carries_a_token_or_key_of_its_account(platform: Platform) -> None:
    transport = ScriptedTransport([shows("Active")] * 3)
    for _ in range(3):
        client_of(platform, transport).get_campaign_status("c-1")
    if platform is SONARLY:
        assert {sent.headers["Authorization"] for sent in transport.requests} == {f"Bearer {SONARLY.api_key}"}
    else:
        assert len({sent.headers["auth"] for sent in transport.requests}) == 3
        assert {(sent.headers["iid"], sent.headers["accountId"]) for sent in transport.requests} == {("st-1", "acc-1")}


def test_a_request_may_take_as_long_as_its_timeout_but_no_longer_than_the_time_left() -> None:
    clock = VirtualClock()
    transport = ScriptedTransport([shows("Active")] * 3)
    client = client_of(SONARLY, transport, clock, timeout=30)
    client.get_campaign_status("c-1")
    client.get_campaign_status("c-1", deadline=Deadline(12, clock))
    client.get_campaign_status("c-1", deadline=Deadline(0, clock))
    assert [sent.seconds for sent in transport.requests] == [30, 12, MIN_REQUEST_TIMEOUT]


def test_each_request_is_told_when_it_leaves_also_one_that_is_repeated() -> None:
    told: list[ApiRequest] = []
    transport = ScriptedTransport([refuses(401), done("Stopped")])
    client_of(KORE_V1, transport).observed_by(told.append).stop_campaign("c-1", "voice")
    assert list(map(str, told)) == ["Stop of voice campaign 'c-1'"] * 2


def test_a_request_that_is_rate_limited_is_told() -> None:
    left: list[ApiRequest] = []
    observed = client_of(KORE_V1, ScriptedTransport([refuses(429)])).observed_by(left.append, left.remove)
    with pytest.raises(CampaignRateLimitError):
        observed.get_campaign_status("c-1", retry=False)
    assert left == []


@pytest.mark.parametrize("error", [NotSent("refused"), CertificateError("unknown")])
def test_a_request_that_did_not_leave_is_taken_back(error: Exception) -> None:
    left: list[ApiRequest] = []
    observed = client_of(KORE_V1, ScriptedTransport([error])).observed_by(left.append, on_unsent=left.remove)
    with pytest.raises((CampaignConfigError, CampaignUnavailableError)):
        observed.get_campaign_status("c-1", retry=False)
    assert left == []


def test_a_response_shows_no_body_where_it_is_logged() -> None:
    assert "evening" not in repr(response(body=b'{"name": "evening"}'))


def test_a_cancelled_operation_sends_nothing_more() -> None:
    clock = VirtualClock()
    cancellation = Cancellation()
    transport = ScriptedTransport([])
    cancellation.request()
    with pytest.raises(CampaignTimeoutError, match="cancelled"):
        client_of(SONARLY, transport).stop_campaign("c-1", deadline=Deadline(100, clock, cancellation=cancellation))
    assert transport.requests == []


def test_an_operation_that_is_cancelled_between_two_attempts_sends_no_second() -> None:
    clock = VirtualClock()
    cancellation = Cancellation()

    def respond(_: object) -> NotSent:
        cancellation.request()
        return NotSent("the connection was refused")

    transport = ScriptedTransport(respond)
    with pytest.raises(CampaignTimeoutError):
        client_of(SONARLY, transport, clock).stop_campaign(
            "c-1", deadline=Deadline(100, clock, cancellation=cancellation)
        )
    assert transport.actions == ["stop"]


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_a_retry_is_logged_with_its_reason(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    transport = ScriptedTransport([NotSent("the connection was refused"), done("Stopped")])
    client_of(platform, transport).stop_campaign("c-1", type_on(platform))
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("Trying again in ")
    assert "the connection was refused" in line


@pytest.mark.parametrize(
    ("platform", "document", "problem"),
    [
        (KORE_V1, {}, "the response has no status"),
        (KORE_V1, {"status": 7}, "the response has no status"),
        (KORE_V1, {"status": "a\nb"}, "the response's status is not a word"),
        (SONARLY, {"success": True}, "the response has no object data"),
        (SONARLY, {"success": True, "data": {"campaign": {"id": "c-1"}}}, "the response has no status"),
        (
            SONARLY,
            {"success": True, "data": {"campaign": {"id": "c-2", "status": "stopped"}}},
            "the response is about another campaign, 'c-2'",
        ),
    ],
)
def test_a_success_of_another_shape_is_named_and_may_have_been_acted_on(
    platform: Platform, document: object, problem: str
) -> None:
    client = client_of(platform, ScriptedTransport(lambda _: response(document)))
    with pytest.raises(CampaignUnavailableError, match=f"{problem}. The response's format is unexpected") as caught:
        client.stop_campaign("c-1", type_on(platform), deadline=client.deadline(10, retries=False))
    assert caught.value.outcome_unknown
