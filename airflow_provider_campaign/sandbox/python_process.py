"""One process that runs several Python programs: Airflow takes longer to import than most of its commands take."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self


class PythonProcess:
    """
    Run programs from ``with`` to its end, one after the other in one process.

    :param log: File for their output.
    :param environment: The process's environment variables; None for those of this one.
    """

    def __init__(self, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.environment = environment

    def __enter__(self) -> Self:
        # Without -P the modules beside this file could be imported in place of others.
        command = [sys.executable, "-P", __file__]
        with self.log.open("a") as output:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=self.environment,
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
        """
        Run what ``python`` with these arguments would; return its exit status.

        :param arguments: ``-m`` and a module's name, or a file, and the program's own arguments.
        :param environment: Further environment variables, for this program only.
        """
        print(json.dumps([arguments, environment or {}]), file=self._process.stdin, flush=True)
        status = self._process.stdout.readline() if self._process.stdout else ""
        return int(status) if status else self._process.wait()


def run(arguments: list[str], environment: dict[str, str]) -> int:
    """Run a program in this process; return its exit status."""
    before = sys.argv, [*sys.path], dict(os.environ)
    importlib.invalidate_caches()  # there may be modules now where there were none
    os.environ.update(environment)
    try:
        return _run(arguments)
    finally:
        sys.argv, sys.path[:] = before[0], before[1]
        os.environ.clear()
        os.environ.update(before[2])


def _run(arguments: list[str]) -> int:
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except Exception:  # noqa: BLE001 whatever a program raises: the next one runs even so
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


def main() -> None:
    """Run the programs that standard input names, a JSON line each; answer each with its exit status."""
    with os.fdopen(os.dup(1), "w") as statuses:
        os.dup2(2, 1)  # what programs print goes into the log
        for program in sys.stdin:
            print(run(*json.loads(program)), file=statuses, flush=True)


if __name__ == "__main__":
    main()
