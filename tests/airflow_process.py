"""Airflow in processes of its own, with a throw-away home and database."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
TIMEOUT = 280


@dataclass(frozen=True)
class AirflowProcess:
    """
    What a process that runs Airflow is given.

    :param home: ``AIRFLOW_HOME``.
    :param connections: Connections by id.
    :param dags_folder: Where Airflow looks for DAGs.
    :param path: Folders put before Python's own path.
    :param options: Airflow's options, by the name of their environment variable.
    """

    home: Path
    connections: dict[str, dict[str, Any]]
    dags_folder: Path | None = None
    path: Sequence[Path] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        """
        Run Python with these arguments and return what it printed.

        :raises AssertionError: When it fails, with all that it said.
        """
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def migrate(self, shared: Path) -> None:
        """
        Make the database; the first who does so leaves a copy for the others, because it takes longer than most tests.

        :param shared: A folder that all processes of this run of the tests have in common.
        """
        migrated = shared / "airflow.db"
        with (shared / "airflow.db.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not migrated.exists():
                self.run("-m", "airflow", "db", "migrate")
                shutil.copy(self.home / "airflow.db", migrated)
        shutil.copy(migrated, self.home / "airflow.db")

    def answer(self, *arguments: str) -> Any:
        """Run Python with these arguments and return the JSON of the last line that it printed."""
        return json.loads(self.run(*arguments).strip().splitlines()[-1])

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder or self.home),
            "PYTHONPATH": os.pathsep.join(map(str, (*self.path, REPOSITORY))),
            **self.options,
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in self.connections.items()},
        }
