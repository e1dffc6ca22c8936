"""Evenings of sweeps that have not taken place: made up here, and written into the metadata database of an Airflow."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]

NAMES = ("Evening reminder", "Renewal call", "Payment due", "Delivery window", "Appointment", "Win-back")
ZONE = ZoneInfo("America/New_York")
FAILED, KILLED = 11, 19
"""How many evenings ago one sweep has failed, and another was killed."""

GUARD_INTERVAL = timedelta(minutes=5)
FIELDS = {"calling_hours": {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}}


def campaign(number: int, asked: datetime, confirmed: datetime | None, **values: Any) -> Json:
    """Return one campaign as a result lists it."""
    kind = ("sms", "voice")[number % 2]
    return {
        "campaign_id": f"cd-{kind}-{number:03}",
        "name": f"{NAMES[number % len(NAMES)]} {number}",
        "campaign_type": kind,
        "asked_at": asked.isoformat(timespec="milliseconds"),
        "confirmed_at": confirmed and confirmed.isoformat(timespec="milliseconds"),
        "status": "Stopped" if confirmed else "Active",
        "message": "Campaign Stopped" if confirmed else "still Active at the deadline",
        **values,
    }


def result(window_end: datetime | None, began: datetime, ended: datetime, **values: Any) -> Json:
    """Return a task's result, empty but for what is given."""
    lists: Json = {name: [] for name in ("stopped", "already_stopped", "failed", "excluded", "incidents", "may_start")}
    found = sum(len(values.get(name, ())) for name in ("stopped", "already_stopped", "failed", "live"))
    return {
        **lists,
        "total": found,
        "requests": 2 + found,
        "refused": 0,
        "seconds": (ended - began).total_seconds(),
        "reason": None,
        "outcome": "failed" if values.get("failed") else "success",
        "connection_id": "campaign_default",
        "platform": "Kore.ai",
        "window_end": window_end and window_end.isoformat(),
        "began_at": began.isoformat(timespec="milliseconds"),
        "ended_at": ended.isoformat(timespec="milliseconds"),
        "record": None,
        **values,
    }


def run(began: datetime, seconds: float, value: Json | None, state: str = "success", **values: Any) -> Json:
    """Return one run of a sweep, as :func:`store` takes it."""
    return {
        "dag_id": "keep_closed",
        "task_id": "stop_active_campaigns",
        "run_id": f"scheduled__{began.isoformat()}",
        "map_index": -1,
        "try_number": 1,
        "operator": "StopActiveCampaignsOperator",
        "state": state,
        "run_after": began.isoformat(),
        "started": began.isoformat(),
        "ended": (began + timedelta(seconds=seconds)).isoformat(),
        "rendered_fields": FIELDS,
        "result": value,
        **values,
    }


def closing_run(window_end: datetime, found: int, seconds: float, failed: int = 0) -> Json:
    """Return the run that stops what is live when the window ends."""
    step = seconds / max(found, 1)
    times = [window_end + timedelta(seconds=step * number) for number in range(found + 1)]
    stopped = [campaign(number, times[number], times[number + 1]) for number in range(found - failed)]
    left = [campaign(number, window_end + timedelta(seconds=2), None) for number in range(found - failed, found)]
    ended = window_end + timedelta(seconds=seconds + 1)
    value = result(window_end, window_end, ended, stopped=stopped, failed=left)
    return run(window_end, seconds + 1, value, "failed" if failed else "success")


def guard_run(window_end: datetime, began: datetime, incident: bool = False) -> Json:
    """Return a run in the night, which finds nothing, or one campaign that somebody has started."""
    ended = began + timedelta(seconds=3 if incident else 0.6)
    stopped = [campaign(77, began + timedelta(seconds=1), ended, name="Win-back (started by hand)")] if incident else []
    ids = [each["campaign_id"] for each in stopped]
    return run(began, (ended - began).total_seconds(), result(window_end, began, ended, stopped=stopped, incidents=ids))


def evening(window_end: datetime, until: datetime, dice: random.Random, *, guard: bool) -> Iterator[Json]:
    """Yield the runs of an ordinary evening, and of the night after it if ``guard``."""
    found = dice.choice([dice.randint(15, 57), dice.randint(15, 57), dice.randint(15, 57), dice.randint(70, 110)])
    waiting = 60 if found > 57 else dice.choice([0, 0, 0, 4, 11])  # for the request limit, or for one that winds down
    yield closing_run(window_end, found, 0.2 + found * 0.014 + waiting)
    incident_at = dice.randint(10, 90) if dice.random() < 0.1 else -1
    for number in range(1, 132 if guard else 1):
        began = window_end + number * GUARD_INTERVAL
        if began < until:
            yield guard_run(window_end, began, incident=number == incident_at)


def history(now: datetime, evenings: int = 30, *, guarded: Collection[int] | None = None) -> list[Json]:
    """
    Return that many evenings, the last of them the one before ``now``: most go well, one fails, one is killed.

    :param guarded: How many evenings ago there were runs every five minutes of the night, too; None for all of them.
    """
    dice = random.Random(7)
    last = now.astimezone(ZONE).replace(hour=21, minute=0, second=0, microsecond=0)
    last -= timedelta(days=last > now)
    runs: list[Json] = []
    for days in range(evenings):
        window_end = (last - timedelta(days=days)).astimezone(UTC)
        if days == FAILED:
            runs.append(closing_run(window_end, 31, 140, failed=2))
        elif days == KILLED:
            runs.append(run(window_end, 50, None, "failed"))
        else:
            runs += evening(window_end, now, dice, guard=guarded is None or days in guarded)
    return runs


def store(runs: list[Json]) -> None:
    """Write runs into the metadata database of the Airflow that this process is configured for."""
    from airflow.models import DagRun
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    dag_runs = DagRun.__table__
    dag_run_ids: dict[tuple[str, str], int] = {}
    with create_session() as session:
        for each in runs:
            began, identity = datetime.fromisoformat(each["run_after"]), (each["dag_id"], each["run_id"])
            if identity not in dag_run_ids:  # mapped tasks have theirs in common
                values = {"dag_id": each["dag_id"], "run_id": each["run_id"], "logical_date": began, "run_after": began}
                values |= {"run_type": "scheduled", "state": "success", "log_template_id": 1}
                dag_run_ids[identity] = session.scalar(insert(dag_runs).values(**values).returning(dag_runs.c.id))
            key = {name: each[name] for name in ("dag_id", "run_id", "task_id", "map_index")}
            started, ended = (each[name] and datetime.fromisoformat(each[name]) for name in ("started", "ended"))
            session.execute(
                insert(TaskInstance.__table__).values(
                    **key,
                    state=each["state"],
                    operator=each["operator"],
                    custom_operator_name=each["operator"],
                    try_number=each["try_number"],
                    max_tries=3,
                    pool="default_pool",
                    start_date=started,
                    end_date=ended,
                    duration=(ended - started).total_seconds() if started and ended else None,
                    executor_config={},
                )
            )
            if each["rendered_fields"] is not None:
                fields = {**key, "rendered_fields": each["rendered_fields"], "k8s_pod_yaml": None}
                session.execute(insert(RenderedTaskInstanceFields.__table__).values(**fields))
            if each["result"] is not None:
                xcom = {
                    **key,
                    "dag_run_id": dag_run_ids[identity],
                    "key": "return_value",
                    "value": json.dumps(each["result"]),
                }
                session.execute(insert(XComModel.__table__).values(**xcom))


if __name__ == "__main__":
    if sys.argv[1:] == ["history"]:
        store(history(datetime.now(UTC)))
    else:
        store(json.load(sys.stdin))
