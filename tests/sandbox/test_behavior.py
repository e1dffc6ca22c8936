"""How campaigns come to a stop, and what a platform does that no document says, by its settings and by faults."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS, LIST_FAULT_KINDS
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient


def test_a_delayed_stop_takes_effect_in_time(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.config.stop_delay = 30
    campaign = sandbox.add_campaign()
    started = campaign.updated_at
    response = kore.stop(campaign.id).json()
    assert (response["status"], response["message"]) == ("Active", "Campaign stop requested")
    assert response["updatedAt"] == started
    clock.advance(29.9)
    assert kore.stop(campaign.id).status_code == 200  # does not begin the delay again
    assert kore.status_of(campaign.id) == "Active"
    clock.advance(100)
    assert kore.status_of(campaign.id) == "Stopped"
    assert campaign.history == [(1000.0, "Active"), (1030.0, "Stopped")]
    assert campaign.updated_at > started


@pytest.mark.parametrize(
    ("before", "settings", "code", "after"),
    [
        *[(status, {}, 200, "Stopped") for status in ("Active", "Preparing", "Paused", "Rerun")],
        *[(status, {}, 409, status) for status in ("Ready", "Scheduled", "Rescheduled")],
        *[(status, {"stop_when_stopped": "ok"}, 200, status) for status in ("Stopped", "Completed")],
        *[(status, {"stop_when_stopped": "conflict"}, 409, status) for status in ("Stopped", "Completed")],
        ("Stopped", {"stop_when_stopped": "bad_request"}, 400, "Stopped"),
        ("Scheduled", {"conflict_status": 400}, 400, "Scheduled"),
    ],
)
def test_a_stop_depends_on_status_and_settings(
    sandbox: Sandbox, kore: KoreClient, before: str, settings: dict[str, Any], code: int, after: str
) -> None:
    for name, value in settings.items():
        setattr(sandbox.config, name, value)
    campaign = sandbox.add_campaign(status=before)
    response = kore.stop(campaign.id)
    assert (response.status_code, campaign.status) == (code, after)
    said = response.json()
    assert said["status"] == after if code == 200 else said["errors"][0]["code"] == "CAMPAIGN_NOT_ACTIVE"


def test_a_status_can_be_set_now_or_later_and_be_any_word(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    campaign = sandbox.add_campaign("c-1", stop_delay=10)
    kore.stop(campaign.id)
    sandbox.set_status(campaign.id, "paused")
    clock.advance(60)
    assert campaign.status == "Paused"  # the stop that was pending is canceled
    sandbox.set_status(campaign.id, "on fire", delay=5, documented=False)
    assert kore.status_of(campaign.id) == "Paused"
    clock.advance(5)
    assert kore.status_of(campaign.id) == "on fire"
    # A filtered list hides a word that no document has, even one that is live.
    sandbox.add_campaign("c-2", status="Rerun")
    words = ["Ready", "Scheduled", "Rescheduled", "Preparing", "Active", "Paused", "Stopped", "Completed"]
    assert kore.listed(filters={"status": words}) == {}
    assert kore.listed() == {"c-1": "on fire", "c-2": "Rerun"}
    assert kore.list(filters={"status": ["Rerun"]}).status_code == 400


@pytest.mark.parametrize("offset", [3600.0, -3600.0])
def test_changes_are_dated_by_the_platforms_clock(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, clock: VirtualClock, offset: float
) -> None:
    campaign = sandbox.add_campaign("c-1")
    draft = sandbox.add_campaign("c-2", campaign_type="sonarly", status="Draft")
    before = campaign.created_at
    sandbox.config.clock_offset = offset
    clock.advance(10)
    response = kore.stop("c-1")
    [row] = kore.list().json()["data"]["results"]
    assert row["createdAt"] == before
    changed = datetime.fromisoformat(row["updatedAt"])
    assert changed - datetime.fromisoformat(before) == timedelta(seconds=offset + 10)
    assert campaign.history[-1] == (1010.0, "Stopped")
    assert parsedate_to_datetime(response.headers["Date"]) == changed.replace(microsecond=0)
    started = sonarly.start(draft.id).json()["data"]["campaign"]
    assert started["startedAt"] == started["updatedAt"] == row["updatedAt"] == sandbox.add_campaign().created_at


def test_a_list_and_a_status_may_lag_and_show_what_was(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, clock: VirtualClock
) -> None:
    sandbox.config.list_lag = 3.0
    for number in (1, 2):
        sandbox.add_campaign(f"c-{number}")
    sandbox.add_campaign("c-4", "sonarly")
    assert kore.listed() == {}
    clock.advance(10)
    before = kore.list().json()["data"]["results"]
    kore.stop("c-1")
    sonarly.stop("c-4")
    sandbox.remove_campaign("c-2")
    sandbox.add_campaign("c-3")
    clock.advance(2)
    assert kore.list().json()["data"]["results"] == before
    assert kore.status_of("c-1") == "Stopped"
    assert kore.status("c-2").status_code == 404
    sandbox.config.list_lag, sandbox.config.status_lag = 0.0, 3.0
    assert kore.status_of("c-1") == kore.get("c-1").json()["data"]["status"] == "Active"
    assert sonarly.get("c-4").json()["data"]["status"] == "active"
    assert kore.listed() == {"c-1": "Stopped", "c-3": "Active"}
    assert [item["status"] for item in sonarly.list().json()["data"]["items"]] == ["stopped"]
    clock.advance(1)
    assert kore.status_of("c-1") == "Stopped"


def test_waiting_ends_at_a_change_or_at_its_time() -> None:
    with Sandbox(stop_delay=0.05) as sandbox:
        campaign = sandbox.add_campaign()
        with pytest.raises(TimeoutError):
            sandbox.wait_for(lambda sandbox: sandbox.requests, timeout=0.01)
        KoreClient(sandbox).stop(campaign.id)
        sandbox.wait_for(lambda sandbox: campaign.status == "Stopped")


def test_sonarly_may_have_numbers_for_ids_and_statuses_of_its_own(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    sandbox.config.numeric_ids = True
    sandbox.config.start_status_word, sandbox.config.stop_status_word = "queued", "stopping"
    sandbox.add_campaign("17", "sonarly", status="Draft")
    sandbox.add_campaign("c-1", "sonarly")
    assert [item["id"] for item in sonarly.list().json()["data"]["items"]] == [17, "c-1"]
    for act, word, status in ((sonarly.start, "queued", "active"), (sonarly.stop, "stopping", "stopped")):
        said = act("17").json()["data"]["campaign"]
        assert (said["id"], said["status"]) == (17, word)
        assert sonarly.get("17").json()["data"]["status"] == status


# Which requests a fault meets, and which lists contradict themselves; the provider's own tests meet each kind.

TOTAL = 25


def test_a_fault_applies_to_matching_requests_in_the_order_of_their_plans(
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
