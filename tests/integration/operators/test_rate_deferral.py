"""A deferrable task that is rate-limited gives its slot back, and sends again after the platform's window."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, TaskDeferred, XCom
from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

from airflow_provider_campaign.exceptions import CampaignTimeoutError
from airflow_provider_campaign.operators.campaign import CampaignOperator
from airflow_provider_campaign.operators.status_change import MIN_RATE_DEFERRAL, RATE_JITTER, RESUME_TIME
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, run
from airflow_provider_campaign.version_compat import SHARED_STREAMS
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.triggerer import Triggerer

SMS = KORE_KINDS[0]
only_shared = pytest.mark.skipif(not SHARED_STREAMS, reason="Airflow before 3.3 has no shared streams")


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    """The default connection's platform."""
    connect(sandbox.kore_connection())
    return sandbox


@pytest.fixture
def clock(clock: VirtualClock) -> VirtualClock:
    """The clock of platform, hooks and event loop."""
    return clock


class Task:
    """A deferrable task, which goes from worker to triggerer and back."""

    triggerer = Triggerer()

    def __init__(self, operator: CampaignOperator, try_number: int = 1, *, keeps_arguments: bool = True) -> None:
        self.operator = operator
        self.keeps_arguments = keeps_arguments
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
        """Wait in the triggerer; Airflow's own trigger goes by Airflow's clock, so that it is left out."""
        assert self.deferred is not None
        trigger: Any = self.deferred.trigger
        if isinstance(trigger, TimeDeltaTrigger):
            await asyncio.sleep(self._delay)
            self._payload = trigger.moment
        else:
            self._payload = (await self.triggerer.first(trigger)).payload
        return self

    def resume(self) -> Task:
        """Go on on a worker."""
        assert self.deferred is not None
        method, kept = self.deferred.method_name, self._kept if self.keeps_arguments else {}
        kwargs = {**kept, "event": self._payload}
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
            self._kept: Mapping[str, Any] = json.loads(json.dumps(deferred.kwargs or {}))  # as in the database
            moment = getattr(deferred.trigger, "moment", None)
            self._delay = (moment - datetime.now(UTC)).total_seconds() if moment else 0.0
        return self


def actions(sandbox: Sandbox) -> list[tuple[str | None, int | None]]:
    return [(request.action, request.status_code) for request in sandbox.requests]


def refused(action: str, **options: Any) -> Fault:
    return Fault("rate_limit", action=action, **options)


@pytest.mark.parametrize("kind", [SMS, SONARLY], ids=lambda kind: kind.label)
@pytest.mark.parametrize("action", ["stop", "start"])
def test_a_rate_limited_task_leaves_its_worker_for_a_window(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, kind: Kind, action: str
) -> None:
    connect(kind.connection(sandbox))
    campaign = kind.add_campaign(sandbox, status="Active" if action == "stop" else "Stopped")
    sandbox.add_fault(refused(action))
    make = kind.stop if action == "stop" else kind.start
    task = Task(make(campaign.id, deferrable=True)).start()
    assert task.deferred is not None
    assert clock.slept == []
    began = clock.now
    run(task.to_the_end(), clock)
    assert task.result["status"].casefold() == campaign.status.casefold()
    assert task.result["already_stopped"] is False
    assert 59.9 <= clock.now - began < 60 + RATE_JITTER
    assert actions(sandbox) == [(action, 429), (action, 200)]


@pytest.mark.parametrize(
    ("arguments", "retry_after", "seconds"),
    [
        ({"deferrable": False}, None, 50),
        ({"deferrable": True, "timeout": 2 * RESUME_TIME}, None, 50),
        ({"deferrable": True}, "3", 0),
    ],
    ids=["not deferrable", "little time", "a short wait"],
)
def test_what_is_not_worth_a_deferral_is_waited_for_on_the_worker(
    sandbox: Sandbox, clock: VirtualClock, arguments: dict[str, Any], retry_after: str | None, seconds: float
) -> None:
    sandbox.add_fault(refused("stop", retry_after=retry_after))
    task = Task(SMS.stop(sandbox.add_campaign().id, **arguments)).start()
    assert task.result["status"] == "Stopped"
    assert sum(clock.slept) > seconds


@pytest.mark.parametrize("retry_after", [6, 25, 60])
def test_a_retry_after_is_kept_and_no_task_resumes_right_after_it_deferred(
    sandbox: Sandbox, clock: VirtualClock, retry_after: int
) -> None:
    sandbox.add_fault(refused("stop", retry_after=str(retry_after)))
    task, began = Task.stop(sandbox.add_campaign().id).start(), clock.now
    run(task.to_the_end(), clock)
    assert task.result["status"] == "Stopped"
    assert -0.1 <= clock.now - began - max(MIN_RATE_DEFERRAL, retry_after) < RATE_JITTER


@pytest.mark.parametrize(
    ("status", "faults", "try_number", "keeps_arguments", "expected"),
    [
        ("Active", [Fault("lost", action="stop"), refused("status", count=2)], 1, True, "stop status status status"),
        ("Stopped", [refused("status")], 2, True, "status status"),
        ("Active", [refused("stop")], 2, True, "status stop stop"),
        ("Active", [refused("stop")], 1, False, "stop status stop"),
    ],
    ids=["outcome unknown", "a retry", "a retry that has read", "dags test, which drops what is carried"],
)
def test_a_stop_that_may_have_arrived_is_followed_by_a_status_read(
    sandbox: Sandbox,
    clock: VirtualClock,
    status: str,
    faults: list[Fault],
    try_number: int,
    keeps_arguments: bool,
    expected: str,
) -> None:
    campaign = sandbox.add_campaign(status=status)
    for fault in faults:
        sandbox.add_fault(Fault(fault.kind, action=fault.action, count=fault.count, **fault.options))
    operator = SMS.stop(campaign.id, deferrable=True)
    task = run(Task(operator, try_number, keeps_arguments=keeps_arguments).start().to_the_end(), clock)
    assert (task.result["status"], task.result["already_stopped"]) == ("Stopped", False)
    assert " ".join(str(action) for action, _ in actions(sandbox)) == expected


def test_a_task_that_is_refused_until_its_end_says_what_was_sent(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign, began = sandbox.add_campaign(), clock.now
    sandbox.add_fault(refused("stop", count=None))
    task = Task.stop(campaign.id, timeout=900).start()
    with pytest.raises(CampaignTimeoutError) as caught:
        run(task.to_the_end(), clock)
    sent = len(sandbox.requests)
    assert f"rate-limited {sent} requests (429); none were processed" in str(caught.value)
    assert f"'{campaign.id}' (connection 'campaign_default', Kore.ai) is not Stopped" in str(caught.value)
    assert 900 / (60 + RATE_JITTER) - 1 <= sent <= 900 / 60 + 1
    assert 0 < 900 - (clock.now - began) <= RESUME_TIME + MIN_RATE_DEFERRAL


def test_a_task_makes_its_last_attempt_in_time(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.add_fault(refused("stop", retry_after="60"))
    task, began = Task.stop(sandbox.add_campaign().id, timeout=80).start(), clock.now
    assert run(task.to_the_end(), clock).result["status"] == "Stopped"
    assert clock.now - began == pytest.approx(80 - RESUME_TIME, abs=0.5)


def test_a_task_that_no_triggerer_took_up_in_time_sends_nothing(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.add_fault(Fault("lost", action="stop"))
    sandbox.add_fault(refused("status"))
    task = Task.stop(sandbox.add_campaign().id).start()
    sent = len(sandbox.requests)
    clock.advance(1000)
    with pytest.raises(CampaignTimeoutError, match="an earlier one may have been processed"):
        run(task.to_the_end(), clock)
    assert len(sandbox.requests) == sent


def test_many_at_once_are_refused_as_often_as_the_windows_demand(sandbox: Sandbox, clock: VirtualClock) -> None:
    began = clock.now
    tasks = [Task.stop(sandbox.add_campaign().id).start() for _ in range(150)]
    deferred = [task for task in tasks if task.deferred]
    assert len(deferred) == 90

    async def scene() -> None:
        await asyncio.gather(*(task.to_the_end() for task in deferred))

    run(scene(), clock)
    assert {task.result["status"] for task in tasks} == {"Stopped"}
    assert Counter(actions(sandbox)) == {("stop", 200): 150, ("stop", 429): 90 + 30}
    assert clock.now - began < 2 * (60 + RATE_JITTER) + 1


@only_shared
def test_of_a_hundred_slow_stops_each_is_rate_limited_at_most_once(
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
    assert sum(number for (action, status), number in counts.items() if status == 429 and action != "stop") <= 3
    assert clock.now - began < 60 + RATE_JITTER + 45 + 60
