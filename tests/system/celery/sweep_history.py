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
LATE, UNSEEN, FAILED, KILLED = 5, 3, 11, 19
"""How many evenings ago a sweep was late, none has run, one has failed, and one was killed."""

LEAD = timedelta(minutes=20)  # before an end the run that is for it begins
GUARD_INTERVAL = timedelta(minutes=5)
FIELDS = {"calling_hours": {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}}


def moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None


def campaign(number: int, asked: datetime, confirmed: datetime | None, **values: Any) -> Json:
    """Return one campaign as a result lists it."""
    kind = ("sms", "voice")[number % 2]
    about = {"campaign_id": f"cd-{kind}-{number:03}", "name": f"{NAMES[number % len(NAMES)]} {number}"}
    seen = ("Stopped", "Campaign Stopped") if confirmed else ("Active", "still Active at the deadline")
    times = {"asked_at": moment(asked), "confirmed_at": moment(confirmed)}
    return {**about, "campaign_type": kind, **times, "status": seen[0], "message": seen[1], **values}


def run(began: datetime, ended: datetime, state: str = "success", **values: Any) -> Json:
    """Return one run of a sweep, as :func:`store` takes it; its result is empty but for what is given."""
    found = sum(len(values.get(name, ())) for name in ("stopped", "failed"))
    cost = {"requests": 2 + found, "seconds": (ended - began).total_seconds(), "outcome": state}
    account = {"connection_id": "campaign_default", "platform": "Kore.ai"}
    return {
        **{"dag_id": "keep_closed", "task_id": "stop_active_campaigns", "run_id": f"scheduled__{began.isoformat()}"},
        **{"map_index": -1, "operator": "StopActiveCampaignsOperator", "state": state, "rendered_fields": FIELDS},
        **{"began": began.isoformat(), "ended": ended.isoformat()},
        "result": {"stopped": [], "failed": [], "incidents": [], **cost, **account, **values},
    }


def closing(end: datetime, verified: datetime | None, live: Collection[str] = (), rule: str = "*") -> Json:
    """Return what a result says of an end."""
    return {"rule": rule, "end": end.isoformat(), "verified_at": moment(verified), "live_at_end": list(live)}


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
    closings = [closing(end, None if failed else listed, live, rule)]
    state = "failed" if failed else "success"
    return run(end - LEAD, listed, state, stopped=stopped, failed=left, closings=closings)


def guarded_night(end: datetime, until: datetime) -> Iterator[Json]:
    """Yield the runs every five minutes before an end, which find nothing to close, and after it: one finds one."""
    for number in range(5, 41):
        began = end - number * GUARD_INTERVAL
        yield run(began, began + timedelta(seconds=0.6))
    again = {"name": "Win-back (started manually)", "is_incident": True, "rule": "*", "end": end.isoformat()}
    for number in range(1, 132):
        began = end + number * GUARD_INTERVAL
        ended = began + timedelta(seconds=0.6)
        stopped = [campaign(77, began, ended, **again)] if number == 50 else []
        ids = [each["campaign_id"] for each in stopped]
        if began < until:
            yield run(began, ended, stopped=stopped, incidents=ids, closings=[closing(end, ended)])


def history(now: datetime, guarded: Collection[int]) -> list[Json]:
    """
    Return thirty evenings, the last of them the one before ``now``: most go well, four as their constants say.

    :param guarded: How many evenings ago there were runs every five minutes of the night, too.
    """
    dice = random.Random(7)
    last = now.astimezone(ZONE).replace(hour=21, minute=0, second=0, microsecond=0)
    last -= timedelta(days=last > now)
    runs: list[Json] = []
    for days in range(30):
        end = (last - timedelta(days=days)).astimezone(UTC)
        if days == FAILED:
            runs.append(closing_run(end, 31, last=140, failed=2))
        elif days == LATE:
            runs.append(closing_run(end, 44, last=95))
        elif days == KILLED:
            runs.append(run(end - LEAD, end, "failed") | {"result": None})
        elif days != UNSEEN:
            runs.append(closing_run(end, dice.choice([dice.randint(15, 57), dice.randint(70, 110)])))
        if days in guarded:
            runs += guarded_night(end, now)
    return runs


def store(runs: list[Json]) -> None:
    """Write runs into the metadata database of the Airflow that this process is configured for."""
    from airflow.models import DagRun
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    dag_runs: dict[tuple[str, str], int] = {}
    with create_session() as session:

        def add(model: Any, **values: Any) -> Any:
            return session.execute(insert(model.__table__).values(**values))

        for each in runs:
            began, ended = (datetime.fromisoformat(each[name]) for name in ("began", "ended"))
            dag_run = {name: each[name] for name in ("dag_id", "run_id")}
            key = {**dag_run, "task_id": each["task_id"], "map_index": each["map_index"]}
            identity = (each["dag_id"], each["run_id"])
            if identity not in dag_runs:  # mapped tasks have theirs in common
                about = {"logical_date": began, "run_after": began, "run_type": "scheduled", "state": "success"}
                [dag_runs[identity]] = add(DagRun, **dag_run, **about, log_template_id=1).inserted_primary_key
            names = {"operator": each["operator"], "custom_operator_name": each["operator"], "pool": "default_pool"}
            times = {"start_date": began, "end_date": ended, "duration": (ended - began).total_seconds()}
            tries = {"try_number": 1, "max_tries": 3, "executor_config": {}}
            add(TaskInstance, **key, **names, **times, **tries, state=each["state"])
            add(RenderedTaskInstanceFields, **key, rendered_fields=each["rendered_fields"], k8s_pod_yaml=None)
            if each["result"] is not None:
                value = {"key": "return_value", "value": json.dumps(each["result"])}
                add(XComModel, **key, **value, dag_run_id=dag_runs[identity])


if __name__ == "__main__":
    store(json.load(sys.stdin))
