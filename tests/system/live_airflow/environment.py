"""The environment the live Airflow runs in: every setting it has, none of the developer's."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOSTNAME_MODULE = "live_airflow_hostname"
HOSTNAME_VARIABLE = "LIVE_AIRFLOW_HOSTNAME"
HOSTNAME_SOURCE = f"""\
import os


def hostname():
    return os.environ.get("{HOSTNAME_VARIABLE}", "localhost")
"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """
    What differs from one live Airflow to the next.

    :param home: existing directory for AIRFLOW_HOME
    :param database: database URL, from ``://`` on
    :param broker: Redis URL, for Celery only
    :param log_port: free port nobody listens on: logs are on a shared disk and not served
    """

    home: Path
    dags_folder: Path
    executor: str
    parallelism: int
    triggerer_capacity: int
    database: str
    api_port: int
    log_port: int
    broker: str | None

    def settings(self) -> dict[str, object]:
        """Return the settings of this Airflow as ``SECTION__OPTION``."""
        url = f"http://127.0.0.1:{self.api_port}"
        settings: dict[str, object] = {
            "CORE__DAGS_FOLDER": self.dags_folder,
            "CORE__EXECUTOR": self.executor,
            "CORE__PARALLELISM": self.parallelism,
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": self.home / "passwords.json",
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{self.database}",
            "API__BASE_URL": url,
            "API__HOST": "127.0.0.1",
            "API__PORT": self.api_port,
            "API__SECRET_KEY": secrets.token_urlsafe(32),
            "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "API_AUTH__JWT_ISSUER": "live-airflow",  # 3.0 with PyJWT 2.10 or later needs one
            "TRIGGERER__CAPACITY": self.triggerer_capacity,
            "LOGGING__BASE_LOG_FOLDER": self.home / "logs",
            "LOGGING__WORKER_LOG_SERVER_PORT": self.log_port,
            "LOGGING__TRIGGER_LOG_SERVER_PORT": self.log_port,
        }
        if self.broker:
            settings["CELERY__BROKER_URL"] = self.broker
            settings["CELERY__RESULT_BACKEND"] = f"db+postgresql+psycopg2{self.database}"
        return settings


FIXED_SETTINGS: dict[str, object] = {
    # Open to the test, closed to the world.
    "CORE__LOAD_EXAMPLES": False,
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
    "CORE__TEST_CONNECTION": "Enabled",
    "CORE__HOSTNAME_CALLABLE": f"{HOSTNAME_MODULE}.hostname",
    "USAGE_DATA_COLLECTION__ENABLED": False,
    "API__EXPOSE_CONFIG": True,
    "API__EXPOSE_STACKTRACE": True,
    "API__MAXIMUM_PAGE_LIMIT": 1000,
    "LOGGING__COLORED_CONSOLE_LOG": False,
    # Only ``parallelism`` limits what runs at the same time.
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": 100_000,
    "CORE__MAX_ACTIVE_RUNS_PER_DAG": 10_000,
    "CORE__DEFAULT_POOL_TASK_SLOT_COUNT": 100_000,
    # Quick to notice: DAG files, triggers, what was lost with a killed component.
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 1,
    "DAG_PROCESSOR__REFRESH_INTERVAL": 2,
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 10,
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 1,
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
    "SCHEDULER__JOB_HEARTBEAT_SEC": 2,
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 2,
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": 2,
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 15,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 5,
    "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 10,
}


def isolated_environment() -> dict[str, str]:
    """Return this process's environment without Airflow's variables, and without a proxy for loopback."""
    unwanted = ("AIRFLOW_", "_AIRFLOW_", "PYTHONDONTWRITEBYTECODE")  # without bytecode it starts half as fast
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    exempt = ",".join(filter(None, [kept.get("no_proxy") or kept.get("NO_PROXY"), "127.0.0.1,localhost"]))
    return {**kept, "no_proxy": exempt, "NO_PROXY": exempt}


def airflow_environment(layout: Layout, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every component; ``extra`` has the last word."""
    settings = {**FIXED_SETTINGS, **layout.settings()}
    return {
        **isolated_environment(),
        "AIRFLOW_HOME": str(layout.home),
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
        **extra,
    }


def write_hostname_module(home: Path) -> None:
    """Put where Airflow finds it the function that names a worker: a task's ``hostname`` is ``worker-2``."""
    configuration = home / "config"
    configuration.mkdir()
    (configuration / f"{HOSTNAME_MODULE}.py").write_text(HOSTNAME_SOURCE)
