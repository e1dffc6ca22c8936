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

import psutil  # type: ignore[import-untyped]
import pytest
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowFailException, Asset, XCom
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.campaign import STOP_CONDITION
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK, Clock
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Campaign, Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, run
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
from airflow_provider_campaign.version_compat import SHARED_STREAMS
from airflow_provider_campaign.waiting.account_poller import AccountPoller
from airflow_provider_campaign.waiting.pending import MAX_READ_LAG
from tests.kinds import KINDS, SONARLY, Connect, Kind
from tests.odd_texts import check_storable
from tests.profiles import examples
from tests.triggerer import WAYS, Triggerer, run_to_its_end

INTERVAL = 30.0
HOUR = 3600.0
RECORD = {"message": "Campaign Stopped", "updated_at": None, "already_stopped": False}

only_shared = pytest.mark.skipif(not SHARED_STREAMS, reason="Airflow before 3.3 has no shared streams")


@pytest.fixture(autouse=True)
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    """The default connection's platform."""
    connect(sandbox.kore_connection())
    return sandbox


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each way to run a trigger in turn."""
    return str(request.param)


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return what returns the log; Airflow 3 logs to standard output."""
    return lambda: caplog.text + capsys.readouterr().out


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


def wait_for_all(
    clock: VirtualClock,
    triggers: list[CampaignWaitTrigger],
    way: str = WAYS[-1],
    *,
    after: float = 0.0,
    act: Callable[[], object] = lambda: None,
) -> list[dict[str, Any]]:
    """Run triggers to their ends, have something happen after some seconds, and return what each has fired."""

    async def scene() -> list[TriggerEvent]:
        triggerer = Triggerer(way)
        ends = asyncio.gather(*map(triggerer.first, triggers))
        await asyncio.sleep(after)
        act()
        return await ends

    return [event.payload for event in run(scene(), clock)]


def values(ends: list[dict[str, Any]]) -> list[Any]:
    return [end["value"] for end in ends]


class InheritedTrigger(CampaignStatusTrigger):
    """A user's own."""


@pytest.mark.parametrize(
    "trigger",
    [
        CampaignWaitTrigger(
            "cd-1",
            ("Stopped",),
            60.0,
            failure_statuses=("Ready",),
            since=1.0,
            deadline=2.0,
            result=RECORD,
            end_task=True,
        ),
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


def test_a_task_that_may_end_in_the_trigger_is_given_its_xcom_there(
    sandbox: Sandbox, clock: VirtualClock, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[dict[str, Any]] = []
    monkeypatch.setattr(XCom, "set", lambda **xcom: pushed.append(xcom))
    campaign = sandbox.add_campaign(status="Stopped")
    event = run_to_its_end(waiting(campaign.id, result=RECORD, end_task=True), clock, way)
    assert isinstance(event, TaskSuccessEvent)
    [xcom] = pushed
    record = xcom.pop("value")
    assert event.payload["value"] == record  # which is what dags test resumes the task with
    assert xcom == {"key": "return_value", "dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": 3}
    assert (record["campaign_id"], record["status"], record["message"]) == (campaign.id, "Stopped", "Campaign Stopped")


@pytest.mark.parametrize("error", [PermissionError("no such bucket"), None], ids=["XCom fails", "it has more to do"])
def test_a_task_that_can_not_end_there_is_resumed_with_what_it_returns(
    sandbox: Sandbox, clock: VirtualClock, way: str, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    def refuse(**xcom: Any) -> None:
        assert error is not None
        raise error

    monkeypatch.setattr(XCom, "set", refuse)
    campaign = sandbox.add_campaign(status="Stopped")
    event = run_to_its_end(waiting(campaign.id, end_task=bool(error)), clock, way)
    assert type(event) is TriggerEvent
    assert event.payload == {"value": "Stopped", "error": None, "message": ""}


@pytest.mark.parametrize("count", [2, 30])
def test_each_of_many_ends_as_its_own_campaign_does(
    sandbox: Sandbox, clock: VirtualClock, way: str, count: int
) -> None:
    ids = add(sandbox, count)

    def end() -> None:
        for number, campaign_id in enumerate(ids):
            sandbox.set_status(campaign_id, "Completed" if number % 2 else "Stopped")

    ends = wait_for_all(clock, [waiting(campaign_id) for campaign_id in ids], way, after=3 * INTERVAL, act=end)
    for number, end_of_one in enumerate(ends):
        assert end_of_one["error"] == ("CampaignStateError" if number % 2 else None)
        assert ids[number] in end_of_one["message"] if number % 2 else end_of_one["value"] == "Stopped"


@pytest.mark.parametrize(
    ("targets", "end"),
    [("['Stopped', 'Completed']", "Stopped"), ("paused, stopped", "Stopped"), ("None", "CampaignConfigError")],
)
def test_what_a_template_rendered_to_is_read_as_on_a_worker(
    sandbox: Sandbox, clock: VirtualClock, targets: str, end: str
) -> None:
    campaign = sandbox.add_campaign(status="Stopped")
    payload = run_to_its_end(waiting(campaign.id, target_statuses=targets), clock).payload
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


# What it costs.


@only_shared
def test_many_triggers_share_one_poll(sandbox: Sandbox, clock: VirtualClock) -> None:
    ids, requests = add(sandbox, 100), Counter[str | None]()

    def end() -> None:
        requests.update(request.action for request in sandbox.requests)
        stop(sandbox, ids)

    wait_for_all(clock, [waiting(campaign_id) for campaign_id in ids], after=10.5 * INTERVAL, act=end)
    assert requests == {"list": 10}


@only_shared
def test_stops_on_a_platform_without_new_dates_cost_few_requests(
    sandbox: Sandbox, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Campaign, "updated_at", property(lambda campaign: campaign.created_at))
    sandbox.config.stop_delay = 5
    sandbox.config.rate_limit = None
    ids, began = add(sandbox, 40), clock.now
    client = CampaignHook.for_conn_id("campaign_default").client
    triggers = [waiting(each, result=client.stop_campaign(each, "sms").as_dict()) for each in ids]
    sandbox.clear_requests()
    assert {value["status"] for value in values(wait_for_all(clock, triggers))} == {"Stopped"}
    assert clock.now - began < MAX_READ_LAG + 5 * INTERVAL
    assert Counter(request.action for request in sandbox.requests)["status"] <= 2 * len(ids)


# What is read late, or not at all.


STATUSES = st.sampled_from(["Active", "Stopped", "Completed", "Ready", "Paused"])
HISTORIES = st.lists(st.lists(st.tuples(STATUSES, st.floats(0.1, 20)), max_size=4), min_size=1, max_size=6)
LAGS = st.just(0.0) | st.floats(30, MAX_READ_LAG - 1)
SETTINGS = st.fixed_dictionaries(
    {"list_lag": LAGS, "status_lag": LAGS, "clock_offset": st.sampled_from([0.0, 30.0, -3600.0])}
)
LATE = {"list_lag": MAX_READ_LAG - 1, "status_lag": MAX_READ_LAG - 1, "clock_offset": 0.0}


@examples(full=100, brief=20, exhaustive=300)
@given(
    histories=HISTORIES,
    delay=st.floats(1, 300),
    settings=SETTINGS,
    is_dated=st.booleans(),
    kind=st.sampled_from([KINDS[0], KINDS[3], SONARLY]),
    way=st.sampled_from(WAYS),
)
@example(histories=[[("Stopped", 20.0)]] * 3, delay=200.0, settings=LATE, is_dated=True, kind=KINDS[0], way=WAYS[-1])
def test_a_stop_ends_with_its_campaign_whatever_was_before(
    sandbox: Sandbox,
    clock: VirtualClock,
    connect: Connect,
    histories: list[list[tuple[str, float]]],
    delay: float,
    settings: dict[str, float],
    is_dated: bool,
    kind: Kind,
    way: str,
) -> None:
    sandbox.reset()
    connect(kind.connection(sandbox))
    vars(sandbox.config).update(settings)
    campaigns = [kind.add_campaign(sandbox, stop_delay=delay) for _ in histories]
    clock.advance(MAX_READ_LAG)
    for campaign, history in zip(campaigns, histories, strict=True):
        for status, seconds in [*history, ("Active", 1.0)]:
            sandbox.set_status(campaign.id, status)
            clock.advance(seconds)
    client = CampaignHook.for_conn_id("campaign_default").client
    results = [client.stop_campaign(each.id, kind.campaign_type).as_dict() for each in campaigns]
    words: dict[str, Any] = {"target_statuses": STOP_CONDITION.success, "failure_statuses": STOP_CONDITION.failure}

    async def ended(triggerer: Triggerer, result: dict[str, Any]) -> tuple[object, bool]:
        trigger = waiting(result["campaign_id"], result=result, campaign_type=kind.campaign_type, **words)
        event = await triggerer.first(trigger)
        return event.payload["error"], sandbox.campaign(result["campaign_id"]).live

    async def scene() -> list[tuple[object, bool]]:
        triggerer = Triggerer(way)
        return await asyncio.gather(*(ended(triggerer, result) for result in results))

    with pytest.MonkeyPatch.context() as patch:
        if not is_dated:
            patch.setattr(Campaign, "updated_at", None)
        assert run(scene(), clock) == [(None, False)] * len(campaigns)


@pytest.mark.parametrize("count", [1, 5])
def test_a_failure_that_concerns_all_reaches_each(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, way: str, count: int
) -> None:
    ids = add(sandbox, count)
    sandbox.add_fault(Fault("unauthorized", count=None))
    ends = wait_for_all(clock, [waiting(campaign_id) for campaign_id in ids], way)
    assert [end["error"] for end in ends] == ["CampaignAuthError"] * count
    connect({"conn_type": "http", "host": "http://127.0.0.1"})
    ends = wait_for_all(clock, [waiting(campaign_id) for campaign_id in ids], way)
    assert [end["error"] for end in ends] == ["CampaignConfigError"] * count


def test_a_poll_that_fails_as_nobody_foresaw_ends_no_wait(
    sandbox: Sandbox, clock: VirtualClock, way: str, monkeypatch: pytest.MonkeyPatch, shown: Callable[[], str]
) -> None:
    class Broken(AccountPoller):
        def poll(self, waits: Any, **options: Any) -> Any:
            if clock.now < began + 3 * INTERVAL:
                raise KeyError("nobody foresaw this")
            return super().poll(waits, **options)

    began = clock.now
    monkeypatch.setattr(base, "AccountPoller", Broken)
    ids = add(sandbox, 5, status="Stopped")
    assert values(wait_for_all(clock, [waiting(campaign_id) for campaign_id in ids], way)) == ["Stopped"] * 5
    assert clock.now - began < 5 * INTERVAL
    assert "Poll of the account" in (text := shown())
    assert "Traceback" in text


@pytest.mark.parametrize("count", [1, 5])
def test_keys_that_are_rotated_end_no_wait(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, way: str, count: int
) -> None:
    ids = add(sandbox, count)

    def use_key(secret: str) -> None:
        sandbox.config.client_secret = secret * 8
        connect(sandbox.kore_connection())

    def stop_and_rotate() -> None:
        use_key("a-new-secret-")
        stop(sandbox, ids)

    triggers = [waiting(campaign_id) for campaign_id in ids]
    assert values(wait_for_all(clock, triggers, way, after=2 * INTERVAL, act=stop_and_rotate)) == ["Stopped"] * count
    sandbox.on_request(lambda _: use_key("a-newer-secret-"))  # right after the connection was looked up
    triggers = [waiting(campaign_id, since=None) for campaign_id in ids]
    assert values(wait_for_all(clock, triggers, way)) == ["Stopped"] * count


# Who comes, and who leaves.


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


@pytest.mark.parametrize("interval", [INTERVAL, 10 * HOUR])
def test_at_the_deadline_each_campaign_is_read_once_more(
    sandbox: Sandbox, clock: VirtualClock, way: str, interval: float
) -> None:
    ids = add(sandbox, 4)
    sandbox.remove_campaign(ids[2])
    triggers = [waiting(campaign_id, timeout=100, poll_interval=interval) for campaign_id in ids]
    ends = wait_for_all(clock, triggers, way, after=99.5, act=lambda: stop(sandbox, [ids[3]]))
    assert [end["error"] for end in ends] == ["CampaignTimeoutError"] * 2 + ["CampaignNotFoundError", None]
    assert f"'{ids[0]}'" in ends[0]["message"]
    assert "'campaign_default'" in ends[0]["message"]
    assert "is not Stopped after 100 s; last seen: Active" in ends[0]["message"]


def test_a_platform_that_is_silent_at_the_deadline_holds_nothing_up(
    sandbox: Sandbox, clock: VirtualClock, way: str
) -> None:
    campaign, began = sandbox.add_campaign(), clock.now
    sandbox.add_fault(Fault("rate_limit", retry_after="300", count=None))
    event = run_to_its_end(waiting(campaign.id, timeout=100), clock, way)
    assert event.payload["error"] == "CampaignTimeoutError"
    assert "The last problem: Status of campaign" in event.payload["message"]
    assert clock.now - began <= 100 + FINAL_POLL_GRACE
    assert len(sandbox.requests) <= 3 + FINAL_POLL_GRACE / MAX_SLEEP


def test_a_429_that_outlasts_the_deadline_is_polled_there(sandbox: Sandbox, clock: VirtualClock, way: str) -> None:
    campaign, began = sandbox.add_campaign(), clock.now
    sandbox.add_fault(Fault("rate_limit", retry_after="120"))
    sandbox.set_status(campaign.id, "Stopped", delay=10)
    event = run_to_its_end(waiting(campaign.id, timeout=20, since=None), clock, way)
    assert event.payload["value"] == "Stopped"
    assert [round(request.at - began) for request in sandbox.requests] == [BATCH_DELAY, BATCH_DELAY + 2 * MAX_SLEEP]


def test_a_wait_whose_deadline_passed_while_no_triggerer_ran_is_still_read(
    sandbox: Sandbox, clock: VirtualClock, way: str
) -> None:
    ids = add(sandbox, 2)
    triggers = [waiting(campaign_id, timeout=60) for campaign_id in ids]
    stop(sandbox, ids[:1])
    clock.advance(HOUR)
    assert [end["error"] for end in wait_for_all(clock, triggers, way)] == [None, "CampaignTimeoutError"]


def test_a_task_that_starts_from_its_trigger_ends_in_time_for_airflow(
    sandbox: Sandbox, clock: VirtualClock, way: str
) -> None:
    trigger, began = waiting(sandbox.add_campaign().id, timeout=100, since=None, deadline=None), clock.now
    cut_off = datetime.fromtimestamp(clock.time() + 100 + TRIGGERER_GRACE, UTC)
    trigger.timeout_after = cut_off  # type: ignore[attr-defined]
    assert run_to_its_end(trigger, clock, way).payload["error"] == "CampaignTimeoutError"
    assert 100 <= clock.now - began < 100 + TRIGGERER_GRACE


@only_shared
def test_no_wait_runs_out_of_time_without_its_campaign_having_been_read(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.add_fault(Fault("not_found", action="list", count=None))
    triggers = [waiting(campaign_id, timeout=40, since=None) for campaign_id in add(sandbox, 100)]
    for end in wait_for_all(clock, triggers):
        assert end["error"] == "CampaignTimeoutError"
        assert "last seen: Active" in end["message"]


# Connections.


@pytest.fixture
def seal(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what keeps connections from being looked up for some seconds."""
    opens_at = 0.0

    def seal(seconds: float) -> None:
        nonlocal opens_at
        opens_at = clock.now + seconds

    async def look_up(conn_id: str) -> Any:
        if clock.now < opens_at:
            raise TimeoutError("the vault \ud83d\x00\n is sealed")
        return await get_async_connection(conn_id)

    monkeypatch.setattr(base, "get_async_connection", look_up)
    return seal


@pytest.mark.parametrize("seconds", [2.0, HOUR / 2])
def test_a_connection_that_can_not_be_looked_up_for_a_while_ends_no_wait(
    sandbox: Sandbox, clock: VirtualClock, way: str, seal: Callable[[float], None], seconds: float
) -> None:
    ids = add(sandbox, 3)
    seal(seconds)
    triggers = [waiting(campaign_id, since=None) for campaign_id in ids]
    ends = wait_for_all(clock, triggers, way, after=seconds, act=lambda: stop(sandbox, ids))
    assert values(ends) == ["Stopped"] * len(ids)


def test_a_look_up_that_fails_until_the_deadline_may_be_retried(
    clock: VirtualClock, way: str, seal: Callable[[float], None]
) -> None:
    seal(10 * HOUR)
    end = run_to_its_end(waiting("cd-1", timeout=HOUR), clock, way).payload
    check_storable(end)
    assert not issubclass(getattr(exceptions, end["error"]), AirflowFailException)
    assert re.search("can't be looked up: the vault .*is sealed", end["message"])


def connections_to(sandbox: Sandbox) -> int:
    """Return how many connections of this process to the platform are open."""
    found = psutil.Process().net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == sandbox.port and each.status == "ESTABLISHED" for each in found)


def test_a_trigger_that_polls_alone_keeps_no_connection_open_between_polls(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    ids = add(sandbox, 5)

    def look_and_end() -> None:
        assert len(sandbox.requests) >= 10
        assert connections_to(sandbox) == 0
        stop(sandbox, ids)

    triggers = [waiting(campaign_id) for campaign_id in ids]
    ends = wait_for_all(clock, triggers, "alone", after=3 * INTERVAL, act=look_and_end)
    assert values(ends) == ["Stopped"] * 5


@pytest.fixture
def system_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have real time pass, in short steps."""
    use_clock(Clock(), monkeypatch)
    monkeypatch.setattr(base, "BATCH_DELAY", 0.05)


async def until(predicate: Callable[[], object]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(20):
        while not predicate():
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("system_clock")
def test_platforms_that_hang_hold_up_no_other(sandbox: Sandbox, connect: Connect) -> None:
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


# Asset watchers.


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

    def __init__(
        self,
        sandbox: Sandbox,
        campaign_id: str,
        store: KeptState | None = None,
        triggerer: Triggerer | None = None,
        target_statuses: str = "Stopped",
    ) -> None:
        self.sandbox = sandbox
        self.triggerer = triggerer or Triggerer()
        self.trigger = CampaignStatusTrigger(campaign_id, target_statuses=target_statuses, poll_interval=INTERVAL)
        self.trigger.asset_state_store = store  # type: ignore[attr-defined,assignment,unused-ignore]
        self.fired: list[Any] = []

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(2 * INTERVAL)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        async for event in self.triggerer.events(self.trigger):
            self.fired.append(event.payload)

    async def sees(self, *statuses: str) -> int:
        """Return how often it has fired after the campaign went through some statuses."""
        for status in statuses:
            self.sandbox.set_status(self.trigger.campaign_id, status)
            await asyncio.sleep(2 * INTERVAL)
        return len(self.fired)


@pytest.mark.parametrize(("kind", "status"), [(KINDS[0], "Stopped"), (KINDS[3], "Active"), (SONARLY, "Stopped")])
def test_an_asset_fires_each_time_that_the_status_is_reached(
    sandbox: Sandbox, clock: VirtualClock, kind: Kind, connect: Connect, status: str
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

    run(scene(), clock)


def test_an_asset_does_not_fire_again_when_others_begin_to_wait(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.config.clock_offset = 60.0
    ids = add(sandbox, 3)

    async def scene() -> None:
        triggerer = Triggerer()
        async with Watcher(sandbox, ids[0], triggerer=triggerer) as watcher:
            assert await watcher.sees("Stopped") == 1
            waits = [asyncio.create_task(triggerer.first(waiting(campaign_id))) for campaign_id in ids[1:]]
            await asyncio.sleep(4 * INTERVAL)
            assert len(watcher.fired) == 1
            stop(sandbox, ids[1:])
            await asyncio.gather(*waits)
            assert await watcher.sees("Active", "Stopped") == 2

    run(scene(), clock)


def test_an_asset_fires_once_for_what_happened_meanwhile(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign, store = sandbox.add_campaign(), KeptState()

    async def scene() -> list[int]:
        fired = []
        for status in ("Active", "Stopped", "Stopped", "Active", "Stopped"):
            sandbox.set_status(campaign.id, status)
            async with Watcher(sandbox, campaign.id, store) as watcher:
                fired.append(len(watcher.fired))
        return fired

    assert run(scene(), clock) == [0, 1, 0, 0, 1]


def test_an_asset_whose_status_can_never_come_says_so_at_each_poll(
    sandbox: Sandbox, clock: VirtualClock, shown: Callable[[], str]
) -> None:
    campaign = sandbox.add_campaign()

    async def scene() -> None:
        async with Watcher(sandbox, campaign.id, target_statuses="Stoped") as watcher:
            assert await watcher.sees("Stopped") == 0

    run(scene(), clock)
    text = shown()
    assert text.count("target_statuses is 'Stoped', which is no status of Kore.ai") > 1
    assert "Nothing was sent" not in text


def test_an_asset_outlasts_failures_of_every_kind(
    sandbox: Sandbox, clock: VirtualClock, shown: Callable[[], str]
) -> None:
    campaign = sandbox.add_campaign()

    async def scene() -> None:
        async with Watcher(sandbox, campaign.id) as watcher:
            for kind in ("error", "unauthorized", "not_found", "html", "reset"):
                sandbox.add_fault(Fault(kind, count=2))
            assert await watcher.sees(*["Active"] * 8, "Stopped") == 1

    run(scene(), clock)
    assert f"Campaign {campaign.id} can't be watched: Status of campaign" in shown()
