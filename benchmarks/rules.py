"""Five rules in one account, of which three end one after the other: one deferrable sweep on a live Airflow.

Run it with ``python -m benchmarks.rules``; it takes a quarter of an hour, and writes ``results/rules.json``. The ends
are close together, so that the sweep of one has to make room for the next under the account's rate limit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.measuring import LATENCY, RUN_TIMEOUT, TaskProcesses
from benchmarks.common.reporting import RESULTS
from tests.system.live_airflow import LiveAirflow

LIMIT = 60
WINDOW = 60.0
"""Seconds."""

CLOSING = {"fl": (5, 80), "tx": (6, 50), "ca": (11, 30)}
"""Minutes until a rule's hours end, and its campaigns."""

OPEN = {"ny": (600, 20), "others": (480, 20)}

DAG = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

with DAG("rules", default_args={{"retries": 0}}):
    StopActiveCampaignsOperator(
        task_id="sweep", calling_hours={rules!r}, look_ahead=timedelta(hours=2), deferrable=True
    )
"""


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(latency=LATENCY, rate_limit=LIMIT))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        environment = {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(sandbox.kore_connection("v2"))}
        airflow = stack.enter_context(LiveAirflow(folder, env=environment, python=arguments.python))
        now = datetime.now(UTC)
        start = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        ends = {name: start + timedelta(minutes=minutes) for name, (minutes, _) in {**CLOSING, **OPEN}.items()}
        for name, (_, count) in {**CLOSING, **OPEN}.items():
            for number in range(count):
                types = ("sms", "voice")
                sandbox.add_campaign(f"{name}-{number}", types[number % 2], name=f"{name} {number}")
        (folder / "rules.py").write_text(DAG.format(rules=[rule(name, end) for name, end in ends.items()]))
        airflow.wait_for_dag("rules")
        time.sleep(max(0.0, start.timestamp() - time.time()))
        load = os.getloadavg()[0]
        with TaskProcesses(airflow) as slot_time:
            run_id = airflow.trigger_dag("rules")
            run = airflow.wait_for_run("rules", run_id, state=None, timeout=RUN_TIMEOUT)
        if run["state"] != "success":
            print(airflow.task_log("rules", run_id, "sweep"), flush=True)
        result = airflow.xcom("rules", run_id, "sweep")
        found = {
            "run": run["state"],
            "rules": {name: closing(sandbox, name, ends[name], result) for name in CLOSING},
            "touched although open": touched(sandbox),
            "requests": dict(Counter(f"{each.action} {each.status_code}" for each in sandbox.requests)),
            "most requests in 60 s": busiest(sandbox),
            "slot_seconds": round(slot_time.seconds, 1),
            "load": round(load, 1),
        }
    (RESULTS / "rules.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def rule(name: str, end: datetime) -> dict[str, str]:
    """Return a rule whose hours end at a moment, and began fourteen hours earlier."""
    start = end - timedelta(hours=14)
    hours = {"name": name, "frequency": "DAILY", "timezone": "UTC", "start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}
    return hours if name == "others" else {**hours, "name_pattern": f"{name} *"}


def closing(sandbox: Sandbox, name: str, end: datetime, result: dict[str, Any]) -> dict[str, Any]:
    """Return how long before its end each campaign of a rule was stopped and verified, in seconds."""
    campaigns = [each for each in sandbox.campaigns() if each.id.startswith(f"{name}-")]
    stopped = [(end - datetime.fromisoformat(each.updated_at)).total_seconds() for each in campaigns if not each.live]
    entries = [each for each in result["stopped"] if each["campaign_id"].startswith(f"{name}-")]
    confirmed = [(end - datetime.fromisoformat(each["confirmed_at"])).total_seconds() for each in entries]
    return {
        "campaigns": len(campaigns),
        "live": sum(each.live for each in campaigns),
        "first stopped before the end": round(max(stopped), 1),
        "last stopped before the end": round(min(stopped), 1),
        "last verified before the end": round(min(confirmed), 1),
        "verified": len(confirmed),
    }


def touched(sandbox: Sandbox) -> list[str]:
    """Return requests about campaigns whose hours go on."""
    return [
        f"{each.action} {each.campaign_id}"
        for each in sandbox.requests
        if each.campaign_id and each.campaign_id.startswith(tuple(OPEN))
    ]


def busiest(sandbox: Sandbox) -> int:
    """Return the most requests within any window of the limit."""
    at = sorted(each.at for each in sandbox.requests)
    return max(sum(since <= each < since + WINDOW for each in at) for since in at)


if __name__ == "__main__":
    main()
