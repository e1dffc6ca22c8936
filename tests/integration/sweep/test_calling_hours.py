"""A sweep that knows the calling hours: in time before their end, incidents after it, and what may start meanwhile."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignSweepError
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import Connect


@pytest.fixture
def sandbox(clock: VirtualClock, connect: Connect) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        connect(sandbox.kore_connection("v2"))
        yield sandbox


@pytest.fixture
def end(clock: VirtualClock) -> datetime:
    """The end of the calling hours: ten to eleven minutes from now."""
    return datetime.fromtimestamp(clock.time(), UTC).replace(second=0, microsecond=0) + timedelta(minutes=11)


def hours(end: datetime) -> dict[str, str]:
    start = end - timedelta(hours=8)
    return {"frequency": "DAILY", "timezone": "UTC", "start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}


def context(logical_date: datetime, verified_at: datetime | None = None) -> Any:
    """
    Return the context of a scheduled run.

    :param verified_at: The logical date of the last run before it that has succeeded.
    """
    return {
        "logical_date": logical_date,
        "data_interval_end": logical_date,
        "dag_run": SimpleNamespace(run_type="scheduled"),
        "prev_data_interval_end_success": verified_at,
        "outlet_events": Events(),
    }


class Events:
    """What a task adds to its outlets, by the names of its aliases."""

    def __init__(self) -> None:
        self.added: dict[str, list[Any]] = {}

    def __getitem__(self, alias: AssetAlias) -> Any:
        events = self.added.setdefault(alias.name, [])
        return SimpleNamespace(add=lambda asset, extra: events.append((asset, extra)))


def sweep(end: datetime, **arguments: Any) -> StopActiveCampaignsOperator:
    return StopActiveCampaignsOperator(task_id="sweep", calling_hours=hours(end), **arguments)


def sent(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(each.action for each in sandbox.requests)


# In time.


def test_a_run_that_begins_before_the_end_ends_with_it(sandbox: Sandbox, clock: VirtualClock, end: datetime) -> None:
    sandbox.add_campaign("c-1")
    result = sweep(end, margin=120).execute(context(end - timedelta(minutes=11)))
    assert clock.time() == pytest.approx(end.timestamp(), abs=1)
    [row] = result["stopped"]
    confirmed = datetime.fromisoformat(row["confirmed_at"])
    assert timedelta(seconds=120) <= end - confirmed <= timedelta(seconds=150)
    assert (result["window_end"], result["incidents"]) == (end.isoformat(), [])


def test_what_is_late_is_told_and_by_how_much(
    sandbox: Sandbox, clock: VirtualClock, end: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sandbox.add_campaign("slow", name="Slow", stop_delay=120.0)
    result = sweep(end).execute(context(end - timedelta(minutes=11)))
    assert len(result["stopped"]) == 1
    assert re.search(r"live when their calling hours ended: slow \(Slow\)\. .* 4\d s later", caplog.text)


def test_the_timeout_counts_from_the_end(sandbox: Sandbox, clock: VirtualClock, end: datetime) -> None:
    sandbox.add_campaign("c-1", stoppable=False)
    with pytest.raises(CampaignSweepError, match="c-1"):
        sweep(end, timeout=30).execute(context(end - timedelta(minutes=11)))
    assert clock.time() == pytest.approx(end.timestamp() + 30, abs=1)


# The night.


def test_a_run_at_night_that_finds_nothing_costs_one_request_a_type(
    sandbox: Sandbox, clock: VirtualClock, end: datetime
) -> None:
    clock.advance((end + timedelta(hours=1)).timestamp() - clock.time())
    sandbox.add_campaign("c-1", status="Stopped")
    sandbox.add_campaign("c-2", status="Scheduled")
    result = sweep(end).execute(context(end + timedelta(minutes=60), verified_at=end + timedelta(minutes=55)))
    assert sent(sandbox) == {"list": 2}
    assert (result["total"], result["requests"], result["incidents"]) == (0, 2, [])


@pytest.mark.parametrize(
    ("verified_before", "is_incident"),
    [(timedelta(minutes=5), True), (timedelta(hours=23), False), (None, False)],
    ids=["closed in this night", "closed in the night before", "never"],
)
def test_what_is_live_once_the_account_was_seen_closed_is_an_incident(
    sandbox: Sandbox,
    clock: VirtualClock,
    end: datetime,
    caplog: pytest.LogCaptureFixture,
    verified_before: timedelta | None,
    is_incident: bool,
) -> None:
    caplog.set_level(logging.WARNING)
    clock.advance((end + timedelta(hours=1)).timestamp() - clock.time())
    sandbox.add_campaign("c-1")
    asset = Asset("campaign_incidents")
    task = sweep(end, incident_outlet=asset)
    run = context(
        end + timedelta(minutes=5),
        verified_at=end + timedelta(minutes=5) - verified_before if verified_before else None,
    )
    result = task.execute(run)
    assert sandbox.campaign("c-1").status == "Stopped"
    assert result["incidents"] == (["c-1"] if is_incident else [])
    assert result["stopped"][0]["is_incident"] is is_incident
    assert ("Incident: campaign c-1" in caplog.text) is is_incident
    [alias] = task.outlets
    assert isinstance(alias, AssetAlias)
    events = run["outlet_events"].added.get(alias.name, [])
    assert [(each, extra["incidents"]) for each, extra in events] == ([(asset, ["c-1"])] if is_incident else [])


@pytest.mark.parametrize("argument", [{"incident_outlet": Asset("incidents")}, {"switch_schedules_off": True}], ids=str)
def test_what_needs_calling_hours_is_refused_without(argument: dict[str, Any]) -> None:
    with pytest.raises(CampaignConfigError, match="needs calling_hours"):
        StopActiveCampaignsOperator(task_id="sweep", **argument)


# What may start.


def startable(sandbox: Sandbox, end: datetime) -> None:
    by_day, at_night = end + timedelta(hours=20), end + timedelta(hours=3)
    for name, status, details in (
        ("at-night", "Scheduled", {"schedule": {"isSchedulingEnabled": True, "startDate": at_night.isoformat()}}),
        ("by-day", "Scheduled", {"schedule": {"isSchedulingEnabled": True, "startDate": by_day.isoformat()}}),
        ("some-time", "Rescheduled", {"schedule": {"isSchedulingEnabled": True}}),
        ("paused", "Paused", {}),
        ("stopped", "Stopped", {}),
    ):
        sandbox.add_campaign(name, status=status, name=f"Campaign {name}", **details)


def test_the_result_names_what_may_start_before_the_morning(
    sandbox: Sandbox, clock: VirtualClock, end: datetime
) -> None:
    clock.advance((end + timedelta(minutes=5)).timestamp() - clock.time())
    startable(sandbox, end)
    result = sweep(end).execute(context(end))
    assert {row["campaign_id"] for row in result["may_start"]} == {"at-night", "some-time", "paused"}
    assert {row["starts_at"] for row in result["may_start"]} == {(end + timedelta(hours=3)).isoformat(), None}
    assert sent(sandbox) == {"list": 6}


def test_what_may_start_of_a_type_that_is_left_out_is_not_named(
    sandbox: Sandbox, clock: VirtualClock, end: datetime
) -> None:
    clock.advance((end + timedelta(minutes=5)).timestamp() - clock.time())
    for campaign_type in ("sms", "voice"):
        sandbox.add_campaign(f"paused-{campaign_type}", campaign_type, "Paused")
    result = sweep(end, campaign_types=("sms",)).execute(context(end))
    assert [row["campaign_id"] for row in result["may_start"]] == ["paused-sms"]


def test_more_than_a_page_that_may_start_costs_one_request_more_and_hides_nothing(
    sandbox: Sandbox, clock: VirtualClock, end: datetime
) -> None:
    clock.advance((end + timedelta(minutes=5)).timestamp() - clock.time())
    for number in range(150):
        sandbox.add_campaign(f"ready-{number}", status="Ready")
    sandbox.add_campaign("live")
    result = sweep(end, campaign_types=("sms",)).execute(context(end))
    assert [row["campaign_id"] for row in result["stopped"]] == ["live"]
    assert result["may_start"] == []
    assert sent(sandbox) == {"list": 2 + 2 + 1 + 2, "stop": 1}


def test_schedules_are_switched_off_and_read_back(sandbox: Sandbox, clock: VirtualClock, end: datetime) -> None:
    clock.advance((end + timedelta(minutes=5)).timestamp() - clock.time())
    startable(sandbox, end)
    result = sweep(end, switch_schedules_off=True).execute(context(end))
    assert sent(sandbox) == {"list": 8, "schedule": 2, "get": 2}
    statuses = {row["campaign_id"]: row["status"] for row in result["may_start"]}
    assert statuses == {"at-night": "Ready", "some-time": "Ready", "paused": "Paused"}
    assert sandbox.campaign("by-day").status == "Scheduled"


def test_a_schedule_that_is_not_verified_off_fails_the_task_once_all_is_stopped(
    sandbox: Sandbox, clock: VirtualClock, end: datetime
) -> None:
    clock.advance((end + timedelta(minutes=5)).timestamp() - clock.time())
    sandbox.add_campaign("twin-1", status="Scheduled", name="Twin", schedule={"isSchedulingEnabled": True})
    sandbox.add_campaign("twin-2", "voice", status="Scheduled", name="Twin", schedule={"isSchedulingEnabled": True})
    sandbox.add_campaign("live")
    with pytest.raises(CampaignSweepError, match=r"^twin-2 \(Twin\): its schedule is not verified switched off"):
        sweep(end, switch_schedules_off=True).execute(context(end))
    assert sandbox.campaign("live").status == "Stopped"


@pytest.mark.parametrize("platform", ["v1", "sonarly"])
def test_a_platform_without_that_action_is_refused_before_anything_is_sent(
    sandbox: Sandbox, connect: Connect, clock: VirtualClock, end: datetime, platform: str
) -> None:
    connect(sandbox.sonarly_connection() if platform == "sonarly" else sandbox.kore_connection("v1"))
    with pytest.raises(CampaignConfigError, match="switch_schedules_off is True"):
        sweep(end, switch_schedules_off=True).execute(context(end))
    assert sandbox.requests == []


def test_a_row_that_can_not_be_read_among_those_that_may_start_is_no_alarm(
    sandbox: Sandbox, clock: VirtualClock, end: datetime
) -> None:
    clock.advance((end + timedelta(minutes=5)).timestamp() - clock.time())
    sandbox.add_campaign("c-1", status="Ready")
    sandbox.add_fault(Fault("unreadable_row", action="list", count=1))
    result = sweep(end, campaign_types=("sms",)).execute(context(end))
    assert (result["outcome"], result["total"]) == ("success", 0)
