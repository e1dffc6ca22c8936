"""A start that knows the calling hours sends nothing outside of them, however late it runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignConflictError, CampaignError
from airflow_provider_campaign.operators.campaign import StartSmsCampaignOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import KINDS, SONARLY, Connect, Kind

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
RETRY: Any = {"ti": SimpleNamespace(try_number=2)}


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", name="FL-1", status="Stopped")
    return sandbox


@pytest.fixture
def now(clock: VirtualClock) -> datetime:
    clock.advance(60 - clock.time() % 60)
    return datetime.fromtimestamp(clock.time(), UTC)


def hours(start: datetime, end: datetime) -> dict[str, str]:
    return {"frequency": "DAILY", "timezone": "UTC", "start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}


def start(calling_hours: Any, context: Any = None, **arguments: Any) -> dict[str, Any]:
    task = StartSmsCampaignOperator(task_id="start", campaign_id="cd-1", calling_hours=calling_hours, **arguments)
    no_context: Any = {}
    return task.execute(context or no_context)


def sent(sandbox: Sandbox) -> list[str | None]:
    return [request.action for request in sandbox.requests]


def test_a_late_run_starts_nothing_and_says_why(sandbox: Sandbox, now: datetime, tmp_path: Path) -> None:
    local = now + timedelta(hours=5, minutes=30)
    closed = {**hours(local - 6 * HOUR, local - HOUR), "timezone": "Asia/Kolkata"}
    with pytest.raises(AirflowSkipException) as caught:
        start(closed, records_path=f"file://{tmp_path}")
    assert str(caught.value) == (
        "Campaign 'cd-1' (connection 'campaign_default', Kore.ai) was not started: its calling hours (rule '*') are "
        f"closed, and it is {local:%Y-%m-%dT%H:%M}+05:30. They open next at {local + 18 * HOUR:%Y-%m-%dT%H:%M}+05:30."
    )
    assert sent(sandbox) == []
    [path] = tmp_path.rglob("*.json")
    record = json.loads(path.read_text())
    assert (record["outcome"], record["requests"]) == ("skipped", 0)
    assert "They open next at" in record["error"]


@pytest.mark.parametrize(
    ("starts", "ends", "is_started"),
    [(-60, 0, False), (0, 60, True), (-60, 5, False), (-60, 6, True)],
    ids=["at the very end", "at the very start", "the last minutes", "just before the last minutes"],
)
def test_it_is_started_inside_the_hours_but_for_their_last_minutes(
    sandbox: Sandbox, now: datetime, starts: int, ends: int, is_started: bool
) -> None:
    window = hours(now + starts * MINUTE, now + ends * MINUTE)
    if is_started:
        assert start(window)["status"] == "Active"
    else:
        with pytest.raises(AirflowSkipException, match=r"\(rule '\*'\) (are closed|close at .*\+00:00), and it is"):
            start(window)
    assert sent(sandbox) == (["start"] if is_started else [])


@pytest.mark.parametrize("kind", [KINDS[1], KINDS[2], SONARLY], ids=lambda kind: kind.label)
def test_rules_by_names_cost_one_status_read(sandbox: Sandbox, connect: Connect, now: datetime, kind: Kind) -> None:
    connect(kind.connection(sandbox))
    kind.add_campaign(sandbox, campaign_id="cd-2", name="FL-2", status="Stopped")
    opened, closed = hours(now, now + HOUR), hours(now + HOUR, now + 2 * HOUR)
    rules = [{"name_pattern": "GA-*", **closed}, {"name_pattern": "fl-*", "ignore_case": True, **opened}]
    assert kind.start("cd-2", calling_hours=rules).execute({})["status"] == "Active"
    assert len(sandbox.requests) == 2
    with pytest.raises(AirflowSkipException, match=r"rule 'FL-\*'.*do not open again within 400 days"):
        kind.start("cd-2", calling_hours=[{"name_pattern": "FL-*", "open": False}, opened]).execute({})
    assert len(sandbox.requests) == 3


def test_rules_by_types_cost_nothing(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    exemption = {"from": "2026-01-01T00:00", "open": True}
    opened = {"campaign_types": ["sms"], "open": True, "timezone": "UTC", "overrides": [exemption]}
    start([{"campaign_types": ["voice"], "open": False}, opened])
    assert sent(sandbox) == ["start"]
    assert "overrides[0] is open until further notice" in caplog.text


def test_a_campaign_that_no_rule_matches_is_an_error(sandbox: Sandbox) -> None:
    words = r"No rule of the calling hours \('GA-\*'\) matches campaign 'cd-1' .*whose name is 'FL-1'"
    with pytest.raises(CampaignConfigError, match=words):
        start([{"name_pattern": "GA-*", "open": True}])
    assert sent(sandbox) == ["status"]


def test_a_retry_outside_hours_is_skipped_unless_it_runs(sandbox: Sandbox, now: datetime, clock: VirtualClock) -> None:
    with pytest.raises(AirflowSkipException):
        start(hours(now - HOUR, now), RETRY)
    assert sent(sandbox) == ["status"]
    sandbox.add_fault(Fault("lost", action="start"))
    sandbox.add_fault(Fault("error", action="status", count=None))
    window = hours(now - HOUR, now + 20 * MINUTE)
    with pytest.raises(CampaignError):
        start(window)
    sandbox.clear_faults()
    clock.advance(30 * 60)
    with pytest.raises(CampaignConflictError, match=r"'cd-1' .* is Active outside its calling hours \(rule '\*'\)"):
        start(window, RETRY)
    assert sent(sandbox).count("start") == 1


@pytest.mark.parametrize("fault", ["rate_limit", "error"])
def test_nothing_is_sent_in_the_last_minutes(sandbox: Sandbox, now: datetime, clock: VirtualClock, fault: str) -> None:
    began = clock.monotonic()
    sandbox.add_fault(Fault(fault, action="start", count=None))
    with pytest.raises(CampaignError):
        start(hours(now - HOUR, now + 8 * MINUTE), timeout=3600)
    assert sent(sandbox).count("start") >= 2
    last = max(request.at for request in sandbox.requests if request.action == "start")
    assert began + 120 < last <= began + 180


def test_a_resumed_task_looks_at_the_hours_again(sandbox: Sandbox, now: datetime, clock: VirtualClock) -> None:
    sandbox.add_fault(Fault("rate_limit", action="start"))
    arguments: Any = {"calling_hours": hours(now - HOUR, now + 8 * MINUTE), "deferrable": True, "timeout": 3600}
    task = StartSmsCampaignOperator(task_id="start", campaign_id="cd-1", **arguments)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    clock.advance(10 * 60)
    with pytest.raises(AirflowSkipException):
        task.execute_again({}, **(deferred.value.kwargs or {}))
    assert sent(sandbox) == ["start"]
