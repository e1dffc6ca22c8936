"""One Airflow with the LocalExecutor, for tests that bring DAGs and accounts of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.live_airflow import LiveAirflow

Deploy = Callable[..., LiveAirflow]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what leaves no part of Airflow alive."""
    items.sort(key=lambda item: item.path.stem == "test_when_airflow_is_dead")


@dataclass(frozen=True)
class SecretsBackend:
    """Connections that Airflow reads from a file, at each lookup."""

    file: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(self.file)}),
        }

    def store(self, **connections: dict[str, Any]) -> None:
        """Add connections, or replace them."""
        known = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.file.write_text(json.dumps({**known, **connections}))


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> SecretsBackend:
    backend = SecretsBackend(tmp_path_factory.mktemp("secrets") / "connections.json")
    backend.store()
    return backend


@pytest.fixture(scope="session")
def local_airflow(backend: SecretsBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    # A task that died with its supervisor is noticed after this many seconds.
    noticed = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20"}
    with LiveAirflow(tmp_path_factory.mktemp("dags"), env={**backend.settings, **noticed}) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def deploy(local_airflow: LiveAirflow, backend: SecretsBackend, request: pytest.FixtureRequest) -> Iterator[Deploy]:
    """Return what gives a module's DAGs and connections to an Airflow whose components all work."""
    file = local_airflow.dags_folder / f"{request.path.stem}.py"

    def deploy(dags: str, **connections: dict[str, Any]) -> LiveAirflow:
        local_airflow.recover()
        backend.store(**connections)
        file.write_text(dags)
        return local_airflow

    yield deploy
    file.unlink(missing_ok=True)
