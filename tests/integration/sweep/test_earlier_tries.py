"""What an earlier try left never steers a later one: it is quoted, named, and at the most read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, use_clock
from tests.integration.sweep.runs import (
    ATTESTED,
    MONDAY,
    PLANTED,
    Dag,
    asked_about,
    live,
    plant,
    received,
    stops,
)
from tests.kinds import Connect
from tests.profiles import examples


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, timeout=60)


@pytest.fixture
def another(clock: VirtualClock) -> Iterator[Sandbox]:
    """Another account, on a platform of its own."""
    with Sandbox(clock=clock, iid="st-other-0001", account_id="acc-other-0001", account_group_id="ag-other") as sandbox:
        yield sandbox


@pytest.fixture(params=[True, False], ids=["task state store", "no task state store"])
def has_state_store(request: pytest.FixtureRequest, dag: Dag) -> bool:
    dag.runner.has_state_store = request.param
    return dag.runner.has_state_store


def stick(sandbox: Sandbox, *campaign_ids: str) -> None:
    for campaign_id in campaign_ids:
        sandbox.add_fault(Fault("error", action="stop", campaign_id=campaign_id, count=None))


# Another account.


@pytest.mark.usefixtures("has_state_store")
@pytest.mark.parametrize("changed", ["the connection", "the connection's id", "the platform"])
def test_what_is_left_in_another_account_is_a_failure_that_names_it_and_is_not_asked_about(
    sandbox: Sandbox, another: Sandbox, connect: Connect, dag: Dag, changed: str
) -> None:
    for number in range(3):
        sandbox.add_campaign(f"a-{number}", name=f"Sale {number}")
    stick(sandbox, "a-1")
    run = dag.scheduled(dag.clock.date)
    assert run.attempt(map_index=0).names("a-1")
    sandbox.clear_requests()
    is_sonarly, conn_id = changed == "the platform", "campaign_default"
    if changed == "the connection's id":  # a template, or accounts that are mapped in another order
        conn_id = "kore_b"
    another.add_campaign("b-0", "sonarly" if is_sonarly else "sms")
    connect(another.sonarly_connection() if is_sonarly else another.kore_connection("v2"), conn_id)
    again = run.attempt(map_index=0, campaign_conn_id=conn_id)
    assert again.names("a-1")
    assert live(another) == set()
    assert "b-0" in again.ids("stopped")
    assert "a-1" not in again.ids("stopped", "already_stopped")
    assert not any((campaign_id or "").startswith("a-") for campaign_id in asked_about(another))
    assert sandbox.requests == []
    assert sandbox.campaign("a-1").live


def test_another_account_on_the_same_host_is_another_account(
    sandbox: Sandbox, another: Sandbox, connect: Connect, dag: Dag
) -> None:
    """A gateway in front of both: the id of the account is all that tells them apart."""
    connect(another.kore_connection("v2"))
    another.add_campaign("a-1")
    stick(another, "a-1")
    run = dag.scheduled(dag.clock.date)
    assert run.attempt().names("a-1")
    another.remove_campaign("a-1")
    another.config.iid, another.config.account_id = "st-other-0002", "acc-other-0002"
    connect(another.kore_connection("v2"))
    another.clear_requests()
    again = run.attempt()
    assert again.names("a-1")
    assert again.ids("stopped", "already_stopped") == []
    assert asked_about(another) == set()


def test_the_same_account_under_a_changed_secret_is_the_same_account(
    sandbox: Sandbox, connect: Connect, dag: Dag
) -> None:
    sandbox.add_campaign("a-1")
    stick(sandbox, "a-1")
    run = dag.scheduled(dag.clock.date)
    assert run.attempt().names("a-1")
    sandbox.clear_faults()
    sandbox.set_status("a-1", "Stopped")
    sandbox.config.client_secret = "another-secret-of-the-sandbox-not-a-real-one-padded-to-64-bytes-x"
    connect(sandbox.kore_connection("v2"))
    again = run.attempt()
    assert again.error is None
    assert again.ids("stopped", "already_stopped") == ["a-1"]


# Another scope.


@pytest.mark.parametrize(
    "scope",
    [{"campaign_types": ("sms",)}, {"name_pattern": "Sale*"}, {"statuses": ("Paused",)}],
    ids=lambda scope: next(iter(scope)),
)
@pytest.mark.usefixtures("has_state_store")
def test_what_is_left_outside_the_scope_of_this_try_is_not_stopped_by_it(
    sandbox: Sandbox, dag: Dag, scope: dict[str, Any]
) -> None:
    sandbox.add_campaign("left", "voice", name="Night alarm")
    stick(sandbox, "left")
    run = dag.scheduled(dag.clock.date)
    assert run.attempt().names("left")
    sandbox.clear_faults()
    sandbox.clear_requests()
    again = run.attempt(**scope)
    assert stops(sandbox) == []
    assert live(sandbox) == {"left"}
    assert again.ids("stopped", "already_stopped") == []
    assert "left" in again.ids("failed", "excluded") or again.names("left")


# Planted and damaged files.


@pytest.mark.parametrize("copy", ["sweep.try1.2.json", "sweep.try1.99.json", "sweep.try1.json"])
def test_a_planted_record_stops_nothing_and_attests_nothing(
    sandbox: Sandbox, dag: Dag, has_state_store: bool, records: Path, copy: str
) -> None:
    sandbox.add_campaign("stuck", name="Sale 1")
    sandbox.add_campaign("outside", name="Night alarm")
    stick(sandbox, "stuck")
    dag.arguments["name_pattern"] = "Sale*"
    run = dag.scheduled(dag.clock.date)
    assert run.attempt().names("stuck")
    planted = {**PLANTED, "campaign_id": "outside"}, {**PLANTED, **ATTESTED, "campaign_id": "never-stopped"}
    plant(records, copy, *planted, {**PLANTED, "campaign_id": "unknown"})
    sandbox.clear_requests()
    sandbox.clear_faults()
    again = run.attempt()
    assert set(stops(sandbox)) == {"stuck"}
    assert live(sandbox) == {"outside"}
    assert {each.action for each in sandbox.requests if each.campaign_id in ("outside", "unknown")} <= {"status"}
    assert len([each for each in sandbox.requests if each.campaign_id in ("outside", "unknown")]) <= 2
    assert "outside" not in again.ids("stopped", "already_stopped")
    if has_state_store:  # there the try before has handed on what its record is to be like
        assert {"unknown", "never-stopped"}.isdisjoint(again.ids("stopped", "already_stopped"))


def test_a_planted_record_where_the_try_before_left_none_stops_nothing(
    sandbox: Sandbox, dag: Dag, has_state_store: bool, records: Path
) -> None:
    sandbox.add_campaign("stuck", name="Sale 1")
    sandbox.add_campaign("outside", name="Night alarm")
    stick(sandbox, "stuck")
    dag.arguments["name_pattern"] = "Sale*"
    run = dag.scheduled(dag.clock.date)
    run.attempt()
    run.attempt()
    plant(records, "sweep.try2.2.json", {**PLANTED, "campaign_id": "outside"})
    sandbox.clear_requests()
    run.attempt()
    assert set(stops(sandbox)) == {"stuck"}
    assert sandbox.campaign("outside").live


IDS = st.sampled_from(["in-scope", "outside", "voice", "unknown", "../other"])
ODD_VALUES = st.one_of(
    st.none(), st.integers(), st.sampled_from(["", "\ud83d", "None", "in-scope\n"]), st.lists(st.integers(), max_size=2)
)
MOMENTS = st.sampled_from([None, "2027-02-01T00:00:00+00:00"])
WORDS = {
    "name": st.sampled_from(["Sale", "Night alarm"]),
    "campaign_type": st.sampled_from(["sms", "voice"]),
    "status": st.sampled_from(["Active", "Stopped", "Scheduled"]),
    "asked_at": MOMENTS,
    "is_incident": st.booleans(),
}
CAMPAIGNS = st.fixed_dictionaries({"campaign_id": IDS, "confirmed_at": MOMENTS}, optional=WORDS)
ODD_CAMPAIGNS = st.dictionaries(st.sampled_from(["campaign_id", "confirmed_at", *WORDS]), ODD_VALUES, max_size=3)
TOP = st.dictionaries(
    st.sampled_from(["connection_id", "platform", "account", "scope", "outcome", "run", "earlier_tries", "ended_at"]),
    ODD_VALUES,
    max_size=1,
)
FORMS = st.sampled_from(["json", "json", "json", "json", "cut", "nested", "binary"])


@examples(full=100, brief=15, exhaustive=300)
@given(
    campaigns=st.lists(CAMPAIGNS, min_size=1, max_size=4), odd=st.lists(ODD_CAMPAIGNS, max_size=1), top=TOP, form=FORMS
)
def test_whatever_is_planted_only_what_this_try_lists_in_its_scope_is_stopped(
    connect: Connect,
    tmp_path_factory: pytest.TempPathFactory,
    campaigns: list[dict[str, Any]],
    odd: list[dict[str, Any]],
    top: dict[str, Any],
    form: str,
) -> None:
    clock, folder = VirtualClock(MONDAY), tmp_path_factory.mktemp("tampered")
    with pytest.MonkeyPatch.context() as patch, Sandbox(clock=clock, rate_limit=None) as sandbox:
        use_clock(clock, patch)
        connect(sandbox.kore_connection("v2"))
        sandbox.add_campaign("in-scope", name="Sale")
        sandbox.add_campaign("outside", name="Night alarm")
        sandbox.add_campaign("voice", "voice", name="Sale by voice")
        stick(sandbox, "in-scope")
        records = folder / "tampered"  # which the watch over all records leaves out
        arguments: dict[str, Any] = {
            "name_pattern": "Sale*",
            "campaign_types": ("sms",),
            "records_path": f"file://{records}",
        }
        run = Dag(clock, timeout=20, **arguments).scheduled(clock.date)
        assert run.attempt().names("in-scope")
        plant(records, "sweep.try1.2.json", *campaigns, *odd)
        planted = next(records.rglob("sweep.try1.2.json"))
        record = {**json.loads(planted.read_text()), **top}
        text = json.dumps(record)
        contents = {
            "json": text.encode(),
            "cut": text[: len(text) // 2].encode(),
            "nested": b"[" * 100_000,
            "binary": b"\xff\xfe\0" * 50,
        }
        planted.write_bytes(contents[form])
        sandbox.clear_faults()
        sandbox.clear_requests()
        again = run.attempt()
        assert set(stops(sandbox)) == {"in-scope"}
        assert live(sandbox) == {"outside", "voice"}
        assert {each.action for each in sandbox.requests} <= {"list", "stop", "status", "get"}
        assert again.error is None or isinstance(again.error, CampaignError), again.error
        assert "in-scope" in again.ids("stopped")


# A retry whose list is down.


@pytest.mark.usefixtures("has_state_store")
@pytest.mark.parametrize("fault", ["error", "forbidden", "html"])
def test_a_retry_whose_list_is_down_names_what_the_try_before_left_and_does_not_ask_it(
    sandbox: Sandbox, dag: Dag, fault: str
) -> None:
    for number in range(4):
        sandbox.add_campaign(f"c-{number}", name=f"Sale {number}")
    stick(sandbox, "c-2", "c-3")
    run = dag.scheduled(dag.clock.date)
    run.attempt()
    sandbox.clear_faults()
    sandbox.clear_requests()
    sandbox.add_fault(Fault(fault, action="list", count=None))
    again = run.attempt()
    assert again.names("c-2")
    assert again.names("c-3")
    assert not again.names("c-1")
    assert again.ids("failed") == ["c-2", "c-3"]
    assert stops(sandbox) == []
    assert len(received(sandbox, "status")) <= 2


def test_what_the_try_before_left_and_is_stopped_by_now_costs_a_status_read_at_the_most(
    sandbox: Sandbox, dag: Dag
) -> None:
    for number in range(4):
        sandbox.add_campaign(f"c-{number}")
    stick(sandbox, "c-2")
    run = dag.scheduled(dag.clock.date)
    run.attempt()
    sandbox.set_status("c-2", "Stopped")
    sandbox.clear_requests()
    again = run.attempt()
    assert again.error is None
    assert "c-2" in again.ids("stopped", "already_stopped")
    assert stops(sandbox) == []
    assert len(received(sandbox, "status")) <= 1
