"""Which requests a fault meets, and which lists contradict themselves; the provider's own tests meet each kind."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_campaign.sandbox import Campaign, Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import CONTRADICTIONS, FAULT_KINDS, LIST_FAULT_KINDS
from tests.sandbox.clients import KoreClient, SonarlyClient

TOTAL = 25


@pytest.fixture
def campaign(sandbox: Sandbox) -> Campaign:
    return sandbox.add_campaign()


@pytest.fixture
def ids(sandbox: Sandbox) -> list[str]:
    return [sandbox.add_campaign(f"cd-{number:02}").id for number in range(TOTAL)]


def test_an_injected_error_has_each_platforms_format(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, campaign: Campaign
) -> None:
    sandbox.add_fault(Fault("failure"))
    assert kore.status(campaign.id).json()["status"] == "failure"
    for kind in ("failure", "unauthorized", "rate_limit", "error", "conflict"):
        sandbox.add_fault(Fault(kind))
        document = sonarly.list().json()
        assert document["success"] is False
        assert document["error"]["code"]
        assert document["traceId"]


@pytest.mark.parametrize(("how", "symptom"), [("reset", "Connection reset by peer"), ("hang", "Read timed out")])
def test_a_request_can_be_executed_without_a_response(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign, how: str, symptom: str
) -> None:
    sandbox.add_fault(Fault("lost", how=how))
    path = kore.path("trigger", campaign.id) + "&trigger=stop"
    with pytest.raises((requests.ConnectionError, requests.ReadTimeout), match=symptom):
        requests.post(sandbox.url + path, headers=kore.headers(), data="{}", timeout=0.2)
    sandbox.wait_for(lambda sandbox: campaign.status == "Stopped")
    assert campaign.stop_requests == 1
    assert sandbox.requests[0].status_code is None


def test_a_fault_applies_to_matching_requests_only(sandbox: Sandbox, kore: KoreClient) -> None:
    first, second = sandbox.add_campaign(), sandbox.add_campaign()
    sandbox.add_fault(Fault("error", action="stop", campaign_id=first.id, skip=1, count=2))
    codes = [(kore.stop(first.id).status_code, kore.stop(second.id).status_code) for _ in range(4)]
    assert codes == [(200, 200), (500, 409), (500, 409), (409, 409)]
    assert kore.status(first.id).status_code == 200


def test_a_fault_may_be_for_one_platform(sandbox: Sandbox, campaign: Campaign, sonarly: SonarlyClient) -> None:
    clients = [KoreClient(sandbox, "v1"), KoreClient(sandbox, "v2")]
    for platform, hit in (("kore-v2", [False, True, False]), ("kore", [True, True, False])):
        sandbox.add_fault(Fault("error", platform=platform, count=None))
        responses = [*(client.status(campaign.id) for client in clients), sonarly.list()]
        assert [response.status_code == 500 for response in responses] == hit
        sandbox.clear_faults()


def test_faults_come_in_the_order_in_which_they_were_planned(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign
) -> None:
    sandbox.add_fault(Fault("error", count=1))
    sandbox.add_fault(Fault("conflict", count=1))
    sandbox.add_fault(Fault("html", skip=3, count=None))
    codes = [kore.status(campaign.id).status_code for _ in range(5)]
    assert codes == [500, 409, 200, 502, 502]


def test_a_request_that_is_not_executed_does_not_count_as_one(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign
) -> None:
    sandbox.config.rate_limit = 1
    sandbox.add_fault(Fault("error", count=3))
    codes = [kore.status(campaign.id).status_code for _ in range(5)]
    assert codes == [500, 500, 500, 200, 429]


def test_every_kind_can_be_planned_and_no_other(sandbox: Sandbox) -> None:
    for kind in FAULT_KINDS | LIST_FAULT_KINDS:
        assert kind in repr(sandbox.add_fault(Fault(kind)))
    with pytest.raises(ValueError, match="unknown fault"):
        Fault("explode")
    with pytest.raises(TypeError, match="no option secnds"):
        Fault("hang", secnds=3)
    with pytest.raises(ValueError, match="how of 'lost'"):
        Fault("lost", how="magic")


# Lists.


def page(kore: KoreClient, skip: int = 0) -> dict[str, Any]:
    data: dict[str, Any] = kore.list(limit=10, skip=skip, sortBy={"createdAt": "asc"}).json()["data"]
    return data


@pytest.mark.parametrize(
    ("how", "skip", "shown", "has_more"),
    [
        ("no_rows", 0, slice(0, 0), False),
        ("total", 10, slice(10, 20), False),
        ("more", 20, slice(20, 25), True),
        ("more", 25, slice(0, 0), True),
        ("short", 10, slice(10, 15), False),
        ("page_size", 0, slice(0, 20), True),
    ],
)
def test_kores_list_contradicts_itself(
    sandbox: Sandbox, kore: KoreClient, ids: list[str], how: str, skip: int, shown: slice, has_more: bool
) -> None:
    sandbox.add_fault(Fault("contradiction", action="list", how=how))
    data = page(kore, skip)
    assert [row["id"] for row in data.pop("results")] == ids[shown]
    assert data == {"skip": skip, "limit": 10, "hasMore": has_more, "totalPages": 3, "totalResults": TOTAL}
    assert [row["id"] for row in page(kore)["results"]] == ids[:10]


def test_one_row_cannot_be_read(sandbox: Sandbox, kore: KoreClient, kore_v2: KoreClient, ids: list[str]) -> None:
    sandbox.add_fault(Fault("unreadable_row"))
    assert [row["status"] for row in page(kore)["results"]] == [None, *["Active"] * 9]
    sandbox.add_fault(Fault("unreadable_row", campaign_id="cd-17", count=None))
    assert {row["status"] for row in page(kore)["results"]} == {"Active"}
    statuses = {row["id"]: row["status"] for row in page(kore, skip=10)["results"]}
    assert statuses == {**dict.fromkeys(ids[10:20], "Active"), "cd-17": None}
    sandbox.clear_faults()
    first, second = (sandbox.add_campaign(f"voice-{number}", "voice") for number in range(2))
    sandbox.add_fault(Fault("unreadable_row", campaign_id=second.id))
    rows = kore_v2.list("voice").json()["data"]["results"]
    assert {row["_id"]: row["status"] for row in rows} == {first.id: "Active", second.id: None}


def test_list_faults_are_for_lists(sandbox: Sandbox, kore: KoreClient, ids: list[str]) -> None:
    for kind in LIST_FAULT_KINDS:
        sandbox.add_fault(Fault(kind))
        with pytest.raises(ValueError, match="list requests only, not for 'stop'"):
            Fault(kind, action="stop")
    assert kore.status(ids[0]).json()["data"]["status"] == "Active"
    assert sandbox.requests[0].fault is None
    with pytest.raises(ValueError, match=", ".join(CONTRADICTIONS)):
        Fault("contradiction", how="magic")
    with pytest.raises(ValueError, match="not for one campaign"):
        Fault("contradiction", campaign_id="cd-1")


def test_sonarlys_list_contradicts_itself(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    sandbox.config.sonarly_page_size = 10
    ids = [sandbox.add_campaign(f"{number:024}", "sonarly").id for number in range(TOTAL)]
    for how, cursor, shown, following in (
        ("no_rows", "0", slice(0, 0), (None, True)),
        ("more", "20", slice(20, 25), ("25", True)),
        ("short", "10", slice(10, 15), ("15", False)),
    ):
        sandbox.add_fault(Fault("contradiction", how=how))
        data = sonarly.list(f"?cursor={cursor}").json()["data"]
        assert [item["id"] for item in data["items"]] == ids[shown]
        assert (data["nextCursor"], data["hasMore"]) == following
