"""A deferrable task that is rate-limited gives its slot back, and sends again after the platform's window."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, TaskDeferred, XCom

from airflow_provider_campaign.exceptions import CampaignTimeoutError
from airflow_provider_campaign.operators.campaign import CampaignOperator
from airflow_provider_campaign.operators.status_change import MIN_RATE_DEFERRAL, RATE_JITTER, RESUME_TIME
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, run
from airflow_provider_campaign.version_compat import SHARED_STREAMS
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.triggerer import Triggerer

SMS = KORE_KINDS[0]

RunTask = Callable[..., Outcome]


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    return sandbox


def stop(campaign_id: str, **arguments: Any) -> CampaignOperator:
    return SMS.stop(campaign_id, **{"deferrable": True, **arguments})


def refused(action: str, **options: Any) -> Fault:
    return Fault("rate_limit", action=action, **options)


def actions(sandbox: Sandbox) -> str:
    return " ".join(str(request.action) for request in sandbox.requests)


@pytest.mark.parametrize("kind", [SMS, SONARLY], ids=lambda kind: kind.label)
@pytest.mark.parametrize("action", ["stop", "start"])
def test_a_rate_limited_task_leaves_its_worker_for_a_window(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, run_task: RunTask, kind: Kind, action: str
) -> None:
    connect(kind.connection(sandbox))
    campaign = kind.add_campaign(sandbox, status="Active" if action == "stop" else "Stopped")
    sandbox.add_fault(refused(action))
    outcome = run_task(getattr(kind, action)(campaign.id, deferrable=True))
    assert outcome.result["status"].casefold() == campaign.status.casefold()
    assert outcome.result["already_stopped"] is False
    [wait] = outcome.waits
    assert 59.9 <= wait < 60 + RATE_JITTER
    assert clock.slept == []
    assert actions(sandbox) == f"{action} {action}"


@pytest.mark.parametrize(
    ("arguments", "retry_after"),
    [({"deferrable": False}, None), ({"timeout": 2 * RESUME_TIME}, None), ({}, "3")],
    ids=["not deferrable", "little time", "a short wait"],
)
def test_what_is_not_worth_a_deferral_is_waited_for_on_the_worker(
    sandbox: Sandbox, clock: VirtualClock, run_task: RunTask, arguments: dict[str, Any], retry_after: str | None
) -> None:
    sandbox.add_fault(refused("stop", retry_after=retry_after))
    outcome = run_task(stop(sandbox.add_campaign().id, **arguments))
    assert (outcome.result["status"], outcome.waits) == ("Stopped", [])
    assert sum(clock.slept) > (0 if retry_after else 50)


@pytest.mark.parametrize("retry_after", [6, 25, 60])
def test_a_retry_after_is_kept_and_none_resumes_at_once(sandbox: Sandbox, run_task: RunTask, retry_after: int) -> None:
    sandbox.add_fault(refused("stop", retry_after=str(retry_after)))
    outcome = run_task(stop(sandbox.add_campaign().id))
    assert outcome.result["status"] == "Stopped"
    assert -0.1 <= outcome.waits[0] - max(MIN_RATE_DEFERRAL, retry_after) < RATE_JITTER


@pytest.mark.parametrize(
    ("status", "faults", "try_number", "expected"),
    [
        ("Active", [Fault("lost", action="stop"), refused("status", count=2)], 1, "stop status status status"),
        ("Stopped", [refused("status")], 2, "status status"),
        ("Active", [refused("stop")], 2, "status stop stop"),
    ],
    ids=["outcome unknown", "a retry", "a retry that has read"],
)
def test_a_stop_that_may_have_arrived_is_followed_by_a_status_read(
    sandbox: Sandbox, run_task: RunTask, status: str, faults: list[Fault], try_number: int, expected: str
) -> None:
    campaign = sandbox.add_campaign(status=status)
    for fault in faults:
        sandbox.add_fault(fault)
    outcome = run_task(stop(campaign.id), try_number=try_number)
    assert (outcome.result["status"], outcome.result["already_stopped"]) == ("Stopped", False)
    assert actions(sandbox) == expected


def test_a_task_that_dags_test_resumes_without_what_it_carried_reads_first(sandbox: Sandbox) -> None:
    sandbox.add_fault(refused("stop"))
    task: Any = stop(sandbox.add_campaign().id)
    with pytest.raises(TaskDeferred):
        task.execute({})
    assert task.execute_again({})["status"] == "Stopped"
    assert actions(sandbox) == "stop status stop"


def test_a_task_refused_to_its_end_says_what_was_sent(sandbox: Sandbox, clock: VirtualClock, run_task: RunTask) -> None:
    campaign, began = sandbox.add_campaign(), clock.now
    sandbox.add_fault(refused("stop", count=None))
    outcome, sent = run_task(stop(campaign.id, timeout=900)), len(sandbox.requests)
    assert type(outcome.error) is CampaignTimeoutError
    assert f"rate-limited {sent} requests (429); none were processed" in outcome.message
    assert f"'{campaign.id}' (connection 'campaign_default', Kore.ai) is not Stopped" in outcome.message
    assert 900 / (60 + RATE_JITTER) - 1 <= sent <= 900 / 60 + 1
    assert 0 < 900 - (clock.now - began) <= RESUME_TIME + MIN_RATE_DEFERRAL


def test_a_task_makes_its_last_attempt_in_time(sandbox: Sandbox, run_task: RunTask) -> None:
    sandbox.add_fault(refused("stop", retry_after="60"))
    outcome = run_task(stop(sandbox.add_campaign().id, timeout=80))
    assert outcome.result["status"] == "Stopped"
    assert outcome.waits == [pytest.approx(80 - RESUME_TIME, abs=0.5)]


def test_a_task_that_no_triggerer_took_up_in_time_sends_nothing(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.add_fault(Fault("lost", action="stop"))
    sandbox.add_fault(refused("status"))
    task: Any = stop(sandbox.add_campaign().id)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    clock.advance(1000)
    with pytest.raises(CampaignTimeoutError, match="an earlier one may have been processed"):
        task.execute_again({}, **(deferred.value.kwargs or {}))
    assert actions(sandbox) == "stop status"


async def carried_through(task: Any, triggerer: Triggerer) -> str:
    """Bring a task from worker to triggerer and back, beside others, and return the status that it returns."""
    method, kwargs = task.execute, dict[str, Any]()
    while True:
        try:
            return str(method({}, **kwargs)["status"])
        except TaskDeferred as deferred:
            trigger: Any = deferred.trigger
            method, kwargs = getattr(task, deferred.method_name), {**(deferred.kwargs or {}), "event": None}
            if deferred.method_name == "execute_again":  # Airflow's own trigger goes by Airflow's clock
                await asyncio.sleep((trigger.moment - datetime.now(UTC)).total_seconds())
            else:
                kwargs["event"] = (await triggerer.first(trigger)).payload


def carry_all_through(tasks: list[CampaignOperator], clock: VirtualClock) -> None:
    async def scene() -> list[str]:
        triggerer = Triggerer()
        return await asyncio.gather(*(carried_through(task, triggerer) for task in tasks))

    assert set(run(scene(), clock)) == {"Stopped"}


def test_many_at_once_are_refused_as_often_as_the_windows_demand(sandbox: Sandbox, clock: VirtualClock) -> None:
    began = clock.now
    carry_all_through([stop(sandbox.add_campaign().id) for _ in range(150)], clock)
    assert Counter(request.status_code for request in sandbox.requests) == {200: 150, 429: 90 + 30}
    assert clock.now - began < 2 * (60 + RATE_JITTER) + 1


@pytest.mark.skipif(not SHARED_STREAMS, reason="Airflow before 3.3 has no shared streams")
def test_of_a_hundred_slow_stops_each_is_rate_limited_at_most_once(
    sandbox: Sandbox, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XCom, "set", lambda **xcom: None)
    began, more = clock.now, {"poll_interval": 15, "outlets": [Asset("stopped")]}
    carry_all_through([stop(sandbox.add_campaign(stop_delay=45).id, **more) for _ in range(100)], clock)
    counts = Counter((request.action == "stop", request.status_code) for request in sandbox.requests)
    assert (counts[True, 200], counts[True, 429]) == (100, 40)
    assert counts[False, 429] <= 3
    assert clock.now - began < 60 + RATE_JITTER + 45 + 60
