"""A deferrable task that is refused for the rate gives its slot back, and sends again once the budget allows it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, TaskDeferred, XCom
from airflow.triggers.base import TriggerEvent

from airflow_provider_campaign.exceptions import CampaignTimeoutError
from airflow_provider_campaign.operations.permits import PERMIT_SPREAD
from airflow_provider_campaign.operators.campaign import CampaignOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.triggers.permit import MIN_DEFERRAL, RESUME_TIME, CampaignPermitTrigger, PermitQueue
from airflow_provider_campaign.triggers.shared_poll import SCARCE_POLL_INTERVAL
from airflow_provider_campaign.triggers.wait import CampaignWaitTrigger
from airflow_provider_campaign.version_compat import SHARED_STREAMS
from tests.clock import VirtualClock
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.triggerer import Triggerer
from tests.virtual_loop import run

SMS = KORE_KINDS[0]
only_shared = pytest.mark.skipif(not SHARED_STREAMS, reason="Airflow before 3.3 has no shared streams")
REFUSED = Fault("rate_limit", action="stop")


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    """The default connection's platform."""
    connect(sandbox.kore_connection())
    return sandbox


@pytest.fixture
def clock(virtual_clock: VirtualClock) -> VirtualClock:
    """The clock of platform, hooks and event loop."""
    return virtual_clock


class Task:
    """A deferrable task, which goes from worker to triggerer and back."""

    triggerer = Triggerer()

    def __init__(self, operator: CampaignOperator, try_number: int = 1) -> None:
        self.operator = operator
        self.context: Any = {"ti": SimpleNamespace(try_number=try_number)}
        self.deferred: TaskDeferred | None = None
        self.result: Any = None

    @classmethod
    def stop(cls, campaign_id: str, **arguments: Any) -> Task:
        """Return the task that stops an SMS campaign."""
        return cls(SMS.stop(campaign_id, deferrable=True, **arguments))

    def start(self) -> Task:
        """Begin on a worker."""
        return self._work(lambda: self.operator.execute(self.context))

    async def waits(self) -> Task:
        """Wait in the triggerer; what Airflow keeps of that went through its database."""
        assert self.deferred is not None
        trigger: Any = self.deferred.trigger
        if isinstance(trigger, CampaignPermitTrigger):
            event = await anext(CampaignPermitTrigger(**json.loads(json.dumps(trigger.serialize()[1]))).run())
        else:
            event = await self.triggerer.first(trigger)
        self._payload = event.payload
        return self

    def resume(self) -> Task:
        """Go on on a worker."""
        assert self.deferred is not None
        method, kwargs = self.deferred.method_name, {"event": self._payload}
        return self._work(lambda: self.operator.resume_execution(method, kwargs, self.context))

    async def to_the_end(self) -> Task:
        """Wait and go on as often as it takes."""
        while self.deferred is not None:
            (await self.waits()).resume()
        return self

    def _work(self, method: Callable[[], Any]) -> Task:
        self.deferred = None
        try:
            self.result = method()
        except TaskDeferred as deferred:
            self.deferred = deferred
        return self


def actions(sandbox: Sandbox) -> list[tuple[str | None, int | None]]:
    return [(request.action, request.status_code) for request in sandbox.requests]


@pytest.mark.parametrize("kind", [SMS, SONARLY], ids=lambda kind: kind.label)
@pytest.mark.parametrize("action", ["stop", "start"])
def test_a_refused_task_leaves_its_worker_at_once_and_sends_once_more_after_a_window(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, kind: Kind, action: str
) -> None:
    connect(kind.connection(sandbox))
    campaign = kind.add_campaign(sandbox, status="Active" if action == "stop" else "Stopped")
    sandbox.add_fault(Fault("rate_limit", action=action))
    make = kind.stop if action == "stop" else kind.start
    task = Task(make(campaign.id, deferrable=True)).start()
    assert task.deferred is not None
    assert clock.slept == []
    began = clock.now
    run(task.to_the_end(), clock)
    assert task.result["status"].casefold() == campaign.status.casefold()
    assert task.result["already_stopped"] is False
    assert 60 <= clock.now - began < 65
    assert actions(sandbox) == [(action, 429), (action, 200)]


def test_a_task_that_is_not_deferrable_or_has_little_time_waits_on_its_worker(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    for arguments in ({"deferrable": False}, {"deferrable": True, "timeout": 2 * RESUME_TIME}):
        sandbox.add_fault(REFUSED)
        task = Task(SMS.stop(sandbox.add_campaign().id, **arguments)).start()
        assert task.result["status"] == "Stopped"
        assert sum(clock.slept) > 50


def test_a_short_wait_is_not_worth_a_deferral(sandbox: Sandbox) -> None:
    sandbox.add_fault(Fault("rate_limit", action="stop", retry_after="3"))
    assert Task.stop(sandbox.add_campaign().id).start().result["status"] == "Stopped"


@pytest.mark.parametrize("retry_after", [6, 25, 200])
def test_a_retry_after_is_kept_and_no_task_resumes_right_after_it_deferred(
    sandbox: Sandbox, clock: VirtualClock, retry_after: int
) -> None:
    sandbox.add_fault(Fault("rate_limit", action="stop", retry_after=str(retry_after)))
    task, began = Task.stop(sandbox.add_campaign().id).start(), clock.now
    run(task.to_the_end(), clock)
    assert task.result["status"] == "Stopped"
    assert 0 <= clock.now - began - max(MIN_DEFERRAL, retry_after) < 2


def test_a_stop_whose_outcome_is_unknown_is_followed_by_a_status_read_after_the_wait_too(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    campaign = sandbox.add_campaign()
    sandbox.add_fault(Fault("lost", action="stop"))
    sandbox.add_fault(Fault("rate_limit", action="status", count=2))
    task = run(Task.stop(campaign.id).start().to_the_end(), clock)
    assert (task.result["status"], task.result["already_stopped"]) == ("Stopped", False)
    assert [action for action, _ in actions(sandbox)] == ["stop", "status", "status", "status"]


def test_a_retry_that_is_refused_still_reads_the_status_before_it_sends(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign(status="Stopped")
    sandbox.add_fault(Fault("rate_limit", action="status"))
    task = Task(SMS.stop(campaign.id, deferrable=True), try_number=2).start()
    assert run(task.to_the_end(), clock).result["status"] == "Stopped"
    assert [action for action, _ in actions(sandbox)] == ["status", "status"]


def test_a_stop_that_was_refused_after_the_status_was_read_is_sent_without_reading_it_again(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    campaign = sandbox.add_campaign()
    sandbox.add_fault(REFUSED)
    task = Task(SMS.stop(campaign.id, deferrable=True), try_number=2).start()
    assert run(task.to_the_end(), clock).result["status"] == "Stopped"
    assert [action for action, _ in actions(sandbox)] == ["status", "stop", "stop"]


def test_a_task_that_is_refused_until_its_end_says_what_was_sent(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign, began = sandbox.add_campaign(), clock.now
    sandbox.add_fault(Fault("rate_limit", action="stop", count=None))
    task = Task.stop(campaign.id, timeout=900).start()
    with pytest.raises(CampaignTimeoutError) as caught:
        run(task.to_the_end(), clock)
    sent = len(sandbox.requests)
    assert f"refused {sent} requests for the rate (429), and has carried out none" in str(caught.value)
    assert f"'{campaign.id}' (connection 'campaign_default', Kore.ai) is not Stopped" in str(caught.value)
    assert sent <= 900 / 60 + 1
    assert 0 < 900 - (clock.now - began) <= RESUME_TIME


def test_a_task_without_a_permit_makes_its_last_attempt_in_time(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.add_fault(Fault("rate_limit", action="stop", retry_after="300"))
    task, began = Task.stop(sandbox.add_campaign().id, timeout=200).start(), clock.now
    assert run(task.to_the_end(), clock).result["status"] == "Stopped"
    assert clock.now - began == pytest.approx(200 - RESUME_TIME)


def test_a_task_that_no_triggerer_took_up_before_its_deadline_sends_nothing(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    sandbox.add_fault(Fault("lost", action="stop"))
    sandbox.add_fault(Fault("rate_limit", action="status"))
    task = Task.stop(sandbox.add_campaign().id).start()
    sent = len(sandbox.requests)
    clock.advance(1000)
    with pytest.raises(CampaignTimeoutError, match="may have carried out an earlier one"):
        run(task.to_the_end(), clock)
    assert len(sandbox.requests) == sent


def test_of_a_hundred_that_start_at_once_each_is_refused_at_most_once(sandbox: Sandbox, clock: VirtualClock) -> None:
    tasks = [Task.stop(sandbox.add_campaign().id).start() for _ in range(100)]
    deferred = [task for task in tasks if task.deferred]
    assert len(deferred) == 40

    async def scene() -> None:
        await asyncio.gather(*(task.to_the_end() for task in deferred))

    run(scene(), clock)
    assert {task.result["status"] for task in tasks} == {"Stopped"}
    assert Counter(actions(sandbox)) == {("stop", 200): 100, ("stop", 429): 40}
    gc.collect()
    assert len(PermitQueue._queues) == 0


@only_shared
def test_of_a_hundred_that_wind_down_each_is_refused_at_most_once_and_no_poll_is(
    sandbox: Sandbox, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XCom, "set", lambda **xcom: None)
    monkeypatch.setattr(Task, "triggerer", Triggerer())
    began = clock.now
    tasks = [
        Task.stop(sandbox.add_campaign(stop_delay=45).id, poll_interval=15, outlets=[Asset("stopped")]).start()
        for _ in range(100)
    ]

    async def scene() -> None:
        await asyncio.gather(*(task.to_the_end() for task in tasks))

    run(scene(), clock)
    assert {task.result["status"] for task in tasks} == {"Stopped"}
    counts = Counter(actions(sandbox))
    assert (counts["stop", 200], counts["stop", 429]) == (100, 40)
    assert {action for action, status in counts if status == 429} == {"stop"}
    assert clock.now - began < 60 + 60 * PERMIT_SPREAD + 45 + 20


def test_polls_leave_the_requests_to_the_tasks_that_wait_for_them_until_a_deadline(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    campaign, refused = sandbox.add_campaign(), sandbox.add_campaign()
    sandbox.add_fault(Fault("rate_limit", action="stop", campaign_id=refused.id, retry_after="290"))
    now, began = clock.time(), clock.now
    trigger = CampaignWaitTrigger(campaign.id, ["Stopped"], 100.0, since=now, deadline=now + 100.0, poll_interval=10.0)
    task = Task.stop(refused.id).start()

    async def scene() -> TriggerEvent:
        ends = await asyncio.gather(Triggerer().first(trigger), task.to_the_end())
        return ends[0]

    assert run(scene(), clock).payload["error"] == "CampaignTimeoutError"
    polls = [request.at - began for request in sandbox.requests if request.action == "status"]
    assert polls == [pytest.approx(moment + 5, abs=5) for moment in (SCARCE_POLL_INTERVAL, 100)]
    assert task.result["status"] == "Stopped"


def test_a_triggerer_that_is_restarted_and_a_task_that_is_cleared_hold_nobody_up(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    sandbox.add_fault(Fault("rate_limit", action="stop", count=60))
    tasks = [Task.stop(sandbox.add_campaign().id).start() for _ in range(60)]

    async def killed_in_the_middle() -> None:
        waits = [asyncio.create_task(task.waits()) for task in tasks]
        while not any(wait.done() for wait in waits):
            await asyncio.sleep(1)
        waits[30].cancel()  # the next in turn or one behind it
        await asyncio.sleep(3)
        for task, wait in zip(tasks, waits, strict=True):
            if wait.done() and not wait.cancelled():
                task.resume()
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def scene() -> None:
        await asyncio.gather(*(task.to_the_end() for task in tasks))

    run(killed_in_the_middle(), clock)
    assert 1 < sum(task.deferred is None for task in tasks) < 59
    run(scene(), clock)
    assert {task.result["status"] for task in tasks} == {"Stopped"}
    assert Counter(request.campaign_id for request in sandbox.requests if request.status_code == 200).total() == 60
