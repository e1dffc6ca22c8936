"""Triggers that wait on one account share a poll, and each ends as it would have alone."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowFailException, Asset, XCom
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK, Clock
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Campaign, Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, run
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.testing import use_clock
from airflow_provider_campaign.triggers import base
from airflow_provider_campaign.triggers.base import BATCH_DELAY, MAX_SLEEP, MAX_THREADS, SharedPoll
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from airflow_provider_campaign.triggers.wait import (
    FINAL_POLL_GRACE,
    TRIGGERER_GRACE,
    CampaignWaitTrigger,
    can_finish_in_triggerer,
)
from airflow_provider_campaign.waiting.account_poller import AccountPoller
from airflow_provider_campaign.waiting.pending import MAX_READ_LAG
from tests.kinds import KINDS, Connect
from tests.odd_texts import check_storable
from tests.triggerer import WAYS, Triggerer, run_to_its_end

INTERVAL = 30.0
HOUR = 3600.0
RECORD = {"message": "Campaign Stopped", "updated_at": None, "already_stopped": False}

Wait = Callable[..., list[dict[str, Any]]]

only_shared = pytest.mark.parametrize("way", WAYS[1:])  # Airflow before 3.3 has no shared streams


@pytest.fixture(autouse=True)
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    return sandbox


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wait(clock: VirtualClock, way: str) -> Wait:
    """Return what runs triggers to their ends, has something happen meanwhile, and returns what each has fired."""

    def wait(
        triggers: list[CampaignWaitTrigger], after: float = 0.0, act: Callable[[], object] = lambda: None
    ) -> list[dict[str, Any]]:
        async def scene() -> list[TriggerEvent]:
            ends = asyncio.gather(*map(Triggerer(way).first, triggers))
            await asyncio.sleep(after)
            act()
            return await ends

        return [event.payload for event in run(scene(), clock)]

    return wait


def waiting(campaign_id: str, timeout: float = HOUR, **details: Any) -> CampaignWaitTrigger:
    """Return the trigger of a task that has just seen its campaign active."""
    now = SYSTEM_CLOCK.time()
    defaults = {"target_statuses": ["Stopped"], "since": now, "deadline": now + timeout, "poll_interval": INTERVAL}
    return CampaignWaitTrigger(campaign_id, timeout=timeout, **{"campaign_type": "sms", **defaults, **details})


def add(sandbox: Sandbox, count: int, **details: Any) -> list[str]:
    return [sandbox.add_campaign(**details).id for _ in range(count)]


def stop(sandbox: Sandbox, campaign_ids: list[str]) -> None:
    for campaign_id in campaign_ids:
        sandbox.set_status(campaign_id, "Stopped")


def values(ends: list[dict[str, Any]]) -> list[Any]:
    return [end["value"] for end in ends]


def errors(ends: list[dict[str, Any]]) -> list[Any]:
    return [end["error"] for end in ends]


class InheritedTrigger(CampaignStatusTrigger):
    """A user's own."""


WHOLE: dict[str, Any] = {
    "failure_statuses": ("Ready",),
    "since": 1.0,
    "deadline": 2.0,
    "result": RECORD,
    "end_task": True,
}


@pytest.mark.parametrize(
    "trigger",
    [
        CampaignWaitTrigger("cd-1", ("Stopped",), 60.0, **WHOLE),
        CampaignStatusTrigger("cd-1", "other", "Stopped", "sms", 7.0),
        InheritedTrigger("cd-1"),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_a_trigger_is_the_same_after_a_trip_through_the_database(trigger: BaseTrigger) -> None:
    path, arguments = trigger.serialize()
    assert path == f"{type(trigger).__module__}.{type(trigger).__name__}"
    again = type(trigger)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


# How a task ends.


@pytest.mark.parametrize(("end_task", "error"), [(True, ""), (True, "no such bucket"), (False, "")])
def test_a_task_that_may_end_in_the_trigger_has_its_xcom_pushed_there(
    sandbox: Sandbox, clock: VirtualClock, way: str, monkeypatch: pytest.MonkeyPatch, end_task: bool, error: str
) -> None:
    pushed: list[dict[str, Any]] = []

    def push(**xcom: Any) -> None:
        if error:
            raise PermissionError(error)
        pushed.append(xcom)

    monkeypatch.setattr(XCom, "set", push)
    campaign = sandbox.add_campaign(status="Stopped")
    event = run_to_its_end(waiting(campaign.id, result=RECORD, end_task=end_task), clock, way)
    record = event.payload["value"]
    assert event.payload == {"value": record, "error": None, "message": ""}  # a task that is resumed returns it
    assert (record["campaign_id"], record["status"], record["message"]) == (campaign.id, "Stopped", "Campaign Stopped")
    has_ended = end_task and not error
    assert type(event) is (TaskSuccessEvent if has_ended else TriggerEvent)
    names = {"key": "return_value", "dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": 3}
    assert pushed == [{**names, "value": record}] * has_ended


@pytest.mark.parametrize(
    ("targets", "end"),
    [("['Stopped', 'Completed']", "Stopped"), ("paused, stopped", "Stopped"), ("None", "CampaignConfigError")],
)
def test_a_rendered_template_is_read_as_on_a_worker(sandbox: Sandbox, wait: Wait, targets: str, end: str) -> None:
    [payload] = wait([waiting(sandbox.add_campaign(status="Stopped").id, target_statuses=targets)])
    assert end in (payload["value"], payload["error"])
    assert payload["error"] is None or "target_statuses" in payload["message"]


@pytest.mark.parametrize(
    ("arguments", "may_end"),
    [
        ({}, True),
        ({"outlets": [Asset("stopped")]}, False),
        ({"on_success_callback": print}, False),
        ({"post_execute": print}, False),
        ({"multiple_outputs": True}, False),
        ({"do_xcom_push": False}, False),
    ],
)
def test_a_task_that_has_more_to_do_is_resumed_on_a_worker(arguments: dict[str, Any], may_end: bool) -> None:
    assert can_finish_in_triggerer(KINDS[0].stop("cd-1", **arguments)) is may_end


def test_a_subclass_that_completes_its_task_itself_is_resumed_on_a_worker() -> None:
    class LoudSensor(CampaignStatusSensor):
        def execute_complete(self, context: Any, event: Any) -> str:
            return f"{super().execute_complete(context, event)}!"

    for sensor, may_end in ((CampaignStatusSensor, True), (LoudSensor, False)):
        assert can_finish_in_triggerer(sensor(task_id="wait", campaign_id="cd-1")) is may_end


# What it costs.


@only_shared
def test_many_triggers_share_one_poll(sandbox: Sandbox, wait: Wait) -> None:
    ids, requests = add(sandbox, 100), Counter[str | None]()

    def end() -> None:
        requests.update(request.action for request in sandbox.requests)
        stop(sandbox, ids)

    wait([waiting(campaign_id) for campaign_id in ids], after=10.5 * INTERVAL, act=end)
    assert requests == {"list": 10}


@only_shared
def test_stops_on_a_platform_without_new_dates_cost_few_requests(
    sandbox: Sandbox, clock: VirtualClock, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Campaign, "updated_at", property(lambda campaign: campaign.created_at))
    sandbox.config.stop_delay, sandbox.config.rate_limit = 5, None
    ids, began = add(sandbox, 40), clock.now
    client = CampaignHook.for_conn_id("campaign_default").client
    triggers = [waiting(each, result=client.stop_campaign(each, "sms").as_dict()) for each in ids]
    sandbox.clear_requests()
    assert {value["status"] for value in values(wait(triggers))} == {"Stopped"}
    assert clock.now - began < MAX_READ_LAG + 5 * INTERVAL
    assert Counter(request.action for request in sandbox.requests)["status"] <= 2 * len(ids)


# What goes wrong.


@pytest.mark.parametrize("count", [1, 5])
def test_a_failure_that_concerns_all_reaches_each(sandbox: Sandbox, connect: Connect, wait: Wait, count: int) -> None:
    triggers = [waiting(campaign_id) for campaign_id in add(sandbox, count)]
    sandbox.add_fault(Fault("unauthorized", count=None))
    assert errors(wait(triggers)) == ["CampaignAuthError"] * count
    connect({"conn_type": "http", "host": "http://127.0.0.1"})
    assert errors(wait(triggers)) == ["CampaignConfigError"] * count


def test_a_poll_that_fails_as_nobody_foresaw_ends_no_wait(
    sandbox: Sandbox, clock: VirtualClock, wait: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(AccountPoller):
        def poll(self, waits: Any, **options: Any) -> Any:
            if clock.now < began + 3 * INTERVAL:
                raise KeyError("nobody foresaw this")
            return super().poll(waits, **options)

    began = clock.now
    monkeypatch.setattr(base, "AccountPoller", Broken)
    assert values(wait([waiting(each) for each in add(sandbox, 5, status="Stopped")])) == ["Stopped"] * 5
    assert clock.now - began < 5 * INTERVAL
    assert "Poll of the account" in caplog.text
    assert "Traceback" in caplog.text


def test_who_leaves_is_forgotten_and_who_comes_is_served(sandbox: Sandbox, clock: VirtualClock, way: str) -> None:
    *leaving, staying, late = add(sandbox, 4)

    async def scene() -> None:
        triggerer = Triggerer(way)
        waits = [asyncio.create_task(triggerer.first(waiting(campaign_id))) for campaign_id in (*leaving, staying)]
        await asyncio.sleep(2 * INTERVAL)
        for leaver in waits[:2]:
            leaver.cancel()
        await asyncio.gather(*waits[:2], return_exceptions=True)
        sandbox.clear_requests()
        await asyncio.sleep(2 * INTERVAL)
        assert {request.campaign_id for request in sandbox.requests} == {staying}
        stop(sandbox, [staying])
        assert (await waits[2]).payload["value"] == "Stopped"
        stop(sandbox, [late])
        assert (await triggerer.first(waiting(late))).payload["value"] == "Stopped"

    run(scene(), clock)
    gc.collect()
    assert len(SharedPoll._polls) == 0


# Deadlines.


@pytest.mark.parametrize(("interval", "away"), [(INTERVAL, 0), (10 * HOUR, 0), (INTERVAL, HOUR)], ids=str)
def test_at_the_deadline_each_campaign_is_read_once_more(
    sandbox: Sandbox, clock: VirtualClock, wait: Wait, interval: float, away: float
) -> None:
    """Also if no triggerer has run until long after it."""
    _, stopped, completed, removed, _ = ids = add(sandbox, 5)
    sandbox.remove_campaign(removed)
    triggers = [waiting(campaign_id, timeout=100, poll_interval=interval) for campaign_id in ids]

    def end() -> None:
        stop(sandbox, [stopped])
        sandbox.set_status(completed, "Completed")

    clock.advance(away)
    ends = wait(triggers, after=max(0.0, 99.5 - away), act=end)
    late = "CampaignTimeoutError"
    assert errors(ends) == [late, None, "CampaignStateError", "CampaignNotFoundError", late]
    assert values(ends)[1] == "Stopped"
    for campaign_id, end_of_one in zip(ids, ends, strict=True):
        assert campaign_id == stopped or f"'{campaign_id}'" in end_of_one["message"]
        assert campaign_id == stopped or "'campaign_default'" in end_of_one["message"]
    assert "is not Stopped after 100 s; last seen: Active" in ends[0]["message"]


def test_a_platform_silent_at_the_deadline_holds_nothing_up(sandbox: Sandbox, clock: VirtualClock, wait: Wait) -> None:
    trigger, began = waiting(sandbox.add_campaign().id, timeout=100), clock.now
    sandbox.add_fault(Fault("rate_limit", retry_after="300", count=None))
    [end] = wait([trigger])
    assert end["error"] == "CampaignTimeoutError"
    assert "The last problem: Status of campaign" in end["message"]
    assert clock.now - began <= 100 + FINAL_POLL_GRACE
    assert len(sandbox.requests) <= 3 + FINAL_POLL_GRACE / MAX_SLEEP


def test_a_429_that_outlasts_the_deadline_is_polled_there(sandbox: Sandbox, clock: VirtualClock, wait: Wait) -> None:
    campaign, began = sandbox.add_campaign(), clock.now
    sandbox.add_fault(Fault("rate_limit", retry_after="120"))
    sandbox.set_status(campaign.id, "Stopped", delay=10)
    assert values(wait([waiting(campaign.id, timeout=20, since=None)])) == ["Stopped"]
    assert [round(request.at - began) for request in sandbox.requests] == [BATCH_DELAY, BATCH_DELAY + 2 * MAX_SLEEP]


def test_a_task_started_from_its_trigger_ends_in_time(sandbox: Sandbox, clock: VirtualClock, wait: Wait) -> None:
    trigger, began = waiting(sandbox.add_campaign().id, timeout=100, since=None, deadline=None), clock.now
    cut_off = datetime.fromtimestamp(clock.time() + 100 + TRIGGERER_GRACE, UTC)
    trigger.timeout_after = cut_off  # type: ignore[attr-defined]
    assert errors(wait([trigger])) == ["CampaignTimeoutError"]
    assert 100 <= clock.now - began < 100 + TRIGGERER_GRACE


@only_shared
def test_no_wait_runs_out_of_time_without_its_campaign_having_been_read(sandbox: Sandbox, wait: Wait) -> None:
    sandbox.add_fault(Fault("not_found", action="list", count=None))
    ends = wait([waiting(campaign_id, timeout=40, since=None) for campaign_id in add(sandbox, 100)])
    assert errors(ends) == ["CampaignTimeoutError"] * 100
    assert all("last seen: Active" in end["message"] for end in ends)


# Connections.


@pytest.mark.parametrize("seconds", [2.0, HOUR / 2, 10 * HOUR])
def test_a_connection_that_can_not_be_looked_up_for_a_while_ends_no_wait(
    sandbox: Sandbox, clock: VirtualClock, wait: Wait, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    ids, opens_at = add(sandbox, 3), clock.now + seconds

    async def look_up(conn_id: str) -> Any:
        if clock.now < opens_at:
            raise TimeoutError("the vault \ud83d\x00\n is sealed")
        return await get_async_connection(conn_id)

    monkeypatch.setattr(base, "get_async_connection", look_up)
    triggers = [waiting(campaign_id, since=None) for campaign_id in ids]
    ends = wait(triggers, after=min(seconds, HOUR / 2), act=lambda: stop(sandbox, ids))
    check_storable(ends)
    if seconds < HOUR:
        assert values(ends) == ["Stopped"] * len(ids)
        return
    for end in ends:  # the time of the wait was up before: that may be retried
        assert not issubclass(getattr(exceptions, end["error"]), AirflowFailException)
        assert re.search("can't be looked up: the vault .*is sealed", end["message"])


async def until(predicate: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not predicate():
            await asyncio.sleep(0.01)


def test_hanging_platforms_hold_up_no_other(
    sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_clock(Clock(), monkeypatch)  # real time passes, in short steps
    monkeypatch.setattr(base, "BATCH_DELAY", 0.05)
    triggerer = Triggerer("alone")

    def begin(campaign_id: str) -> asyncio.Task[TriggerEvent]:
        return asyncio.create_task(triggerer.first(waiting(campaign_id, since=None)))

    async def scene(campaign_id: str) -> TriggerEvent:
        hanging = [*map(begin, add(sandbox, MAX_THREADS - 1))]
        await until(lambda: len(sandbox.requests) == len(hanging))
        end = await triggerer.first(waiting(campaign_id, campaign_conn_id="other", since=None))
        hanging += map(begin, add(sandbox, MAX_THREADS))
        await until(lambda: len(sandbox.requests) == MAX_THREADS)
        await asyncio.wait_for(asyncio.to_thread(lambda: None), 20)  # which another provider's trigger may do
        assert not any(wait.done() for wait in hanging)
        for wait in hanging:
            wait.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        sandbox.stop()
        return end

    sandbox.add_fault(Fault("hang", count=None))
    with Sandbox() as other:
        connect(other.kore_connection(), "other")
        campaign = other.add_campaign(status="Stopped")
        assert asyncio.run(scene(campaign.id)).payload["value"] == "Stopped"
