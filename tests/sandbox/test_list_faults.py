"""Lists that contradict themselves, or hold a row that can't be read."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import CONTRADICTIONS, LIST_FAULT_KINDS
from tests.sandbox.clients import KoreClient, SonarlyClient

TOTAL = 25


@pytest.fixture
def ids(sandbox: Sandbox) -> list[str]:
    return [sandbox.add_campaign(f"cd-{number:02}").id for number in range(TOTAL)]


@pytest.fixture
def sonarly_ids(sandbox: Sandbox) -> list[str]:
    sandbox.config.sonarly_page_size = 10
    return [sandbox.add_campaign(f"{number:024}", "sonarly").id for number in range(TOTAL)]


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


@pytest.mark.parametrize(
    ("how", "cursor", "shown", "next_cursor", "has_more"),
    [
        ("no_rows", "0", slice(0, 0), None, True),
        ("total", "10", slice(10, 20), "20", False),
        ("more", "20", slice(20, 25), "25", True),
        ("short", "10", slice(10, 15), "15", False),
        ("page_size", "10", slice(10, 25), None, False),
    ],
)
def test_sonarlys_list_contradicts_itself(
    sandbox: Sandbox,
    sonarly: SonarlyClient,
    sonarly_ids: list[str],
    how: str,
    cursor: str,
    shown: slice,
    next_cursor: str | None,
    has_more: bool,
) -> None:
    sandbox.add_fault(Fault("contradiction", how=how))
    data = sonarly.list(f"?cursor={cursor}").json()["data"]
    assert [item["id"] for item in data["items"]] == sonarly_ids[shown]
    assert (data["nextCursor"], data["hasMore"]) == (next_cursor, has_more)


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
