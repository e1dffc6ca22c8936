"""What may start by itself before the hours open is named, and its schedule switched off and read back on request."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignNotFoundError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.sandbox import Fault
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sweep.startable import is_off, switch_schedules_off
from tests.fragile import fragile, unforeseen_id
from tests.integration.sweep.runs import END, HOURS, Account, Dag, Log, ids
from tests.kinds import Connect


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"status": "Scheduled", "schedule": {"isSchedulingEnabled": False}}, True),
        ({"status": "Ready", "schedule": {"isSchedulingEnabled": True}}, False),
        ({"status": "Ready", "schedule": {"isSchedulingEnabled": "no"}}, False),
        ({"status": "Ready", "schedule": {}}, True),
        ({"status": "Ready", "schedule": None}, True),
        ({"status": "Ready"}, True),
        ({"status": "Scheduled", "schedule": {}}, False),
        ({"status": "Rescheduled"}, False),
        ("nothing", False),
    ],
)
def test_a_schedule_is_off_if_the_campaign_says_so(data: Any, expected: bool) -> None:
    status = data["status"] if isinstance(data, dict) else "Scheduled"
    assert is_off(Campaign("cd-1", status, raw={"data": data})) is expected


def test_the_hook_switches_a_schedule_off_by_the_campaigns_name(sandbox: Account) -> None:
    campaign = sandbox.add_campaign("cd-1", name="Evening & night", status="Scheduled")
    seen = KoreHook().switch_schedule_off("Evening & night")
    assert (seen.id, seen.status, campaign.schedule["isSchedulingEnabled"]) == ("cd-1", "Ready", False)
    with pytest.raises(CampaignNotFoundError, match="nobody"):
        KoreHook().switch_schedule_off("nobody")


def switch_off(sandbox: Account) -> tuple[list[str], list[str]]:
    """Switch schedules off, and return the ids of those that are verified off, and the problems with others."""
    sandbox.config.rate_limit = None
    client = CampaignHook.for_conn_id("campaign_default").client
    seen, problems = switch_schedules_off(client, client.platform.campaign_types, client.deadline(900), bool)
    assert {campaign.status for campaign in seen} <= {"Ready"}
    return [campaign.id for campaign in seen], problems


def add_scheduled(sandbox: Account, *campaign_ids: str, **details: Any) -> None:
    for campaign_id in campaign_ids:
        defaults = {"status": "Scheduled", "name": campaign_id, "schedule": {"isSchedulingEnabled": True}}
        sandbox.add_campaign(campaign_id, **{**defaults, **details})


def still_on(sandbox: Account) -> list[str]:
    return [campaign.id for campaign in sandbox.campaigns() if campaign.schedule.get("isSchedulingEnabled")]


def test_more_schedules_than_a_page_shows_are_all_switched_off(sandbox: Account) -> None:
    add_scheduled(sandbox, *ids(55), status="Rescheduled")
    add_scheduled(sandbox, *ids(55, "s"))
    add_scheduled(sandbox, "voice-1", campaign_type="voice")
    sandbox.add(150, status="Ready", prefix="ready")
    seen, problems = switch_off(sandbox)
    assert (len(seen), problems, still_on(sandbox)) == (111, [], [])
    assert Counter(request.action for request in sandbox.requests) == {"list": 2 + 1, "schedule": 111, "get": 111}


def test_each_schedule_that_is_not_verified_off_is_named(sandbox: Account, connect: Connect, caplog: Log) -> None:
    connect(fragile(sandbox.kore_connection("v2")))
    odd = unforeseen_id(["get"])
    add_scheduled(sandbox, "twin-1", "twin-2", name="Twin")
    add_scheduled(sandbox, "gone", odd, "last")
    sandbox.add_fault(Fault("not_found", action="get", campaign_id="gone"))
    seen, problems = switch_off(sandbox)
    assert sorted(seen) == ["last", "twin-1"]
    named = sorted(problem.partition(": its schedule is not verified")[0] for problem in problems)
    assert named == ["gone (gone)", "twin-2 (Twin)", f"{odd} ({odd})"]
    assert any("unexpected KeyError" in problem for problem in problems)
    assert "Traceback" in caplog.text


def test_a_list_of_schedules_that_ends_too_early_is_named(sandbox: Account) -> None:
    add_scheduled(sandbox, *ids(110))
    add_scheduled(sandbox, "voice-1", campaign_type="voice")
    sandbox.add_fault(Fault("forbidden", action="list", skip=1))
    seen, [problem] = switch_off(sandbox)
    assert (len(seen), len(still_on(sandbox))) == (101, 10)
    assert problem.startswith("Other campaigns may start by themselves: List of SMS campaigns")


@pytest.mark.parametrize("name", ["Sale\x00", " Sale", "Sale\ud83d", "Sale" * 100])
def test_an_odd_name_switches_no_other_schedule_off(sandbox: Account, name: str) -> None:
    add_scheduled(sandbox, "odd", name=name)
    for like in ("Sale", "Sale\ufffd", f"{'Sale' * 100:.299}…"):
        add_scheduled(sandbox, like, status="Ready")
    seen, [problem] = switch_off(sandbox)
    assert (seen, len(still_on(sandbox))) == ([], 4)
    assert "nothing was sent: the request goes by the campaign's name, and the response's name is not a word" in problem
    assert problem.isprintable()


def close(dag: Dag, **arguments: Any) -> Outcome:
    return dag.guard(END, calling_hours=HOURS, **arguments)


@pytest.mark.parametrize("switch", [False, True])
def test_what_may_start_before_the_opening_is_named_or_switched_off(sandbox: Account, dag: Dag, switch: bool) -> None:
    for campaign_id, hours in (("at-night", 3), ("by-day", 20)):
        start = (END + timedelta(hours=hours)).isoformat()
        add_scheduled(sandbox, campaign_id, schedule={"isSchedulingEnabled": True, "startDate": start})
    add_scheduled(sandbox, "some-time", status="Rescheduled")
    sandbox.add_campaign("paused", status="Paused")
    sandbox.add_campaign("stopped", status="Stopped")
    sandbox.add_campaign("call", "voice", "Paused")
    dag.guard(END - timedelta(hours=2), calling_hours=HOURS)
    sandbox.clear_requests()
    result = close(dag, switch_schedules_off=switch).result
    at_night = (END + timedelta(hours=3)).isoformat()
    expected = {"at-night": ("Scheduled", at_night), "some-time": ("Rescheduled", None)}
    if switch:
        expected = dict.fromkeys(expected, ("Ready", None))
    expected |= dict.fromkeys(("paused", "call"), ("Paused", None))
    assert {row["campaign_id"]: (row["status"], row["starts_at"]) for row in result["may_start"]} == expected
    actions = Counter(request.action for request in sandbox.requests)
    assert actions == ({"list": 10, "schedule": 2, "get": 2} if switch else {"list": 8})
    assert sandbox.campaign("by-day").status == "Scheduled"
    assert "call" not in [row["campaign_id"] for row in close(dag, campaign_types=("sms",)).result["may_start"]]


def test_at_most_a_page_that_may_start_is_named_once_all_is_stopped(sandbox: Account, dag: Dag) -> None:
    sandbox.add(150, prefix="ready", status="Ready")
    sandbox.add_campaign("live")
    outcome = close(dag, campaign_types=("sms",))
    assert outcome.error is None
    assert outcome.ids("stopped") == ["live"]
    assert len(outcome.result["may_start"]) == 100
    actions = Counter(request.action for request in sandbox.requests)
    assert actions == {"list": 2 + 2 + 1 + 1, "stop": 1}
    again = dag.guard(END + timedelta(minutes=5), calling_hours=HOURS, campaign_types=("sms",))
    assert again.result["may_start"] == []


@pytest.mark.usefixtures("types")
@pytest.mark.parametrize("types", ["v1", "sonarly"], indirect=True)
def test_a_platform_without_that_action_is_refused_before_anything_is_sent(sandbox: Account, dag: Dag) -> None:
    outcome = close(dag, switch_schedules_off=True)
    assert isinstance(outcome.error, CampaignConfigError)
    assert "switch_schedules_off can't be used" in outcome.message
    assert sandbox.requests == []


@pytest.mark.parametrize("how", ["switching", "reading back"])
def test_a_schedule_that_is_still_on_fails_the_task_in_the_end(sandbox: Account, dag: Dag, how: str) -> None:
    add_scheduled(sandbox, *ids(2, "s"))
    sandbox.add(3)
    sandbox.campaign("c-1").stoppable = False
    if how == "switching":
        sandbox.add_fault(Fault("error", action="schedule", count=None))
    else:  # it says that it is off, and it is not
        sandbox.campaign("s-1").enable_schedule = lambda enabled: None  # type: ignore[method-assign]
    outcome = close(dag, switch_schedules_off=True)
    assert outcome.names("c-1")
    assert outcome.names("s-1")
    assert outcome.names("s-0") == (how == "switching")
    assert sandbox.live == {"c-1"}
