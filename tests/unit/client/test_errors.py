"""From a response that is no success to the error that says what happened and what to do."""

from __future__ import annotations

import pytest

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
from tests.accounts import CONFIG, KORE_V1, PLATFORMS, SONARLY, client_of, refuses, type_on
from tests.scripted_transport import ScriptedTransport, response

RATE_LIMIT_TEXT = b"You have exceeded the per-minute rate limit."
HTML = b"<html>Bad gateway</html>"


def error_of(told: HttpResponse, platform: Platform = KORE_V1) -> CampaignError:
    """Return the error that a single stop ends with."""
    client = client_of(platform, ScriptedTransport(lambda _: told))
    with pytest.raises(CampaignError) as caught:
        client.stop_campaign("c-1", type_on(platform), deadline=client.deadline(100, retries=False))
    return caught.value


ERRORS = {
    400: CampaignRequestError,
    401: CampaignAuthError,
    403: CampaignAuthError,
    405: CampaignRequestError,
    408: CampaignUnavailableError,
    418: CampaignRequestError,
    425: CampaignUnavailableError,
    429: CampaignRateLimitError,
    500: CampaignUnavailableError,
    503: CampaignUnavailableError,
    599: CampaignUnavailableError,
}


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
@pytest.mark.parametrize("status", [*ERRORS, 404, 409])
def test_each_http_status_is_the_error_that_its_meaning_demands(status: int, platform: Platform) -> None:
    client = client_of(platform, ScriptedTransport(lambda _: refuses(status, "The reason")))
    with pytest.raises(CampaignError) as caught:
        client.get_campaign_status("c-1", retry=False)
    error = caught.value
    assert type(error) is {**ERRORS, 404: CampaignNotFoundError, 409: CampaignConflictError}[status]
    assert (error.http_status, error.code, error.trace_id) == (status, f"E-{status}", "t-1")
    assert error.platform_text == "The reason"
    said = f"Status of campaign 'c-1' (connection 'a_connection', {platform.name}): HTTP {status}, The reason"
    assert str(error).startswith(f"{said} [code E-{status}, trace id t-1]. ")
    assert len(str(error)) > len(said) + 40, "the message says what to do"


@pytest.mark.parametrize("body", [b"", HTML, b"[]", b'{"status": "Stop', b"Stopped"])
@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_a_success_without_a_json_object_is_none_and_may_have_been_acted_on(platform: Platform, body: bytes) -> None:
    error = error_of(response(body=body), platform)
    assert type(error) is CampaignUnavailableError
    assert "HTTP 200, the response is not a JSON object" in str(error)
    assert "check that the connection's Host points to the platform's API" in str(error)
    assert error.outcome_unknown


@pytest.mark.parametrize(
    ("document", "platform"),
    [
        ({"status": "failure", "message": "Broken"}, KORE_V1),
        ({"status": "error", "message": "Broken"}, KORE_V1),
        ({"status": "Stopped", "errors": [{"msg": "Broken"}]}, KORE_V1),
        ({"success": False, "error": {"message": "Broken"}}, SONARLY),
        ({"data": {"campaign": {"id": "c-1", "status": "stopped"}}, "error": {"message": "Broken"}}, SONARLY),
    ],
)
def test_a_success_that_says_itself_that_it_failed_is_none(document: object, platform: Platform) -> None:
    error = error_of(response(document), platform)
    assert type(error) is CampaignUnavailableError
    assert "HTTP 200, Broken" in str(error)
    assert isinstance(error, CampaignUnavailableError)
    assert error.outcome_unknown


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_what_is_refused_for_the_rate_was_not_acted_on(platform: Platform) -> None:
    error = error_of(refuses(429, Retry_After="17"), platform)
    assert isinstance(error, CampaignRateLimitError)
    assert (error.outcome_unknown, error.retry_after) == (False, 17)
    error = error_of(refuses(429), platform)
    assert isinstance(error, CampaignRateLimitError)
    assert error.retry_after == platform.rate_window


@pytest.mark.parametrize("status", [400, 403, 500])
def test_kores_text_for_the_rate_is_such_a_refusal_under_any_status(status: int) -> None:
    error = error_of(response(body=RATE_LIMIT_TEXT, status=status))
    assert type(error) is CampaignRateLimitError
    assert "60 requests a minute" in str(error)


def test_the_same_text_means_nothing_of_the_kind_on_another_platform() -> None:
    assert type(error_of(response(body=RATE_LIMIT_TEXT, status=403), SONARLY)) is CampaignUnavailableError


GATEWAYS = [
    HTML,
    b"",
    b"RBAC: access denied",
    b"[]",
    b'"Forbidden"',
    b'{"message": "Forbidden"}',
    b'{"message": "Missing Authentication Token"}',
    b'{"statusCode": 401, "message": "Access denied due to invalid subscription key."}',
    b'{"timestamp": "2026-11-30T21:00:00Z", "status": 403, "error": "Forbidden", "path": "/campaign"}',
    b'{"errors": [{"msg": "Unautho',
]


@pytest.mark.parametrize("body", GATEWAYS, ids=range(len(GATEWAYS)))
@pytest.mark.parametrize("status", [400, 401, 403, 405, 409, 413])
@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_a_gateways_refusal_is_not_the_platforms_word(platform: Platform, status: int, body: bytes) -> None:
    error = error_of(response(body=body, status=status), platform)
    assert type(error) is CampaignUnavailableError
    assert error.outcome_unknown
    assert f"HTTP {status}, " in str(error)
    assert "the response is not the platform's. A gateway or proxy in front of it may refuse the request." in str(error)
    assert len(str(error).partition("may refuse the request. ")[2]) > 40, "the message says what to do"


@pytest.mark.parametrize(("status", "seconds"), [(429, 40), (503, 40), (500, None)])
def test_a_retry_after_counts_where_http_defines_it(status: int, seconds: float | None) -> None:
    error = error_of(refuses(status, Retry_After="40"))
    assert isinstance(error, CampaignUnavailableError)
    assert error.retry_after == seconds


@pytest.mark.parametrize(("platform", "seconds"), [(KORE_V1, 65), (SONARLY, 300)], ids=["kore", "sonarly"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_bounded_by_what_the_platform_documents(
    status: int, platform: Platform, seconds: float
) -> None:
    error = error_of(refuses(status, Retry_After="30000"), platform)
    assert isinstance(error, CampaignUnavailableError)
    assert error.retry_after == seconds


def test_a_404_page_of_some_other_server_points_to_the_host() -> None:
    error = error_of(response(body=HTML, status=404))
    assert type(error) is CampaignRequestError
    assert "no such path, and the response is not the platform's. Check the connection's Host" in str(error)


def test_an_empty_404_is_the_campaigns() -> None:
    assert type(error_of(response(body=b"", status=404))) is CampaignNotFoundError


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_points_to_the_host_and_shows_no_address(status: int) -> None:
    error = error_of(response(status=status, Location="https://elsewhere.test/secret-path"))
    assert type(error) is CampaignRequestError
    assert "it redirects, which is not followed" in str(error)
    assert "field Host" in str(error)
    assert "elsewhere" not in str(error)


REMEDIES = {
    ("kore-v1", 401): ("Client ID (login)", "Client Secret (password)", "JWT Algorithm", "clock"),
    ("kore-v1", 403): ("scope Campaign Management", "Application ID (iid)", "Account ID (account_id)"),
    ("kore-v1", 429): ("60 requests a minute",),
    ("sonarly", 401): ("API Key (password)",),
    ("sonarly", 403): ("campaigns:read", "campaigns:execute"),
    ("sonarly", 404): ("Account Group ID (account_group_id)",),
    ("kore-v1", 400): ("check the campaign's type and the connection's fields",),
    ("kore-v1", 404): ("Check the id in the platform's console",),
    ("sonarly", 409): ("look at it, and at its schedule",),
    ("sonarly", 418): ("check the campaign's type and the connection's fields",),
    ("sonarly", 429): ("wait for the next window",),
    ("sonarly", 500): ("check its status page",),
    ("sonarly", 503): ("Check that the platform is up and reachable",),
    ("sonarly", 599): ("check its status page",),
}


@pytest.mark.parametrize(("name", "status"), REMEDIES)
def test_what_to_do_is_said_in_the_words_of_the_connections_form(name: str, status: int) -> None:
    message = str(error_of(refuses(status), PLATFORMS[name]))
    for part in REMEDIES[name, status]:
        assert part in message


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 409, 429, 500])
def test_a_secret_that_the_platform_echoes_is_masked_in_the_error(status: int, platform: Platform) -> None:
    transport = ScriptedTransport(lambda sent: echo(sent.headers, status, platform))
    client = client_of(platform, transport)
    with pytest.raises(CampaignError) as caught:
        client.stop_campaign("c-1", type_on(platform), deadline=client.deadline(100, retries=False))
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert "***" in shown or status == 302
    for secret in (
        CONFIG.client_secret,
        CONFIG.api_key,
        *(sent.headers.get("auth", "") for sent in transport.requests),
    ):
        assert not secret or secret not in shown


def echo(headers: object, status: int, platform: Platform) -> HttpResponse:
    """Return a failure that quotes what was sent, and the secrets, wherever a text may stand."""
    told = f"{headers} {' '.join(platform.secrets)}"
    document = {
        "status": "failure",
        "success": False,
        "message": told,
        "traceId": told,
        "errors": [{"msg": told, "code": told}],
        "error": {"message": told, "code": told, "details": told},
    }
    return response(document, status, Location=f"https://{platform.secrets[0]}.test/{platform.secrets[0]}")
