"""
Run the commands of the GitHub workflows here, one by one, as GitHub would: the steps that say ``run``.

``python .ci/workflow.py --list`` shows them. ``python .ci/workflow.py target=lint target=docs`` runs the jobs of the
matrix that have one of these values; without any it runs all. What a step ``uses`` (a checkout, an upload) is left out.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
WORKFLOWS = REPOSITORY / ".github/workflows"


@dataclass(frozen=True)
class Step:
    """
    A command of a job.

    :param cell: The job's values in the matrix.
    """

    job: str
    cell: Mapping[str, str]
    command: str
    environment: Mapping[str, str]

    @property
    def title(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.cell.items())
        return f"{self.job}({values}): {self.command.strip()}"


def cells(job: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the values of each run of a job: those that ``include`` lists, or each combination of the matrix."""
    matrix = dict(job.get("strategy", {}).get("matrix", {}))
    yield from matrix.pop("include", [])
    if matrix or "strategy" not in job:
        yield from (dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values()))


def with_values(command: str, cell: Mapping[str, str]) -> str:
    """
    Return a command with the values of the matrix in place.

    :raises KeyError: When it has an expression that is not the matrix's.
    """
    values = {f"matrix.{name}": value for name, value in cell.items()}
    return re.sub(r"\$\{\{\s*(\S+?)\s*\}\}", lambda match: values[match[1]], command)


def steps(file: Path) -> Iterator[Step]:
    """Yield the commands of a workflow."""
    for name, job in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].items():
        for cell in cells(job):
            for step in job["steps"]:
                if "run" in step:
                    environment = {**job.get("env", {}), **step.get("env", {})}
                    yield Step(f"{file.stem}.{name}", cell, with_values(step["run"], cell), environment)


def main(arguments: list[str] | None = None) -> int:
    """Run the steps that were asked for; return the exit status of the first that fails, or 0."""
    parser = argparse.ArgumentParser(prog="python .ci/workflow.py", description=__doc__)
    parser.add_argument("wanted", nargs="*", metavar="NAME=VALUE", help="jobs of the matrix to run: target=lint")
    parser.add_argument("--workflow", type=Path, default=WORKFLOWS / "ci.yml", help="the file (default: ci.yml)")
    parser.add_argument("--list", action="store_true", help="show the commands, and run none")
    options = parser.parse_args(arguments)
    wanted = {tuple(each.partition("=")[::2]) for each in options.wanted}
    found = [step for step in steps(options.workflow) if not wanted or wanted & set(step.cell.items())]
    if not found:
        parser.error(f"no job has {' or '.join(options.wanted)}")
    for step in found:
        print(step.title, flush=True)
        if not options.list:
            command = ["bash", "-e", "-o", "pipefail", "-c", step.command]
            status = subprocess.run(command, env={**os.environ, **step.environment}, check=False).returncode
            if status:
                print(f"exit status {status}", file=sys.stderr)
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
