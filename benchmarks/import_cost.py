"""What a DAG file pays for importing this provider, against the http provider's operator and sensor.

Run it with ``python -m benchmarks.import_cost``; it prints a table and the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

OURS = (
    "from airflow_provider_campaign.operators.campaign import StopSmsCampaignOperator\n"
    "from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor"
)
HTTP = (
    "from airflow.providers.http.operators.http import HttpOperator\n"
    "from airflow.providers.http.sensors.http import HttpSensor"
)
MEASURE = """
import json, resource, sys, time
from airflow.providers.common.compat.sdk import DAG  # every DAG file has it already

def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

memory_before, before = memory(), time.process_time()
exec(sys.argv[1])
seconds = time.process_time() - before
print(json.dumps([seconds, memory() - memory_before]))
"""


@dataclass(frozen=True)
class Cost:
    """
    What an import costs.

    :param seconds: CPU seconds.
    :param megabytes: Growth of the process's peak memory.
    """

    seconds: float
    megabytes: float

    @classmethod
    def median(cls, costs: list[Cost]) -> Cost:
        """Return the median of each figure."""
        return cls(
            statistics.median(cost.seconds for cost in costs), statistics.median(cost.megabytes for cost in costs)
        )


def measure(code: str) -> Cost:
    """Import in a fresh process."""
    command = [sys.executable, "-c", MEASURE, code]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return Cost(*json.loads(output.splitlines()[-1]))


def main() -> None:
    """Measure both in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=15, help="fresh processes for each of the two")
    processes = parser.parse_args().processes
    measure(OURS), measure(HTTP)  # leaves the bytecode behind
    rounds = [(measure(OURS), measure(HTTP)) for _ in range(processes)]
    ours = Cost.median([ours for ours, _ in rounds])
    http = Cost.median([http for _, http in rounds])
    print(f"Importing an operator and a sensor, median of {processes} fresh processes each:\n")
    print("| | CPU time | memory |\n| --- | --- | --- |")
    for name, cost in (("this provider", ours), ("http provider", http)):
        print(f"| {name} | {cost.seconds * 1000:.0f} ms | {cost.megabytes:.1f} MB |")
    print(f"| ratio | {ours.seconds / http.seconds:.2f} | {ours.megabytes / http.megabytes:.2f} |")


if __name__ == "__main__":
    main()
