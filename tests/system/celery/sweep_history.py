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
LATE, UNSEEN, DRY, FAILED, KILLED = 5, 3, 9, 11, 19
"""How many evenings ago a sweep was late, none has run, one was dry, one has failed, and one was killed."""

LEAD = timedelta(minutes=20)
"""How long before an end the run that is for it begins."""

GUARD_INTERVAL = timedelta(minutes=5)
LISTS = ("stopped", "already_stopped", "failed")
CLOSINGS = ("open_until", "closings", "missed_closings")
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
        "is_incident": False,
        "rule": None,
        "end": None,
        **values,
    }


def result(window_end: datetime | None, began: datetime, ended: datetime, **values: Any) -> Json:
    """Return a task's result, empty but for what is given."""
    lists: Json = {name: [] for name in (*LISTS, "excluded", "incidents", "may_start", *CLOSINGS)}
    found = sum(len(values.get(name, ())) for name in (*LISTS, "live"))
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


def closing(end: datetime, verified: datetime | None, live: Collection[str] = (), rule: str = "*") -> Json:
    """Return what a result says of an end."""
    return {
        "rule": rule,
        "end": end.isoformat(),
        "verified_at": verified and verified.isoformat(timespec="milliseconds"),
        "live_at_end": list(live),
    }


def closing_run(end: datetime, found: int, last: float = -62.0, failed: int = 0, rule: str = "*") -> Json:
    """
    Return the run that stops campaigns for an end, one a second.

    :param last: When the last of them is confirmed, in seconds after the end.
    """
    about = {"rule": rule, "end": end.isoformat()}
    times = [end + timedelta(seconds=last - found + 1 + number) for number in range(found)]
    stopped = [campaign(number, times[number], times[number], **about) for number in range(found - failed)]
    left = [campaign(number, end + timedelta(seconds=2), None, **about) for number in range(found - failed, found)]
    live = [each["campaign_id"] for each, time in zip([*stopped, *left], times, strict=True) if time > end]
    listed = end + timedelta(seconds=max(last, 0.0) + 1.2)
    ends = [closing(end, None if failed else listed, live, rule)]
    value = result(end, end - LEAD, listed, stopped=stopped, failed=left, closings=ends)
    return run(end - LEAD, (listed - end + LEAD).total_seconds(), value, "failed" if failed else "success")


def guard_run(end: datetime, began: datetime, incident: bool = False) -> Json:
    """Return a run while closed, which finds nothing, or one campaign that somebody has started."""
    ended = began + timedelta(seconds=3 if incident else 0.6)
    again = {"name": "Win-back (started manually)", "is_incident": True, "rule": "*", "end": end.isoformat()}
    stopped = [campaign(77, began + timedelta(seconds=1), ended, **again)] if incident else []
    ids = [each["campaign_id"] for each in stopped]
    value = result(end, began, ended, stopped=stopped, incidents=ids, closings=[closing(end, ended)])
    return run(began, (ended - began).total_seconds(), value)


def quiet_run(began: datetime) -> Json:
    """Return a run while nothing is closed, which leaves all campaigns alone."""
    return run(began, 0.6, result(None, began, began + timedelta(seconds=0.6)))


def dry_run(end: datetime) -> Json:
    """Return a run that has only listed live campaigns."""
    live = [campaign(number, end, None) for number in range(5)]
    value = result(end, end - LEAD, end - LEAD + timedelta(seconds=1), live=live)
    return run(end - LEAD, 1, value, rendered_fields={**FIELDS, "dry_run": True})


def evening(end: datetime, until: datetime, dice: random.Random, *, guard: bool) -> Iterator[Json]:
    """Yield the runs of an ordinary evening; of the hours before it and the night after it, too, if ``guard``."""
    found = dice.choice([dice.randint(15, 57), dice.randint(15, 57), dice.randint(15, 57), dice.randint(70, 110)])
    yield closing_run(end, found, last=-dice.choice([61, 62, 63, 64, 66, 71]))
    incident_at = dice.randint(10, 90) if dice.random() < 0.1 else -1
    for number in range(5, 41 if guard else 5):
        yield quiet_run(end - number * GUARD_INTERVAL)
    for number in range(1, 132 if guard else 1):
        began = end + number * GUARD_INTERVAL
        if began < until:
            yield guard_run(end, began, incident=number == incident_at)


def history(now: datetime, guarded: Collection[int], evenings: int = 30) -> list[Json]:
    """
    Return that many evenings, the last of them the one before ``now``: most go well, five as their constants say.

    :param guarded: How many evenings ago there were runs every five minutes of the night, too.
    """
    dice = random.Random(7)
    last = now.astimezone(ZONE).replace(hour=21, minute=0, second=0, microsecond=0)
    last -= timedelta(days=last > now)
    runs: list[Json] = []
    for days in range(evenings):
        end = (last - timedelta(days=days)).astimezone(UTC)
        if days == FAILED:
            runs.append(closing_run(end, 31, last=140, failed=2))
        elif days == LATE:
            runs.append(closing_run(end, 44, last=95))
        elif days == DRY:
            runs.append(dry_run(end))
        elif days == KILLED:
            runs.append(run(end - LEAD, 1250, None, "failed"))
        elif days != UNSEEN:
            runs += evening(end, now, dice, guard=days in guarded)
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
    store(json.load(sys.stdin))
