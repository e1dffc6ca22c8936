"""What tests share: a throw-away Airflow home, a clock that needs no waiting, the sandbox, a way to connect to it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if "AIRFLOW_HOME" not in os.environ:  # before anything imports Airflow, which writes its configuration there
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-")
    atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import KINDS, Connect, Kind
from tests.profiles import IS_FULL

PLUGINS = ("secrets_guard", "records_guard", "commands", "scheduler")
pytest_plugins = ["airflow_provider_campaign.testing", *(f"tests.{name}" for name in PLUGINS)]


def pytest_report_header() -> str:
    return f"random data: {'in full' if IS_FULL else 'brief (CAMPAIGN_TESTS=full for all of it)'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: in full, each test of random plans keeps a process busy for a minute or two."""
    items.sort(key=lambda item: "test_properties" not in item.path.stem)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all worker processes of this run of the tests have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def clock(campaign_clock: VirtualClock) -> VirtualClock:
    """Return the clock of all hooks, on which every wait is over at once; it shows the present, as records do."""
    campaign_clock.change(time.time() - campaign_clock.time())
    return campaign_clock


@pytest.fixture
def sandbox(clock: VirtualClock) -> Iterator[Sandbox]:
    """Run both platforms, by the clock of the hooks, and with no connection made."""
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def connect(campaign_connection: Connect) -> Connect:
    """Return what makes a connection known to Airflow: ``connect(sandbox.kore_connection("v2"))``."""
    return campaign_connection


@pytest.fixture
def empty_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Airflow's database, which is not there, answer that it has no connection."""
    from airflow.secrets.metastore import MetastoreBackend

    monkeypatch.setattr(MetastoreBackend, "get_connection", lambda *args, **kwargs: None)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.label)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]
