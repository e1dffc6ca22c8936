"""Sonarly as pure data: requests out, envelopes in."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.platforms import base
from airflow_provider_campaign.platforms.base import Action, ApiRequest, ApiStatus, HttpRequest, InvalidResponseError
from tests.accounts import SONARLY

ERROR = {"message": "Broken", "details": "a lot", "code": "X"}
CAMPAIGNS = "/v1/accounts/ag-1/campaigns"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"success": True}, ApiStatus()),
        ({"success": True, "traceId": "t"}, ApiStatus(trace_id="t")),
        ({"success": False}, ApiStatus(True)),
        ({"success": "true"}, ApiStatus(True, is_own=False)),
        ({"message": "Forbidden"}, ApiStatus(True, is_own=False)),
        ({"success": False, "error": ERROR, "traceId": "t"}, ApiStatus(True, "Broken a lot", "X", "t")),
        ({"success": False, "error": "Broken"}, ApiStatus(True)),
    ],
)
def test_what_an_envelope_says_about_the_request(document: dict[str, Any], status: ApiStatus) -> None:
    assert SONARLY.api_status(document) == status


def enveloped(action: Action, status: str, **data: Any) -> dict[str, Any]:
    campaign = {"id": "c-1", "status": status}
    is_change = action in (Action.STOP, Action.START)
    return {"success": True, "data": {"campaign": campaign, **data} if is_change else campaign}


@pytest.mark.parametrize(
    ("action", "shown", "data", "status"),
    [
        (Action.STOP, "draft", {}, "Stopped"),
        (Action.STOP, "stopped", {}, "Stopped"),
        (Action.STOP, "paused", {}, "Stopped"),
        (Action.STOP, "active", {}, "Active"),
        (Action.STOP, "PREPARING", {}, "Preparing"),
        (Action.START, "draft", {}, "Active"),
        (Action.START, "active", {}, "Active"),
        (Action.START, "preparing", {}, "Preparing"),
        (Action.START, "draft", {"triggered": True}, "Active"),
        (Action.START, "draft", {"triggered": False}, "Draft"),
        (Action.STATUS, "draft", {}, "Draft"),
        (Action.GET, "windingDown", {}, "windingDown"),
    ],
)
def test_a_success_counts_unless_the_status_says_otherwise(action: Action, shown: str, data: Any, status: str) -> None:
    document = enveloped(action, shown, **data)
    campaign = SONARLY.read_campaign(ApiRequest(action, "c-1"), document)
    assert (campaign.id, campaign.status) == ("c-1", status)


def test_the_instances_that_a_stop_has_ended_are_its_message() -> None:
    document = enveloped(Action.STOP, "draft", instancesStopped=25)
    assert SONARLY.read_campaign(ApiRequest(Action.STOP, "c-1"), document).message == "instancesStopped: 25"


@pytest.mark.parametrize(
    ("action", "data", "problem"),
    [
        (Action.STOP, None, "no object data"),
        (Action.STOP, {"id": "c-1", "status": "stopped"}, "no object campaign"),
        (Action.STOP, {"campaign": {"id": "c-1"}}, "no status"),
        (Action.STOP, {"campaign": {"status": "stopped"}}, "no id"),
        (Action.START, {"campaign": {"id": "c-2", "status": "active"}}, "about another campaign, 'c-2'"),
        (Action.STATUS, {"id": "c-1", "status": "a\nb"}, "status is not a word"),
        (Action.STATUS, {"id": 7, "status": "active"}, "about another campaign, '7'"),
        (Action.STATUS, {"id": 7.5, "status": "active"}, "no id"),
        (Action.STATUS, {"id": "c-1 ", "status": "active"}, "id is not a word"),
    ],
)
def test_an_envelope_that_is_not_as_documented_shows_no_campaign(action: Action, data: Any, problem: str) -> None:
    with pytest.raises(InvalidResponseError, match=problem):
        SONARLY.read_campaign(ApiRequest(action, "c-1"), {"success": True, "data": data})


def page_of(numbers: range, cursor: str | None, **data: Any) -> dict[str, Any]:
    items = [{"id": f"c-{number}", "status": "active"} for number in numbers]
    return {"success": True, "data": {"items": items, "nextCursor": cursor, "hasMore": cursor is not None, **data}}


def test_a_list_is_read_along_its_cursors_and_each_campaign_is_shown_once() -> None:
    pager = SONARLY.pager(base.ListQuery(statuses=["Active"]))
    assert pager.next_request == HttpRequest("GET", CAMPAIGNS)
    listed = pager.read_page(page_of(range(3), "a&b=c"))
    assert pager.next_request == HttpRequest("GET", f"{CAMPAIGNS}?cursor=a%26b%3Dc")
    listed += pager.read_page(page_of(range(2, 5), None))
    assert pager.next_request is None
    assert [campaign.id for campaign in listed] == ["c-0", "c-1", "c-2", "c-3", "c-4"]
    assert pager.problems == []


@pytest.mark.parametrize("data", [{"hasMore": True}, {"total": 3}])
def test_a_list_that_has_more_and_does_not_say_where_contradicts_itself(data: dict[str, Any]) -> None:
    pager = SONARLY.pager(base.ListQuery())
    pager.read_page(page_of(range(2), None, **data))
    assert pager.next_request is None
    assert pager.problems == ["the list contradicts itself: it has more, and no cursor to read it by"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"data": {}},
        {"data": {"items": {}}},
        {"data": {"items": [], "nextCursor": "\ud800"}},
        {"data": {"items": [], "nextCursor": "x" * 2001}},
    ],
)
def test_what_is_no_page_is_asked_for_again(document: dict[str, Any]) -> None:
    pager = SONARLY.pager(base.ListQuery())
    with pytest.raises(InvalidResponseError):
        pager.read_page(document)
    assert pager.next_request == HttpRequest("GET", CAMPAIGNS)


def test_a_list_that_makes_no_progress_is_abandoned_and_reported() -> None:
    pager = SONARLY.pager(base.ListQuery())
    pages = 0
    while pager.next_request is not None:
        pager.read_page(page_of(range(2), "again"))
        pages += 1
    assert pages == base.MAX_PAGES_WITHOUT_PROGRESS + 2
    assert pager.problems == ["the responses say that there is more, and show nothing new"]
