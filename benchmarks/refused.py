"""More deferrable stops at once than the account's limit allows: what they cost in worker slots, refusals and time.

Run it with ``python -m benchmarks.refused``; it takes about eighteen minutes. It writes ``results/refused.json``
and the table in ``docs/benchmarks.md``. Slots are counted in Airflow's database, as running task instances.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.measuring import LATENCY, Measurement, RunningTasks, live_airflow, measure
from benchmarks.common.reporting import publish, save, table

WHO = "StopSmsCampaignOperator(deferrable=True)"
RUNS = (50, 100, 100, 100, 100, 100)
"""Campaigns of each run; the first run's slot seconds are what the others' are compared with."""

WIND_DOWN = 45.0
LIMIT = 60
"""Requests a minute."""


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="*", default=RUNS, help="campaigns of each run")
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    arguments = parser.parse_args()
    found: list[Measurement] = []
    with Sandbox(latency=LATENCY, rate_limit=LIMIT) as sandbox, live_airflow(sandbox, arguments.python) as airflow:
        sandbox.config.stop_delay = WIND_DOWN
        for count in arguments.runs:
            found.append(measure(airflow, sandbox, WHO, f"deferred_{count}", count, sampler=RunningTasks))
            print(found[-1], flush=True)
    if tuple(arguments.runs) == RUNS:
        save("refused", found)
        publish("refused", as_table(found))


def as_table(found: Sequence[Measurement]) -> str:
    """Return the table of the page."""
    columns = {
        "campaigns": [m.campaigns for m in found],
        "run": [m.state for m in found],
        "worker-slot seconds": [m.slot_seconds for m in found],
        "of the first run's": [f"{m.slot_seconds / found[0].slot_seconds:.1f}" for m in found],
        "refused (429)": [m.refused for m in found],
        "most for one campaign": [m.most_refused for m in found],
        "last one stopped (s)": [m.last_stopped for m in found],
        "run ends (s)": [m.seconds for m in found],
        "of the limit": [f"{m.seconds / (m.campaigns / LIMIT * 60):.2f}" for m in found],
        "load": [m.load for m in found],
    }
    return table(list(columns), zip(*columns.values(), strict=True))


if __name__ == "__main__":
    main()
