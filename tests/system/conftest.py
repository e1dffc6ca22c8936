"""What all tests on a live Airflow have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox

collect_ignore_glob = [] if find_spec("airflow.sdk") else ["*"]  # they need Airflow 3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound the time of each test, and put last what leaves no part of Airflow alive."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))
    items.sort(key=lambda item: item.path.stem == "test_when_airflow_is_dead")


class SecretsBackend:
    """Connections that Airflow reads from a file, at each lookup."""

    def __init__(self, file: Path) -> None:
        self.file, self.connections = file, dict[str, Any]()
        self.settings = {
            "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(file)}),
        }
        self.store()

    def store(self, **connections: dict[str, Any]) -> None:
        self.connections |= connections
        self.file.write_text(json.dumps(self.connections))


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> SecretsBackend:
    return SecretsBackend(tmp_path_factory.mktemp("secrets") / "connections.json")


@pytest.fixture
def platform(airflow: Any, backend: SecretsBackend) -> Iterator[Sandbox]:
    """Return new platforms behind Airflow's connections, with every component of Airflow at work."""
    airflow.recover()
    with Sandbox(rate_limit=None) as sandbox:
        backend.store(**sandbox.connections())
        yield sandbox
