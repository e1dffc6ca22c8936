"""What a sweep can't stop is asked again while there is time, and named; the record says what happened."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignSweepFinalError, CampaignUnavailableError
from airflow_provider_campaign.sandbox import Fault
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sweep.entry import MAX_REFUSALS, REFUSAL_DELAY
from tests.fragile import fragile, unforeseen_id
from tests.integration.sweep.runs import Account, Dag, Log, Types, ids
from tests.kinds import Connect
from tests.profiles import examples


@pytest.mark.parametrize(
    ("types", "kind"),
    [("v2", "unauthorized"), ("v1", "bad_request"), ("sonarly", "not_found"), ("sonarly", "redirect")],
    indirect=["types"],
)
def test_a_refused_stop_is_sent_again_and_keeps_retries(sandbox: Account, types: Types, dag: Dag, kind: str) -> None:
    sandbox.add(10, types)
    sandbox.add_fault(Fault(kind, action="stop", campaign_id="c-2", count=2))  # a request may be repeated at once
    sandbox.add_fault(Fault(kind, action="stop", campaign_id="c-3", count=None))
    outcome = dag.sweep()
    assert sandbox.live == {"c-3"}
    assert re.search(r"(?s)^c-3 \(.*\n1 of 10 campaigns", outcome.message)
    assert not outcome.is_final
    assert outcome.ids("stopped") == [each for each in ids(10) if each != "c-3"]
    assert {campaign.stop_requests for campaign in sandbox.campaigns()} == {0, 1}
    [left] = outcome.result["failed"]
    assert (left["campaign_id"], left["asked_at"] is None, left["confirmed_at"]) == ("c-3", False, None)
    assert len(sandbox.requests) < 150
    if kind in ("bad_request", "redirect"):
        assert dag.clock.passed == pytest.approx(REFUSAL_DELAY * (MAX_REFUSALS - 1), abs=30)


def test_what_the_whole_account_refuses_is_final(sandbox: Account, dag: Dag) -> None:
    sandbox.add(10)
    sandbox.add_fault(Fault("forbidden", action="stop", count=None))
    outcome = dag.sweep()
    assert isinstance(outcome.error, CampaignSweepFinalError)
    assert all(outcome.names(each) for each in ids(10))
    sandbox.add_fault(Fault("forbidden", action="list", count=None))
    sandbox.clear_requests()
    outcome = dag.sweep()
    assert isinstance(outcome.error, CampaignAuthError)
    assert outcome.is_final
    assert len(sandbox.requests) <= 4


def test_each_failure_has_a_line_of_its_own_and_the_last_line_counts(sandbox: Account, dag: Dag) -> None:
    for number in range(20):
        sandbox.add_campaign(f"c-{number}", name=f"Sale {number}", stoppable=number != 3)
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-0", count=None))
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-1", count=None))
    outcome = dag.sweep()
    assert sandbox.live == {"c-0", "c-1", "c-3"}
    assert not outcome.is_final
    first, second, third, count, *_ = outcome.message.splitlines()
    assert re.match(r"c-0 \(Sale 0\): .*HTTP 403", first)
    assert second.startswith("c-3 (Sale 3): was asked to stop, and was last seen Active")
    assert re.match(r"c-1 \(Sale 1\): .*HTTP 500", third)
    assert count == (
        "3 of 20 campaigns (connection 'campaign_default', Kore.ai) are not verified stopped. They may still be "
        "sending: try again, or stop them in the platform's console."
    )
    assert len(sandbox.requests) < 150


def test_a_timeout_that_is_too_short_names_those_that_were_not_reached(sandbox: Account, dag: Dag) -> None:
    sandbox.add(160)
    outcome = dag.sweep(campaign_types=("sms",), timeout=90)
    assert dag.clock.passed <= 100
    left = sandbox.live
    assert f"{len(left)} of 160 campaigns" in outcome.message
    assert "waiting for the rate limit" in outcome.message
    assert set(outcome.ids("failed")) == left
    assert all(outcome.names(campaign_id) for campaign_id in left)
    assert len(outcome.ids("stopped")) + len(left) == 160


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        ({"kind": "error", "action": "list", "skip": 1}, None, r"list was incomplete.*can't be listed.*HTTP 500"),
        ({"kind": "forbidden", "action": "list", "skip": 1}, CampaignSweepFinalError, r"can't be listed.*HTTP 403"),
        ({"kind": "unauthorized"}, CampaignAuthError, ""),
        ({"kind": "html"}, CampaignUnavailableError, ""),
    ],
    ids=str,
)
def test_without_a_list_that_shows_it_nothing_is_verified_stopped(
    sandbox: Account, dag: Dag, fault: dict[str, Any], error: type[Exception] | None, text: str
) -> None:
    sandbox.add(3)
    sandbox.add_fault(Fault(**fault, count=None))
    outcome = dag.sweep(campaign_types=("sms",), timeout=60)
    assert outcome.is_failed
    assert isinstance(outcome.error, error or Exception)
    assert outcome.is_final == (error in (CampaignSweepFinalError, CampaignAuthError))
    assert re.search(f"(?s){text}", outcome.message)


@pytest.mark.parametrize("action", ["stop", "list"])
def test_a_key_error_about_one_campaign_leaves_the_others_stopped(
    sandbox: Account, connect: Connect, dag: Dag, caplog: Log, action: str
) -> None:
    connect(fragile(sandbox.kore_connection("v2")))
    sandbox.add(29)
    odd = sandbox.add_campaign(unforeseen_id([action]), stoppable=action == "list")
    outcome = dag.sweep()
    assert sandbox.live == {odd.id}
    assert outcome.ids("stopped") == ids(29)
    assert outcome.names(odd.id)
    assert not outcome.is_final  # another try may go well
    assert not outcome.names("c-12")
    assert "Traceback" in caplog.text
    assert "KeyError: 'whenever'" in caplog.text


def test_a_platform_that_breaks_down_was_asked_what_it_received(sandbox: Account, dag: Dag) -> None:
    sandbox.add(100)
    dag.clock.at(30, sandbox.stop)  # while the sweep waits for the rate limit
    outcome = dag.sweep(campaign_types=("sms",), deferrable=True)
    assert outcome.is_failed
    sent = set(sandbox.stops)
    assert 50 <= len(sent) < 100
    assert set(outcome.ids("stopped")) == sent
    assert set(outcome.ids("failed")) == {*ids(100)} - sent
    for row in outcome.result["failed"]:
        assert row["asked_at"] is None
        assert outcome.names(row["campaign_id"])
    assert outcome.result["requests"] == len(sandbox.requests)


def test_what_others_stopped_during_a_429_was_already_stopped(sandbox: Account, dag: Dag) -> None:
    sandbox.add(10)
    sandbox.add_fault(Fault("rate_limit", action="stop", campaign_id="c-3", count=1))
    dag.clock.at(0.2, lambda: sandbox.set_status("c-3", "Stopped"))
    outcome = dag.sweep(campaign_types=("sms",))
    assert outcome.error is None
    [row] = outcome.result["already_stopped"]
    assert (row["campaign_id"], row["asked_at"]) == ("c-3", None)  # the platform has not carried out its stop
    assert outcome.result["refused"] == 1


ACTIONS = st.sampled_from(["stop", "list", "status", None])


def faults(kind: str, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Fault]:
    action = st.just("stop") if kind == "conflict" else ACTIONS
    return st.builds(Fault, st.just(kind), action=action, skip=st.integers(0, 10), count=st.integers(1, 8), **options)


PASSING = ("reset", "html", "broken_json", "empty", "rate_limit", "failure", "conflict")
TRANSIENT = st.one_of(
    *map(faults, PASSING),
    faults("error", status=st.sampled_from([500, 502, 503, 504]), json=st.booleans()),
    faults("lost", how=st.sampled_from(["reset", "error", "broken_json", "empty"])),
)
REFUSALS = ("unauthorized", "forbidden", "conflict", "bad_request", "not_found", "redirect", "error", "wrong_shape")
LASTING = st.builds(
    Fault,
    st.sampled_from(REFUSALS),
    action=ACTIONS,
    campaign_id=st.sampled_from([None, "c-0", "c-3"]),
    skip=st.integers(0, 5),
    count=st.sampled_from([1, 2, None]),
)


@examples(full=200)
@given(
    platform=st.sampled_from(["v1", "v2", "sonarly"]),
    stop_delay=st.sampled_from([0.0, 20.0]),
    faults=st.tuples(st.lists(TRANSIENT, max_size=3), st.lists(LASTING, max_size=2)),
)
def test_a_sweep_verifies_or_names_each_campaign_whatever_goes_wrong(
    sandbox: Account, connect: Connect, clock: VirtualClock, platform: str, stop_delay: float, faults: Any
) -> None:
    sandbox.reset()
    sandbox.config.stop_delay = stop_delay
    sandbox.add(6, sandbox.use(platform, connect))
    passing, lasting = faults
    for fault in [*passing, *lasting]:
        sandbox.add_fault(fault)
    outcome = Dag(clock).sweep(timeout=300 if lasting else 100_000)
    named = set(outcome.ids("failed"))
    if lasting and outcome.is_failed:
        assert all(f"{campaign_id} (" in outcome.message for campaign_id in named)
        assert named or "List of" in outcome.message
        assert sandbox.live <= named or "List of" in outcome.message
    else:
        assert outcome.error is None
        assert sandbox.live == named == set()
        assert len(outcome.ids("stopped", "already_stopped")) == outcome.result["total"] == 6
    seen_stopped = {row["campaign_id"] for row in outcome.result["stopped"] if row["status"] != "Deleted"}
    assert seen_stopped.isdisjoint(sandbox.live)
