"""
Run several of Airflow's own commands in one process: ``python airflow_commands.py <file>``.

The file holds a JSON list of commands, each with the environment variables that it is given. What became of them is
printed as the last line, a JSON list again: the exit status, or the traceback of what was raised.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from airflow.cli.cli_parser import get_parser


def run(command: list[str]) -> str:
    """Run one command, and say how it ended."""
    arguments = get_parser().parse_args(command)
    try:
        arguments.func(arguments)
    except SystemExit as end:
        return f"exit status {end.code or 0}"
    except Exception:  # noqa: BLE001 the other commands are run even so
        return traceback.format_exc()
    return "exit status 0"


def main() -> None:
    """Run the commands in the order of the file."""
    outcomes = []
    for job in json.loads(Path(sys.argv[1]).read_text()):
        os.environ.update(job["environment"])
        outcomes.append(run(job["command"]))
        sys.stdout.flush()
    print(f"\n{json.dumps(outcomes)}")


if __name__ == "__main__":
    main()
