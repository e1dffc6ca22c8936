"""Waiting for campaigns that wind down: the deferrable stop against HttpOperator >> HttpSensor, on a live Airflow.

What our side does with more campaigns than the limit of a minute is measured by ``python -m benchmarks.refused``.

Run it with ``python -m benchmarks.waiting``; it takes about twenty minutes, on a machine with nothing else
to do. It writes ``results/waiting.json`` and the table in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.measuring import LATENCY, SLOTS, Measurement, live_airflow, measure
from benchmarks.common.reporting import publish, save, table

OURS, PEER = "StopSmsCampaignOperator(deferrable=True)", "HttpOperator >> HttpSensor"
SETUPS = ((20, SLOTS), (50, SLOTS), (50, SLOTS // 2), (100, SLOTS))
"""Campaigns, and the tasks that may run at the same time: two cores are crowded with sixteen."""

WIND_DOWN = 45.0
LIMIT = 60


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="*", default=(20, 50, 100), help="campaigns")
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    parser.add_argument("--ignore-sort", action="store_true", help="a list that ignores sortBy; our side, only printed")
    arguments = parser.parse_args()
    found = []
    with Sandbox(latency=LATENCY) as sandbox, live_airflow(sandbox, arguments.python) as airflow:
        sandbox.config.stop_delay = WIND_DOWN
        sandbox.config.ignore_sort = arguments.ignore_sort
        for count, slots in SETUPS:
            if count not in arguments.counts:
                continue
            airflow.cli("pools", "set", "default_pool", str(slots), "Tasks at the same time")
            if count <= LIMIT or arguments.ignore_sort:
                found.append(measure(airflow, sandbox, OURS, f"deferred_{count}", count, slots=slots))
                print(found[-1], flush=True)
            if not arguments.ignore_sort:
                found.append(measure(airflow, sandbox, PEER, f"peer_{count}", count, slots=slots))
                print(found[-1], flush=True)
    if not arguments.ignore_sort:
        save("waiting", found)
        publish("waiting", as_table(found))


def as_table(found: Sequence[Measurement]) -> str:
    """Return the table of the page."""
    columns = {
        "": [m.who for m in found],
        "campaigns": [m.campaigns for m in found],
        "slots": [m.slots for m in found],
        "run": [m.state for m in found],
        "run ends (s)": [m.seconds for m in found],
        "requests": [m.accepted + m.refused for m in found],
        "of which 429": [m.refused for m in found],
        "not stops": [m.other_requests for m in found],
        "worker-slot seconds": [m.slot_seconds for m in found],
    }
    return table(list(columns), zip(*columns.values(), strict=True))


if __name__ == "__main__":
    main()
