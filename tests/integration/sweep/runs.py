"""Runs of a DAG that sweeps, as Airflow makes them: scheduled, late, retried and deferred, and no waiting."""

from __future__ import annotations

import heapq
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import ReceivedRequest, Sandbox
from tests.clock import EventfulClock
from tests.odd_texts import check_storable

MONDAY = datetime(2027, 2, 1, tzinfo=UTC)
"""Midnight. No zone that the tests use changes its clock in this month."""

MAX_SLOT_WAIT = 60.0
"""Seconds that a deferrable task may keep its slot without sending anything."""

WINDOW = 60.0
"""Seconds of Kore.ai's rate limit."""


def on_monday(time: str) -> datetime:
    """Return a time of the Monday on which most tests begin, such as ``20:55``."""
    hour, minute = map(int, time.split(":"))
    return MONDAY + timedelta(hours=hour, minutes=minute)


class DatedClock(EventfulClock):
    """A clock of another year, for any number of threads: what is measured by another clock is far away."""

    def __init__(self, began_on: datetime = MONDAY) -> None:
        super().__init__()
        self._epoch = began_on.timestamp() - self.now
        self._sleeping = threading.RLock()
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()

    @property
    def date(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def reading(self, date: datetime) -> float:
        """Return what the clock shows at a date, as the sandbox's requests and histories have it."""
        return date.timestamp() - self._epoch

    def on(self, date: datetime, event: Callable[[], object]) -> None:
        """Have something happen at a date."""
        self.at(self.reading(date) - self.began, event)

    def change(self, seconds: float) -> None:
        """Have the date differ from now on: the clock was wrong, or another machine's is."""
        self._epoch += seconds

    def go_to(self, date: datetime) -> None:
        """Let time pass until a date, with all that happens meanwhile."""
        self.sleep(max(0.0, date.timestamp() - self.time()))

    def at(self, seconds: float, event: Callable[[], object]) -> None:
        heapq.heappush(self._queue, (self.began + seconds, next(self._order), event))

    def sleep(self, seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        ends = self.now + seconds
        with self._sleeping:
            while self._queue and self._queue[0][0] <= ends:
                at, _, event = heapq.heappop(self._queue)
                self.now = max(self.now, at)
                event()
            super().sleep(max(0.0, ends - self.now), is_cancelled)


class StateStore(dict[str, Any]):
    """Airflow's task state store, of one task."""

    def set(self, key: str, value: Any) -> None:
        assert json.loads(json.dumps(value)) == value
        self[key] = value


class Events:
    """What a task adds to its outlets."""

    def __init__(self) -> None:
        self.extras: list[dict[str, Any]] = []

    def __getitem__(self, alias: object) -> Any:
        return SimpleNamespace(add=lambda asset, extra: self.extras.append(extra))


@dataclass
class TaskInstance:
    """What Airflow gives a task of its try."""

    run_id: str
    try_number: int = 1
    dag_id: str = "closing"
    task_id: str = "sweep"
    map_index: int = -1
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = kept(value)


@dataclass
class Outcome:
    """
    What came of a try.

    :param result: What it returned, or pushed to XCom before it failed.
    :param waits: Seconds of each deferral.
    :param carried: Characters of JSON that each deferral handed on.
    :param in_slot: When it kept a slot (readings of the clock).
    :param triggers: The names of the triggers that it waited in.
    :param events: The extras of the events that it sent to its outlet.
    """

    result: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
    waits: list[float] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)
    in_slot: list[tuple[float, float]] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_skipped(self) -> bool:
        return isinstance(self.error, AirflowSkipException)

    @property
    def is_failed(self) -> bool:
        return self.error is not None and not self.is_skipped

    @property
    def is_final(self) -> bool:
        return isinstance(self.error, AirflowFailException)

    @property
    def message(self) -> str:
        return "" if self.error is None else str(self.error)

    def ids(self, *keys: str) -> list[str]:
        """Return the ids of the campaigns under some keys of the result, sorted."""
        return sorted(row["campaign_id"] for key in keys for row in self.result[key])

    def names(self, campaign_id: str) -> bool:
        """Return whether the try failed and said which campaign it is about."""
        return self.is_failed and re.search(rf"(?<![\w-]){re.escape(campaign_id)}(?![\w-])", self.message) is not None

    @property
    def slot_seconds(self) -> float:
        return sum(end - start for start, end in self.in_slot)


class Dag:
    """
    A DAG of one task that sweeps, with what Airflow knows of its runs.

    :param arguments: Of the operator, in every run.
    """

    def __init__(self, clock: DatedClock, dag_id: str = "closing", **arguments: Any) -> None:
        self.clock = clock
        self.dag_id = dag_id
        self.arguments = arguments
        self.successes: list[dict[str, datetime]] = []
        self.has_state_store = True

    def scheduled(self, date: datetime) -> Run:
        """Return a run that is scheduled for a date; it begins when a try of it is made."""
        return Run(self, date, "scheduled")

    def triggered(self) -> Run:
        """Return a run that is triggered by hand, now."""
        return Run(self, self.clock.date, "manual")

    def guard(self, date: datetime, **arguments: Any) -> Outcome:
        """Wait until a date, and make the first try of the run that is scheduled for it."""
        self.clock.go_to(date)
        return self.scheduled(date).attempt(**arguments)


class Run:
    """One run of a DAG."""

    def __init__(self, dag: Dag, date: datetime, run_type: str) -> None:
        self.dag = dag
        self.date = date
        self.run_type = run_type
        self.run_id = f"{run_type}__{date.isoformat()}"
        self.tries = 0
        self._store = StateStore()

    def attempt(self, *, map_index: int = -1, at: datetime | None = None, **arguments: Any) -> Outcome:
        """
        Make the next try, through all its deferrals.

        :param at: When it begins; None for now.
        """
        if at is not None:
            self.dag.clock.go_to(at)
        self.tries += 1
        began, events = self.dag.clock.date, Events()
        ti = TaskInstance(self.run_id, self.tries, self.dag.dag_id, map_index=map_index)
        context = self._context(ti, events)
        arguments = {**self.dag.arguments, **arguments}

        def build() -> StopActiveCampaignsOperator:
            return StopActiveCampaignsOperator(task_id="sweep", **arguments)

        outcome = drive(build, context, self.dag.clock)
        outcome.events = events.extras
        if not outcome.is_failed:
            self.dag.successes.append({"date": self.date, "began": began, "ended": self.dag.clock.date})
        return outcome

    def _context(self, ti: TaskInstance, events: Events) -> dict[str, Any]:
        earlier = [run for run in self.dag.successes if run["date"] < self.date]
        before = max(earlier, key=lambda run: run["date"], default=dict[str, datetime]())
        run = SimpleNamespace(
            run_type=self.run_type,
            run_id=self.run_id,
            dag_id=self.dag.dag_id,
            logical_date=self.date,
            run_after=self.date,
            data_interval_start=self.date,
            data_interval_end=self.date,
            start_date=self.dag.clock.date,
            conf={},
        )
        return {
            "ti": ti,
            "task_instance": ti,
            "dag_run": run,
            "run_id": self.run_id,
            "logical_date": self.date,
            "data_interval_start": self.date,
            "data_interval_end": self.date,
            "prev_data_interval_start_success": before.get("date"),
            "prev_data_interval_end_success": before.get("date"),
            "prev_start_date_success": before.get("began"),
            "prev_end_date_success": before.get("ended"),
            "outlet_events": events,
            "params": {},
            **({"task_state_store": self._store} if self.dag.has_state_store else {}),
        }


def drive(build: Callable[[], Any], context: Any, clock: DatedClock) -> Outcome:
    """
    Run a task as Airflow does: where it defers, its trigger waits, and a fresh operator goes on.

    :param build: Makes the operator; each process has one of its own.
    """
    outcome, method, kwargs = Outcome(), "execute", dict[str, Any]()
    while True:
        began = clock.now
        try:
            outcome.result = kept(getattr(build(), method)(context, **kwargs))
        except TaskDeferred as deferred:
            outcome.in_slot.append((began, clock.now))
            name, moment = _wake_up(deferred, clock)
            outcome.triggers.append(name)
            outcome.waits.append(max(0.0, moment - clock.time()))
            if deferred.timeout is not None and deferred.timeout.total_seconds() < outcome.waits[-1]:
                raise AssertionError(f"it would time out before {name} fires") from deferred
            outcome.carried.append(len(json.dumps(deferred.kwargs or {})))
            clock.sleep(outcome.waits[-1])
            method = deferred.method_name
            kwargs = {**kept(deferred.kwargs or {}), "event": clock.date}
            continue
        except Exception as error:  # noqa: BLE001 whatever ends it
            outcome.error = error
            outcome.result = context["ti"].xcoms.get("return_value", {})
        outcome.in_slot.append((began, clock.now))
        return outcome


def kept(value: Any) -> Any:
    """Return a value as Airflow gives it back, which raises if it can't be kept."""
    check_storable(value)
    return json.loads(json.dumps(value))


def plant(folder: Path, name: str, *campaigns: dict[str, Any], beside: str = "sweep.try1.json") -> None:
    """Put a record beside that of a try, which says that it knows these campaigns, too."""
    [genuine] = folder.rglob(beside)
    record = json.loads(genuine.read_bytes())
    model = record["campaigns"][0]
    record["campaigns"] += [{**model, **campaign} for campaign in campaigns]
    (genuine.parent / name).write_text(json.dumps(record))


PLANTED = {"name": "Sale", "campaign_type": "sms", "status": "Active", "confirmed_at": None}
ATTESTED = {"status": "Stopped", "confirmed_at": "2027-02-01T00:00:00+00:00", "message": "Campaign Stopped"}


def _wake_up(deferred: TaskDeferred, clock: DatedClock) -> tuple[str, float]:
    """Return the name of a deferral's trigger, and when it fires (seconds since the epoch of the tests' clock)."""
    path, arguments = deferred.trigger.serialize()
    name = path.rpartition(".")[2]
    assert name in ("DateTimeTrigger", "TimeDeltaTrigger"), f"it waits in {path}, which is none of Airflow's own"
    moment = arguments["moment"].timestamp()
    is_virtual = abs(moment - clock.time()) < timedelta(days=8).total_seconds()
    # A delta is added to the time of the machine, which is in another year.
    return name, moment if is_virtual else clock.time() + moment - datetime.now(UTC).timestamp()


# What an account has seen.


def received(sandbox: Sandbox, action: str) -> list[ReceivedRequest]:
    """Return the requests for one action."""
    return [request for request in sandbox.requests if request.action == action]


def stops(sandbox: Sandbox) -> list[str | None]:
    """Return whom the requests to stop were about, in their order."""
    return [request.campaign_id for request in received(sandbox, "stop")]


def asked_about(sandbox: Sandbox) -> set[str | None]:
    """Return whom any request was about, lists aside."""
    return {request.campaign_id for request in sandbox.requests if request.campaign_id is not None}


def live(sandbox: Sandbox) -> set[str]:
    """Return the ids of the campaigns that are live now."""
    return {campaign.id for campaign in sandbox.campaigns() if campaign.live}


def live_at(sandbox: Sandbox, clock: DatedClock, date: datetime) -> set[str]:
    """Return the ids of the campaigns that were live at a date."""
    at = clock.reading(date)
    words = {c.id: [word for since, word in c.history if since <= at] for c in sandbox.campaigns()}
    return {campaign_id for campaign_id, each in words.items() if each and each[-1] in ("Active", "Preparing", "Rerun")}


def ended_at(sandbox: Sandbox, clock: DatedClock, campaign_id: str) -> datetime:
    """Return when a campaign was last Stopped or Completed."""
    history = sandbox.campaign(campaign_id).history
    at = next(since for since, word in reversed(history) if word in ("Stopped", "Completed"))
    return MONDAY + timedelta(seconds=at - clock.reading(MONDAY))


def asked_filters(sandbox: Sandbox) -> Iterator[tuple[ReceivedRequest, set[str]]]:
    """Yield the list requests with the status words that they filter by; none for all campaigns."""
    for request in received(sandbox, "list"):
        yield request, set((json.loads(request.body).get("filters") or {}).get("status") or ())


def most_in_a_window(sandbox: Sandbox) -> int:
    """Return how many requests the platform has received in any sixty seconds."""
    times = sorted(request.at for request in sandbox.requests)
    return max((sum(1 for at in times if since <= at < since + WINDOW) for since in times), default=0)


def longest_wait_in_slot(sandbox: Sandbox, outcome: Outcome) -> float:
    """Return the longest time that a try kept its slot without sending anything, in seconds."""
    times = [request.at for request in sandbox.requests]
    gaps = [0.0]
    for began, ended in outcome.in_slot:
        marks = sorted([began, *(at for at in times if began <= at <= ended), ended])
        gaps += [later - earlier for earlier, later in itertools.pairwise(marks)]
    return max(gaps)
