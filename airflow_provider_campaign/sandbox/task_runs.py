"""Tasks and DAGs that are run in this process, as Airflow runs them, on a virtual clock."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from graphlib import TopologicalSorter
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    TaskDeferred,
    Variable,
)

from airflow_provider_campaign.sandbox import virtual_clock
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, read_date
from airflow_provider_campaign.version_compat import SHARED_STREAMS

FAILED = {"failed", "upstream_failed"}

TRIGGER_RULES: dict[str, Callable[[set[str]], bool]] = {
    "all_success": lambda states: states <= {"success"},
    "all_done": lambda states: True,
    "one_failed": lambda states: bool(states & FAILED),
    "none_failed": lambda states: not states & FAILED,
    "none_failed_min_one_success": lambda states: "success" in states and not states & FAILED,
}
"""Whether a task runs, by the states of those upstream."""


@dataclass
class Outcome:
    """
    What came of a try of a task.

    :param state: ``success``, ``skipped``, ``failed``, or ``upstream_failed``.
    :param result: What the task returned, or pushed to XCom before it failed.
    :param error: What ended it, a skip included.
    :param is_final: Whether it failed so that Airflow does not retry it.
    :param waits: Seconds of each deferral.
    :param triggers: The name of the trigger of each deferral.
    :param carried: What each deferral handed on.
    :param in_slot: From when to when it kept a worker slot, as readings of the clock.
    :param events: The extras of the asset events that it sent.
    """

    state: str = ""
    result: Any = field(default_factory=dict)
    error: Exception | None = None
    is_final: bool = False
    waits: list[float] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    carried: list[dict[str, Any]] = field(default_factory=list)
    in_slot: list[tuple[float, float]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_skipped(self) -> bool:
        """Whether the task was skipped."""
        return self.state == "skipped"

    @property
    def is_failed(self) -> bool:
        """Whether the task failed."""
        return self.state in FAILED

    @property
    def message(self) -> str:
        """The text of the error."""
        return str(self.error or "")

    def ids(self, *keys: str) -> list[str]:
        """Return the ids of the campaigns in lists of the result, such as ``stopped``, sorted."""
        return sorted(row["campaign_id"] for key in keys for row in self.result[key])

    def names(self, campaign_id: str) -> bool:
        """Return whether the task failed and named a campaign."""
        return self.is_failed and re.search(rf"(?<![\w-]){re.escape(campaign_id)}(?![\w-])", self.message) is not None


class StateStore(dict[str, Any]):
    """Airflow's task state store of a task."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value for the next try."""
        self[key] = _stored(value)


@dataclass
class DagRun:
    """
    A run of a DAG, with what its tasks have left.

    :param ended: When it last succeeded.
    :param xcoms: By task id, map index and key.
    :param stores: By task id and map index.
    """

    dag_id: str
    run_type: str
    date: datetime
    conf: Mapping[str, Any] = field(default_factory=dict)
    events: Collection[Mapping[str, Any]] = ()
    began: datetime | None = None
    ended: datetime | None = None
    xcoms: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    stores: dict[tuple[str, int], StateStore] = field(default_factory=lambda: defaultdict(StateStore))


class TaskRunner:
    """Runs tasks as Airflow does, and remembers the runs of each DAG: what they returned, and when they succeeded."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.runs: list[DagRun] = []
        self.has_state_store = SHARED_STREAMS  # whether Airflow keeps what a task hands on to its next try (3.3)

    def run_task(self, operator: BaseOperator, at: datetime | str | None = None, **run: Any) -> Outcome:
        """
        Run a try of a task, through all its deferrals.

        :param at: When it begins, a date or ISO text (UTC unless it says otherwise); None for now.
        :param scheduled: Whether the run is scheduled, or manually triggered (False). A date if it begins late.
        :param try_number: From 2 on it is another try of the last run, or of the one that is scheduled for that date.
        :param conf: What the run is triggered with; it replaces params.
        :param events: The extras of the asset events that the run is triggered by.
        """
        return self.attempt(operator, self._run_of(operator.dag_id, at, **run), run.get("try_number", 1))

    def run_dag(self, dag: DAG, at: datetime | str | None = None, **run: Any) -> dict[str, Outcome]:
        """
        Run all tasks of a DAG with their retries, and return what came of each, by task id.

        Branches and mapped tasks are not supported: give ``run_task`` an operator.

        :param at: As for ``run_task``; so are ``scheduled``, ``conf``, and ``events``.
        """
        dag_run, outcomes = self._run_of(dag.dag_id, at, **run), dict[str, Outcome]()
        for task_id in TopologicalSorter({task.task_id: task.upstream_task_ids for task in dag.tasks}).static_order():
            task: Any = dag.get_task(task_id)
            states = {outcomes[upstream].state for upstream in task.upstream_task_ids}
            if states and not TRIGGER_RULES[task.trigger_rule](states):
                outcomes[task_id] = Outcome("upstream_failed" if states & FAILED else "skipped")
                continue
            for try_number in range(1, task.retries + 2):
                outcome = outcomes[task_id] = self.attempt(task, dag_run, try_number)
                if not outcome.is_failed or outcome.is_final:
                    break
                self.clock.advance(task.retry_delay.total_seconds())
        return outcomes

    def attempt(self, operator: BaseOperator, run: DagRun, try_number: int = 1, map_index: int = -1) -> Outcome:
        """Run a try of a task in a run, and call its callbacks."""
        key, outcome = (operator.task_id, map_index), Outcome()
        run.began = run.began or self.clock.date
        run.xcoms = {xcom: value for xcom, value in run.xcoms.items() if xcom[:2] != key}
        context = self._context(operator, run, try_number, map_index, outcome)
        self._drive(operator, context, outcome)
        if outcome.state == "success":
            run.xcoms[*key, "return_value"] = outcome.result
        outcome.result = run.xcoms.get((*key, "return_value"), {})
        run.ended = run.ended if outcome.is_failed else self.clock.date
        is_over = outcome.is_final or try_number > (operator.retries or 0)
        event = ("failure" if is_over else "retry") if outcome.is_failed else outcome.state
        callbacks = getattr(operator, f"on_{event}_callback", None) or ()
        for callback in callbacks if isinstance(callbacks, Collection) else (callbacks,):
            callback({**context, "exception": outcome.error})
        return outcome

    def _run_of(
        self,
        dag_id: str,
        at: datetime | str | None,
        scheduled: bool | datetime | str = True,
        try_number: int = 1,
        conf: Mapping[str, Any] | None = None,
        events: Collection[Mapping[str, Any]] = (),
    ) -> DagRun:
        """Go to when the try begins, and return the run that it belongs to."""
        if at is not None:
            self.clock.go_to(at)
        run_type = "scheduled" if scheduled else "manual"
        date = None if isinstance(scheduled, bool) else read_date(scheduled)
        for run in reversed(self.runs if try_number > 1 else ()):
            if (run.dag_id, run.run_type) == (dag_id, run_type) and date in (None, run.date):
                return run
        self.runs.append(DagRun(dag_id, run_type, date or self.clock.date, conf or {}, events))
        return self.runs[-1]

    def _drive(self, operator: BaseOperator, context: Any, outcome: Outcome) -> None:
        """Run a task until it ends: where it defers, its trigger waits, and a fresh copy of the operator goes on."""
        deferred: TaskDeferred | None = None
        while not outcome.state:
            began = self.clock.now
            try:
                kwargs = {**outcome.carried[-1], "event": self._event(deferred, outcome)} if deferred else {}
                began, task = self.clock.now, operator.prepare_for_execution()
                task.render_template_fields(context)
                outcome.result = getattr(task, deferred.method_name if deferred else "execute")(context, **kwargs)
                outcome.state = "success"
            except TaskDeferred as deferral:
                deferred = deferral
                outcome.carried.append(_stored(deferral.kwargs or {}))
            except Exception as error:  # noqa: BLE001 whatever ends it
                outcome.error, outcome.is_final = error, isinstance(error, AirflowFailException)
                outcome.state = "skipped" if isinstance(error, AirflowSkipException) else "failed"
            outcome.in_slot.append((began, self.clock.now))

    def _event(self, deferred: TaskDeferred, outcome: Outcome) -> Any:
        """Let a trigger wait on the clock, and return what it fires."""
        path, arguments = deferred.trigger.serialize()
        module, _, name = path.rpartition(".")
        began = self.clock.now

        async def wait() -> Any:
            async with asyncio.timeout(deferred.timeout.total_seconds() if deferred.timeout else None):
                if name not in ("DateTimeTrigger", "TimeDeltaTrigger"):
                    return (await anext(resolve_name(f"{module}:{name}")(**arguments).run())).payload
                is_delta = type(deferred.trigger).__name__ == "TimeDeltaTrigger"  # Airflow has added the machine's time
                now = datetime.now(UTC).timestamp() if is_delta else self.clock.time()
                await asyncio.sleep(max(0.0, arguments["moment"].timestamp() - now))
                return self.clock.date

        event = virtual_clock.run(wait(), self.clock)
        outcome.triggers.append(name)
        outcome.waits.append(self.clock.now - began)
        return event

    def _context(
        self, operator: BaseOperator, run: DagRun, try_number: int, map_index: int, outcome: Outcome
    ) -> dict[str, Any]:
        run_id = f"{run.run_type}__{run.date.isoformat()}"
        dates = dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end"), run.date)
        earlier = [each for each in self.runs if each.dag_id == run.dag_id and each.date < run.date]
        earlier.sort(key=lambda each: each.date, reverse=True)
        last = next((each for each in earlier if each.ended), None)

        def push(key: str, value: Any) -> None:
            run.xcoms[operator.task_id, map_index, key] = _stored(value)

        def pull(task_ids: Any = None, key: str = "return_value", default: Any = None, **options: Any) -> Any:
            if not isinstance(task_ids, str | None):
                return [pull(task_id, key, default, **options) for task_id in task_ids]
            names = [(task_ids or operator.task_id, index, key) for index in (map_index, -1)]
            runs = [run, *earlier] if options.get("include_prior_dates") else [run]
            return next((each.xcoms[name] for each in runs for name in names if name in each.xcoms), default)

        ti = SimpleNamespace(dag_id=run.dag_id, run_id=run_id, task_id=operator.task_id, try_number=try_number)
        ti.map_index, ti.xcom_push, ti.xcom_pull = map_index, push, pull
        ti.get_relevant_upstream_map_indexes = lambda *_, **__: None  # which Airflow 2 asks for
        send = SimpleNamespace(add=lambda asset, extra=None: outcome.events.append(extra))
        return {
            **dates,
            "ti": ti,
            "task_instance": ti,
            "task": operator,
            "dag": operator.get_dag(),
            "dag_run": SimpleNamespace(**vars(run), **dates, run_id=run_id, run_after=run.date, start_date=run.began),
            "run_id": run_id,
            "ds": f"{run.date:%Y-%m-%d}",
            "ts": run.date.isoformat(),
            "params": {**{name: operator.params[name] for name in operator.params if name not in run.conf}, **run.conf},
            "var": {"value": _Found(Variable.get), "json": _Found(partial(Variable.get, deserialize_json=True))},
            **dict.fromkeys(("prev_data_interval_start_success", "prev_data_interval_end_success"), last and last.date),
            "prev_start_date_success": last and last.began,
            "prev_end_date_success": last and last.ended,
            "outlet_events": _Found(lambda outlet: send),
            "triggering_asset_events": {"": [SimpleNamespace(extra=extra) for extra in run.events]},
            "expanded_ti_count": None,
            **({"task_state_store": run.stores[operator.task_id, map_index]} if self.has_state_store else {}),
        }


class _Found:
    """What a function finds for a key or attribute; some keys can't be hashed (outlets before Airflow 3.2)."""

    def __init__(self, find: Callable[[Any], Any]) -> None:
        self._find = find

    def __getitem__(self, key: Any) -> Any:
        return self._find(key)

    __getattr__ = __getitem__


def _stored(value: Any) -> Any:
    """Return a value as Airflow's database gives it back."""
    return json.loads(json.dumps(value))
