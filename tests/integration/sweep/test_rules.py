"""Rules: each campaign has its own moment, and what is open is never touched."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import (
    Dag,
    asked_about,
    ended_at,
    live,
    on_monday,
    received,
    stops,
)

FLORIDA_ENDS = on_monday("20:00") + timedelta(hours=5)  # New York is five hours behind UTC in February
RULES: list[dict[str, Any]] = [
    {
        "name": "florida",
        "name_pattern": ["FL-*", "Florida *"],
        "ignore_case": True,
        **daily("America/New_York", ("8:00 AM", "8:00 PM")),
    },
    {"name": "alerts", "name_pattern": "Alert *", "open": True},
    {"name": "voice", "campaign_types": ["voice"], **daily("UTC", ("09:00", "20:30"))},
    {"name": "sale", "name_pattern": "Sale *", **daily("UTC", ("09:00", "21:00"))},
]
"""Texts and calls named otherwise match none of them: they are closed at all times, unless they are calls."""

A_DAY = timedelta(days=1)
MARGIN = 60


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, calling_hours=RULES, timeout=300, margin=MARGIN)


def add_one_of_each(sandbox: Sandbox) -> None:
    for campaign_id, campaign_type, name in (
        ("florida", "sms", "fl-lower"),
        ("florida-calls", "voice", "Florida calls"),
        ("alert", "sms", "Alert of the water works"),
        ("calls", "voice", "Calls"),
        ("sale", "sms", "Sale of the week"),
        ("other", "sms", "Something else"),
    ):
        sandbox.add_campaign(campaign_id, campaign_type, name=name)


def closings(result: dict[str, Any]) -> dict[str, datetime]:
    return {each["rule"]: datetime.fromisoformat(each["end"]).astimezone(UTC) for each in result["closings"]}


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("form", [list, json.dumps], ids=["Python", "JSON"])
def test_each_campaign_is_stopped_before_its_own_end_and_what_is_open_is_not_touched(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, form: Callable[[Any], Any], deferrable: bool
) -> None:
    add_one_of_each(sandbox)
    begins = on_monday("20:05")
    outcome = dag.guard(begins, calling_hours=form(RULES), deferrable=deferrable)
    assert outcome.error is None
    assert live(sandbox) == {"florida", "florida-calls", "alert"}
    assert asked_about(sandbox).isdisjoint({"florida", "florida-calls", "alert"})
    assert ended_at(sandbox, clock, "other") - begins < timedelta(seconds=10)
    for campaign_id, end in (("calls", on_monday("20:30")), ("sale", on_monday("21:00"))):
        before = end - ended_at(sandbox, clock, campaign_id)
        assert timedelta(seconds=MARGIN) <= before <= timedelta(seconds=MARGIN + 60), campaign_id
    assert outcome.ids("stopped") == ["calls", "other", "sale"]
    assert on_monday("21:00") <= clock.date < on_monday("21:01")


def test_the_result_says_until_when_what_was_left_alone_is_open_and_what_was_closed(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    add_one_of_each(sandbox)
    result = dag.guard(on_monday("20:05")).result
    opened = {row["campaign_id"]: row for row in result["open_until"]}
    assert {campaign_id: row["rule"] for campaign_id, row in opened.items()} == {
        "florida": "florida",
        "florida-calls": "florida",
        "alert": "alerts",
    }
    assert datetime.fromisoformat(opened["florida"]["open_until"]) == FLORIDA_ENDS
    assert opened["alert"]["open_until"] is None
    assert (opened["florida"]["name"], opened["florida"]["campaign_type"]) == ("fl-lower", "sms")
    assert opened["florida"]["status"] == "Active"
    assert closings(result).items() >= {"voice": on_monday("20:30"), "sale": on_monday("21:00")}.items()
    assert "florida" not in closings(result)
    for closing in result["closings"]:
        assert not closing["live_at_end"]
        assert datetime.fromisoformat(closing["verified_at"]) <= clock.date


def test_the_first_rule_that_matches_applies(sandbox: Sandbox, dag: Dag) -> None:
    rules = [{"name": "all", **daily("UTC", ("09:00", "23:00"))}, *RULES]
    add_one_of_each(sandbox)
    outcome = dag.guard(on_monday("21:30"), calling_hours=rules)
    assert outcome.error is None
    assert stops(sandbox) == []
    assert {row["rule"] for row in outcome.result["open_until"]} == {"all"}


def test_what_no_rule_matches_is_stopped_at_any_time(sandbox: Sandbox, dag: Dag) -> None:
    add_one_of_each(sandbox)
    outcome = dag.guard(on_monday("15:00"))
    assert outcome.error is None
    assert stops(sandbox) == ["other"]


def test_a_plain_object_is_a_rule_for_all(sandbox: Sandbox, dag: Dag) -> None:
    add_one_of_each(sandbox)
    outcome = dag.guard(on_monday("21:30"), calling_hours=daily("UTC", ("09:00", "21:00")))
    assert len(outcome.ids("stopped")) == 6


@pytest.mark.parametrize(
    "calling_hours",
    [
        [{**RULES[3], "holidays": ["2027-02-01"]}],
        [{**RULES[3], "closed_days": []}],
        [],
        "[{",
        [{"name_pattern": "Sale, FL-*", **daily("UTC", ("09:00", "21:00"))}],
    ],
    ids=["holidays", "unknown key", "no rule", "no JSON", "a comma in a pattern"],
)
def test_hours_that_can_not_be_read_are_an_error_before_anything_is_sent(
    sandbox: Sandbox, dag: Dag, calling_hours: Any
) -> None:
    add_one_of_each(sandbox)
    outcome = dag.guard(on_monday("21:30"), calling_hours=calling_hours)
    assert isinstance(outcome.error, CampaignConfigError)
    assert sandbox.requests == []


# Dates and overrides.


def test_a_closed_date_is_closed_all_day(sandbox: Sandbox, dag: Dag) -> None:
    rules = [{**rule, "closed_dates": ["2027-02-01"]} if rule["name"] == "sale" else rule for rule in RULES]
    add_one_of_each(sandbox)
    outcome = dag.guard(on_monday("15:00"), calling_hours=rules)
    assert outcome.error is None
    assert outcome.ids("stopped") == ["other", "sale"]


def test_a_closed_date_ends_the_hours_of_the_evening_before_at_midnight(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    hours = {**daily("UTC", ("18:00", "02:00")), "closed_dates": ["2027-02-02"]}
    sandbox.add_campaign("late-show")
    assert dag.guard(on_monday("23:30"), calling_hours=hours).error is None
    before = on_monday("00:00") + A_DAY - ended_at(sandbox, clock, "late-show")
    assert timedelta(seconds=MARGIN) <= before <= timedelta(seconds=MARGIN + 60)


def with_override(rule_name: str, **override: Any) -> list[dict[str, Any]]:
    return [{**rule, "overrides": [override]} if rule["name"] == rule_name else rule for rule in RULES]


def test_an_emergency_is_declared_and_lifted_while_a_guard_runs_every_minute(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    """Local times: 15:10 in New York is 20:10 UTC."""
    emergency = with_override("florida", **{"from": "2027-02-01T15:10", "until": None, "reason": "hurricane"})
    sandbox.add_campaign("florida", name="FL-1")
    sandbox.add_campaign("sale", name="Sale 1")
    clock.on(on_monday("20:15") + timedelta(seconds=20), lambda: sandbox.set_status("florida", "Active"))
    clock.on(on_monday("20:20") + timedelta(seconds=30), lambda: sandbox.set_status("florida", "Active"))
    for minute in range(30):
        is_declared = 10 <= minute < 20
        rules = json.dumps(emergency if is_declared else RULES)
        date = on_monday("20:00") + timedelta(minutes=minute)
        if clock.date <= date:
            assert dag.guard(date, calling_hours=rules, look_ahead=timedelta(minutes=2)).error is None
    began = clock.reading(on_monday("20:00"))
    history = [(at - began, word) for at, word in sandbox.campaign("florida").history]
    stopped = [at for at, word in history if word == "Stopped"]
    assert len(stopped) == 2
    assert 600 <= stopped[0] <= 600 + 120
    assert 920 <= stopped[1] <= 920 + 120
    assert live(sandbox) == {"florida", "sale"}


def test_an_alert_may_run_at_night_until_its_override_ends(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    rules = with_override("sale", **{"from": "2027-02-01T20:00", "until": "2027-02-01T23:10", "open": True})
    sandbox.add_campaign("sale", name="Sale 1")
    dag.arguments["calling_hours"] = rules
    assert dag.guard(on_monday("20:30")).ids("stopped") == []
    assert dag.guard(on_monday("22:00")).ids("stopped") == []
    assert live(sandbox) == {"sale"}
    assert dag.guard(on_monday("22:30")).ids("stopped") == ["sale"]
    before = on_monday("23:10") - ended_at(sandbox, clock, "sale")
    assert timedelta(seconds=MARGIN) <= before <= timedelta(seconds=MARGIN + 60)


def test_an_override_that_allows_without_an_end_is_a_warning(
    sandbox: Sandbox, dag: Dag, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    rules = with_override("sale", **{"from": "2027-02-01T20:00", "open": True, "reason": "storm alerts"})
    assert dag.guard(on_monday("21:30"), calling_hours=rules).error is None
    assert "storm alerts" in caplog.text or "until further notice" in caplog.text


# The night, by rule.


def test_what_is_live_once_its_closing_was_verified_is_an_incident(sandbox: Sandbox, dag: Dag) -> None:
    add_one_of_each(sandbox)
    first = dag.guard(on_monday("20:05"))
    assert first.result["incidents"] == []
    for campaign_id in ("sale", "calls"):
        sandbox.set_status(campaign_id, "Active")
    outcome = dag.guard(on_monday("21:30"), incident_outlet=Asset("incidents"))
    assert outcome.error is None
    assert sorted(outcome.result["incidents"]) == ["calls", "sale"]
    assert [sorted(extra["incidents"]) for extra in outcome.events] == [["calls", "sale"]]
    assert live(sandbox) == {"florida", "florida-calls", "alert"}


def test_what_is_live_at_the_first_run_after_the_end_is_no_incident(sandbox: Sandbox, dag: Dag) -> None:
    dag.guard(on_monday("12:00"))
    add_one_of_each(sandbox)
    outcome = dag.guard(on_monday("21:05"), incident_outlet=Asset("incidents"))
    assert {"calls", "sale"} <= set(outcome.ids("stopped"))
    assert {"calls", "sale"}.isdisjoint(outcome.result["incidents"])


# Late, by rule.


def test_a_guard_that_begins_while_open_reports_the_closings_that_no_run_has_seen_once(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    dag.arguments |= {"look_ahead": timedelta(minutes=5), "incident_outlet": Asset("incidents")}
    assert dag.guard(on_monday("20:00")).result["missed_closings"] == []
    sandbox.add_campaign("sale", name="Sale 1")
    outcome = dag.guard(on_monday("14:00") + A_DAY)  # everything is open again
    assert outcome.error is None
    missed = {each["rule"]: datetime.fromisoformat(each["end"]) for each in outcome.result["missed_closings"]}
    assert missed == {"voice": on_monday("20:30"), "sale": on_monday("21:00"), "florida": FLORIDA_ENDS}
    assert len(outcome.events) == 1
    assert {each["rule"] for each in outcome.events[0]["missed_closings"]} == set(missed)
    assert "2027-02-01" in caplog.text
    assert "21:00" in caplog.text
    assert live(sandbox) == {"sale"}
    again = dag.guard(on_monday("14:05") + A_DAY)
    assert again.result["missed_closings"] == []
    assert again.events == []


@pytest.mark.usefixtures("sandbox")
def test_a_closing_that_a_run_of_long_before_has_verified_was_not_missed(dag: Dag) -> None:
    dag.guard(on_monday("18:00"))
    late = dag.scheduled(on_monday("19:00")).attempt(at=on_monday("21:10"))
    assert "sale" in [each["rule"] for each in late.result["closings"] if each["verified_at"]]
    outcome = dag.guard(on_monday("14:00") + A_DAY, look_ahead=timedelta(minutes=5))
    assert "sale" not in [each["rule"] for each in outcome.result["missed_closings"]]


def test_the_first_run_ever_has_missed_nothing(sandbox: Sandbox, dag: Dag) -> None:
    outcome = dag.guard(on_monday("14:00"))
    assert outcome.error is None
    assert outcome.result["missed_closings"] == []


def test_a_late_run_stops_what_is_closed_still_and_not_what_is_open_again(sandbox: Sandbox, dag: Dag) -> None:
    rules = [
        {"name": "early", "name_pattern": "A-*", **daily("UTC", ("09:00", "21:00"))},
        {"name": "others", **daily("UTC", ("10:00", "21:00"))},
    ]
    dag.arguments["calling_hours"] = rules
    assert dag.guard(on_monday("19:30"), look_ahead=timedelta(minutes=5)).error is None
    sandbox.add_campaign("a", name="A-1")
    sandbox.add_campaign("b", name="B-1")
    late = dag.scheduled(on_monday("20:55")).attempt(at=on_monday("09:30") + A_DAY)
    assert stops(sandbox) == ["b"]
    assert live(sandbox) == {"a"}
    assert "early" in [each["rule"] for each in late.result.get("missed_closings", [])] or late.is_failed


# Whoever starts the run.


@pytest.mark.parametrize("how", ["scheduled", "by hand"])
def test_a_run_that_is_triggered_by_hand_does_the_same(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, how: str
) -> None:
    def attempt(date: datetime) -> list[str]:
        clock.go_to(date)
        run = dag.scheduled(date) if how == "scheduled" else dag.triggered()
        outcome = run.attempt()
        assert outcome.error is None
        return outcome.ids("stopped")

    sandbox.add_campaign("sale", name="Sale 1")
    assert attempt(on_monday("15:00")) == []
    assert attempt(on_monday("20:05")) == ["sale"]
    assert on_monday("20:57") <= ended_at(sandbox, clock, "sale") <= on_monday("20:59")
    sandbox.set_status("sale", "Active")
    assert attempt(on_monday("22:00")) == ["sale"]
    sandbox.set_status("sale", "Active")
    clock.go_to(on_monday("09:30") + A_DAY)
    assert attempt(on_monday("09:30") + A_DAY) == []


def test_without_calling_hours_everything_is_stopped_now(sandbox: Sandbox, clock: VirtualClock, dag: Dag) -> None:
    add_one_of_each(sandbox)
    clock.go_to(on_monday("15:00"))
    outcome = dag.triggered().attempt(calling_hours=None)
    assert outcome.error is None
    assert live(sandbox) == set()
    assert clock.date - on_monday("15:00") < timedelta(seconds=30)


def test_what_is_left_out_by_the_scope_is_not_stopped_at_its_end(sandbox: Sandbox, dag: Dag) -> None:
    add_one_of_each(sandbox)
    outcome = dag.guard(on_monday("21:05"), name_pattern=["Sale *", "FL-*"])
    assert outcome.error is None
    assert outcome.ids("stopped") == ["sale"]
    assert live(sandbox) == {"florida", "florida-calls", "alert", "calls", "other"}


def test_a_list_of_patterns_takes_any_of_them(sandbox: Sandbox, dag: Dag) -> None:
    for name in ("FL-1", "GA-1", "AL-1"):
        sandbox.add_campaign(name, name=name)
    outcome = dag.triggered().attempt(calling_hours=None, name_pattern=["FL-*", "GA-*"])
    assert outcome.ids("stopped") == ["FL-1", "GA-1"]
    again = dag.triggered().attempt(calling_hours=None, name_pattern='["AL-*", "XX-*"]')
    assert again.ids("stopped") == ["AL-1"]


@pytest.mark.parametrize("pattern", ["FL-*,GA-*", "FL-*|GA-*", ["FL-*", "GA-*, AL-*"], [], ""], ids=str)
def test_a_pattern_that_is_probably_two_is_an_error(sandbox: Sandbox, dag: Dag, pattern: Any) -> None:
    sandbox.add_campaign("FL-1", name="FL-1")
    outcome = dag.triggered().attempt(calling_hours=None, name_pattern=pattern)
    assert isinstance(outcome.error, CampaignConfigError)
    assert received(sandbox, "list") == []


@pytest.mark.usefixtures("sandbox")
def test_a_guard_that_finds_nothing_again_is_a_small_record(clock: VirtualClock, records: Path) -> None:
    """Its result still has the closings: the next run knows from them which ends were verified."""
    five = [
        {"name": f"rule {number}", "name_pattern": f"R{number}-*", **daily("UTC", ("09:00", "21:00"))}
        for number in range(5)
    ]
    guard = Dag(clock, "keep_campaigns_closed_kore_us", calling_hours=five, reason="Calling hours are over")
    outcomes = [guard.guard(on_monday("21:00") + timedelta(minutes=5 * number)) for number in range(3)]
    assert [len(each.result["closings"]) for each in outcomes] == [5, 5, 5]
    kept = sorted(records.rglob("*.json"))
    assert ["closings" in json.loads(path.read_bytes()) for path in kept] == [True, False, False]
    assert all(path.stat().st_size < 1024 for path in kept[1:])
