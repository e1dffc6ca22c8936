"""Triggers that wait on one account share a poll, and each ends as it would have alone."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent
from airflow_provider_campaign.triggers.shared import AccountPoll
from sqlalchemy.exc import OperationalError

from airflow_provider_campaign.campaign import STOP_CONDITION
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.triggers import campaign as campaign_trigger
from airflow_provider_campaign.triggers import shared
from airflow_provider_campaign.triggers.campaign import TRIGGERER_GRACE, CampaignStatusTrigger
from airflow_provider_campaign.version_compat import AirflowRuntimeError
from tests.kinds import Connect, Kind
from tests.triggerer import WAYS, Triggerer, run_to_its_end

INTERVAL = 0.1
RECORD = {"message": "Campaign Stopped", "updated_at": None, "already_stopped": False}


@pytest.fixture(autouse=True)
def sandbox(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The default connection's platform; time is real here, as it is in an event loop."""
    monkeypatch.setattr(campaign_trigger, "GATHERING", INTERVAL)
    with Sandbox(rate_limit=None) as sandbox:
        connect(sandbox.kore_connection(timeout=5))
        yield sandbox
    gc.collect()  # no poll may outlive its event loop


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each way to run a trigger in turn."""
    return str(request.param)


def waiting(campaign_id: str, timeout: float | None = 30, **details: Any) -> CampaignStatusTrigger:
    """Return the trigger of a task that has just seen its campaign active."""
    now = time.time()
    deadline = None if timeout is None else now + timeout
    details = {"since": now, "timeout": timeout, "deadline": deadline, "poll_interval": INTERVAL, **details}
    return CampaignStatusTrigger(campaign_id, for_task=True, campaign_type="sms", **details)


def airflow_is_unavailable() -> Exception:
    """Return what Airflow raises when its API, or on 2.11 its database, can't be reached."""
    if AirflowRuntimeError.__module__.startswith("sqlalchemy"):
        return OperationalError("insert", {}, Exception("not now"))
    from airflow.sdk.execution_time.comms import ErrorResponse

    return AirflowRuntimeError(ErrorResponse(detail={"reason": "not now"}))


async def all_of(triggers: list[CampaignStatusTrigger], way: str) -> list[TriggerEvent]:
    triggerer = Triggerer(way)
    return await asyncio.gather(*map(triggerer.first, triggers))


async def until(predicate: Callable[[], object]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(20):
        while not predicate():
            await asyncio.sleep(0.01)


def test_a_trigger_is_the_same_after_a_trip_through_the_database() -> None:
    trigger = waiting("cd-1", record=RECORD, impossible_statuses=("Ready",), end_task=True, max_interval=7.0)
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_campaign.triggers.campaign.CampaignStatusTrigger"
    again = CampaignStatusTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert again.goal == trigger.goal


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Airflow is given as XCom."""
    pushed: list[dict[str, Any]] = []
    monkeypatch.setattr(XCom, "set", lambda **xcom: pushed.append(xcom))
    return pushed


def test_a_task_that_may_end_in_the_trigger_is_given_its_xcom_there(
    sandbox: Sandbox, way: str, pushed: list[dict[str, Any]]
) -> None:
    campaign = sandbox.add_campaign(status="Stopped")
    event = run_to_its_end(waiting(campaign.id, record=RECORD, end_task=True), way)
    assert isinstance(event, TaskSuccessEvent)
    [xcom] = pushed
    record = xcom.pop("value")
    assert event.payload["value"] == record  # which is what dags test resumes the task with
    assert xcom == {"key": "return_value", "dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": 3}
    assert (record["campaign_id"], record["status"], record["message"]) == (campaign.id, "Stopped", "Campaign Stopped")


def test_a_task_whose_xcom_can_not_be_pushed_there_is_resumed_with_it(
    sandbox: Sandbox, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**xcom: Any) -> None:
        raise airflow_is_unavailable()

    monkeypatch.setattr(XCom, "set", refuse)
    campaign = sandbox.add_campaign(status="Stopped")
    event = run_to_its_end(waiting(campaign.id, end_task=True), way)
    assert type(event) is TriggerEvent
    assert event.payload["value"] == "Stopped"


def test_a_task_that_has_more_to_do_is_sent_what_it_returns(sandbox: Sandbox, way: str) -> None:
    campaign = sandbox.add_campaign(status="Stopped")
    event = run_to_its_end(waiting(campaign.id), way)
    assert type(event) is TriggerEvent
    assert event.payload == {"value": "Stopped", "error": None, "message": ""}


@pytest.mark.parametrize("count", [1, 2, 3, 60])
def test_each_of_many_ends_as_its_own_campaign_does(sandbox: Sandbox, way: str, count: int) -> None:
    ids = [sandbox.add_campaign().id for _ in range(count)]

    async def scene() -> list[TriggerEvent]:
        ends = asyncio.create_task(all_of([waiting(campaign_id) for campaign_id in ids], way))
        await until(lambda: sandbox.requests)
        for number, campaign_id in enumerate(ids):
            sandbox.set_status(campaign_id, "Completed" if number % 2 else "Stopped")
        return await ends

    for number, event in enumerate(asyncio.run(scene())):
        assert event.payload["error"] == ("CampaignStateError" if number % 2 else None)
        assert ids[number] in event.payload["message"] if number % 2 else event.payload["value"] == "Stopped"


@pytest.mark.skipif("shared" not in WAYS, reason="Airflow before 3.3 has no shared streams")
def test_many_triggers_share_one_poll(sandbox: Sandbox) -> None:
    ids = [sandbox.add_campaign().id for _ in range(100)]

    async def scene() -> None:
        ends = asyncio.create_task(all_of([waiting(campaign_id) for campaign_id in ids], "shared"))
        await until(lambda: len(sandbox.requests) >= 20)
        polled = Counter(request.action for request in sandbox.requests)
        assert abs(polled["list"] - polled["status"]) <= 1
        for campaign_id in ids:
            sandbox.set_status(campaign_id, "Stopped")
        await ends

    asyncio.run(scene())


@pytest.mark.parametrize("count", [1, 5])
def test_a_failure_that_concerns_all_reaches_each(sandbox: Sandbox, connect: Connect, way: str, count: int) -> None:
    ids = [sandbox.add_campaign().id for _ in range(count)]

    async def errors() -> set[str]:
        return {event.payload["error"] for event in await all_of([waiting(campaign_id) for campaign_id in ids], way)}

    async def scene() -> None:
        sandbox.add_fault(Fault("unauthorized", count=None))
        assert await errors() == {"CampaignAuthError"}
        connect({"conn_type": "http", "host": "http://127.0.0.1"})
        assert await errors() == {"CampaignConfigError"}

    asyncio.run(scene())


def test_a_connection_that_is_missing_is_named(way: str) -> None:
    event = run_to_its_end(waiting("cd-1", campaign_conn_id="nowhere"), way)
    assert event.payload["error"] == "CampaignConfigError"
    assert "nowhere" in event.payload["message"]


def test_a_template_that_rendered_to_nothing_is_named(way: str) -> None:
    event = run_to_its_end(waiting("cd-1", target_statuses=[""]), way)
    assert event.payload["error"] == "CampaignConfigError"


def test_credentials_that_are_changed_during_the_wait_are_taken_up(
    sandbox: Sandbox, connect: Connect, way: str
) -> None:
    campaign = sandbox.add_campaign()

    async def scene() -> TriggerEvent:
        end = asyncio.create_task(Triggerer(way).first(waiting(campaign.id)))
        await until(lambda: sandbox.requests)
        await until(lambda: len(sandbox.requests) >= 2)
        sandbox.config.client_secret = "a-new-secret-" * 8
        connect(sandbox.kore_connection())
        sandbox.set_status(campaign.id, "Stopped")
        return await end

    assert asyncio.run(scene()).payload["value"] == "Stopped"


def test_who_leaves_is_forgotten_and_the_others_go_on(sandbox: Sandbox, way: str) -> None:
    ids = [sandbox.add_campaign().id for _ in range(4)]

    async def scene() -> None:
        triggerer = Triggerer(way)
        waits = [asyncio.create_task(triggerer.first(waiting(campaign_id))) for campaign_id in ids]
        await until(lambda: len(sandbox.requests) > 4)
        for leaver in waits[:2]:
            leaver.cancel()
        await asyncio.gather(*waits[:2], return_exceptions=True)
        sandbox.set_status(ids[2], "Stopped")
        assert (await waits[2]).payload["value"] == "Stopped"
        sandbox.clear_requests()
        await until(lambda: len(sandbox.requests) > 2)
        assert not {request.campaign_id for request in sandbox.requests} & set(ids[:2])
        sandbox.set_status(ids[3], "Stopped")
        assert (await waits[3]).payload["value"] == "Stopped"

    asyncio.run(scene())
    gc.collect()
    assert len(AccountPoll._polls) == 0


def test_who_comes_when_all_have_left_is_served(sandbox: Sandbox, way: str) -> None:
    async def scene() -> None:
        triggerer = Triggerer(way)
        for _ in range(5):
            campaign = sandbox.add_campaign()
            wait = asyncio.create_task(triggerer.first(waiting(campaign.id)))
            await until(lambda: sandbox.requests)
            sandbox.set_status(campaign.id, "Stopped")
            assert (await wait).payload["value"] == "Stopped"
            sandbox.clear_requests()

    asyncio.run(scene())


@pytest.mark.parametrize("interval", [INTERVAL, 20.0])
def test_at_the_deadline_there_is_a_last_look_and_then_a_timeout(
    sandbox: Sandbox, way: str, interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "HASTE", INTERVAL)
    ids = [sandbox.add_campaign().id for _ in range(4)]
    sandbox.remove_campaign(ids[2])

    async def scene() -> list[TriggerEvent]:
        triggers = [waiting(campaign_id, timeout=1.0, poll_interval=interval) for campaign_id in ids]
        ends = asyncio.create_task(all_of(triggers, way))
        sandbox.set_status(ids[3], "Stopped")
        return await ends

    payloads = [event.payload for event in asyncio.run(scene())]
    assert [payload["error"] for payload in payloads] == ["CampaignTimeoutError"] * 2 + ["CampaignNotFoundError", None]
    assert f"'{ids[0]}'" in payloads[0]["message"]
    assert "'campaign_default'" in payloads[0]["message"]
    assert "after 1 s; last seen: " in payloads[0]["message"]


def test_a_platform_that_is_silent_at_the_deadline_does_not_hold_the_wait_up(
    sandbox: Sandbox, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_trigger, "LAST_LOOK", 0.5)
    campaign = sandbox.add_campaign()
    sandbox.add_fault(Fault("rate_limit", retry_after="300", count=None))
    event = run_to_its_end(waiting(campaign.id, timeout=0.5), way)
    assert event.payload["error"] == "CampaignTimeoutError"
    assert len(sandbox.requests) == 1


def test_a_task_that_starts_from_its_trigger_ends_in_time_for_airflow(sandbox: Sandbox, way: str) -> None:
    trigger = waiting(sandbox.add_campaign().id, timeout=1.0, since=None, deadline=None)
    trigger.timeout_after = datetime.fromtimestamp(time.time() + 1.0 + TRIGGERER_GRACE, UTC)  # type: ignore[attr-defined]
    assert run_to_its_end(trigger, way).payload["error"] == "CampaignTimeoutError"


def test_a_platform_that_hangs_does_not_hold_up_the_waits_on_another(
    sandbox: Sandbox, connect: Connect, way: str
) -> None:
    with Sandbox() as other:
        connect(other.kore_connection(), "other")
        slow, campaign = sandbox.add_campaign(), other.add_campaign(status="Stopped")
        sandbox.add_fault(Fault("hang", count=None))

        async def scene() -> TriggerEvent:
            triggerer = Triggerer(way)
            hanging = asyncio.create_task(triggerer.first(waiting(slow.id)))
            await until(lambda: sandbox.requests)
            end = await triggerer.first(waiting(campaign.id, campaign_conn_id="other"))
            assert not hanging.done()
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
            sandbox.stop()
            return end

        assert asyncio.run(scene()).payload["value"] == "Stopped"


class KeptState:
    """What Airflow keeps of an asset for its trigger."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return self.kept.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.kept[key] = json.loads(json.dumps(value))


class Watcher:
    """An asset watcher, and what it has fired."""

    def __init__(self, sandbox: Sandbox, campaign_id: str, store: KeptState | None = None) -> None:
        self.sandbox = sandbox
        self.trigger = CampaignStatusTrigger(campaign_id, poll_interval=INTERVAL)
        self.trigger.asset_state_store = store  # type: ignore[attr-defined,assignment,unused-ignore]
        self.fired: list[Any] = []

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(self._watch())
        await self.looked()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        async for event in self.trigger.run():
            self.fired.append(event.payload)

    async def looked(self) -> None:
        """Wait until what the platform says now was seen and judged."""
        self.sandbox.clear_requests()
        await until(lambda: len(self.sandbox.requests) >= 3)

    async def sees(self, *statuses: str) -> int:
        """Return how often it has fired after the campaign went through some statuses."""
        for status in statuses:
            self.sandbox.set_status(self.trigger.campaign_id, status)
            await self.looked()
        return len(self.fired)


@pytest.mark.parametrize("status", ["Stopped", "Active"])
def test_an_asset_fires_each_time_that_the_status_is_reached(
    sandbox: Sandbox, kind: Kind, connect: Connect, status: str
) -> None:
    connect(kind.connection(sandbox))
    campaign = kind.add_campaign(sandbox, status=status)

    async def scene() -> None:
        async with Watcher(sandbox, campaign.id) as watcher:
            assert watcher.fired == []
            assert await watcher.sees("Active", "Stopped") == 1
            assert watcher.fired[0]["campaign_id"] == campaign.id
            assert watcher.fired[0]["status"] == "Stopped"
            assert await watcher.sees("Completed", "Active") == 1
            assert await watcher.sees("Stopped") == 2

    asyncio.run(scene())


def test_an_asset_fires_for_what_happened_while_no_triggerer_ran_and_not_twice(sandbox: Sandbox) -> None:
    campaign, store = sandbox.add_campaign(), KeptState()

    async def scene() -> list[int]:
        fired = []
        for status in ("Active", "Stopped", "Stopped", "Active", "Stopped"):
            sandbox.set_status(campaign.id, status)
            async with Watcher(sandbox, campaign.id, store) as watcher:
                fired.append(len(watcher.fired))
        return fired

    assert asyncio.run(scene()) == [0, 1, 0, 0, 1]


def test_an_asset_outlasts_failures_of_every_kind(sandbox: Sandbox) -> None:
    campaign = sandbox.add_campaign()

    async def scene() -> None:
        async with Watcher(sandbox, campaign.id) as watcher:
            for kind in ("error", "unauthorized", "not_found", "html", "reset"):
                sandbox.add_fault(Fault(kind, count=2))
            assert await watcher.sees("Active", "Active", "Active", "Stopped") == 1

    asyncio.run(scene())


def test_the_goal_of_a_stop_can_be_waited_for(sandbox: Sandbox, way: str) -> None:
    campaign = sandbox.add_campaign(status="Ready")
    goal: dict[str, Any] = {"target_statuses": STOP_CONDITION.reached, "impossible_statuses": STOP_CONDITION.impossible}
    event = run_to_its_end(waiting(campaign.id, **goal), way)
    assert event.payload["error"] == "CampaignStateError"
