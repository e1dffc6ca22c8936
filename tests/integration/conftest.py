"""What the tests share that have Airflow run DAGs and commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow_process import AirflowProcess, SharedAirflow
from tests.statsd import Statsd


@pytest.fixture(scope="session")
def statsd() -> Iterator[Statsd]:
    with Statsd() as statsd:
        yield statsd


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Path:
    home = tmp_path_factory.mktemp("airflow")
    AirflowProcess(home, {}).migrate(shared_folder)
    return home


@pytest.fixture(scope="session")
def shared_airflow(airflow_home: Path, statsd: Statsd) -> Iterator[SharedAirflow]:
    """Run one Airflow for all tests of the group "airflow"; see tests/scheduler.py."""
    airflow = SharedAirflow(airflow_home, statsd.options)
    with airflow.process:
        yield airflow
