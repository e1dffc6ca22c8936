"""
Measure what a thousand deferred waits on one triggerer cost, on a live local Airflow and the sandbox.

Each run of the DAG is one sensor, which starts from its trigger, so that no worker is involved. Measured are, while
nothing changes, the requests that reach the platform in a poll interval, the longest time for which the triggerer's
event loop was blocked and what its memory has grown by; and then the seconds from the end of all campaigns to that
of all tasks.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from airflow_provider_campaign.sandbox import Sandbox
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until

DAG = """
from airflow.sdk import DAG

from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor

with DAG("waits", params={{"campaign_id": ""}}):
    CampaignStatusSensor(
        task_id="wait",
        campaign_id="{{{{ params.campaign_id }}}}",
        poke_interval={interval},
        deferrable=True,
        start_from_trigger=True,
    )
"""

WATCHDOG = 0.1
"""Seconds that Airflow's watchdog sleeps, and so are part of what it says."""

BLOCKED = re.compile(r"async thread was blocked for (\d+\.\d+) seconds")


def resident(pids: Collection[int]) -> float:
    """Return the memory of processes in MB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1])
    return total / 1024


def longest_block(log: str) -> float:
    """Return the longest time in seconds for which the event loop did nothing else, as Airflow's log has it."""
    return max([max(0.0, float(found) - WATCHDOG) for found in BLOCKED.findall(log)], default=0.0)


def start(airflow: LiveAirflow, campaign_id: str) -> None:
    """Start a run; while its DAG is being written anew, Airflow does not find it."""
    body = {"logical_date": None, "conf": {"campaign_id": campaign_id}}
    wait_until(lambda: airflow.request("POST", "/dags/waits/dagRuns", json=body).ok, 60, lambda: "no DAG waits")


def ended(airflow: LiveAirflow) -> Counter[str]:
    """Return how the runs stand."""
    return Counter(run["state"] for run in airflow.pages("/dags/waits/dagRuns", "dag_runs"))


def measure(waits: int, interval: float, polls: int) -> dict[str, float]:
    """Return the figures."""
    with Sandbox(rate_limit=None) as sandbox, tempfile.TemporaryDirectory() as folder:
        for number in range(waits):
            sandbox.add_campaign(f"cd-{number}")
        (Path(folder) / "waits.py").write_text(DAG.format(interval=interval))
        environment = {
            "AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(sandbox.kore_connection()),
            "AIRFLOW__TRIGGERER__CAPACITY": str(2 * waits),
            "AIRFLOW__TRIGGERER__BLOCKED_MAIN_THREAD_WARNING_THRESHOLD": str(WATCHDOG + 0.02),
        }
        with LiveAirflow(folder, env=environment) as airflow:
            airflow.wait_for_dag("waits")
            triggerer = airflow.processes["triggerer"]
            before = resident(triggerer.pids())
            began = time.monotonic()
            airflow.pause("waits", is_paused=False)
            for number in range(waits):
                start(airflow, f"cd-{number}")

            def deferred() -> int:
                instances = "/dags/~/dagRuns/~/taskInstances"
                return int(airflow.api("GET", instances, params={"state": "deferred", "limit": 1})["total_entries"])

            wait_until(lambda: deferred() == waits, 900, lambda: f"{deferred()} of {waits} are waited for", interval=1)
            joined = time.monotonic() - began
            at_start, said = longest_block(triggerer.output()), len(triggerer.output())
            sandbox.clear_requests()
            time.sleep(polls * interval)
            requests = len(sandbox.requests)
            after = resident(triggerer.pids())
            blocked = longest_block(triggerer.output()[said:])
            for number in range(waits):
                sandbox.set_status(f"cd-{number}", "Stopped")
            stopped = time.monotonic()
            wait_until(lambda: ended(airflow) == {"success": waits}, 900, lambda: f"{ended(airflow)}", interval=1)
            return {
                "waits": waits,
                "poll interval (s)": interval,
                "until all are waited for (s)": joined,
                "longest block of the event loop meanwhile (ms)": 1000 * at_start,
                "requests in a poll interval, nothing changing": requests / polls,
                "longest block of the event loop (ms)": 1000 * blocked,
                "memory of the triggerer before (MB)": before,
                "memory of the triggerer with all waits (MB)": after,
                "growth (MB)": after - before,
                "from all stopped to all tasks ended (s)": time.monotonic() - stopped,
            }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waits", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=3.0, help="poll interval in seconds")
    parser.add_argument("--polls", type=int, default=20, help="poll intervals to measure over")
    arguments = parser.parse_args()
    for name, figure in measure(arguments.waits, arguments.interval, arguments.polls).items():
        print(f"{name:<50} {figure:>8.1f}")


if __name__ == "__main__":
    main()
