"""Rules: each campaign has its own moment, open campaigns are never touched, and what was missed is told."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import A_DAY, A_MINUTE, HOURS, Account, Dag, Log, on_monday

FLORIDA_ENDS = on_monday("20:00") + timedelta(hours=5)  # New York is five hours behind UTC in February
NEW_YORK = daily("America/New_York", ("8:00 AM", "8:00 PM"))
RULES: list[dict[str, Any]] = [
    {"name": "florida", "name_pattern": ["FL-*", "Florida *"], "ignore_case": True, **NEW_YORK},
    {"name": "alerts", "name_pattern": "Alert *", "open": True},
    {"name": "voice", "campaign_types": ["voice"], **daily("UTC", ("09:00", "20:30"))},
    {"name": "sale", "name_pattern": "Sale *", **HOURS},
]
"""Texts that match none of them are closed at all times."""

ONE_OF_EACH = {
    "florida": ("sms", "fl-lower"),
    "florida-calls": ("voice", "Florida calls"),
    "alert": ("sms", "Alert of the water works"),
    "calls": ("voice", "Calls"),
    "sale": ("sms", "Sale of the week"),
    "other": ("sms", "Something else"),
}
NEVER_CLOSED_ON_MONDAY = {"florida", "florida-calls", "alert"}
MARGIN = timedelta(seconds=60)


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, calling_hours=RULES, timeout=300, margin=MARGIN)


def add_one_of_each(sandbox: Account) -> None:
    for campaign_id, (campaign_type, name) in ONE_OF_EACH.items():
        sandbox.add_campaign(campaign_id, campaign_type, name=name)


def with_more(rule_name: str, **more: Any) -> list[dict[str, Any]]:
    return [{**rule, **more} if rule["name"] == rule_name else rule for rule in RULES]


def test_each_campaign_is_stopped_before_its_own_end(sandbox: Account, dag: Dag) -> None:
    add_one_of_each(sandbox)
    begins = on_monday("20:25")
    outcome = dag.guard(begins, calling_hours=json.dumps(RULES), deferrable=True)
    assert outcome.error is None
    assert sandbox.live == NEVER_CLOSED_ON_MONDAY
    assert sandbox.asked_about.isdisjoint(NEVER_CLOSED_ON_MONDAY)
    assert outcome.ids("stopped") == ["calls", "other", "sale"]
    assert sandbox.ended_at("other") - begins < timedelta(seconds=10)
    for campaign_id, end in (("calls", on_monday("20:30")), ("sale", on_monday("21:00"))):
        assert MARGIN <= end - sandbox.ended_at(campaign_id) <= MARGIN + A_MINUTE
    assert on_monday("21:00") <= dag.clock.date < on_monday("21:01")

    opened = {row["campaign_id"]: row for row in outcome.result["open_until"]}
    rules = {campaign_id: row["rule"] for campaign_id, row in opened.items()}
    assert rules == {"florida": "florida", "florida-calls": "florida", "alert": "alerts"}
    assert datetime.fromisoformat(opened["florida"]["open_until"]) == FLORIDA_ENDS
    assert opened["alert"]["open_until"] is None
    florida = opened["florida"]
    assert (florida["name"], florida["campaign_type"], florida["status"]) == ("fl-lower", "sms", "Active")
    ends = {each["rule"]: datetime.fromisoformat(each["end"]) for each in outcome.result["closings"]}
    assert {"voice": on_monday("20:30"), "sale": on_monday("21:00")}.items() <= ends.items()
    assert "florida" not in ends
    for closing in outcome.result["closings"]:
        assert not closing["live_at_end"]
        assert datetime.fromisoformat(closing["verified_at"]) <= dag.clock.date


@pytest.mark.parametrize("argument", [{"incident_outlet": Asset("incidents")}, {"switch_schedules_off": True}], ids=str)
def test_what_needs_calling_hours_is_refused_without(argument: dict[str, Any]) -> None:
    with pytest.raises(CampaignConfigError, match="needs calling_hours"):
        StopActiveCampaignsOperator(task_id="sweep", **argument)


def test_an_emergency_that_is_declared_meanwhile_is_no_incident(sandbox: Account, dag: Dag, caplog: Log) -> None:
    """Local times: 15:10 in New York is 20:10 UTC."""
    emergency = with_more("florida", overrides=[{"from": "2027-02-01T15:10", "until": None, "reason": "hurricane"}])
    sandbox.add_campaign("florida", name="FL-1")
    assert dag.guard(on_monday("19:00")).ids("stopped") == []
    outcome = dag.guard(on_monday("20:15"), calling_hours=emergency, look_ahead=2 * A_MINUTE)
    assert (outcome.ids("stopped"), outcome.result["incidents"]) == (["florida"], [])
    sandbox.set_status("florida", "Active")
    assert dag.guard(on_monday("20:20"), look_ahead=2 * A_MINUTE).ids("stopped") == []
    assert "further notice" not in caplog.text
    allowed = [{"from": "2027-02-01T20:00", "open": True, "reason": "storm alerts"}]
    dag.guard(on_monday("20:25"), calling_hours=with_more("sale", overrides=allowed), look_ahead=2 * A_MINUTE)
    assert "open until further notice" in caplog.text


def test_a_campaign_live_after_its_verified_closing_is_an_incident(sandbox: Account, dag: Dag, caplog: Log) -> None:
    dag.arguments["incident_outlet"] = Asset("incidents")
    dag.guard(on_monday("12:00"))
    add_one_of_each(sandbox)
    first = dag.guard(on_monday("21:05"))
    assert {"calls", "sale"} <= set(first.ids("stopped"))
    assert {"calls", "sale"}.isdisjoint(first.result["incidents"])  # no run had seen their ends
    assert "Incident: campaign sale" not in caplog.text
    for campaign_id in ("sale", "calls"):
        sandbox.set_status(campaign_id, "Active")
    outcome = dag.guard(on_monday("21:30"))
    assert outcome.error is None
    assert sorted(outcome.result["incidents"]) == ["calls", "sale"]
    assert all(row["is_incident"] for row in outcome.result["stopped"])
    assert [sorted(extra["incidents"]) for extra in outcome.events] == [["calls", "sale"]]
    assert "Incident: campaign sale" in caplog.text
    assert sandbox.live == NEVER_CLOSED_ON_MONDAY


def test_a_guard_reports_the_closings_that_no_run_has_seen_once(sandbox: Account, dag: Dag, caplog: Log) -> None:
    dag.arguments |= {"look_ahead": 5 * A_MINUTE, "incident_outlet": Asset("incidents")}
    assert dag.guard(on_monday("20:00")).result["missed_closings"] == []  # the first run ever
    sandbox.add_campaign("sale", name="Sale 1")
    outcome = dag.guard(on_monday("14:00") + A_DAY)  # everything is open again
    assert outcome.error is None
    missed = {each["rule"]: datetime.fromisoformat(each["end"]) for each in outcome.result["missed_closings"]}
    assert missed == {"voice": on_monday("20:30"), "sale": on_monday("21:00"), "florida": FLORIDA_ENDS}
    assert [{each["rule"] for each in extra["missed_closings"]} for extra in outcome.events] == [set(missed)]
    assert "2027-02-01" in caplog.text
    assert sandbox.live == {"sale"}
    again = dag.guard(on_monday("14:05") + A_DAY)
    assert again.result["missed_closings"] == again.events == []


@pytest.mark.usefixtures("sandbox")
def test_a_closing_that_a_run_of_long_before_has_verified_was_not_missed(dag: Dag) -> None:
    dag.guard(on_monday("18:00"))
    late = dag.scheduled(on_monday("19:00")).attempt(at=on_monday("21:10"))
    assert "sale" in [each["rule"] for each in late.result["closings"] if each["verified_at"]]
    outcome = dag.guard(on_monday("14:00") + A_DAY, look_ahead=5 * A_MINUTE)
    assert "sale" not in [each["rule"] for each in outcome.result["missed_closings"]]


def test_a_late_run_stops_what_is_closed_still_and_not_what_is_open_again(sandbox: Account, dag: Dag) -> None:
    dag.arguments["calling_hours"] = [
        {"name": "early", "name_pattern": "A-*", **HOURS},
        {"name": "others", **daily("UTC", ("10:00", "21:00"))},
    ]
    assert dag.guard(on_monday("19:30"), look_ahead=5 * A_MINUTE).error is None
    sandbox.add_campaign("a", name="A-1")
    sandbox.add_campaign("b", name="B-1")
    late = dag.scheduled(on_monday("20:55")).attempt(at=on_monday("09:30") + A_DAY)
    assert sandbox.stops == ["b"]
    assert "early" in [each["rule"] for each in late.result["missed_closings"]]


def test_a_manually_triggered_run_does_the_same(sandbox: Account, dag: Dag) -> None:
    sandbox.add_campaign("sale", name="Sale 1")
    evening = [(on_monday("15:00"), []), (on_monday("20:05"), ["sale"]), (on_monday("22:00"), ["sale"])]
    for date, stopped in [*evening, (on_monday("09:30") + A_DAY, [])]:
        dag.clock.go_to(date)
        sandbox.set_status("sale", "Active")
        assert dag.sweep().ids("stopped") == stopped


@pytest.mark.usefixtures("sandbox")
def test_a_guard_that_finds_nothing_again_leaves_its_closings_out_of_the_record(dag: Dag, records: Path) -> None:
    """Its result still has them: the next run knows from them which ends were verified."""
    dates = [on_monday("21:00") + 5 * number * A_MINUTE for number in range(3)]
    outcomes = [dag.guard(date, calling_hours=HOURS) for date in dates]
    assert [len(each.result["closings"]) for each in outcomes] == [1, 1, 1]
    kept = sorted(records.rglob("*.json"))
    assert ["closings" in json.loads(path.read_bytes()) for path in kept] == [True, False, False]
