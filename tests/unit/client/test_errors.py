"""From a response that is no success to the error that says what happened and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.client.errors import MAX_RETRY_AFTER, parse_retry_after
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.platforms.base import HttpResponse, Platform
from tests.accounts import KORE_V1, ONCE, PLATFORMS, SONARLY, client_of, refuses, type_on
from tests.scripted_transport import ScriptedTransport, response

RATE_LIMIT_TEXT = b"You have exceeded the per-minute rate limit."
HTML = b"<html>Bad gateway</html>"


def error_of(told: HttpResponse, platform: Platform = KORE_V1) -> Any:
    """Return the error that a single stop ends with."""
    client = client_of(platform, ScriptedTransport(lambda _: told))
    with pytest.raises(CampaignError) as caught:
        client.stop_campaign("c-1", type_on(platform), deadline=client.deadline(100, retries=False))
    return caught.value


ERRORS = {
    400: CampaignRequestError,
    401: CampaignAuthError,
    403: CampaignAuthError,
    404: CampaignNotFoundError,
    405: CampaignRequestError,
    408: CampaignUnavailableError,
    409: CampaignConflictError,
    425: CampaignUnavailableError,
    429: CampaignRateLimitError,
    500: CampaignUnavailableError,
    599: CampaignUnavailableError,
}


@pytest.mark.parametrize("platform", [KORE_V1, SONARLY], ids=["kore", "sonarly"])
@pytest.mark.parametrize("status", ERRORS)
def test_each_http_status_is_the_error_that_its_meaning_demands(status: int, platform: Platform) -> None:
    client = client_of(platform, ScriptedTransport(lambda _: refuses(status, "The reason")))
    with pytest.raises(CampaignError) as caught:
        client.get_campaign_status("c-1", deadline=ONCE)
    error = caught.value
    assert type(error) is ERRORS[status]
    assert (error.http_status, error.code, error.trace_id) == (status, f"E-{status}", "t-1")
    assert error.platform_text == "The reason"
    said = f"Status of campaign 'c-1' (connection 'a_connection', {platform.name}): HTTP {status}, The reason"
    assert str(error).startswith(f"{said} [code E-{status}, trace id t-1]. ")


@pytest.mark.parametrize(
    ("told", "kind", "text"),
    [
        *(
            (response(body=body), CampaignUnavailableError, "is not a JSON object")
            for body in (b"", HTML, b"[]", b'{"')
        ),
        (response({"status": "failure", "message": "Broken"}), CampaignUnavailableError, "HTTP 200, Broken"),
        (response({"errors": [{"msg": "Broken"}]}), CampaignUnavailableError, "HTTP 200, Broken"),
        (response(body=HTML, status=404), CampaignRequestError, "not the platform's. Check the connection's Host"),
        (response(body=b"", status=404), CampaignNotFoundError, "HTTP 404"),
        (response(body=RATE_LIMIT_TEXT, status=400), CampaignRateLimitError, "60 requests a minute"),
        (response(body=RATE_LIMIT_TEXT, status=500), CampaignRateLimitError, "60 requests a minute"),
        *(
            (response(status=status, Location="https://x.test/secret"), CampaignRequestError, "which is not followed")
            for status in (301, 302, 303, 307, 308)
        ),
    ],
    ids=range(15),
)
def test_a_response_that_is_no_success_says_what_it_was(told: HttpResponse, kind: Any, text: str) -> None:
    error = error_of(told)
    assert type(error) is kind
    assert text in str(error)
    assert "secret" not in str(error)
    assert kind is not CampaignUnavailableError or error.outcome_unknown


def test_kores_text_for_the_rate_means_nothing_on_another_platform() -> None:
    assert type(error_of(response(body=RATE_LIMIT_TEXT, status=403), SONARLY)) is CampaignUnavailableError


GATEWAYS = [
    HTML,
    b"",
    b"[]",
    b'{"message": "Forbidden"}',
    b'{"statusCode": 401, "message": "Access denied due to invalid subscription key."}',
    b'{"timestamp": "2026-11-30T21:00:00Z", "status": 403, "error": "Forbidden", "path": "/campaign"}',
    b'{"errors": [{"msg": "Unautho',
]


@pytest.mark.parametrize("body", GATEWAYS, ids=range(len(GATEWAYS)))
@pytest.mark.parametrize("status", [400, 401, 403, 409])
@pytest.mark.parametrize("platform", [KORE_V1, SONARLY], ids=["kore", "sonarly"])
def test_a_gateways_refusal_is_not_the_platforms_word(platform: Platform, status: int, body: bytes) -> None:
    error = error_of(response(body=body, status=status), platform)
    assert type(error) is CampaignUnavailableError
    assert error.outcome_unknown
    assert "the response is not the platform's. A gateway or proxy in front of it may refuse the request." in str(error)


@pytest.mark.parametrize(
    ("status", "header", "platform", "seconds"),
    [
        (429, "17", KORE_V1, 17),
        (429, None, KORE_V1, 60),
        (429, "30000", KORE_V1, 65),
        (429, None, SONARLY, None),
        (503, "40", KORE_V1, 40),
        (503, "30000", SONARLY, 300),
        (500, "40", KORE_V1, None),
    ],
)
def test_a_retry_after_counts_within_limits(status: int, header: str | None, platform: Platform, seconds: Any) -> None:
    error = error_of(refuses(status, **({"Retry_After": header} if header else {})), platform)
    assert (error.retry_after, error.outcome_unknown) == (seconds, status != 429)


REMEDIES = {
    ("kore-v1", 401): ("Client ID (login)", "Client Secret (password)", "JWT Algorithm", "clock"),
    ("kore-v1", 403): ("scope Campaign Management", "Application ID (iid)", "Account ID (account_id)"),
    ("kore-v1", 400): ("check the campaign's type and the connection's fields",),
    ("kore-v1", 404): ("Check the id in the platform's console",),
    ("sonarly", 401): ("API Key (password)",),
    ("sonarly", 403): ("campaigns:read", "campaigns:execute"),
    ("sonarly", 404): ("Account Group ID (account_group_id)",),
    ("sonarly", 409): ("look at it, and at its schedule",),
    ("sonarly", 429): ("wait for the next window",),
    ("sonarly", 503): ("Check that the platform is up and reachable",),
    ("sonarly", 599): ("check its status page",),
}


@pytest.mark.parametrize(("name", "status"), REMEDIES)
def test_what_to_do_is_said_in_the_words_of_the_connections_form(name: str, status: int) -> None:
    message = str(error_of(refuses(status), PLATFORMS[name]))
    for part in REMEDIES[name, status]:
        assert part in message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 7 ", 7),
        ("301", MAX_RETRY_AFTER),
        ("9" * 400, MAX_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        *((value, None) for value in (None, "", "soon", "-3", "1.5", "٣", "Mon, 99 Foo 2020")),
    ],
)
def test_retry_after_is_read_in_both_its_forms_and_capped(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds
