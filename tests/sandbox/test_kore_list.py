"""Kore.ai's list endpoint: filters, order and pages."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient


def data(kore: KoreClient, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = kore.list(**body).json()["data"]
    return found


def names(kore: KoreClient, **body: Any) -> list[str]:
    return [row["name"] for row in data(kore, **body)["results"]]


@pytest.mark.parametrize(("version", "key"), [("v1", "id"), ("v2", "_id")])
def test_a_list_has_one_type_and_its_total(sandbox: Sandbox, version: str, key: str) -> None:
    kore = KoreClient(sandbox, version)
    sms, voice = sandbox.add_campaign(name="Only"), sandbox.add_campaign(campaign_type="voice")
    sandbox.add_campaign(campaign_type="sonarly")
    document = kore.list("sms").json()
    assert document["status"] == "success"
    [row] = document["data"].pop("results")
    assert document["data"] == {"skip": 0, "limit": 10, "hasMore": False, "totalPages": 1, "totalResults": 1}
    assert (row["id"], row["name"], row["status"], row["updatedAt"]) == (sms.id, "Only", "Active", sms.updated_at)
    [voice_row] = data(kore, campaign_type="voice")["results"]  # only such a row has another key for its id on v2
    assert voice_row[key] == voice.id
    assert ("_id" in row, len({"id", "_id"} & voice_row.keys())) == (False, 1)


def test_filters_are_combined(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    first = sandbox.add_campaign(name="a", status="Active", priority="1", dialing_mode="progressive", stop_delay=5)
    sandbox.add_campaign(name="b", status="Preparing", priority="1", dialing_mode="preview")
    sandbox.add_campaign(name="c", status="Stopped", priority="2", dialing_mode="preview")
    order = {"name": "asc"}
    assert names(kore, sortBy=order, filters={"status": ["Active", "Preparing"]}) == ["a", "b"]
    assert names(kore, sortBy=order, filters={"dialingMode": ["preview"]}) == ["b", "c"]
    assert names(kore, sortBy=order, filters={"status": ["Active"], "priority": ["2"]}) == []
    assert names(kore, sortBy=order, filters={"status": []}) == ["a", "b", "c"]
    kore.stop(first.id)
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


def test_pages_cover_everything_once_and_have_at_most_a_hundred_rows(sandbox: Sandbox, kore: KoreClient) -> None:
    for number in range(25):
        sandbox.add_campaign(name=f"{number:03}")
    pages = [data(kore, limit=10, page=page, sortBy={"name": "asc"}) for page in (1, 2, 3, 4)]
    rows = [row["name"] for page in pages for row in page["results"]]
    assert rows == [f"{number:03}" for number in range(25)]
    assert [page["hasMore"] for page in pages] == [True, True, False, False]
    assert {(page["totalPages"], page["totalResults"]) for page in pages} == {(3, 25)}
    assert names(kore, limit=10, skip=20, page=1, sortBy={"name": "asc"}) == rows[20:]
    for _ in range(76):
        sandbox.add_campaign()
    page = data(kore, limit=1000)
    assert (page["limit"], len(page["results"]), page["hasMore"]) == (100, 100, True)


def test_dates_bound_the_day_of_creation(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(name="today")
    today = campaign.created_at[:10]
    assert names(kore, startDate=today, endDate=today) == ["today"]
    assert names(kore, startDate=campaign.created_at.replace("Z", "+00:00")) == ["today"]
    assert names(kore, endDate="2001-01-01T00:00:00Z") == []
    assert names(kore, startDate="2999-01-01") == []


def test_a_body_that_is_not_documented_is_a_bad_request(sandbox: Sandbox, kore: KoreClient) -> None:
    bodies: list[dict[str, Any]] = [
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
    ]
    assert [kore.list(**body).status_code for body in bodies] == [400] * len(bodies)
    kore.list("voice")
    assert sandbox.requests[-1].campaign_type == "voice"


def test_a_server_may_ignore_order_and_filters(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.config.ignore_sort = sandbox.config.ignore_filters = True
    for name, status in (("b", "Active"), ("a", "Stopped"), ("c", "Active")):
        sandbox.add_campaign(name=name, status=status)
        clock.advance(1)
    for order in ({"name": "asc"}, {"updatedAt": "desc"}, None):
        assert names(kore, sortBy=order, filters={"status": ["Active"]}) == ["b", "a", "c"]
    assert data(kore, filters={"status": ["Active"]})["totalResults"] == 3
    assert kore.list(sortBy={"size": "asc"}).status_code == 400
