"""Bring up a real Airflow 3 on loopback, with everything it stands on, and take it down without a trace."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from tests.system.live_airflow.api import AirflowApi
from tests.system.live_airflow.component import Component, Program
from tests.system.live_airflow.environment import (
    HOSTNAME_VARIABLE,
    Layout,
    airflow_environment,
    isolated_environment,
    write_hostname_module,
)
from tests.system.live_airflow.services import Postgres, Redis, free_ports
from tests.system.live_airflow.supervisor import Supervisor

CELERY = "CeleryExecutor"
SERVICES = ("postgres", "redis")


class LiveAirflow(Supervisor, AirflowApi):
    """
    A real Airflow, from ``with`` to its end: PostgreSQL, four components and, for Celery, Redis and workers.

    Everything is removed at the end; with ``KEEP=1`` in the environment the files stay, and their folder is printed.

    :param celery_workers: named ``worker-1``, ``worker-2``, …
    :param celery_concurrency: tasks at once on each of them; ``parallelism`` shared among them if None
    :param parallelism: tasks at once in the whole of Airflow, and nothing else limits them
    :param api_port: a free one if 0
    :param env: environment variables for all components, such as ``AIRFLOW_CONN_…``; they have the last word
    :param python: the Python that Airflow is installed in
    """

    def __init__(
        self,
        dags_folder: str | Path,
        *,
        executor: str = "LocalExecutor",
        celery_workers: int = 2,
        celery_concurrency: int | None = None,
        parallelism: int = 16,
        triggerer_capacity: int = 1000,
        api_port: int = 0,
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        Supervisor.__init__(self)
        AirflowApi.__init__(self, url="")
        self.api_port = api_port
        self.dags_folder = Path(dags_folder).resolve()
        self.executor = executor
        self.celery_workers = celery_workers if executor == CELERY else 0
        self.celery_concurrency = celery_concurrency or max(1, parallelism // celery_workers)
        self.parallelism = parallelism
        self.triggerer_capacity = triggerer_capacity
        self.extra_environment = dict(env or {})
        self.python = python
        self.environment: dict[str, str] = {}
        self.directory = Path()

    def __enter__(self) -> Self:
        atexit.register(self.close)
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        free_port, *self._ports = free_ports(4)
        self.api_port = self.api_port or free_port
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.directory = Path(tempfile.mkdtemp(prefix="live-airflow-"))
        self.directory.chmod(0o711)  # the user who runs PostgreSQL must be able to pass
        for name in ("home", "logs", "postgres", "redis"):
            (self.directory / name).mkdir(mode=0o700)
        write_hostname_module(self.home)
        self._start_services()
        self.cli("db", "migrate")
        for name, arguments in self._arguments().items():
            self.launch(self._program(name, arguments), self.logs)
        for name in self.processes:
            self.wait_until_ready(name)

    @property
    def home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.directory / "home"

    @property
    def logs(self) -> Path:
        """Directory of the components' logs."""
        return self.directory / "logs"

    def _start_services(self) -> None:
        """Start what Airflow needs, all at once, and make up its settings."""
        postgres_port, redis_port, log_port = self._ports
        self._postgres = Postgres(self.directory / "postgres", postgres_port, isolated_environment())
        self._redis = None
        if self.executor == CELERY:
            self._redis = Redis(self.directory / "redis", redis_port, isolated_environment())
            self.launch(self._redis.program(), self.logs)
        self._postgres.initialise()
        self.launch(self._postgres.program(None if keep_files() else self.directory), self.logs)
        layout = Layout(
            home=self.home,
            dags_folder=self.dags_folder,
            executor=self.executor,
            parallelism=self.parallelism,
            triggerer_capacity=self.triggerer_capacity,
            database=self._postgres.url,
            api_port=self.api_port,
            log_port=log_port,
            broker=self._redis.url if self._redis else None,
        )
        self.environment = airflow_environment(layout, self.extra_environment)
        for name in self.processes:
            self.wait_until_ready(name)

    def _arguments(self) -> dict[str, list[str]]:
        """Return the arguments of each component; logs are on one disk, so none serves them."""
        components = {
            "api-server": ["api-server", "--workers=1"],
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "dag-processor": ["dag-processor"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
        }
        for number in range(1, self.celery_workers + 1):
            worker = ["celery", "worker", "--skip-serve-logs", f"--concurrency={self.celery_concurrency}"]
            components[f"worker-{number}"] = [*worker, f"--celery-hostname=worker-{number}"]
        return components

    def _program(self, name: str, arguments: list[str]) -> Program:
        hostname = name if name.startswith("worker-") else "localhost"
        return Program(
            name=name,
            command=[self.python, "-m", "airflow", *arguments],
            directory=self.directory,
            environment={**self.environment, HOSTNAME_VARIABLE: hostname},
        )

    def works(self, component: Component, since: datetime) -> bool:
        """Return whether a component does its work, by a heartbeat after ``since`` if it has any."""
        name = component.name
        if name == "postgres":
            return self._postgres.is_ready()
        if name == "redis":
            return self._redis is not None and self._redis.is_ready()
        if name.startswith("worker-"):
            return f"celery@{name} ready" in component.output()
        if name == "api-server":
            return bool(self.health())
        beat = self.heartbeat(name.replace("-", "_"))
        return beat is not None and beat >= since

    def restart_postgres(self) -> None:
        """Stop the database with all connections to it, start it again, and :meth:`recover`."""
        self.stop("postgres")
        self.start("postgres")
        self.recover()

    def cli(self, *arguments: str, timeout: float = 180) -> str:
        """Run ``airflow …`` and return its standard output; raise with all it wrote if it fails."""
        done = subprocess.run(
            [self.python, "-m", "airflow", *arguments],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            said = f"{done.stdout}{done.stderr}"
            raise RuntimeError(f"airflow {' '.join(arguments)}: {done.returncode}\n{said}")
        return done.stdout

    def describe(self, dag_id: str, run_id: str) -> str:
        """Say how a run stands, with the ends of the components' logs."""
        parts = []
        for name, component in self.processes.items():
            if name not in SERVICES:
                state = "alive" if component.is_alive() else "not running"
                parts.append(f"--- {name} ({state}), end of its log:\n{component.tail()}")
        return "\n".join([*parts, f"--- {super().describe(dag_id, run_id)}"])

    def close(self) -> None:
        """End everything, first Airflow and then what it stands on, and remove the files."""
        atexit.unregister(self.close)
        self.end(name for name in self.processes if name not in SERVICES)
        self.end(name for name in self.processes if name in SERVICES)
        self._session.close()
        if keep_files():
            print(f"kept: {self.directory}", file=sys.stderr)
        elif self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)


def keep_files() -> bool:
    """Return whether the person at the keyboard wants to keep the files."""
    return os.environ.get("KEEP") == "1"
