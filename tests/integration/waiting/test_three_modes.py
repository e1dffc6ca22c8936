"""A wait has the same outcome on a worker, rescheduled, and in the triggerer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import airflow
import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    TaskDeferred,
    XCom,
)
from airflow.triggers.base import TaskSuccessEvent
from packaging.version import Version

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.triggerer import run_to_its_end

INTERVAL = 30.0
SOON = 100.0
SMS, CALL = KORE_KINDS[0], KORE_KINDS[3]
SENSOR_MODULE = "airflow.sdk.bases.sensor" if find_spec("airflow.sdk") else "airflow.sensors.base"

each_form = pytest.mark.parametrize("kind", [SMS, CALL, SONARLY], ids=lambda kind: kind.label)
"""A kind for each form that responses come in."""


@pytest.fixture(autouse=True)
def airflows_own_clock(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow's sensors sleep and look at the time by the clock of the hooks."""
    sensors = import_module(SENSOR_MODULE)

    def utcnow() -> datetime:
        return datetime.fromtimestamp(clock.time(), UTC)

    monkeypatch.setattr(sensors, "time", clock)
    monkeypatch.setattr(sensors, "timezone", SimpleNamespace(utcnow=utcnow))


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    return sandbox


def executed(task: BaseOperator, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Do what triggerer and workers do with a task, however often it is rescheduled; return what it returns."""
    pushed: list[Any] = []
    monkeypatch.setattr(XCom, "set", lambda **xcom: pushed.append(xcom["value"]))
    began = datetime.fromtimestamp(clock.time(), UTC)
    ids = {"dag_id": "dag", "task_id": "task", "run_id": "run", "map_index": -1, "try_number": 1, "max_tries": 0}
    instance = SimpleNamespace(get_first_reschedule_date=lambda context: began, **ids)
    if find_spec("airflow.sdk") is None:  # on Airflow 2.11 the sensor itself asks the database when it began
        monkeypatch.setattr("airflow.sensors.base._orig_start_date", lambda *args, **kwargs: began)
    while True:
        try:
            return task.execute({"ti": instance})  # type: ignore[typeddict-item]
        except AirflowRescheduleException as asked:
            clock.advance(max(0.0, asked.reschedule_date.timestamp() - clock.time()))
        except TaskDeferred as deferred:
            trigger: Any = deferred.trigger
            event = run_to_its_end(trigger, clock)
            if isinstance(event, TaskSuccessEvent):
                return pushed.pop()
            return task.resume_execution(deferred.method_name, {"event": event.payload}, {})


Wait = Callable[..., Any]


@pytest.fixture(params=["poke", "reschedule", "deferrable"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wait(mode: str, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Return what waits by a sensor: on a worker, rescheduled, or in the triggerer."""
    how = {"deferrable": True} if mode == "deferrable" else {"deferrable": False, "mode": mode}

    def wait(campaign_id: str, **arguments: Any) -> Any:
        arguments = {"poke_interval": INTERVAL, "timeout": 3600, **how, **arguments}
        sensor = CampaignStatusSensor(task_id="wait", campaign_id=campaign_id, **arguments)
        return executed(sensor, clock, monkeypatch)

    return wait


@pytest.fixture(params=["worker", "deferrable"])
def act(request: pytest.FixtureRequest, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Return what executes an operator: with its wait on a worker, or in the triggerer."""

    def act(make: Callable[..., BaseOperator], campaign_id: str, **arguments: Any) -> Any:
        arguments = {"poll_interval": INTERVAL, "deferrable": request.param == "deferrable", **arguments}
        return executed(make(campaign_id, **arguments), clock, monkeypatch)

    return act


# A sensor.


@each_form
def test_a_status_that_is_reached_is_returned(sandbox: Sandbox, connect: Connect, kind: Kind, wait: Wait) -> None:
    connect(kind.connection(sandbox))
    assert wait(kind.add_campaign(sandbox, status="Stopped").id) == "Stopped"
    assert len(sandbox.requests) == 1
    campaign = kind.add_campaign(sandbox)
    sandbox.set_status(campaign.id, "Completed", SOON)
    growing = {"exponential_backoff": True, "max_wait": 2 * INTERVAL} if kind is CALL else {}
    assert wait(campaign.id, target_statuses=["sTOPPED", " cOMPLETED "], **growing) == "Completed"


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("status", ["Completed", None])
def test_what_can_not_end_well_fails_at_once(sandbox: Sandbox, wait: Wait, status: str | None, at_once: bool) -> None:
    campaign = sandbox.add_campaign()
    if status:
        sandbox.set_status(campaign.id, status, 0 if at_once else SOON)
    else:
        sandbox.add_fault(Fault("not_found", skip=0 if at_once else 1, count=None))
    error = exceptions.CampaignStateError if status else exceptions.CampaignNotFoundError
    match = "is Completed: it will not become Stopped" if status else "HTTP 404"
    with pytest.raises(error, match=rf"'{campaign.id}'.*{match}"):
        wait(campaign.id)
    assert len(sandbox.requests) == 1 or not at_once


LONG_429 = Fault("rate_limit", retry_after="100")
PASSING = [Fault("reset", skip=1), Fault("broken_json"), Fault("rate_limit", skip=1), LONG_429]


@pytest.mark.parametrize("fault", PASSING, ids=["reset", "broken_json", "429", "429, 100 s"])
def test_a_passing_failure_is_survived(sandbox: Sandbox, wait: Wait, mode: str, fault: Fault) -> None:
    campaign = sandbox.add_campaign()
    sandbox.set_status(campaign.id, "Stopped", SOON / 2)
    sandbox.add_fault(fault)
    assert wait(campaign.id) == "Stopped"
    assert len(sandbox.requests) >= 2 + fault.skip
    if fault.kind == "rate_limit" and mode == "poke":  # the other two forget, from one process to the next
        refused, after = sandbox.requests[fault.skip : fault.skip + 2]
        assert after.at - refused.at >= 59


LATER = Fault("forbidden", skip=1, count=None)
AT_ONCE = Fault("forbidden", count=None)
SILENT = Fault("error", count=None)
LIMITED = Fault("rate_limit", count=None)


@pytest.mark.parametrize(
    ("arguments", "fault", "error"),
    [
        ({"exponential_backoff": True, "max_wait": 2 * INTERVAL}, None, AirflowSensorTimeout),
        ({"soft_fail": True}, None, AirflowSkipException),
        ({"silent_fail": True}, SILENT, AirflowSensorTimeout),
        ({"timeout": 600}, LIMITED, AirflowSensorTimeout),
        ({}, LATER, exceptions.CampaignAuthError),
        ({"soft_fail": True}, AT_ONCE, AirflowSkipException),
        ({"soft_fail": True}, LATER, AirflowSkipException),
        ({"never_fail": True}, AT_ONCE, AirflowSkipException),
        ({"never_fail": True}, LATER, AirflowSkipException),
        ({"silent_fail": True}, AT_ONCE, exceptions.CampaignAuthError),
    ],
)
def test_a_wait_that_fails_ends_as_the_sensor_is_configured(
    sandbox: Sandbox, wait: Wait, mode: str, arguments: dict[str, Any], fault: Fault | None, error: type[Exception]
) -> None:
    if "never_fail" in arguments and fault is LATER and Version(airflow.__version__) < Version("3.1"):
        arguments = {**arguments, "deferrable": False}  # which does not look at it for a task that was deferred
    campaign = sandbox.add_campaign()
    if fault:
        sandbox.add_fault(fault)
    with pytest.raises(error):
        wait(campaign.id, **{"timeout": SOON, **arguments})
    if fault is LIMITED:
        interval = 30 if mode == "reschedule" else 60  # which knows nothing of the platform's window
        assert len(sandbox.requests) <= 600 / interval + 10  # a poll each, the first, and those after the deadline


def test_a_sensor_that_would_poll_without_a_pause_is_refused() -> None:
    with pytest.raises(exceptions.CampaignConfigError, match="poke_interval"):
        CampaignStatusSensor(task_id="wait", campaign_id="cd-1", poke_interval=0.5)


def test_a_text_that_is_false_does_not_defer(sandbox: Sandbox) -> None:
    no: Any = "false"
    sensor = CampaignStatusSensor(task_id="wait", campaign_id=sandbox.add_campaign().id, deferrable=no, timeout=10)
    with pytest.raises(AirflowSensorTimeout):
        sensor.execute({})


# A stop and a start.


@each_form
def test_a_stop_or_start_is_waited_for_and_returned(sandbox: Sandbox, connect: Connect, kind: Kind, act: Wait) -> None:
    connect(kind.connection(sandbox))
    campaign = kind.add_campaign(sandbox, stop_delay=SOON)
    record = act(kind.stop, campaign.id)
    assert (record["campaign_id"], record["status"], record["already_stopped"]) == (campaign.id, "Stopped", False)
    assert record["updated_at"] is not None
    assert record["message"]
    assert campaign.stop_requests == 1
    assert [request.action for request in sandbox.requests][:2] == ["stop", "get" if kind is SONARLY else "status"]
    sandbox.config.start_status_word = "preparing"  # Sonarly's
    campaign = kind.add_campaign(sandbox, status="Stopped", start_delay=SOON)
    assert act(kind.start, campaign.id)["status"] == campaign.status == "Active"


def test_a_stop_without_its_effect_fails_in_time_and_says_what_was_seen(sandbox: Sandbox, act: Wait) -> None:
    campaign = sandbox.add_campaign(stoppable=False)
    sandbox.set_status(campaign.id, "Ready", SOON)
    with pytest.raises(exceptions.CampaignStateError, match="is Ready: it will not become Stopped"):
        act(SMS.stop, campaign.id)
    campaign = sandbox.add_campaign(stoppable=False)
    sandbox.add_fault(Fault("rate_limit", action="stop", retry_after="4", count=3))
    match = rf"'{campaign.id}'.*is not Stopped or Completed after 50 s.*Active"
    with pytest.raises(exceptions.CampaignTimeoutError, match=match):
        act(SMS.stop, campaign.id, timeout=50)


# What a task is resumed with.

EVENTS: list[Any] = [
    *(None, "success", {}, {"value": "Stopped"}),
    {"value": 5, "error": None, "message": ""},
    {"value": {"status": "Stopped"}, "error": None, "message": ""},
    {"value": "Stopped", "error": 5, "message": ""},
    {"value": None, "error": "CampaignError", "message": None},
]
"""What this version's triggers never send, but others may have left behind."""


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_an_unreadable_event_fails_for_a_retry(event: Any) -> None:
    tasks: list[Any] = [CampaignStatusSensor(task_id="wait", campaign_id="cd-1"), SMS.stop("cd-1"), SMS.start("cd-1")]
    for task in tasks:
        with pytest.raises(exceptions.CampaignError, match="an unreadable event") as caught:
            task.execute_complete({}, event)
        assert not isinstance(caught.value, AirflowFailException)
