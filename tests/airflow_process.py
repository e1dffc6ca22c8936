"""Airflow in processes of its own, with a throw-away home and database; and in one that several tests share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_campaign.sandbox.python_process import PythonProcess

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class AirflowProcess:
    """A process that runs Airflow with a home of its own, where its DAGs are, too, and with connections by id."""

    home: Path
    connections: Mapping[str, dict[str, Any]]

    def run(self, *arguments: str) -> str:
        """Run Python with these arguments; return what it printed, and fail with it if the program does."""
        command, environment = [sys.executable, *arguments], self.environment()
        done = subprocess.run(command, env=environment, cwd=self.home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def answer(self, *arguments: str) -> Any:
        """Run the same, and return the JSON of the last line that was printed."""
        return json.loads(self.run(*arguments).strip().splitlines()[-1])

    def migrate(self, shared: Path) -> None:
        """Make the database; the first to do so leaves a copy for the others, in a folder that all of them share."""
        migrated = shared / "airflow.db"
        with (shared / "airflow.db.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not migrated.exists():
                self.run("-m", "airflow", "db", "migrate")
                shutil.copy(self.home / "airflow.db", migrated)
        shutil.copy(migrated, self.home / "airflow.db")

    def environment(self) -> dict[str, str]:
        left_out = ("AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home),
            "PYTHONPATH": str(REPOSITORY),
            **variables_of(self.connections),
        }


def variables_of(connections: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}


class Done(NamedTuple):
    status: int
    output: str


class SharedAirflow:
    """An Airflow for the tests of several modules: its first run of a DAG takes ten times as long as the next ones."""

    def __init__(self, home: Path, options: Mapping[str, str]) -> None:
        self.dags_folder = home / "dags"
        environment = {"AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder), **options}
        self.process = PythonProcess(home / "programs.log", {**AirflowProcess(home, {}).environment(), **environment})

    def use_dags(self, *files: Path) -> None:
        """Have these files in the folder of the DAGs, and no others."""
        shutil.rmtree(self.dags_folder, ignore_errors=True)
        self.dags_folder.mkdir()
        for file in files:
            shutil.copy(file, self.dags_folder)

    def run(self, *arguments: str, connections: Mapping[str, dict[str, Any]] | None = None, **variables: str) -> Done:
        """Run what ``python`` with these arguments would, with connections by id, and further environment variables."""
        with self.process.log.open() as log:
            log.seek(0, os.SEEK_END)
            status = self.process.run(*arguments, environment={**variables_of(connections or {}), **variables})
            return Done(status, log.read())

    def answer(self, *arguments: str, connections: Mapping[str, dict[str, Any]] | None = None) -> Any:
        """Run the same, and return the JSON of the last line that was printed."""
        done = self.run(*arguments, connections=connections)
        assert done.status == 0, done.output
        return json.loads([line for line in done.output.splitlines() if line.startswith("{")][-1])
