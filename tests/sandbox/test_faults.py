"""Which requests a fault meets, and which lists contradict themselves; the provider's own tests meet each kind."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS, LIST_FAULT_KINDS
from tests.sandbox.clients import KoreClient, SonarlyClient

TOTAL = 25


def test_a_fault_applies_to_matching_requests_in_the_order_in_which_they_were_planned(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient
) -> None:
    first, second = sandbox.add_campaign(), sandbox.add_campaign()
    sandbox.add_fault(Fault("error", action="stop", campaign_id=first.id, skip=1, count=2))
    codes = [(kore.stop(first.id).status_code, kore.stop(second.id).status_code) for _ in range(4)]
    assert codes == [(200, 200), (500, 409), (500, 409), (409, 409)]

    clients: list[KoreClient | SonarlyClient] = [kore, KoreClient(sandbox, "v2"), sonarly]
    for platform, hit in (("kore-v2", [False, True, False]), ("kore", [True, True, False])):
        sandbox.add_fault(Fault("error", platform=platform, count=None))
        assert [client.list().status_code == 500 for client in clients] == hit
        sandbox.clear_faults()

    sandbox.config.rate_limit = 1  # a request that is not executed does not count as one
    sandbox.reset()
    sandbox.add_fault(Fault("error", count=1))
    sandbox.add_fault(Fault("conflict", count=1))
    sandbox.add_fault(Fault("html", skip=3, count=2))
    assert [kore.list().status_code for _ in range(6)] == [500, 409, 200, 502, 502, 429]
    sandbox.add_fault(Fault("failure"))
    assert kore.list().json()["status"] == "failure"


def test_every_kind_can_be_planned_and_those_of_lists_for_lists(sandbox: Sandbox, kore: KoreClient) -> None:
    for kind in FAULT_KINDS | LIST_FAULT_KINDS:
        assert kind in repr(sandbox.add_fault(Fault(kind)))
    sandbox.clear_faults()
    for kind in LIST_FAULT_KINDS:
        sandbox.add_fault(Fault(kind))
        with pytest.raises(ValueError, match="list requests only, not for 'stop'"):
            Fault(kind, action="stop")
    assert kore.status_of(sandbox.add_campaign().id) == "Active"
    assert sandbox.requests[0].fault is None
    with pytest.raises(TypeError, match="no option secnds"):
        Fault("hang", secnds=3)


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
    sandbox: Sandbox, kore: KoreClient, how: str, skip: int, shown: slice, has_more: bool
) -> None:
    ids = [sandbox.add_campaign(f"cd-{number:02}").id for number in range(TOTAL)]
    sandbox.add_fault(Fault("contradiction", action="list", how=how))
    data = page(kore, skip)
    assert [row["id"] for row in data.pop("results")] == ids[shown]
    assert data == {"skip": skip, "limit": 10, "hasMore": has_more, "totalPages": 3, "totalResults": TOTAL}
    assert [row["id"] for row in page(kore)["results"]] == ids[:10]


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
