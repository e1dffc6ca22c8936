"""Kore.ai's list endpoint: filters, order and pages."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient

BY_NAME = {"name": "asc"}


def data(kore: KoreClient, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = kore.list(**body).json()["data"]
    return found


def names(kore: KoreClient, **body: Any) -> str:
    return "".join(row["name"] for row in data(kore, **body)["results"])


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
    assert sandbox.requests[-1].campaign_type == "voice"


def test_rows_are_filtered_and_sorted(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    for name, status, priority, mode in (
        ("b", "Active", "1", "progressive"),
        ("a", "Preparing", "1", "preview"),
        ("c", "Stopped", "2", "preview"),
    ):
        sandbox.add_campaign(f"cd-{name}", name=name, status=status, priority=priority, dialing_mode=mode, stop_delay=5)
        clock.advance(1)
    sandbox.set_status("cd-b", "Active")
    assert names(kore) == "cab"  # newest first
    assert names(kore, sortBy={"createdAt": "asc"}) == "bac"
    assert names(kore, sortBy={"updatedAt": "desc"}) == "bca"
    assert names(kore, sortBy={"name": "desc"}) == "cba"
    assert names(kore, sortBy=BY_NAME, filters={"status": []}) == "abc"
    assert names(kore, sortBy=BY_NAME, filters={"status": ["Active", "Preparing"]}) == "ab"
    assert names(kore, sortBy=BY_NAME, filters={"dialingMode": ["preview"]}) == "ac"
    assert names(kore, filters={"status": ["Active"], "priority": ["2"]}) == ""
    kore.stop("cd-b")
    assert names(kore, filters={"status": ["Active"]}) == "b"
    clock.advance(5)
    assert names(kore, filters={"status": ["Active"]}) == ""
    sandbox.config.ignore_sort = sandbox.config.ignore_filters = True
    for order in (BY_NAME, {"updatedAt": "desc"}, None):
        assert names(kore, sortBy=order, filters={"status": ["Active"]}) == "bac"
    assert data(kore, filters={"status": ["Active"]})["totalResults"] == 3
    assert kore.list(sortBy={"size": "asc"}).status_code == 400


def test_pages_cover_everything_once_and_have_at_most_a_hundred_rows(sandbox: Sandbox, kore: KoreClient) -> None:
    ids = [sandbox.add_campaign(f"cd-{number:03}", name=f"{number:03}").id for number in range(25)]
    pages = [data(kore, limit=10, page=page, sortBy=BY_NAME) for page in (1, 2, 3, 4)]
    assert [row["id"] for page in pages for row in page["results"]] == ids
    assert [page["hasMore"] for page in pages] == [True, True, False, False]
    assert {(page["totalPages"], page["totalResults"]) for page in pages} == {(3, 25)}
    assert names(kore, limit=10, skip=20, page=1, sortBy=BY_NAME) == "020021022023024"
    for _ in range(76):
        sandbox.add_campaign()
    page = data(kore, limit=1000)
    assert (page["limit"], len(page["results"]), page["hasMore"]) == (100, 100, True)


def test_a_body_that_is_not_documented_is_a_bad_request(sandbox: Sandbox, kore: KoreClient) -> None:
    bodies: list[dict[str, Any]] = [
        {"campaign_type": None},
        {"campaign_type": "fax"},
        {"limit": 0},
        {"limit": "10"},
        {"skip": -1},
        {"page": 0},
        {"sortBy": {"name": "up"}},
        {"sortBy": {"name": "asc", "createdAt": "asc"}},
        {"sortBy": "name"},
        {"filters": {"status": ["Sleeping"]}},
        {"filters": {"status": "Active"}},
        {"filters": {"colour": ["red"]}},
        {"startDate": "yesterday"},
    ]
    assert [kore.list(**body).status_code for body in bodies] == [400] * len(bodies)
    today = sandbox.add_campaign(name="today").created_at[:10]
    for body, found in (({"startDate": today, "endDate": today}, "today"), ({"endDate": "2001-01-01T00:00:00Z"}, "")):
        assert names(kore, **body) == found
