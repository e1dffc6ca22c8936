"""A client's lists, what it refuses before anything is sent, and the errors that responses are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_campaign.client.client import MAX_SEARCHED_PAGES
from airflow_provider_campaign.client.errors import MAX_RETRY_AFTER, parse_retry_after
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.client.transport import OutcomeUnknown
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.platforms.base import HttpResponse, Platform
from tests.accounts import KORE_V1, ONCE, PLATFORMS, SONARLY, client_of, refuses, type_on
from tests.scripted_transport import ScriptedTransport, SentRequest, Step, response


@pytest.mark.parametrize(
    "action", ["stop_campaign", "start_campaign", "delete_campaign", "get_campaign", "get_campaign_status"]
)
def test_an_unusable_id_is_refused_before_anything_is_sent(action: str) -> None:
    transport = ScriptedTransport([])
    campaign_type = {} if action.startswith("get") else {"campaign_type": "sms"}
    for campaign_id in ("", "a/b", None):
        with pytest.raises(CampaignConfigError, match="Nothing was sent"):
            getattr(client_of(KORE_V1, transport), action)(campaign_id, **campaign_type)
    assert transport.requests == []


@pytest.mark.parametrize(
    ("platform", "act", "problem"),
    [
        (KORE_V1, lambda client: client.stop_campaign("c-1"), "Stop of campaign 'c-1' .*campaign_type is missing"),
        (KORE_V1, lambda client: client.stop_campaign("c-1", "email"), "type 'email'.*'sms' or 'voice'"),
        (KORE_V1, lambda client: list(client.list_campaigns(["sms", "email"])), "type 'email'.*'sms' or 'voice'"),
        (SONARLY, lambda client: client.stop_campaign("c-1", "sms"), "type 'sms'.*Leave the type out"),
        (SONARLY, lambda client: client.delete_campaign("c-1"), "Delete of campaign 'c-1' .*no such action"),
        (SONARLY, lambda client: client.switch_schedule_off("Evening"), "no such action"),
    ],
)
def test_what_a_platform_does_not_have_is_refused(platform: Platform, act: Callable[..., object], problem: str) -> None:
    transport = ScriptedTransport([])
    with pytest.raises(CampaignConfigError, match=problem) as caught:
        act(client_of(platform, transport))
    assert "Nothing was sent" in str(caught.value)
    assert "'a_connection'" in str(caught.value)
    assert transport.requests == []


def page(*rows: dict[str, Any], **data: Any) -> HttpResponse:
    listed = list(rows)
    return response({"success": True, "data": {"results": listed, "items": listed, "hasMore": False, **data}})


def row(campaign_id: str, status: str = "Active") -> dict[str, Any]:
    return {"id": campaign_id, "status": status}


def limit_of(sent: SentRequest) -> int:
    limit: int = (sent.http.json or {})["limit"]
    return limit


def test_an_account_is_listed_type_by_type_and_page_by_page_as_it_is_needed() -> None:
    transport = ScriptedTransport([page(row("c-1"), row("c-2"), hasMore=True), page(row("c-2"), row("c-3")), page()])
    campaigns = client_of(KORE_V1, transport).list_campaigns()
    assert transport.requests == []
    assert next(campaigns).id == "c-1"
    assert len(transport.requests) == 1
    assert [campaign.id for campaign in campaigns] == ["c-2", "c-3"]
    assert [(sent.http.json or {})["type"] for sent in transport.requests] == ["sms", "sms", "voice"]


@pytest.mark.parametrize("platform", [KORE_V1, SONARLY], ids=["kore", "sonarly"])
def test_only_the_wanted_statuses_are_listed_whatever_the_platform_makes_of_its_filter(platform: Platform) -> None:
    rows = [row(f"c-{word}", word) for word in ("Active", "preparing", "Stopped", "Paused")]
    client = client_of(platform, ScriptedTransport([page(*rows)]))
    types = [type_on(platform) or ""]
    assert [c.id for c in client.list_campaigns(types, ["ACTIVE", "Preparing"])] == ["c-Active", "c-preparing"]
    client = client_of(platform, ScriptedTransport([page(*rows)]))
    assert [c.id for c in client.list_campaigns(types, "active")] == ["c-Active"]


@pytest.mark.parametrize("platform", [KORE_V1, SONARLY], ids=["kore", "sonarly"])
def test_a_list_with_an_unreadable_row_raises_once_all_others_were_shown(platform: Platform) -> None:
    pages = [page(row("c-1"), {"id": "c-2", "name": "Evening"}, row("c-3"))]
    pages += [page(row("c-4"))] if platform is KORE_V1 else []
    campaigns = client_of(platform, ScriptedTransport(pages)).list_campaigns()
    readable = ["c-1", "c-3", *(["c-4"] if platform is KORE_V1 else [])]
    assert [next(campaigns).id for _ in readable] == readable
    with pytest.raises(UnreliableListError, match=r"'a_connection'.*a row \(c-2 Evening\) can't be read") as caught:
        next(campaigns)
    assert isinstance(caught.value, CampaignUnavailableError), "Airflow may retry"


def test_a_page_that_could_not_be_had_is_asked_for_again_and_no_other() -> None:
    first = page(row("c-1"), row("c-2"), hasMore=True)
    transport = ScriptedTransport([first, OutcomeUnknown("lost"), page(hasMore=True), page(row("c-2"), row("c-3"))])
    assert len(list(client_of(KORE_V1, transport).list_campaigns(["sms"]))) == 3
    assert [(sent.http.json or {})["skip"] for sent in transport.requests] == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("counts", "pages", "found"),
    [
        ([4, 4], [], []),
        ([4, 5], [], []),  # one was added in between
        ([4, 3], [page(row("c-1"), row("c-2", "Rerun"))], ["c-2"]),
        ([4, 3], [page(row("c-2", "Archived"), row("c-1"), hasMore=True)], ["c-2"]),
        ([4, 3], [page(row("c-1"))], []),  # one was deleted in between
    ],
)
def test_undocumented_statuses_are_searched_if_counts_differ(counts: list[int], pages: Any, found: list[str]) -> None:
    counted = [page(row("c-1"), totalResults=count, hasMore=True) for count in counts]
    transport = ScriptedTransport([*counted, *pages])
    client = client_of(KORE_V1, transport)
    assert [campaign.id for campaign in client.find_undocumented("sms", client.deadline(100))] == found
    assert list(map(limit_of, transport.requests)) == [1, 1, *[100] * len(pages)]


def test_undocumented_statuses_beyond_the_searched_pages_are_reported() -> None:
    counted = [page(row("c-1"), totalResults=count, hasMore=True) for count in (9, 7)]
    searched = [page(row("c-0", "Rerun"), row("c-1"), hasMore=True)]
    searched += [page(row(f"c-{number}"), row(f"c-{number + 1}"), hasMore=True) for number in range(1, 5)]
    client = client_of(KORE_V1, ScriptedTransport([*counted, *searched]))
    found = client.find_undocumented("sms", client.deadline(100))
    assert next(found).id == "c-0"
    with pytest.raises(UnreliableListError, match="1 campaigns in a status that is not documented, which may be live"):
        next(found)
    assert len(searched) == MAX_SEARCHED_PAGES


def test_a_list_that_does_not_count_its_campaigns_is_no_proof() -> None:
    client = client_of(KORE_V1, ScriptedTransport([page(row("c-1"))]))
    with pytest.raises(UnreliableListError, match="does not say how many campaigns it has"):
        list(client.find_undocumented("sms", client.deadline(100)))


def test_a_platform_whose_lists_show_all_campaigns_is_not_asked_how_many_it_hides() -> None:
    client = client_of(SONARLY, ScriptedTransport([]))
    assert list(client.find_undocumented(None, client.deadline(100))) == []


TOO_MANY_ROWS: dict[str, Step] = {
    "refused": refuses(400),
    "too slow": response(body=b"<html>504</html>", status=504),
    "too long": OutcomeUnknown("the response is longer than the 8388608 bytes accepted"),
}


@pytest.mark.parametrize("problem", TOO_MANY_ROWS)
def test_a_page_that_is_refused_too_long_or_too_slow_is_halved(problem: str) -> None:
    def respond(sent: SentRequest) -> Step:
        return TOO_MANY_ROWS[problem] if limit_of(sent) > 30 else page(row("c-1"))

    transport = ScriptedTransport(respond)
    assert [campaign.id for campaign in client_of(KORE_V1, transport).list_campaigns(["sms"])] == ["c-1"]
    assert list(map(limit_of, transport.requests)) == [100, 50, 25]


def test_a_list_that_is_refused_whatever_its_size_fails_after_few_requests() -> None:
    transport = ScriptedTransport(lambda _: refuses(400))
    with pytest.raises(CampaignRequestError):
        list(client_of(KORE_V1, transport).list_campaigns(["sms"]))
    assert list(map(limit_of, transport.requests)) == [100, 50, 25, 12, 10]


# From a response that is no success to the error that says what happened and what to do.

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
