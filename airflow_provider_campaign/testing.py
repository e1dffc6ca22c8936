"""
A pytest plugin for tests of your own DAGs (extra ``sandbox``): both platforms, on a clock that needs no waiting, and
tasks that run as in Airflow. pytest loads it wherever the provider is installed: it imports nothing before it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_campaign.client.clock import Clock
    from airflow_provider_campaign.sandbox import Sandbox
    from airflow_provider_campaign.sandbox.task_runs import Outcome, TaskRunner
    from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock

BEGAN_ON = datetime(2020, 1, 1, tzinfo=UTC)  # the date that the clock shows at first: any date after it can be tested


def use_clock(clock: Clock, patch: pytest.MonkeyPatch) -> None:
    """Give a clock, in place of the machine's own, to all that are given no other."""
    from airflow_provider_campaign.client.clock import SYSTEM_CLOCK

    for name in ("time", "monotonic", "sleep"):
        patch.setattr(SYSTEM_CLOCK, name, getattr(clock, name))


@pytest.fixture
def campaign_clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Give operators, sensors, and triggers a clock on which each wait ends at once, and things happen at dates."""
    from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock  # says what to install

    clock = VirtualClock(BEGAN_ON)
    use_clock(clock, monkeypatch)
    return clock


@pytest.fixture
def campaign_connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes a connection known to Airflow: ``campaign_connection(sandbox.kore_connection("v2"), "eu")``."""

    def connect(connection: dict[str, Any], conn_id: str = "campaign_default") -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return connect


@pytest.fixture
def campaign_sandbox(campaign_clock: VirtualClock, campaign_connection: Callable[..., None]) -> Iterator[Sandbox]:
    """Run both platforms on the clock, with the connections ``campaign_default`` (Kore.ai, API v2) and ``sonarly``."""
    from airflow_provider_campaign.sandbox import Sandbox

    with Sandbox(clock=campaign_clock) as sandbox:
        campaign_connection(sandbox.kore_connection("v2"))
        campaign_connection(sandbox.sonarly_connection(), "sonarly")
        yield sandbox


@pytest.fixture
def campaign_runner(campaign_clock: VirtualClock) -> TaskRunner:
    """Return what runs tasks on the clock, and remembers the runs of this test."""
    from airflow_provider_campaign.sandbox.task_runs import TaskRunner

    return TaskRunner(campaign_clock)


@pytest.fixture
def run_task(campaign_runner: TaskRunner) -> Callable[..., Outcome]:
    return campaign_runner.run_task


@pytest.fixture
def run_dag(campaign_runner: TaskRunner) -> Callable[..., dict[str, Outcome]]:
    return campaign_runner.run_dag
