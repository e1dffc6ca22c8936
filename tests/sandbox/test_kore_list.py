"""Kore's list endpoint: filters, order and pages."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient


def names(kore: KoreClient, **body: Any) -> list[str]:
    return [row["name"] for row in kore.list(**body).json()["data"]["results"]]


def test_a_list_has_one_type_and_its_total(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(name="Only")
    sandbox.add_campaign(campaign_type="voice")
    sandbox.add_campaign(campaign_type="sonarly")
    document = kore.list("sms").json()
    assert document["status"] == "success"
    [row] = document["data"].pop("results")
    assert document["data"] == {
        "skip": 0,
        "limit": 10,
        "hasMore": False,
        "totalPages": 1,
        "totalResults": 1,
    }
    assert (row["id"], row["name"], row["status"]) == (campaign.id, "Only", "Active")
    assert row["updatedAt"] == campaign.updated_at


@pytest.mark.parametrize(("version", "key"), [("v1", "id"), ("v2", "_id")])
def test_only_a_v2_voice_row_has_another_key_for_its_id(sandbox: Sandbox, version: str, key: str) -> None:
    sms, voice = sandbox.add_campaign(), sandbox.add_campaign(campaign_type="voice")
    kore = KoreClient(sandbox, version)
    [sms_row] = kore.list("sms").json()["data"]["results"]
    [voice_row] = kore.list("voice").json()["data"]["results"]
    assert (sms_row["id"], "_id" in sms_row) == (sms.id, False)
    assert voice_row[key] == voice.id
    assert len({"id", "_id"} & voice_row.keys()) == 1


def test_filters_are_combined(sandbox: Sandbox, kore: KoreClient) -> None:
    sandbox.add_campaign(name="a", status="Active", priority="1", dialing_mode="progressive")
    sandbox.add_campaign(name="b", status="Preparing", priority="1", dialing_mode="preview")
    sandbox.add_campaign(name="c", status="Stopped", priority="2", dialing_mode="preview")
    order = {"name": "asc"}
    assert names(kore, sortBy=order, filters={"status": ["Active", "Preparing"]}) == ["a", "b"]
    assert names(kore, sortBy=order, filters={"dialingMode": ["preview"]}) == ["b", "c"]
    assert names(kore, sortBy=order, filters={"status": ["Active"], "priority": ["2"]}) == []
    assert names(kore, sortBy=order, filters={"status": []}) == ["a", "b", "c"]


def test_a_filter_sees_a_transition_that_is_due(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(name="a", stop_delay=5)
    kore.stop(campaign.id)
    assert names(kore, filters={"status": ["Active"]}) == ["a"]
    clock.advance(5)
    assert names(kore, filters={"status": ["Active"]}) == []


def test_the_order_is_newest_first_unless_asked_otherwise(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    for name in ("b", "a", "c"):
        sandbox.add_campaign(f"cd-{name}", name=name)
        clock.advance(1)
    sandbox.set_status("cd-b", "Paused")
    assert names(kore) == ["c", "a", "b"]
    assert names(kore, sortBy={"createdAt": "asc"}) == ["b", "a", "c"]
    assert names(kore, sortBy={"updatedAt": "desc"}) == ["b", "c", "a"]
    assert names(kore, sortBy={"name": "desc"}) == ["c", "b", "a"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_ties_are_broken_by_the_id(sandbox: Sandbox, kore: KoreClient, order: str) -> None:
    for campaign_id in ("cd-2", "cd-3", "cd-1"):
        sandbox.add_campaign(campaign_id, name=campaign_id)
    assert names(kore, sortBy={"createdAt": order}) == ["cd-1", "cd-2", "cd-3"]


def test_pages_cover_everything_once(sandbox: Sandbox, kore: KoreClient) -> None:
    for number in range(25):
        sandbox.add_campaign(name=f"{number:02}")
    pages = [kore.list(limit=10, page=page, sortBy={"name": "asc"}).json()["data"] for page in (1, 2, 3, 4)]
    rows = [row["name"] for page in pages for row in page["results"]]
    assert rows == [f"{number:02}" for number in range(25)]
    assert [page["hasMore"] for page in pages] == [True, True, False, False]
    assert {(page["totalPages"], page["totalResults"]) for page in pages} == {(3, 25)}
    skipped = kore.list(limit=10, skip=20, page=1, sortBy={"name": "asc"}).json()["data"]
    assert [row["name"] for row in skipped["results"]] == rows[20:]


def test_a_limit_above_a_hundred_is_clamped_and_the_response_says_so(sandbox: Sandbox, kore: KoreClient) -> None:
    for _ in range(101):
        sandbox.add_campaign()
    data = kore.list(limit=1000).json()["data"]
    assert (data["limit"], len(data["results"]), data["hasMore"]) == (100, 100, True)


def test_dates_bound_the_day_of_creation(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(name="today")
    today = campaign.created_at[:10]
    assert names(kore, startDate=today, endDate=today) == ["today"]
    assert names(kore, startDate=campaign.created_at.replace("Z", "+00:00")) == ["today"]
    assert names(kore, endDate="2001-01-01T00:00:00Z") == []
    assert names(kore, startDate="2999-01-01") == []


@pytest.mark.parametrize(
    "body",
    [
        {"campaign_type": None},
        {"campaign_type": "fax"},
        {"limit": 0},
        {"limit": "10"},
        {"skip": -1},
        {"page": 0},
        {"sortBy": {"size": "asc"}},
        {"sortBy": {"name": "up"}},
        {"sortBy": "name"},
        {"filters": {"status": ["Sleeping"]}},
        {"filters": {"status": "Active"}},
        {"filters": {"colour": ["red"]}},
        {"startDate": "yesterday"},
    ],
)
def test_what_is_not_documented_is_a_bad_request(kore: KoreClient, body: dict[str, Any]) -> None:
    assert kore.list(**body).status_code == 400


def test_a_list_request_is_recorded_with_its_type(sandbox: Sandbox, kore: KoreClient) -> None:
    kore.list("voice")
    kore.send("POST", kore.path("list"), "[]")
    assert [received.campaign_type for received in sandbox.requests] == ["voice", None]


def test_a_server_may_ignore_the_order(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.config.ignore_sort = True
    for name in ("b", "a", "c"):
        sandbox.add_campaign(name=name)
        clock.advance(1)
    for order in ({"name": "asc"}, {"updatedAt": "desc"}, None):
        assert names(kore, sortBy=order) == ["b", "a", "c"]
    assert kore.list(sortBy={"size": "asc"}).status_code == 400


def test_a_server_may_ignore_the_filters(sandbox: Sandbox, kore: KoreClient) -> None:
    sandbox.config.ignore_filters = True
    sandbox.add_campaign(name="a", status="Stopped")
    sandbox.add_campaign(name="b")
    data = kore.list(filters={"status": ["Active"]}, sortBy={"name": "asc"}).json()["data"]
    assert [row["name"] for row in data["results"]] == ["a", "b"]
    assert data["totalResults"] == 2
