"""Waiting for campaigns that wind down: the deferrable stop against HttpOperator >> HttpSensor, on a live Airflow.

Run it with ``python -m benchmarks.waiting --repeat 5``; each hundred campaigns take about two minutes, on a
machine with nothing else to do. It writes ``results/waiting.json`` and the table in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.measuring import LATENCY, Measurement, live_airflow, measure
from benchmarks.common.reporting import publish, save, table

OURS, PEER = "StopSmsCampaignOperator(deferrable=True)", "HttpOperator >> HttpSensor"
COUNTS = (20, 50, 100)
WIND_DOWN = 45.0


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="*", choices=COUNTS, default=COUNTS, help="campaigns")
    parser.add_argument("--repeat", type=int, default=1, help="runs of our side with the most campaigns")
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    arguments = parser.parse_args()
    found = []
    with Sandbox(latency=LATENCY) as sandbox, live_airflow(sandbox, arguments.python) as airflow:
        sandbox.config.stop_delay = WIND_DOWN
        for count in arguments.counts:
            for _ in range(arguments.repeat if count == max(arguments.counts) else 1):
                found.append(measure(airflow, sandbox, OURS, f"deferred_{count}", count))
                print(found[-1], flush=True)
            found.append(measure(airflow, sandbox, PEER, f"peer_{count}", count))
            print(found[-1], flush=True)
    save("waiting", found)
    publish("waiting", as_table(found))


def as_table(found: Sequence[Measurement]) -> str:
    """Return the table of the page."""
    head = ["", "campaigns", "run", "run ends (s)", "requests", "of which 429", "not stops", "worker-slot seconds"]
    return table(
        head,
        [
            (m.who, m.campaigns, m.state, m.seconds, m.accepted + m.refused, m.refused, m.other_calls, m.slot_seconds)
            for m in found
        ],
    )


if __name__ == "__main__":
    main()
