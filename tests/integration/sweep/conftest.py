"""What the tests of the sweep share: an account on a clock of its own date, and records of each test's own."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import MONDAY, Dag, Log, Types, use
from tests.kinds import Connect
from tests.records_guard import RECORDS_PATH


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of this test's records: runs of other tests have the same ids."""
    folder = tmp_path / "records"
    monkeypatch.setenv(RECORDS_PATH, f"file://{folder}")
    return folder


@pytest.fixture(autouse=True)
def caplog(caplog: Log) -> Log:
    """Return what is logged, at the level that tasks have by default."""
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def clock(campaign_clock: VirtualClock) -> VirtualClock:
    campaign_clock.change(MONDAY.timestamp() - campaign_clock.time())
    return campaign_clock


@pytest.fixture
def sandbox(clock: VirtualClock, campaign_sandbox: Sandbox) -> Sandbox:
    return campaign_sandbox


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    """Return a DAG that has never run."""
    return Dag(clock, timeout=300)


@pytest.fixture(params=["v1", "v2", "sonarly"])
def types(request: pytest.FixtureRequest, sandbox: Sandbox, connect: Connect) -> Types:
    """The campaign types of each platform in turn, with the connection made."""
    return use(request.param, sandbox, connect)
