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
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.testing import use_clock
from tests.integration.sweep.runs import (
    ATTESTED,
    MONDAY,
    PLANTED,
    Dag,
    Run,
    add,
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


def run_that_leaves(sandbox: Sandbox, dag: Dag, *campaign_ids: str) -> Run:
    """Make the first try of a run, which can't stop some campaigns; the next one could."""
    for campaign_id in campaign_ids:
        sandbox.add_fault(Fault("error", action="stop", campaign_id=campaign_id, count=None))
    run = dag.triggered()
    outcome = run.attempt()
    assert all(outcome.names(campaign_id) for campaign_id in campaign_ids)
    sandbox.clear_faults()
    sandbox.clear_requests()
    return run


# Another account.


@pytest.mark.usefixtures("has_state_store")
@pytest.mark.parametrize("changed", ["the connection", "the connection's id", "the platform"])
def test_what_is_left_in_another_account_is_named_and_not_asked_about(
    sandbox: Sandbox, another: Sandbox, connect: Connect, dag: Dag, changed: str
) -> None:
    add(sandbox, 3, prefix="a")
    run = run_that_leaves(sandbox, dag, "a-1")
    is_sonarly = changed == "the platform"
    conn_id = "kore_b" if changed == "the connection's id" else "campaign_default"  # a template, or another order
    another.add_campaign("b-0", "sonarly" if is_sonarly else "sms")
    connect(another.sonarly_connection() if is_sonarly else another.kore_connection("v2"), conn_id)
    again = run.attempt(campaign_conn_id=conn_id)
    assert again.names("a-1")
    assert again.ids("stopped", "already_stopped") == ["b-0"]
    assert live(another) == set()
    assert not any((campaign_id or "").startswith("a-") for campaign_id in asked_about(another))
    assert sandbox.requests == []


def test_another_account_on_the_same_host_is_another_account(another: Sandbox, connect: Connect, dag: Dag) -> None:
    """A gateway in front of both: the id of the account is all that tells them apart."""
    connect(another.kore_connection("v2"))
    another.add_campaign("a-1")
    run = run_that_leaves(another, dag, "a-1")
    another.remove_campaign("a-1")
    another.config.iid, another.config.account_id = "st-other-0002", "acc-other-0002"
    connect(another.kore_connection("v2"))
    again = run.attempt()
    assert again.names("a-1")
    assert again.ids("stopped", "already_stopped") == []
    assert asked_about(another) == set()


def test_the_same_account_under_a_changed_secret_is_the_same_account(
    sandbox: Sandbox, connect: Connect, dag: Dag
) -> None:
    """What was left there and is stopped by now costs a status read at the most."""
    add(sandbox, 4, prefix="a")
    run = run_that_leaves(sandbox, dag, "a-1")
    sandbox.set_status("a-1", "Stopped")
    sandbox.config.client_secret = "another-secret-of-the-sandbox-not-a-real-one-padded-to-64-bytes-x"
    connect(sandbox.kore_connection("v2"))
    again = run.attempt()
    assert again.error is None
    assert "a-1" in again.ids("stopped", "already_stopped")
    assert stops(sandbox) == []
    assert len(received(sandbox, "status")) <= 1


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
    again = run_that_leaves(sandbox, dag, "left").attempt(**scope)
    assert stops(sandbox) == []
    assert again.ids("stopped", "already_stopped") == []
    assert "left" in again.ids("failed", "excluded") or again.names("left")


@pytest.mark.usefixtures("has_state_store")
@pytest.mark.parametrize("fault", ["error", "forbidden", "html"])
def test_a_retry_whose_list_is_down_names_what_is_left(sandbox: Sandbox, dag: Dag, fault: str) -> None:
    add(sandbox, 4, name="Sale")
    run = run_that_leaves(sandbox, dag, "c-2", "c-3")
    sandbox.add_fault(Fault(fault, action="list", count=None))
    again = run.attempt()
    assert [each for each in ("c-1", "c-2", "c-3") if again.names(each)] == again.ids("failed") == ["c-2", "c-3"]
    assert stops(sandbox) == []
    assert len(received(sandbox, "status")) <= 2


# Planted and damaged files.


@pytest.mark.parametrize("copy", ["sweep.try1.2.json", "sweep.try1.99.json", "sweep.try1.json", "sweep.try2.2.json"])
def test_a_planted_record_stops_nothing_and_attests_nothing(
    sandbox: Sandbox, dag: Dag, has_state_store: bool, records: Path, copy: str
) -> None:
    sandbox.add_campaign("stuck", name="Sale 1")
    sandbox.add_campaign("outside", name="Night alarm")
    dag.arguments["name_pattern"] = "Sale*"
    run = run_that_leaves(sandbox, dag, "stuck")
    planted = {**PLANTED, "campaign_id": "outside"}, {**PLANTED, **ATTESTED, "campaign_id": "never-stopped"}
    plant(records, copy, *planted, {**PLANTED, "campaign_id": "unknown"})
    again = run.attempt()
    assert set(stops(sandbox)) == {"stuck"}
    assert live(sandbox) == {"outside"}
    about_others = [each for each in sandbox.requests if each.campaign_id in ("outside", "unknown")]
    assert {each.action for each in about_others} <= {"status"}
    assert len(about_others) <= 2
    assert "outside" not in again.ids("stopped", "already_stopped")
    if has_state_store:  # there the try before has handed on what its record is to be like
        assert {"unknown", "never-stopped"}.isdisjoint(again.ids("stopped", "already_stopped"))


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
IDS = st.sampled_from(["in-scope", "outside", "voice", "unknown", "../other"])
CAMPAIGNS = st.fixed_dictionaries({"campaign_id": IDS, "confirmed_at": MOMENTS}, optional=WORDS)
ODD_CAMPAIGNS = st.dictionaries(st.sampled_from(["campaign_id", "confirmed_at", *WORDS]), ODD_VALUES, max_size=3)
TOP = st.dictionaries(
    st.sampled_from(["connection_id", "platform", "account", "scope", "outcome", "run", "earlier_tries", "ended_at"]),
    ODD_VALUES,
    max_size=1,
)
FORMS = st.sampled_from(["json", "json", "json", "json", "cut", "nested", "binary"])


@examples(full=100, brief=10, exhaustive=300)
@given(
    campaigns=st.lists(CAMPAIGNS, min_size=1, max_size=4), odd=st.lists(ODD_CAMPAIGNS, max_size=1), top=TOP, form=FORMS
)
def test_whatever_is_planted_only_what_this_try_lists_is_stopped(
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
        records = folder / "tampered"  # which the watch over all records leaves out
        dag = Dag(clock, timeout=20, name_pattern="Sale*", campaign_types=("sms",), records_path=f"file://{records}")
        run = run_that_leaves(sandbox, dag, "in-scope")
        plant(records, "sweep.try1.2.json", *campaigns, *odd)
        planted = next(records.rglob("sweep.try1.2.json"))
        text = json.dumps({**json.loads(planted.read_text()), **top})
        contents = {
            "json": text.encode(),
            "cut": text[: len(text) // 2].encode(),
            "nested": b"[" * 100_000,
            "binary": b"\xff\xfe\0" * 50,
        }
        planted.write_bytes(contents[form])
        again = run.attempt()
        assert set(stops(sandbox)) == {"in-scope"}
        assert live(sandbox) == {"outside", "voice"}
        assert {each.action for each in sandbox.requests} <= {"list", "stop", "status", "get"}
        assert again.error is None or isinstance(again.error, CampaignError), again.error
        assert "in-scope" in again.ids("stopped")
