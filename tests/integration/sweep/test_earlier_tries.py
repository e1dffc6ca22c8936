"""What an earlier try left never steers a later one: it is quoted, named, and at the most read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_campaign.sandbox import Fault
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import ATTESTED, PLANTED, Account, Dag, Run, plant
from tests.kinds import Connect


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, timeout=60)


@pytest.fixture
def another(clock: VirtualClock) -> Iterator[Account]:
    """Another account, on a platform of its own."""
    with Account(clock=clock, iid="st-other", account_id="acc-other", account_group_id="ag-other") as sandbox:
        yield sandbox


def run_that_leaves(sandbox: Account, dag: Dag, *campaign_ids: str) -> Run:
    """Make the first try of a run, which can't stop some campaigns; the next one could."""
    for campaign_id in campaign_ids:
        sandbox.add_fault(Fault("error", action="stop", campaign_id=campaign_id, count=None))
    run = dag.triggered()
    outcome = run.attempt()
    assert all(outcome.names(campaign_id) for campaign_id in campaign_ids)
    sandbox.clear_faults()
    sandbox.clear_requests()
    return run


@pytest.mark.parametrize(
    ("platform", "conn_id"), [("v2", "campaign_default"), ("v2", "kore_b"), ("sonarly", "campaign_default")]
)
def test_what_is_left_in_another_account_is_named_and_not_asked_about(
    sandbox: Account, another: Account, connect: Connect, dag: Dag, platform: str, conn_id: str
) -> None:
    """As after the connection has changed, or where its id is a template."""
    sandbox.add(3, prefix="a")
    run = run_that_leaves(sandbox, dag, "a-1")
    types = another.use(platform, lambda connection: connect(connection, conn_id))
    another.add(1, types, "b")
    again = run.attempt(campaign_conn_id=conn_id)
    assert again.names("a-1")
    assert again.ids("stopped", "already_stopped") == ["b-0"]
    assert another.live == set()
    assert not any((campaign_id or "").startswith("a-") for campaign_id in another.asked_about)
    assert sandbox.requests == []


@pytest.mark.parametrize("fault", ["error", "forbidden"])
def test_a_retry_whose_list_is_down_names_what_is_left(sandbox: Account, dag: Dag, fault: str) -> None:
    sandbox.add(4, name="Sale")
    run = run_that_leaves(sandbox, dag, "c-2", "c-3")
    sandbox.add_fault(Fault(fault, action="list", count=None))
    again = run.attempt()
    assert [each for each in ("c-1", "c-2", "c-3") if again.names(each)] == again.ids("failed") == ["c-2", "c-3"]
    assert sandbox.stops == []
    assert len(sandbox.received("status")) <= 2


@pytest.mark.parametrize(
    ("copy", "has_state_store"), [("sweep.try1.2.json", True), ("sweep.try1.2.json", False), ("sweep.try1.json", True)]
)
def test_a_planted_record_stops_nothing_and_attests_nothing(
    sandbox: Account, dag: Dag, records: Path, copy: str, has_state_store: bool
) -> None:
    dag.runner.has_state_store = has_state_store
    sandbox.add_campaign("stuck", name="Sale 1")
    sandbox.add_campaign("outside", name="Night alarm")
    dag.arguments["name_pattern"] = "Sale*"
    run = run_that_leaves(sandbox, dag, "stuck")
    planted = {**PLANTED, "campaign_id": "outside"}, {**PLANTED, **ATTESTED, "campaign_id": "never-stopped"}
    plant(records, copy, *planted, {**PLANTED, "campaign_id": "unknown"})
    again = run.attempt()
    assert set(sandbox.stops) == {"stuck"}
    assert sandbox.live == {"outside"}
    about_others = [each for each in sandbox.requests if each.campaign_id in ("outside", "unknown")]
    assert {each.action for each in about_others} <= {"status"}
    assert len(about_others) <= 2
    assert "outside" not in again.ids("stopped", "already_stopped")
    if has_state_store:  # there the try before has handed on what its record is to be like
        assert {"unknown", "never-stopped"}.isdisjoint(again.ids("stopped", "already_stopped"))
