"""One Airflow with the LocalExecutor, for tests that bring DAGs of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import SecretsBackend
from tests.system.live_airflow import LiveAirflow


@pytest.fixture(scope="session")
def local_airflow(backend: SecretsBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    with LiveAirflow(tmp_path_factory.mktemp("dags"), env=backend.settings) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for what a module's DAGs leave: FOLDER in their text."""
    return tmp_path_factory.mktemp("left")


@pytest.fixture(scope="module")
def airflow(local_airflow: LiveAirflow, folder: Path, request: pytest.FixtureRequest) -> Iterator[LiveAirflow]:
    file = local_airflow.dags_folder / f"{request.path.stem}.py"
    file.write_text(request.module.DAGS.replace("FOLDER", str(folder)))
    yield local_airflow
    file.unlink()
