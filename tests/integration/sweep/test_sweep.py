"""The sweep stops all live campaigns of an account, proves it, and says what it did."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_campaign.client.rate_limiter import WINDOW_MARGIN
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Fault
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sweep.traffic import CONCURRENCY
from tests.integration.sweep.runs import WINDOW, Account, Dag, Log, Types, ids, on_monday
from tests.kinds import Connect

ROW = {
    *("campaign_id", "name", "campaign_type", "status_before", "asked_at", "confirmed_at", "status", "message"),
    *("already_stopped", "is_incident", "unanswered", "rule", "end", "try_number"),
}
RESULT = {
    *("stopped", "already_stopped", "failed", "excluded", "total", "requests", "refused", "seconds", "reason"),
    *("open_until", "closings", "missed_closings", "outcome", "connection_id", "platform", "window_end", "began_at"),
    *("ended_at", "incidents", "may_start", "earlier_tries", "error", "record"),
}
LAG = 60.0


def calls(sandbox: Account) -> Counter[tuple[str | None, int | None]]:
    return Counter((request.action, request.status_code) for request in sandbox.requests)


def is_each_asked_once(sandbox: Account) -> bool:
    return {campaign.stop_requests for campaign in sandbox.campaigns()} <= {0, 1}


def succeeds(outcome: Outcome, *stopped: str) -> None:
    assert outcome.error is None
    assert outcome.ids("stopped") == sorted(stopped)


@pytest.mark.parametrize(
    ("count", "types", "lists", "windows"),
    [(0, ("sms", "voice"), 6, 0), (20, ("sms", "voice"), 8, 0), (50, ("sms",), 5, 0), (100, ("sms",), 8, 1)],
)
def test_a_sweep_costs_a_few_lists_and_a_stop_each(
    sandbox: Account, dag: Dag, count: int, types: Types, lists: int, windows: int
) -> None:
    sandbox.add(1000, types, "old", status="Stopped")
    sandbox.add(count, types)
    outcome = dag.sweep(campaign_types=types)
    succeeds(outcome, *ids(count))
    assert is_each_asked_once(sandbox)
    assert {status for _, status in calls(sandbox)} == {200}
    assert calls(sandbox)["stop", 200] == outcome.result["total"] == count
    assert calls(sandbox)["list", 200] <= lists
    assert outcome.result["requests"] == len(sandbox.requests)
    assert windows * WINDOW <= dag.clock.passed <= windows * WINDOW * 1.01


def test_what_another_client_spends_costs_few_429s(sandbox: Account, dag: Dag, caplog: Log) -> None:
    sandbox.add(50)
    another = CampaignHook.for_conn_id("campaign_default")
    for _ in range(40):
        another.client.get_campaign_status("c-0")
    sandbox.clear_requests()
    succeeds(dag.sweep(campaign_types=("sms",)), *ids(50))
    assert is_each_asked_once(sandbox)
    assert 0 < calls(sandbox)["stop", 429] <= CONCURRENCY
    assert "Rate limit reached; resuming in 60 s" in caplog.text


def test_campaigns_that_are_stopping_are_watched_together(sandbox: Account, dag: Dag) -> None:
    sandbox.add(50, stop_delay=200.0)
    sandbox.campaign("c-3").completes = True
    outcome = dag.sweep(campaign_types=("sms",))
    succeeds(outcome, *ids(50))
    assert Counter(row["status"] for row in outcome.result["stopped"]) == {"Stopped": 49, "Completed": 1}
    assert is_each_asked_once(sandbox)
    assert len(sandbox.requests) <= 50 + 200 / 3
    assert dag.clock.passed <= 200 + WINDOW


def test_all_live_campaigns_are_stopped_on_every_platform(sandbox: Account, types: Types, dag: Dag) -> None:
    sandbox.add(12, types)
    sandbox.add_campaign("preparing", types[0], "Preparing")
    dag.clock.at(10, lambda: sandbox.set_status("preparing", "Active"))  # Sonarly refuses the stop until then
    for status in ("Stopped", "Completed", "Paused", "Scheduled"):
        sandbox.add_campaign(status, types[0], status)
    outcome = dag.sweep()
    succeeds(outcome, *ids(12), "preparing")
    assert sandbox.live == set()
    assert set(sandbox.stops) == {*ids(12), "preparing"}
    assert [sandbox.campaign(each).status for each in ("Paused", "Scheduled")] == ["Paused", "Scheduled"]


def test_the_highest_priority_is_stopped_in_the_first_window(sandbox: Account, dag: Dag) -> None:
    for number in range(100):
        sandbox.add_campaign(f"c-{number}", priority="5" if number >= 60 else "2")
    sandbox.add_campaign("without", priority="none")
    dag.sweep(campaign_types=("sms",))
    first = {each.campaign_id for each in sandbox.received("stop") if each.at < dag.clock.began + WINDOW}
    assert {f"c-{number}" for number in range(60, 100)} < first
    assert "without" not in first


@pytest.mark.parametrize("types", ["sonarly"], indirect=True)
def test_a_campaign_started_each_second_is_not_stopped_each_second(sandbox: Account, types: Types, dag: Dag) -> None:
    sandbox.add(2, types)
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-1"))
    for second in range(1, 1000):
        dag.clock.at(second, lambda: sandbox.set_status("c-0", "Active"))
    outcome = dag.sweep()
    assert re.search(r"(?s)^c-0 .*is live again, Active\n1 of 2 campaigns", outcome.message)
    assert len(sandbox.stops) < 30


@pytest.mark.parametrize(("types", "count"), [("v2", 1), ("v2", 5), ("sonarly", 5)], indirect=["types"])
def test_what_a_late_list_shows_of_before_is_no_proof(sandbox: Account, types: Types, dag: Dag, count: int) -> None:
    sandbox.add(count, types, stop_delay=3 * LAG)
    for status in ("Stopped", "Active"):
        dag.clock.advance(2 * LAG)
        for campaign_id in ids(count):
            sandbox.set_status(campaign_id, status)
    dag.clock.advance(LAG / 6)
    lags = {"list_lag": LAG, "status_lag": LAG}
    dag.clock.at(dag.clock.passed + 0.5, lambda: vars(sandbox.config).update(lags))  # once all are asked to stop
    succeeds(dag.sweep(timeout=900), *ids(count))
    assert sandbox.live == set()


def test_campaigns_that_others_stop_or_delete_meanwhile_are_no_failure(sandbox: Account, dag: Dag) -> None:
    sandbox.add(100, stop_delay=70.0)
    dag.clock.at(30, lambda: sandbox.remove_campaign("c-0"))  # asked, and stopping
    dag.clock.at(30, lambda: sandbox.remove_campaign("c-99"))  # not asked yet
    dag.clock.at(30, lambda: sandbox.set_status("c-98", "Stopped"))
    outcome = dag.sweep(campaign_types=("sms",))
    assert outcome.error is None
    rows = {row["campaign_id"]: row for row in [*outcome.result["stopped"], *outcome.result["already_stopped"]]}
    assert (rows["c-0"]["status"], rows["c-99"]["status"]) == ("Deleted", "Deleted")
    assert "c-98" in outcome.ids("already_stopped")
    assert len(rows) == 100
    assert sandbox.live == set()


@pytest.mark.parametrize(("types", "how"), [("v1", "reset"), ("sonarly", "error")], indirect=["types"])
def test_a_stop_whose_response_was_lost_is_not_sent_again(sandbox: Account, types: Types, dag: Dag, how: str) -> None:
    sandbox.add(10, types)
    sandbox.add_fault(Fault("lost", action="stop", count=4, how=how))
    succeeds(dag.sweep(), *ids(10))
    assert sorted(map(str, sandbox.stops)) == ids(10)


@pytest.mark.parametrize(("types", "answer"), [("v2", "conflict"), ("sonarly", "bad_request")], indirect=["types"])
def test_a_late_list_costs_no_failure_and_no_second_stop(sandbox: Account, types: Types, dag: Dag, answer: Any) -> None:
    sandbox.add(10, types)
    sandbox.config.list_lag, sandbox.config.stop_when_stopped = 3.0, answer
    dag.clock.go_to(on_monday("00:10"))
    sandbox.set_status("c-3", "Stopped")
    sandbox.remove_campaign("c-4")
    outcome = dag.sweep()
    assert outcome.error is None
    assert {*outcome.ids("stopped")} | {"c-3", "c-4"} == {*ids(10)}
    assert "c-3" in outcome.ids("already_stopped")
    assert is_each_asked_once(sandbox)
    assert dag.clock.passed < 600 + 60


def test_a_scheduled_campaign_is_stopped_once_it_starts(sandbox: Account, dag: Dag) -> None:
    sandbox.config.conflict_status = 400
    sandbox.add(10, stop_delay=60.0)  # so that there are listings after the one that shows it live
    dag.clock.go_to(on_monday("00:10"))
    sandbox.config.list_lag = 3.0
    sandbox.set_status("c-3", "Scheduled")  # the list shows it Active still
    sandbox.set_status("c-3", "Active", delay=20.0)
    succeeds(dag.sweep(), *ids(10))
    assert sandbox.live == set()
    assert all(sandbox.campaign(each).stop_requests == 1 for each in ids(10) if each != "c-3")


@pytest.mark.parametrize("types", ["sonarly"], indirect=True)
def test_a_platform_with_no_time_in_its_429_gets_a_pause(sandbox: Account, types: Types, dag: Dag) -> None:
    sandbox.add(60, types)
    sandbox.config.sonarly_rate_limit = 25
    succeeds(dag.sweep(), *ids(60))
    assert 0 < calls(sandbox)["stop", 429] < 60
    assert dag.clock.passed < 300


def test_a_list_that_lags_is_not_read_all_the_time(sandbox: Account, dag: Dag) -> None:
    sandbox.add_campaign("c-1")
    dag.clock.go_to(on_monday("00:10"))
    sandbox.config.list_lag = 60.0
    succeeds(dag.sweep(), "c-1")
    assert len(sandbox.requests) < 36


def test_it_lists_once_for_each_window_and_uses_all_of_it(sandbox: Account, dag: Dag) -> None:
    sandbox.add(160)
    sandbox.on_request(lambda _: dag.clock.advance(0.05))  # so that the responses come one after the other
    succeeds(dag.sweep(campaign_types=("sms",)), *ids(160))
    assert calls(sandbox)["list", 200] <= 11
    assert dag.clock.passed < 2 * (WINDOW + WINDOW_MARGIN) + 3 * 60 * 0.05


def test_what_a_slow_list_has_shown_is_stopped_before_its_next_page(sandbox: Account, dag: Dag) -> None:
    sandbox.add(110)
    sandbox.on_request(lambda request: dag.clock.advance(25.0 if request.action == "list" else 0.0))
    succeeds(dag.sweep(campaign_types=("sms",)), *ids(110))
    assert [request.action for request in sandbox.requests][:2] == ["list", "stop"]


def test_two_sweeps_at_once_claim_each_stop_once(sandbox: Account, connect: Connect, dag: Dag) -> None:
    sandbox.add(100)
    sandbox.config.rate_limit = None  # the two have one account, and each keeps to the limit of its own requests
    sandbox.config.list_lag = 300.0  # what one has stopped, the lists of the other show live
    dag.clock.go_to(on_monday("00:10"))
    connect(sandbox.kore_connection("v2"), "another")
    meanwhile: list[Outcome] = []
    dag.clock.on(
        on_monday("00:10") + timedelta(seconds=5),  # the first waits for the rate limit, with half of the stops sent
        lambda: meanwhile.append(dag.sweep(campaign_types=("sms",), campaign_conn_id="another", timeout=900)),
    )
    first = dag.sweep(campaign_types=("sms",), timeout=900)
    [second] = meanwhile
    assert sandbox.live == set()
    assert sorted(first.ids("stopped") + second.ids("stopped")) == ids(100)
    for outcome in (first, second):
        assert outcome.error is None
        assert outcome.ids("stopped")
        assert outcome.ids("stopped", "already_stopped") == ids(100)
    assert len(sandbox.stops) > 100  # each has asked for what the other had stopped


def test_the_result_says_what_an_auditor_wants_to_know(sandbox: Account, types: Types, dag: Dag) -> None:
    sandbox.add(4, types)
    began = dag.clock.date
    result = dag.sweep(reason="complaint 4711").result
    assert set(result) == RESULT
    assert (result["total"], result["requests"], result["seconds"]) == (4, len(sandbox.requests), 0)
    assert result["reason"] == "complaint 4711"
    for row in result["stopped"]:
        assert set(row) == ROW
        campaign = sandbox.campaign(row["campaign_id"])
        assert row["name"] == campaign.name
        assert row["campaign_type"] == (campaign.campaign_type if len(types) == 2 else None)
        asked, confirmed = (datetime.fromisoformat(row[key]) for key in ("asked_at", "confirmed_at"))
        assert asked.utcoffset() == confirmed.utcoffset() == timedelta(0)
        assert began <= asked <= confirmed
        assert row["status"] == "Stopped"
        assert row["message"]


def test_a_stop_is_dated_when_it_left(sandbox: Account, dag: Dag) -> None:
    sandbox.add(70)
    outcome = dag.sweep(campaign_types=("sms",))
    left = {request.campaign_id: request.at for request in sandbox.received("stop")}
    for row in outcome.result["stopped"]:
        asked = dag.clock.reading(datetime.fromisoformat(row["asked_at"]).astimezone(UTC))
        assert asked == pytest.approx(left[row["campaign_id"]], abs=0.5)


def test_a_dry_run_lists_and_stops_nothing(sandbox: Account, types: Types, dag: Dag, caplog: Log) -> None:
    sandbox.add(4, types, name="Spring sale")
    sandbox.add_campaign("other", types[0], name="Autumn sale")
    outcome = dag.sweep(dry_run=True, name_pattern="Spring*")
    assert {request.action for request in sandbox.requests} == {"list"}
    assert len(sandbox.live) == 5
    assert outcome.ids("live") == ids(4)
    assert all(set(row) == ROW and row["asked_at"] is None for row in outcome.result["live"])
    assert outcome.result["total"] == 4
    assert re.search(r"Would stop 4 campaigns: (c-\d \(Spring sale\)(, )?){4}", caplog.text)


def test_progress_is_logged_at_most_once_a_second(sandbox: Account, dag: Dag, caplog: Log) -> None:
    sandbox.add(160, stop_delay=20.0)
    dag.sweep(campaign_types=("sms",))
    lines = [line for line in caplog.messages if re.match("Stopped .* so far", line)]
    assert 3 < len(lines) <= dag.clock.passed
    assert lines[-1] == "Stopped 160 of 160 live campaigns so far"
