"""A listing shows each campaign once, whatever happens while it is read."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from airflow_provider_campaign.campaign import LIVE_STATUSES, Campaign, is_live
from airflow_provider_campaign.client.client import MAX_SEARCHED_PAGES
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.exceptions import CampaignRequestError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.statuses import KORE_STATUSES
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind

MANY = 350
LIVE = ("Active", "Preparing")
V1_SMS = KORE_KINDS[0]


@pytest.fixture
def unlimited(sandbox: Sandbox) -> Sandbox:
    """Lift Kore's limit of 60 requests a minute."""
    sandbox.config.rate_limit = None
    return sandbox


def listing(kind: Kind, statuses: Collection[str] = ()) -> Iterator[Campaign]:
    """Return the listing of one kind's campaigns."""
    types = None if kind.campaign_type is None else [kind.campaign_type]
    return CampaignHook.for_conn_id("campaign_default").client.list_campaigns(types, statuses)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_hundreds_of_campaigns_of_both_types_are_listed_once_each(
    unlimited: Sandbox, connect: Connect, version: str
) -> None:
    connect(unlimited.kore_connection(version))
    for number in range(MANY):
        unlimited.add_campaign(campaign_type="sms" if number % 2 else "voice")
    listed = list(CampaignHook.for_conn_id("campaign_default").client.list_campaigns())
    assert {(campaign.id, campaign.campaign_type) for campaign in listed} == {
        (campaign.id, campaign.campaign_type) for campaign in unlimited.campaigns()
    }
    assert len(listed) == MANY


@pytest.mark.parametrize("page_size", [None, MANY, 100])
def test_hundreds_of_campaigns_of_sonarlys_are_listed_once_each(
    unlimited: Sandbox, connect: Connect, page_size: int | None
) -> None:
    unlimited.config.sonarly_page_size = page_size
    connect(unlimited.sonarly_connection())
    for _ in range(MANY):
        SONARLY.add_campaign(unlimited)
    listed = [campaign.id for campaign in listing(SONARLY)]
    assert listed == [campaign.id for campaign in unlimited.campaigns()]
    assert len(unlimited.requests) == -(-MANY // (page_size or MANY))


def test_a_row_says_what_the_platform_says(unlimited: Sandbox, connect: Connect, kind: Kind) -> None:
    connect(kind.connection(unlimited))
    campaign = kind.add_campaign(unlimited, name="Renewals", status="Paused", priority="1")
    [row] = listing(kind)
    assert (row.id, row.name, row.status, row.campaign_type) == (campaign.id, "Renewals", "Paused", kind.campaign_type)
    assert (row.updated_at, row.priority) == (campaign.updated_at, "1" if kind.api_version else None)
    key = "_id" if kind.label == "v2-voice" else "id"
    assert row.raw[key] == campaign.id


@pytest.mark.parametrize("wanted", [["active", "PREPARING"], ("Active", "Preparing", "Draft")])
def test_only_campaigns_in_the_wanted_statuses_are_listed(
    unlimited: Sandbox, connect: Connect, kind: Kind, wanted: Collection[str]
) -> None:
    connect(kind.connection(unlimited))
    live = [kind.add_campaign(unlimited, status=status).id for status in LIVE]
    for status in ("Ready", "Paused", "Stopped", "Completed"):
        kind.add_campaign(unlimited, status=status)
    assert sorted(row.id for row in listing(kind, wanted)) == sorted(live)


def read_while(sandbox: Sandbox, campaigns: Iterator[Campaign], chance: random.Random, choices: list[str]) -> list[str]:
    """Read a listing to its end; between two rows, campaigns change to one of the statuses given."""
    listed = []
    everything = sandbox.campaigns()
    for row in campaigns:
        listed.append(row.id)
        for _ in range(chance.choice((0, 0, 1, 3))):
            sandbox.set_status(chance.choice(everything).id, chance.choice(choices))
    return listed


@pytest.mark.parametrize("kind", [KORE_KINDS[0], SONARLY], ids=lambda kind: kind.label)
def test_rows_that_change_status_meanwhile_cost_no_other_row_its_place(
    unlimited: Sandbox, connect: Connect, kind: Kind
) -> None:
    """Rows that leave the filter between two pages move the later ones up, those that enter it down."""
    unlimited.config.sonarly_page_size = 100
    connect(kind.connection(unlimited))
    for number in range(MANY):
        kind.add_campaign(unlimited, status="Stopped" if number % 10 == 0 else "Active")
    listed = read_while(unlimited, listing(kind, LIVE), random.Random(7), ["Active", "Stopped", "Stopped"])
    steady = {campaign.id for campaign in unlimited.campaigns() if [word for _, word in campaign.history] == ["Active"]}
    assert len(steady) > 50
    assert steady <= set(listed)
    assert Counter(listed).most_common(1)[0][1] == 1


def test_all_that_changed_last_come_first_where_the_platform_can_sort(
    unlimited: Sandbox, connect: Connect, kore_kind: Kind
) -> None:
    connect(kore_kind.connection(unlimited))
    ids = [kore_kind.add_campaign(unlimited).id for _ in range(3)]
    unlimited.state.timeline.clock.sleep(1)  # type: ignore[attr-defined]
    unlimited.set_status(ids[1], "Paused")
    types = [kore_kind.campaign_type or ""]
    hook = CampaignHook.for_conn_id("campaign_default")
    assert next(hook.client.list_campaigns(types, newest_first=True)).id == ids[1]


TOO_MANY_ROWS: dict[str, dict[str, Any]] = {
    "refused": {"kind": "bad_request"},
    "too-long": {"kind": "huge"},
    "too-slow": {"kind": "html", "status": 504},
    "no-response": {"kind": "hang", "seconds": 0.1},
}


@pytest.mark.parametrize("problem", TOO_MANY_ROWS)
def test_a_page_that_is_refused_too_long_or_too_slow_is_halved(
    unlimited: Sandbox, connect: Connect, problem: str
) -> None:
    connect(V1_SMS.connection(unlimited))
    for _ in range(200):
        V1_SMS.add_campaign(unlimited)
    unlimited.add_fault(Fault(rows=30, count=None, **TOO_MANY_ROWS[problem]))
    StopActiveCampaignsOperator(task_id="sweep").execute({})
    assert {campaign.status for campaign in unlimited.campaigns()} == {"Stopped"}
    sizes = [request.rows for request in unlimited.requests if request.action == "list" and request.rows != 1]
    assert sizes[:3] == [100, 50, 25]


def test_a_list_that_is_refused_whatever_its_size_fails_after_few_requests(
    unlimited: Sandbox, connect: Connect
) -> None:
    connect(V1_SMS.connection(unlimited))
    unlimited.add_fault(Fault("bad_request", count=None))
    with pytest.raises(CampaignRequestError):
        list(listing(V1_SMS))
    assert [body["limit"] for body in bodies(unlimited)] == [100, 50, 25, 12, 10]


def undocumented(kind: Kind) -> Iterator[Campaign]:
    """Return the search for campaigns of one kind that no filtered list shows."""
    client = CampaignHook.for_conn_id("campaign_default").client
    return client.find_undocumented(kind.campaign_type, client.deadline(100, retries=False))


def bodies(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return what the list requests asked for."""
    return [json.loads(request.body) for request in sandbox.requests]


def test_campaigns_in_an_undocumented_status_are_found_by_counting(
    unlimited: Sandbox, connect: Connect, kore_kind: Kind
) -> None:
    connect(kore_kind.connection(unlimited))
    reruns = {kore_kind.add_campaign(unlimited, status="Rerun").id for _ in range(3)}
    for status in KORE_STATUSES:
        kore_kind.add_campaign(unlimited, status=status)
    assert {row.status for row in listing(kore_kind, LIVE_STATUSES)} == {"Active", "Preparing"}
    unlimited.clear_requests()
    found = list(undocumented(kore_kind))
    assert {campaign.id for campaign in found} == reruns
    assert all(is_live(campaign.status) for campaign in found)
    everything, filtered, newest = bodies(unlimited)
    assert ("filters" in everything, set(filtered["filters"]["status"])) == (False, set(KORE_STATUSES))
    assert newest["sortBy"] == {"updatedAt": "desc"}


def test_undocumented_statuses_beyond_the_searched_pages_are_reported(unlimited: Sandbox, connect: Connect) -> None:
    connect(V1_SMS.connection(unlimited))
    V1_SMS.add_campaign(unlimited, status="Rerun")
    for _ in range(100 * MAX_SEARCHED_PAGES):
        unlimited.state.timeline.clock.sleep(1)  # type: ignore[attr-defined]
        V1_SMS.add_campaign(unlimited)
    recent = V1_SMS.add_campaign(unlimited, status="Rerun")
    found = undocumented(V1_SMS)
    assert next(found).id == recent.id
    with pytest.raises(UnreliableListError, match="1 campaigns in a status that is not documented, which may be live"):
        next(found)
    assert len(unlimited.requests) == 2 + MAX_SEARCHED_PAGES
