"""Bring up a real Airflow 3 on loopback, with everything it stands on, and take it down without a trace."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from airflow_provider_campaign.sandbox.playground import COMMANDS, isolated_environment, settings
from tests.system.live_airflow.api import AirflowApi
from tests.system.live_airflow.component import START_TIMEOUT, Component, has_ended
from tests.system.live_airflow.services import free_port, postgres, postgres_url, redis, redis_url
from tests.system.live_airflow.waiting import wait_until

SETTINGS = {
    "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    "CORE__PARALLELISM": 16,
    "API__EXPOSE_STACKTRACE": True,
    "API__MAXIMUM_PAGE_LIMIT": 1000,
    "LOGGING__COLORED_CONSOLE_LOG": False,
    # Only ``PARALLELISM`` limits what runs at the same time.
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": 100_000,
    "CORE__MAX_ACTIVE_RUNS_PER_DAG": 10_000,
    "CORE__DEFAULT_POOL_TASK_SLOT_COUNT": 100_000,
    # Quick to notice: DAG files, triggers, what was lost with a killed component.
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 1,
    "DAG_PROCESSOR__REFRESH_INTERVAL": 2,
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 10,
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 1,
    "SCHEDULER__USE_JOB_SCHEDULE": True,
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
    "SCHEDULER__JOB_HEARTBEAT_SEC": 2,
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 2,
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": 2,
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 15,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 20,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 5,
    "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 10,
}
"""What all live Airflows have in common, beside the playground's settings."""


class LiveAirflow(AirflowApi):
    """
    A real Airflow, from ``with`` to its end: PostgreSQL, four components and, for Celery, Redis and a worker.

    Everything is removed at the end; with ``KEEP=1`` in the environment the files stay, and their folder is printed.

    :param celery: run tasks with the CeleryExecutor instead of the LocalExecutor
    :param path: of the UI below the api-server's address
    :param env: environment variables for all components, such as ``AIRFLOW_CONN_…``; they have the last word
    :param python: the Python that Airflow is installed in
    """

    def __init__(
        self,
        dags_folder: str | Path,
        *,
        celery: bool = False,
        path: str = "",
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.dags_folder = Path(dags_folder).resolve()
        self.celery, self.path, self.python = celery, path, python
        self.extra_environment = dict(env or {})
        self.environment: dict[str, str] = {}
        self.processes: dict[str, Component] = {}
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
        self.directory = Path(tempfile.mkdtemp(prefix="live-airflow-"))
        self.directory.chmod(0o711)  # the user who runs PostgreSQL must be able to pass
        self.environment = self._environment()
        services = [postgres, redis] if self.celery else [postgres]
        self._launch(*[service(self.directory / service.__name__, isolated_environment()) for service in services])
        self.cli("db", "migrate")
        components = [self._component(command[0], *command) for command in COMMANDS]
        if self.celery:
            components.append(self._component("worker", "celery", "worker", "--skip-serve-logs", "--concurrency=6"))
        self._launch(*components)

    def _environment(self) -> dict[str, str]:
        home = self.directory / "home"
        home.mkdir(mode=0o700)
        options = {
            **SETTINGS,
            "API__BASE_URL": f"{self.url}{self.path}",
            "DATABASE__SQL_ALCHEMY_CONN": postgres_url(self.directory / "postgres"),
        }
        if self.celery:
            options["CORE__EXECUTOR"] = "CeleryExecutor"
            options["CELERY__BROKER_URL"] = redis_url(self.directory / "redis")
        return {
            **settings(home, self.dags_folder, self.port),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
            **self.extra_environment,
        }

    def _component(self, name: str, *arguments: str) -> Component:
        return Component(
            name,
            [self.python, "-m", "airflow", *arguments],
            directory=self.directory / "home",
            environment=self.environment,
            works=partial(self._works, name),
        )

    def _works(self, name: str, since: datetime) -> bool:
        """Return whether a component of Airflow does its work, by a heartbeat after ``since`` if it has any."""
        if name == "worker":
            return " ready." in self.processes[name].output()
        if name == "api-server":  # the first request of a task takes it seconds, on a busy machine too many
            url = f"{self.url}{self.path}/execution/health"
            return bool(self.health()) and self._session.get(url, timeout=START_TIMEOUT).ok
        part = name.replace("-", "_")
        beat = self.health().get(part, {}).get(f"latest_{part}_heartbeat")
        return beat is not None and datetime.fromisoformat(beat) >= since

    def _launch(self, *components: Component) -> None:
        self.processes |= {component.name: component for component in components}
        for component in components:
            component.start()
        for component in components:
            component.wait_until_ready()

    def kill(self, name: str) -> None:
        self.processes[name].kill()

    def start(self, name: str) -> None:
        self.processes[name].start()
        self.processes[name].wait_until_ready()

    def recover(self) -> None:
        """
        Start what has ended, as a service manager would, until every component works again.

        A scheduler or a dag-processor that cannot reach the database for a second ends (Airflow 3.3.2).
        """
        since = datetime.now(UTC)

        def works(component: Component) -> bool:
            if not component.is_alive():
                component.start()
            return component.works(max(since, component.started_at))

        for component in self.processes.values():
            wait_until(partial(works, component), START_TIMEOUT, component.tail)

    def task_processes(self) -> list[int]:
        """Return the ids of the processes in which the LocalExecutor's workers, the scheduler's children, run tasks."""
        workers = children(self.processes["scheduler"].pid)
        return [task for worker in workers for task in children(worker) if not has_ended(task)]

    def cli(self, *arguments: str) -> None:
        """Run ``airflow …``; raise with all it wrote if it fails."""
        command = [self.python, "-m", "airflow", *arguments]
        done = subprocess.run(
            command, env=self.environment, cwd=self.directory, input="", capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")

    def describe(self, dag_id: str, run_id: str) -> str:
        logs = [
            f"--- {name} ({'alive' if component.is_alive() else 'not running'}):\n{component.tail()}"
            for name, component in self.processes.items()
        ]
        return "\n".join([*logs, f"--- {super().describe(dag_id, run_id)}"])

    def close(self) -> None:
        """End everything, first Airflow and then what it stands on, and remove the files."""
        atexit.unregister(self.close)
        for name, component in reversed(self.processes.items()):
            if name in ("postgres", "redis"):
                component.stop()
            else:
                component.kill()
        self._session.close()
        if os.environ.get("KEEP") == "1":
            print(f"kept: {self.directory}", file=sys.stderr)
        elif self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started; none if it is gone."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
