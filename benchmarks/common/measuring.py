"""A live Airflow beside the sandbox, and what a DAG run costs on it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import create_engine, text

from airflow_provider_campaign.sandbox import Sandbox
from tests.system.live_airflow import LiveAirflow

DAGS = Path(__file__).parents[1] / "dags"
LATENCY = 0.05
SLOTS = 16
RUN_TIMEOUT = 900.0


@dataclass(frozen=True)
class Measurement:
    """
    What one DAG run did.

    :param who: Whose DAG it was.
    :param campaigns: Live campaigns at its start.
    :param state: The run's state at its end.
    :param last_stopped: Seconds from the run's start to the last campaign stopped; None if one was not.
    :param seconds: Seconds from the run's start to its end.
    :param accepted: Requests that the platform let through.
    :param refused: Requests that it refused for the rate (429).
    :param other_requests: Requests, accepted or refused, other than stops.
    :param slot_seconds: Seconds that tasks held a worker slot, summed over all of them, as the sampler counts them.
    :param slots: Tasks that could run at the same time.
    :param load: The machine's load average at the start: beyond the number of its cores, times are disturbed.
    :param most_refused: Refusals of the campaign that was refused most often.
    """

    who: str
    campaigns: int
    state: str
    last_stopped: float | None
    seconds: float
    accepted: int
    refused: int
    other_requests: int
    slot_seconds: float
    slots: int
    load: float
    most_refused: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class Sampler:
    """Sum up, from `with` to its end, the seconds that tasks hold a slot, by counting them again and again."""

    interval: float

    def __init__(self, airflow: LiveAirflow) -> None:
        self._airflow = airflow
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.seconds = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def count(self) -> int:
        """Return how many tasks hold a slot now."""
        raise NotImplementedError

    def _sample(self) -> None:
        before = time.monotonic()
        while not self._over.wait(self.interval):
            now = time.monotonic()
            self.seconds += self.count() * (now - before)
            before = now


class TaskProcesses(Sampler):
    """Count the processes that tasks run in."""

    interval = 0.05

    def count(self) -> int:
        """Return how many task processes there are now."""
        return len(self._airflow.task_processes())


class RunningTasks(Sampler):
    """Count the task instances that Airflow's database has as running."""

    interval = 0.5

    def __init__(self, airflow: LiveAirflow) -> None:
        super().__init__(airflow)
        self._engine = create_engine(airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])

    def count(self) -> int:
        """Return how many task instances are running now."""
        with self._engine.connect() as connection:
            found = connection.execute(text("select count(*) from task_instance where state = 'running'"))
            return int(found.scalar_one())


@contextmanager
def live_airflow(sandbox: Sandbox, python: str) -> Iterator[LiveAirflow]:
    """
    Bring up Airflow with the benchmarks' DAGs and both sides' connections, and let each side run once.

    :param python: The Python that Airflow is installed in.
    """
    kore = sandbox.kore_connection("v1")
    extra = kore["extra"]
    http = {
        "conn_type": "http",
        "host": kore["host"],
        "login": kore["login"],
        "password": kore["password"],
        "extra": {"iid": extra["iid"], "accountId": extra["account_id"]},
    }
    environment = {
        "AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(kore),
        "AIRFLOW_CONN_KORE_HTTP": json.dumps(http),
    }
    with LiveAirflow(DAGS, env=environment, python=python) as airflow:
        for dag_id in ("sweep", "deferred_1", "peer_1"):  # the first task of a fresh Airflow compiles what it imports
            measure(airflow, sandbox, "warm-up", dag_id, 1)
        yield airflow


def measure(
    airflow: LiveAirflow,
    sandbox: Sandbox,
    who: str,
    dag_id: str,
    campaigns: int,
    stopped_before: int = 0,
    slots: int = SLOTS,
    sampler: type[Sampler] = TaskProcesses,
) -> Measurement:
    """
    Run a DAG on an account with so many live campaigns, and measure it.

    :param stopped_before: Further campaigns of the account, which are stopped already.
    :param slots: Tasks that the pool lets run at the same time.
    :param sampler: How the seconds are counted for which tasks hold a slot.
    """
    sandbox.reset()
    for number in range(stopped_before):
        sandbox.add_campaign(f"old-{number}", status="Stopped")
    for number in range(campaigns):
        sandbox.add_campaign(f"c-{number}")
    airflow.wait_for_dag(dag_id)
    load = os.getloadavg()[0]
    with sampler(airflow) as slot_time:
        run_id = airflow.trigger_dag(dag_id)
        run = airflow.wait_for_run(dag_id, run_id, state=None, timeout=RUN_TIMEOUT)
    began, ended = (datetime.fromisoformat(run[key]) for key in ("start_date", "end_date"))
    swept = [campaign for campaign in sandbox.campaigns() if campaign.id.startswith("c-")]
    last = max(datetime.fromisoformat(campaign.updated_at) for campaign in swept)
    refusals = Counter(request.campaign_id for request in sandbox.requests if request.status_code == 429)
    refused = refusals.total()
    return Measurement(
        who=who,
        campaigns=campaigns,
        state=run["state"],
        last_stopped=None if any(campaign.live for campaign in swept) else round((last - began).total_seconds(), 1),
        seconds=round((ended - began).total_seconds(), 1),
        accepted=len(sandbox.requests) - refused,
        refused=refused,
        other_requests=sum(request.action != "stop" for request in sandbox.requests),
        slot_seconds=round(slot_time.seconds, 1),
        slots=slots,
        load=round(load, 1),
        most_refused=max((times for campaign_id, times in refusals.items() if campaign_id), default=0),
    )
