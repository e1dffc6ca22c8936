"""
Which campaigns a sweep is for: by its scope, by their ids, and in statuses that no list can be filtered by.

Those that are left out, those not known, and those in an undocumented status are named.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, ReceivedRequest
from tests.integration.sweep.runs import A_MINUTE, END, HOURS, WINDOW, Account, Dag, Log, Types, ids, on_monday
from tests.kinds import Connect

BOTH = ("sms", "voice")


def test_only_campaigns_in_the_given_statuses_are_stopped(sandbox: Account, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    sandbox.add_campaign("paused", status="Paused")
    assert dag.sweep(statuses="pAUSED").ids("stopped") == sandbox.stops == ["paused"]


def test_live_campaigns_that_are_left_out_are_counted_and_named(sandbox: Account, dag: Dag, caplog: Log) -> None:
    for name in ("Evening 1", "Morning 1"):
        sandbox.add_campaign(name.lower().replace(" ", "-"), name=name)
    sandbox.add_campaign("call-1", "voice", name="Evening call")
    sandbox.add_campaign("prep-1", status="Preparing", name="Evening 2")
    outcome = dag.sweep(campaign_types="sms", statuses="Active", name_pattern=["Evening *", "XX-*"])
    excluded = {row["campaign_id"]: row["excluded_by"] for row in outcome.result["excluded"]}
    assert excluded == {"morning-1": "name_pattern", "prep-1": "statuses", "call-1": "campaign_types"}
    [row] = outcome.result["stopped"]
    assert sandbox.stops == ["evening-1"]
    assert f"evening-1 (Evening 1): asked {row['asked_at']}, Stopped {row['confirmed_at']}: Campaign" in caplog.text
    assert "Stopped 1 of 1 live campaigns, 3 left out" in caplog.text
    left_out = (
        "morning-1 (Morning 1) by name_pattern, prep-1 (Evening 2) by statuses, call-1 (Evening call) by campaign"
    )
    assert f"3 live, left out: {left_out}_types" in caplog.text
    dag.sweep(campaign_types="sms", statuses="Active", name_pattern="Nothing *")
    *_, warning = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert left_out.replace("by statuses", "by name_pattern") in warning


@pytest.mark.parametrize(("types", "form"), [("v1", list), ("v2", tuple), ("sonarly", json.dumps)], indirect=["types"])
def test_only_these_are_stopped_whatever_their_types(sandbox: Account, types: Types, dag: Dag, form: Any) -> None:
    sandbox.add(10, types)
    sandbox.add(2, types, "ended", status="Completed")
    given, to_stop = ["c-1", "c-1", "c-2", "ended-0", "ended-0", "ended-1", "c-5"], ["c-1", "c-2", "c-5"]
    outcome = dag.sweep(campaign_ids=form(given))
    assert outcome.error is None
    assert sorted(map(str, sandbox.stops)) == outcome.ids("stopped") == to_stop
    assert outcome.ids("already_stopped") == ["ended-0", "ended-1"]
    assert sandbox.live == {*ids(10)} - {*to_stop}
    assert sandbox.asked_about == {*given}
    reads = Counter(request.campaign_id for request in sandbox.requests if request.action in ("status", "get"))
    assert reads["ended-0"] == reads["ended-1"] == 1
    shown = [row["campaign_type"] for row in outcome.result["stopped"]]
    assert shown == (["voice", "sms", "voice"] if len(types) == 2 else [None] * 3)


def test_a_dry_run_names_them_and_stops_nothing(sandbox: Account, dag: Dag) -> None:
    sandbox.add(3, BOTH)
    sandbox.add_campaign("stopped", status="Stopped")
    assert dag.sweep(campaign_ids=["c-0", "c-1", "stopped"], dry_run=True).ids("live") == ["c-0", "c-1"]
    assert sandbox.stops == []


def test_one_whose_calling_hours_go_on_is_left_alone(sandbox: Account, dag: Dag) -> None:
    sandbox.add(2)
    outcome = dag.guard(on_monday("15:00"), campaign_ids=["c-1"], calling_hours=HOURS)
    assert (outcome.error, sandbox.stops) == (None, [])
    assert [row["campaign_id"] for row in outcome.result["open_until"]] == ["c-1"]


def test_many_cost_a_request_each_and_unknown_and_unstoppable_ones_fail_the_task(sandbox: Account, dag: Dag) -> None:
    sandbox.add(110, BOTH)
    sandbox.add(10, BOTH, prefix="done", status="Stopped")
    sandbox.add(40, BOTH, prefix="not-given")
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-109", count=None))
    began = dag.clock.now
    given = ["mistyped-1", *ids(110), *ids(10, "done"), "mistyped-2"]
    outcome = dag.sweep(campaign_ids=given, deferrable=True, timeout=125)
    assert {each for each in given if outcome.names(each)} == {"mistyped-1", "mistyped-2", "c-109"}
    assert outcome.ids("stopped") == [each for each in ids(110) if each != "c-109"]
    assert outcome.ids("already_stopped") == ids(10, "done")
    assert len(sandbox.live) == 41
    assert {request.status_code for request in sandbox.requests} <= {200, 404, 500}
    assert "mistyped-1" not in sandbox.stops
    assert dag.clock.now - began <= 1.1 * 2 * WINDOW


def test_one_that_starts_while_the_others_are_stopped_is_stopped_too(sandbox: Account, dag: Dag) -> None:
    sandbox.add_campaign("c-1", stop_delay=60.0)
    sandbox.add_campaign("starts", "voice", status="Stopped")
    dag.clock.at(10, lambda: sandbox.set_status("starts", "Active"))
    assert dag.sweep(campaign_ids=["c-1", "starts"]).error is None
    assert sandbox.live == set()
    assert dag.clock.passed < 300
    assert sandbox.stops == ["c-1", "starts"]


def add_unknown(sandbox: Account, campaign_id: str, word: str, campaign_type: str = "sms") -> None:
    sandbox.add_campaign(campaign_id, campaign_type)
    sandbox.set_status(campaign_id, word, documented=False)


def counts(sandbox: Account) -> list[ReceivedRequest]:
    """Return the requests for lists that show more than a sweep can stop: ended campaigns too, or all."""
    filters = [(each, (json.loads(each.body).get("filters") or {}).get("status")) for each in sandbox.received("list")]
    return [request for request, words in filters if not words or {"Stopped", "Completed"} & {*words}]


@pytest.mark.parametrize(("types", "word"), [("v1", "Redialing"), ("v2", "\u00e9mission")], indirect=["types"])
def test_an_undocumented_status_is_named_and_no_proof(sandbox: Account, types: Types, dag: Dag, word: str) -> None:
    sandbox.add(4, types)
    sandbox.add(3, ("voice",), prefix="rerun", status="Rerun")
    for campaign_type in types:
        add_unknown(sandbox, f"odd-{campaign_type}", word, campaign_type)
    outcome = dag.sweep()
    assert sandbox.live == set()
    assert word in outcome.message
    assert outcome.names("odd-sms")
    assert outcome.names("odd-voice")
    assert outcome.ids("stopped") == [*ids(4), *ids(3, "rerun")]


@pytest.mark.parametrize("scope", [{"name_pattern": "Sale*"}, {"campaign_types": ("sms",)}], ids=str)
def test_an_undocumented_status_out_of_scope_fails_nothing(sandbox: Account, dag: Dag, scope: dict[str, Any]) -> None:
    sandbox.add_campaign("c-1", name="Sale 1")
    add_unknown(sandbox, "odd", "Redialing", "voice")
    outcome = dag.sweep(**scope)
    assert outcome.error is None
    assert sandbox.stops == outcome.ids("stopped") == ["c-1"]


def test_with_calling_hours_they_are_counted_at_the_end_and_fail_the_run(sandbox: Account, dag: Dag) -> None:
    sandbox.add(12, BOTH)
    sandbox.add_campaign("rerun", "voice", status="Rerun")
    add_unknown(sandbox, "odd", "Redialing")
    outcome = dag.guard(END - 10 * A_MINUTE, calling_hours=HOURS, deferrable=True)
    assert outcome.names("odd")
    assert outcome.ids("stopped") == [*ids(12), "rerun"]
    assert counts(sandbox)
    assert all(request.at >= dag.clock.reading(END) for request in counts(sandbox))
    sandbox.remove_campaign("odd")
    sandbox.set_status("rerun", "Rerun")
    again = dag.guard(END + timedelta(hours=1), calling_hours=HOURS)  # where nothing else is live
    assert again.error is None
    assert sandbox.live == set()
    sandbox.clear_requests()
    assert dag.sweep().error is None
    assert len(counts(sandbox)) == 2 * len(BOTH)
    assert {request.status_code for request in sandbox.requests} == {200}  # a filter takes documented words only


def test_an_undocumented_status_on_sonarly_counts_as_live(sandbox: Account, connect: Connect, dag: Dag) -> None:
    connect(sandbox.sonarly_connection())
    sandbox.add(2, ("sonarly",))
    sandbox.campaign("c-1").settled_status = "delivering"
    sandbox.set_status("c-1", "delivering", documented=False)
    outcome = dag.sweep(timeout=60)
    assert outcome.ids("stopped") == ["c-0"]
    assert outcome.names("c-1")
    assert [dag.sweep(statuses=(each,), timeout=9).result["total"] for each in ("active", "delivering")] == [0, 1]


def test_an_unknown_word_in_a_list_of_live_campaigns_is_no_proof(sandbox: Account, dag: Dag) -> None:
    sandbox.config.ignore_filters = True
    sandbox.add_campaign("c-2")
    add_unknown(sandbox, "c-1", "Running")
    for is_dry_run in (True, False):
        assert "shows c-1 as Running, which is not documented" in dag.sweep(dry_run=is_dry_run).message
    assert sandbox.stops == ["c-2"]
