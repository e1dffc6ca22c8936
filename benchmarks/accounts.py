"""Many accounts at once, and campaigns that are given by their ids: deferrable sweeps on a live Airflow.

Run it with ``python -m benchmarks.accounts``; it takes about twenty minutes. It writes ``results/accounts.json`` and
the table in ``docs/benchmarks.md``. Slots are counted as task processes: a deferred task has none.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.measuring import LATENCY, RUN_TIMEOUT, TaskProcesses
from benchmarks.common.reporting import RESULTS, publish, table
from tests.system.live_airflow import LiveAirflow

ACCOUNTS = 40
LIMIT = 60
"""Requests a minute."""

MISTYPED = ("typo-1", "typo-2")
STOPPED_BEFORE = 10
TYPES = ("sms", "voice")
RESULT = RESULTS / "accounts.json"

DAGS = """
from airflow.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

for accounts in {accounts}:
    with DAG(f"accounts_{{accounts}}", default_args={{"retries": 0}}):
        StopActiveCampaignsOperator.partial(task_id="sweep", deferrable=True).expand(
            campaign_conn_id=[f"account_{{number}}" for number in range(accounts)]
        )

for count in {given}:
    ids = [f"c-{{number}}" for number in range(count - 2)] + {mistyped}
    with DAG(f"given_{{count}}", default_args={{"retries": 0}}):
        StopActiveCampaignsOperator(
            task_id="stop", campaign_conn_id="account_0", campaign_ids=ids, deferrable=True
        )
"""


@dataclass(frozen=True)
class Case:
    """
    What to measure.

    :param campaigns: Of each account, and those that are given.
    :param is_given: Whether the campaigns are given by their ids: two are mistyped, and ten stopped already.
    """

    dag_id: str
    accounts: int
    campaigns: int
    is_given: bool = False


CASES = (
    Case("accounts_1", 1, 70),
    Case("accounts_40", ACCOUNTS, 70),
    Case("given_100", 1, 100, is_given=True),
    Case("accounts_10", 10, 300),
    Case("given_300", 1, 300, is_given=True),
)


@dataclass(frozen=True)
class Outcome:
    """
    What a run did.

    :param live: Campaigns that are live at its end.
    :param last_stopped: Seconds from the run's start to the last campaign stopped.
    :param seconds: Seconds from the run's start to its end.
    :param load: The machine's load average when it began.
    """

    case: Case
    states: Mapping[str, int]
    live: int
    last_stopped: float
    seconds: float
    requests: int
    refused: int
    slot_seconds: float
    load: float


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    ids = [case.dag_id for case in CASES]
    parser.add_argument(
        "--cases", nargs="*", choices=ids, default=ids, help="what to measure; the other figures are kept"
    )
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    arguments = parser.parse_args()
    found = []
    with live_accounts(arguments.python) as (airflow, accounts):
        measure(airflow, accounts, Case("accounts_1", 1, 1))  # the first task of a fresh Airflow compiles its imports
        for case in CASES:
            if case.dag_id in arguments.cases:
                found.append(measure(airflow, accounts, case))
                print(found[-1], flush=True)
    kept = {} if arguments.cases == ids else {outcome.case.dag_id: outcome for outcome in load()}
    known = {**kept, **{outcome.case.dag_id: outcome for outcome in found}}
    rows = [known[dag_id] for dag_id in ids if dag_id in known]
    RESULT.write_text(json.dumps([asdict(outcome) for outcome in rows], indent=2) + "\n")
    publish("accounts", as_table(rows))


def load() -> list[Outcome]:
    """Return the figures of an earlier run."""
    rows = json.loads(RESULT.read_text()) if RESULT.exists() else []
    return [Outcome(**{**row, "case": Case(**row["case"])}) for row in rows]


@contextmanager
def live_accounts(python: str) -> Iterator[tuple[LiveAirflow, Sequence[Sandbox]]]:
    """Bring up Airflow and the accounts, each with a limit of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        sandboxes = [stack.enter_context(Sandbox(latency=LATENCY, rate_limit=LIMIT)) for _ in range(ACCOUNTS)]
        given = [case.campaigns for case in CASES if case.is_given]
        accounts = sorted({case.accounts for case in CASES})
        (folder / "accounts.py").write_text(DAGS.format(accounts=accounts, given=given, mistyped=list(MISTYPED)))
        environment = {
            f"AIRFLOW_CONN_ACCOUNT_{number}": json.dumps(sandbox.kore_connection("v2"))
            for number, sandbox in enumerate(sandboxes)
        }
        yield stack.enter_context(LiveAirflow(folder, env=environment, python=python)), sandboxes


def measure(airflow: LiveAirflow, sandboxes: Sequence[Sandbox], case: Case) -> Outcome:
    """Run a case, and return what it did."""
    used = sandboxes[: case.accounts]
    for sandbox in used:
        fill(sandbox, case)
    airflow.wait_for_dag(case.dag_id)
    load = os.getloadavg()[0]
    with TaskProcesses(airflow) as slot_time:
        run_id = airflow.trigger_dag(case.dag_id)
        run = airflow.wait_for_run(case.dag_id, run_id, state=None, timeout=RUN_TIMEOUT)
    began, ended = (datetime.fromisoformat(run[key]) for key in ("start_date", "end_date"))
    campaigns = [campaign for sandbox in used for campaign in sandbox.campaigns() if campaign.id.startswith("c-")]
    last = max(datetime.fromisoformat(campaign.updated_at) for campaign in campaigns)
    statuses = Counter(request.status_code for sandbox in used for request in sandbox.requests)
    return Outcome(
        case=case,
        states=dict(Counter(task["state"] for task in airflow.task_instances(case.dag_id, run_id))),
        live=sum(campaign.live for campaign in campaigns),
        last_stopped=round((last - began).total_seconds(), 1),
        seconds=round((ended - began).total_seconds(), 1),
        requests=statuses.total(),
        refused=statuses[429],
        slot_seconds=round(slot_time.seconds, 1),
        load=round(load, 1),
    )


def fill(sandbox: Sandbox, case: Case) -> None:
    """Put the campaigns of a case into an account; those that are given are of both types."""
    sandbox.reset()
    known = case.campaigns - len(MISTYPED) if case.is_given else case.campaigns
    for number, campaign_type in zip(range(known), cycle(TYPES if case.is_given else TYPES[:1]), strict=False):
        is_stopped = case.is_given and number < STOPPED_BEFORE
        sandbox.add_campaign(f"c-{number}", campaign_type, status="Stopped" if is_stopped else "Active")


def as_table(found: Sequence[Outcome]) -> str:
    """Return the table of the page."""
    columns = {
        "": [
            f"{o.case.campaigns} given campaigns" if o.case.is_given else f"{o.case.accounts} x {o.case.campaigns}"
            for o in found
        ],
        "tasks": [", ".join(f"{count} {state}" for state, count in o.states.items()) for o in found],
        "still live": [o.live for o in found],
        "last one stopped (s)": [o.last_stopped for o in found],
        "run ends (s)": [o.seconds for o in found],
        "requests": [o.requests for o in found],
        "of which 429": [o.refused for o in found],
        "worker-slot seconds": [o.slot_seconds for o in found],
        "for each account": [round(o.slot_seconds / o.case.accounts, 1) for o in found],
        "load": [o.load for o in found],
    }
    return table(list(columns), zip(*columns.values(), strict=True))


if __name__ == "__main__":
    main()
