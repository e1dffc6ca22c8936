"""A client's lists, and what it refuses before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_campaign.client.client import MAX_SEARCHED_PAGES
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.client.transport import OutcomeUnknown
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignRequestError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import HttpResponse, Platform
from tests.accounts import KORE_V1, SONARLY, client_of, refuses, type_on
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
