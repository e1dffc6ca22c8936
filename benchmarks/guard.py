"""One guard around the clock, half an hour in real time on a live Airflow.

Run it with ``python -m benchmarks.guard``; it writes ``results/guard.json``. A run each minute, whose calling hours are
an Airflow Variable. Meanwhile two windows end, a date is closed, an emergency is declared and lifted twice, alerts may
run at night, campaigns are started at random moments, and scheduler and triggerer are killed once each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.measuring import LATENCY, TaskProcesses
from benchmarks.common.reporting import RESULTS
from tests.system.live_airflow import LiveAirflow

MINUTES = 30
EAST_ENDS, WEST_ENDS = 6, 28
"""Minutes; from ten minutes before on, a run waits for the end, deferred."""

EMERGENCIES = ((10, 15), (20, 23))
"""Minutes in which nothing but alerts may run: one while each run is short, one while a run waits."""

SCHEDULER_DIES, TRIGGERER_DIES = 12.25, 24.25
OUTAGE = 30.0
"""Seconds."""

STARTS = 40
ALLOWED = 120.0
"""Seconds for which a campaign may be live although it is closed."""

DAG = """
from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

with DAG(
    "guard",
    schedule="* * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={{"retries": 3, "retry_delay": timedelta(seconds=5)}},
):
    StopActiveCampaignsOperator(
        task_id="sweep",
        calling_hours="{{{{ var.value.calling_hours }}}}",
        look_ahead=timedelta(minutes=10),
        records_path={records!r},
        deferrable=True,
    )
"""


def rules(start: datetime, emergencies: Iterable[tuple[datetime, datetime | None]]) -> list[dict[str, Any]]:
    """Return the calling hours: two that end, a closed date, alerts that may run at night, and all others."""
    overrides = [{"from": _iso(begin), "until": end and _iso(end), "reason": "complaint"} for begin, end in emergencies]

    def hours(begin: datetime, end: datetime) -> dict[str, Any]:
        times = {"start": f"{begin:%H:%M}", "end": f"{end:%H:%M}"}
        return {"frequency": "DAILY", "timezone": "UTC", **times, "overrides": overrides}

    def ending(minutes: float) -> dict[str, Any]:
        end = start + timedelta(minutes=minutes)
        return hours(end - timedelta(hours=8), end)

    day = hours(start - timedelta(hours=2), start + timedelta(hours=4))
    exemption = {
        "from": _iso(start - timedelta(hours=1)),
        "until": _iso(start + timedelta(hours=2)),
        "open": True,
        "reason": "alerts",
    }
    night = hours(start + timedelta(hours=4), start + timedelta(hours=6))
    return [
        {"name": "alerts", "name_pattern": "alert *", **night, "overrides": [*overrides, exemption]},
        {"name": "east", "name_pattern": "east *", **ending(EAST_ENDS)},
        {"name": "west", "name_pattern": "west *", **ending(WEST_ENDS)},
        {"name": "holiday", "name_pattern": "holiday *", **day, "closed_dates": [f"{start:%Y-%m-%d}"]},
        {"name": "others", **day},
    ]


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class Happening:
    """Something that happens during the half hour, in seconds from its start."""

    at: float
    happen: Callable[[], object]


class Guarded:
    """
    An account, its guard, and what happens to them.

    :param start: When the half hour begins.
    """

    def __init__(self, airflow: LiveAirflow, sandbox: Sandbox, start: datetime) -> None:
        self.airflow = airflow
        self.sandbox = sandbox
        self.start = start
        self.declared: list[tuple[datetime, datetime | None]] = []

    def add(self, name: str, number: int) -> None:
        """Start a campaign."""
        self.sandbox.add_campaign(f"{name}-{number}", ("sms", "voice")[number % 2], name=f"{name} {number}")

    def declare(self) -> None:
        """Declare an emergency."""
        self.declared.append((datetime.now(UTC), None))
        self.publish()

    def lift(self) -> None:
        """Lift the emergency."""
        self.declared[-1] = (self.declared[-1][0], datetime.now(UTC))
        self.publish()

    def publish(self) -> None:
        """Write the calling hours into the Variable."""
        value = json.dumps(rules(self.start, self.declared))
        if not self.airflow.request(
            "PATCH", "/variables/calling_hours", json={"key": "calling_hours", "value": value}
        ).ok:
            self.airflow.api("POST", "/variables", json={"key": "calling_hours", "value": value})

    def happenings(self) -> list[Happening]:
        """Return what happens, in its order."""
        draw = random.Random(23)
        found = [
            Happening(60 * minutes, happen)
            for begin, end in EMERGENCIES
            for minutes, happen in ((begin, self.declare), (end, self.lift))
        ]
        for minutes, name in ((SCHEDULER_DIES, "scheduler"), (TRIGGERER_DIES, "triggerer")):
            found.append(Happening(60 * minutes, partial(self.airflow.kill, name)))
            found.append(Happening(60 * minutes + OUTAGE, partial(self.airflow.start, name)))
        names = ("east", "west", "holiday", "other", "alert")
        for number in range(10, 10 + STARTS):
            at = draw.uniform(30, 60 * MINUTES - 150)
            found.append(Happening(at, partial(self.add, names[number % len(names)], number)))
        return sorted(found, key=lambda happening: happening.at)

    def run(self) -> None:
        """Let all of it happen."""
        for happening in self.happenings():
            time.sleep(max(0.0, self.start.timestamp() + happening.at - time.time()))
            happening.happen()
        time.sleep(max(0.0, self.start.timestamp() + 60 * MINUTES - time.time()))

    def outcome(self) -> dict[str, Any]:
        """Return how long campaigns were live while closed, and which were stopped while open."""
        calling_rules = CallingRules.read(rules(self.start, self.declared))
        lives = {each.id: self._life(each, calling_rules) for each in self.sandbox.campaigns()}
        exceeded = {key: seconds for key, (seconds, _) in lives.items() if seconds > ALLOWED}
        live_at_end = {key: seconds for key, (seconds, _) in lives.items() if seconds}
        return {
            "campaigns": len(lives),
            "longest live while closed (s)": max(live_at_end.values(), default=0.0),
            "live while closed (s)": live_at_end,
            "longer than allowed": exceeded,
            "stopped while open": {key: why for key, (_, why) in lives.items() if why},
            "stopped": sum(not each.live for each in self.sandbox.campaigns()),
        }

    def _life(self, campaign: Any, calling_rules: CallingRules) -> tuple[float, str | None]:
        """Return for how many seconds a campaign was live while closed, and why its stop was wrong, if it was."""
        since_epoch = time.time() - time.monotonic()
        began = campaign.history[0][0] + since_epoch
        ended = time.time() if campaign.live else campaign.history[-1][0] + since_epoch
        known = Campaign(campaign.id, "Active", name=campaign.name, campaign_type=campaign.campaign_type)

        def is_open(at: float) -> bool:
            return calling_rules.is_open(known, datetime.fromtimestamp(at, UTC))

        steps = [began + step / 2 for step in range(int(2 * (ended - began)))]
        closed = sum(not is_open(at) for at in steps) / 2
        if campaign.live or not is_open(ended):
            return closed, None
        end = calling_rules.next_end(known, datetime.fromtimestamp(ended, UTC))
        before = (end.timestamp() - ended) if end else float("inf")
        return closed, None if before < ALLOWED else f"{before:.0f} s before its end"


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        (dags := folder / "dags").mkdir()
        (dags / "guard.py").write_text(DAG.format(records=f"file://{folder}/records"))
        sandbox = stack.enter_context(Sandbox(latency=LATENCY))
        environment = {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(sandbox.kore_connection("v2"))}
        airflow = stack.enter_context(LiveAirflow(dags, env=environment, python=arguments.python))
        airflow.wait_for_dag("guard")
        guarded = Guarded(airflow, sandbox, datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1))
        for name in ("east", "west", "other", "alert"):
            for number in range(5):
                guarded.add(name, number)
        guarded.publish()
        load = os.getloadavg()[0]
        print(f"from {guarded.start:%H:%M}", flush=True)
        with TaskProcesses(airflow) as slot_time:
            airflow.pause("guard", is_paused=False)
            guarded.run()
        runs = Counter(run["state"] for run in airflow.pages("/dags/guard/dagRuns", "dag_runs"))
        kept = [file.record for file in RecordStore(f"file://{folder}/records").read() if file.record]
        found = guarded.outcome() | {
            "runs": dict(runs),
            "records": dict(Counter(record["outcome"] for record in kept)),
            "errors": [record["error"] for record in kept if record["error"]],
            "incidents": sorted({campaign for record in kept for campaign in record["incidents"]}),
            "requests": dict(Counter(f"{each.action} {each.status_code}" for each in sandbox.requests)),
            "slot_seconds": round(slot_time.seconds, 1),
            "load": round(load, 1),
        }
    (RESULTS / "guard.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
