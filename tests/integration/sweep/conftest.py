"""What the tests of the sweep share: an account on a clock of its own date, and records of each test's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.integration.sweep.runs import MONDAY, Account, Dag, Log, Types
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
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def clock(campaign_clock: VirtualClock) -> VirtualClock:
    campaign_clock.change(MONDAY.timestamp() - campaign_clock.time())
    return campaign_clock


@pytest.fixture
def sandbox(clock: VirtualClock, connect: Connect) -> Iterator[Account]:
    """Return the account of the default connection, by version 2 of Kore.ai's API."""
    with Account(clock=clock) as account:
        account.use("v2", connect)
        yield account


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, timeout=300)


@pytest.fixture(params=["v1", "v2", "sonarly"])
def types(request: pytest.FixtureRequest, sandbox: Account, connect: Connect) -> Types:
    """The campaign types of each platform in turn, with the connection made."""
    return sandbox.use(request.param, connect)
