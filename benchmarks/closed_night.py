"""The end of the window and the night after it, in real time on a live Airflow.

Run it with ``python -m benchmarks.closed_night``; it takes half an hour. 120 campaigns are to be stopped by the end, in
one account alone and in another of which somebody else spends 20 requests a minute. Then calling hours are closed for
20 minutes with a run every minute: somebody starts campaigns, the scheduler is killed once and the triggerer once.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.reporting import RESULTS
from tests.system.live_airflow import LiveAirflow

LATENCY = 0.05
CAMPAIGNS = 120
BEFORE = timedelta(minutes=5)
OTHERS_EVERY = 3.0
STARTS = 12
PREPARING = timedelta(minutes=2)

DAGS = """
from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Asset

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.timetables import calling_hours_closed, calling_hours_end

HOURS, NIGHT = {hours!r}, {night!r}
START = pendulum.datetime(2026, 1, 1, tz="UTC")
EARLY = timedelta(seconds={before})
INCIDENTS = Asset("campaign_incidents")

for account in ("alone", "shared"):
    with DAG(account, schedule=calling_hours_end(HOURS, offset=-EARLY), start_date=START, catchup=False):
        StopActiveCampaignsOperator(
            task_id="sweep",
            campaign_conn_id=account,
            campaign_types=("sms",),
            calling_hours=HOURS,
            deferrable=account == "alone",
            retries=3,
        )

EVERY_MINUTE = calling_hours_closed(NIGHT, every=timedelta(minutes=1))
with DAG("night", schedule=EVERY_MINUTE, start_date=START, catchup=False, max_active_runs=1):
    StopActiveCampaignsOperator(
        task_id="sweep",
        campaign_conn_id="night",
        calling_hours=NIGHT,
        incident_outlet=INCIDENTS,
        records_path={records!r},
        retries=3,
        retry_delay=timedelta(seconds=5),
    )

with DAG("alarm", schedule=[INCIDENTS], start_date=START, catchup=False):
    pass
"""


def hours_of(end: datetime, start: datetime) -> dict[str, str]:
    """Return calling hours that end, and start again, at these moments of each day."""
    return {"frequency": "DAILY", "timezone": "UTC", "start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=20, help="how long the night is")
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    arguments = parser.parse_args()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    end = now + PREPARING + BEFORE + timedelta(minutes=1)
    dusk = end - BEFORE
    dawn = dusk + timedelta(minutes=arguments.minutes)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        accounts = {name: stack.enter_context(Sandbox(latency=LATENCY)) for name in ("alone", "shared", "night")}
        for name in ("alone", "shared"):
            for number in range(CAMPAIGNS):
                accounts[name].add_campaign(f"c-{number}", priority=str(1 + number % 5))
        accounts["night"].add_campaign("evening")
        records = f"file://{folder}/records"
        dags = folder / "dags"
        dags.mkdir()
        text = DAGS.format(
            hours=hours_of(end, end - timedelta(hours=8)),
            night=hours_of(dusk, dawn),
            before=BEFORE.total_seconds(),
            records=records,
        )
        (dags / "closing.py").write_text(text)
        environment = {
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(sandbox.kore_connection("v2"))
            for name, sandbox in accounts.items()
        }
        airflow = stack.enter_context(LiveAirflow(dags, parallelism=8, env=environment, python=arguments.python))
        for dag_id in ("alone", "shared", "night", "alarm"):
            airflow.wait_for_dag(dag_id)
            airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        print(f"ready {datetime.now(UTC):%H:%M:%S}, dusk {dusk:%H:%M}, end {end:%H:%M}, dawn {dawn:%H:%M}", flush=True)
        over = threading.Event()
        stack.callback(over.set)
        spend(accounts["shared"], over)
        found: dict[str, Any] = {"night": night(airflow, accounts["night"], dusk, end, dawn)}
        found |= {name: closing(airflow, name, accounts[name], end) for name in ("alone", "shared")}
        found["night"] |= runs(airflow, folder / "records")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "closed_night.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def spend(sandbox: Sandbox, over: threading.Event) -> None:
    """Let another client of the account send a request every three seconds."""
    from airflow_provider_campaign.client.client import CampaignClient
    from airflow_provider_campaign.client.rate_limiter import RateLimiter
    from airflow_provider_campaign.client.transport import RequestsTransport
    from airflow_provider_campaign.exceptions import CampaignError
    from airflow_provider_campaign.platforms.kore import KorePlatform
    from airflow_provider_campaign.platforms.kore_app import KoreApp

    config = sandbox.config
    app = KoreApp(config.client_id, config.iid, config.account_id, "HS256", "another", config.client_secret)
    client = CampaignClient(KorePlatform(app, "v2"), RequestsTransport(sandbox.url, None, "another"))
    client.rate_limiter = RateLimiter(None, None, client.clock)

    def work() -> None:
        while not over.wait(OTHERS_EVERY):
            try:
                client.get_campaign_status("c-0", retry=False)
            except (CampaignError, requests.RequestException) as error:
                print(f"another client: {error}", flush=True)

    threading.Thread(target=work, daemon=True).start()


def closing(airflow: LiveAirflow, dag_id: str, sandbox: Sandbox, end: datetime) -> dict[str, Any]:
    """Return what a sweep that began before the end did."""
    at = [(end - datetime.fromisoformat(each.updated_at)).total_seconds() for each in sandbox.campaigns()]
    ours = [each for each in sandbox.requests if each.action in ("stop", "list")]
    run = airflow.api("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"][0]
    return {
        "run": run["state"],
        "live": sum(each.live for each in sandbox.campaigns()),
        "last_stopped_before_end": round(min(at), 1),
        "first_stopped_before_end": round(max(at), 1),
        "bursts": sorted(Counter(round(each / 10) * 10 for each in at).items()),
        "requests": dict(Counter(f"{each.action} {each.status_code}" for each in ours)),
    }


def night(airflow: LiveAirflow, sandbox: Sandbox, dusk: datetime, end: datetime, dawn: datetime) -> dict[str, Any]:
    """Let things happen in the night, and return how long each campaign was live."""
    draw = random.Random(16)
    latest = (dawn - dusk).total_seconds() - 150
    starts = sorted(draw.uniform(60, latest) for _ in range(STARTS))
    scheduler_dies = (end - dusk).total_seconds() + 15
    triggerer_dies = scheduler_dies + 90
    happenings: list[tuple[float, Callable[[], Any]]] = [(scheduler_dies, lambda: restart(airflow, "scheduler"))]
    happenings.append((triggerer_dies, lambda: restart(airflow, "triggerer")))
    for number, at in enumerate(starts):
        happenings.append((at, partial(sandbox.add_campaign, f"night-{number}", ("sms", "voice")[number % 2])))
    gaps = []
    for at, happen in sorted(happenings, key=lambda each: each[0]):
        time.sleep(max(0.0, dusk.timestamp() + at - time.time()))
        if isinstance(gap := happen(), tuple):
            gaps.append(gap)
    time.sleep(max(0.0, dawn.timestamp() - 20 - time.time()))
    lives = {}
    for campaign in sandbox.campaigns():
        since = campaign.history[0][0]
        until = campaign.history[-1][0] if not campaign.live else None
        lives[campaign.id] = None if until is None else round(until - since, 1)
    lists = [each for each in sandbox.requests if each.action == "list"]
    return {
        "live_seconds": lives,
        "started_at": [round(at) for at in starts],
        "outages": [
            (name, round(began - dusk.timestamp()), round(ended - dusk.timestamp())) for name, began, ended in gaps
        ],
        "requests": dict(Counter(f"{each.action} {each.status_code}" for each in sandbox.requests)),
        "list_requests": len(lists),
    }


def restart(airflow: LiveAirflow, name: str) -> tuple[str, float, float]:
    """Kill a component, and start it again half a minute later."""
    airflow.kill(name)
    began = time.time()
    time.sleep(30)
    airflow.start(name)
    return name, began, time.time()


def runs(airflow: LiveAirflow, records: Path) -> dict[str, Any]:
    """Return what the runs of the night left."""
    dag_runs = airflow.pages("/dags/night/dagRuns", "dag_runs")
    kept = [json.loads(path.read_text()) for path in sorted(records.rglob("*.json"))]
    return {
        "runs": dict(Counter(run["state"] for run in dag_runs)),
        "alarms": len(airflow.pages("/dags/alarm/dagRuns", "dag_runs")),
        "incidents": sorted({campaign for record in kept for campaign in record["incidents"]}),
        "requests_of_an_empty_run": sorted(
            {record["requests"] for record in kept if record["outcome"] == "success" and not record["campaigns"]}
        ),
        "records": len(kept),
    }


if __name__ == "__main__":
    main()
