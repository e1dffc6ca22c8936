"""Processes die while campaigns are stopped: nothing is lost, and nothing is reported stopped that is not."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.system.live_airflow import LiveAirflow

pytestmark = pytest.mark.timeout(400)

RUN = 240
"""Seconds that a run may take, with the death of one of its processes in it."""


@pytest.fixture(autouse=True)
def healthy(shared_airflow: LiveAirflow) -> None:
    """Begin with every component at work, whatever the test before did to them."""
    shared_airflow.recover()


def statuses(platform: Sandbox) -> set[str]:
    """Return the statuses that campaigns have."""
    return {campaign.status for campaign in platform.campaigns()}


def stop_requests(platform: Sandbox) -> Counter[str | None]:
    """Return how many stops arrived for each campaign."""
    return Counter(request.campaign_id for request in platform.requests if request.action == "stop")


def begin_sweep(airflow: LiveAirflow, platform: Sandbox, campaigns: int) -> str:
    """Start a sweep that is slow enough to be disturbed, and return its run's id once a few campaigns are stopped."""
    for number in range(campaigns):
        platform.add_campaign(f"cd-{number}")
    platform.config.rate_limit = None
    platform.add_fault(Fault("slow", action="stop", count=None, seconds=1))
    run = str(airflow.trigger_dag("sweep")["dag_run_id"])
    platform.wait_for(lambda platform: "Stopped" in statuses(platform), 90)
    assert "Active" in statuses(platform)
    return run


def assert_swept_once(airflow: LiveAirflow, platform: Sandbox, run: str) -> None:
    """Assert that the sweep has stopped each campaign by one request, in one try, and says so."""
    assert airflow.wait_for_run("sweep", run, timeout=RUN)["state"] == "success"
    ids = {campaign.id for campaign in platform.campaigns()}
    assert statuses(platform) == {"Stopped"}
    assert stop_requests(platform) == Counter(ids)
    record = airflow.xcom("sweep", run, "sweep")
    assert {row["campaign_id"] for row in record["stopped"]} == ids
    assert airflow.task_instances("sweep", run)[0]["try_number"] == 1


def test_a_stop_whose_worker_is_killed_is_not_sent_twice(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    platform.add_campaign("cd-one")
    platform.add_fault(Fault("lost", action="stop", how="hang"))
    run = shared_airflow.trigger_dag("stop_one")["dag_run_id"]
    platform.wait_for(lambda platform: platform.campaign("cd-one").status == "Stopped", 60)
    [task] = shared_airflow.task_instances("stop_one", run)
    assert task["state"] == "running"
    shared_airflow.kill(task["hostname"])
    assert shared_airflow.wait_for_run("stop_one", run, timeout=RUN)["state"] == "success"
    [task] = shared_airflow.task_instances("stop_one", run)
    assert task["try_number"] == 2
    assert stop_requests(platform) == {"cd-one": 1}
    assert shared_airflow.xcom("stop_one", run, "stop")["status"] == "Stopped"


def test_a_sweep_goes_on_while_the_scheduler_is_dead(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    run = begin_sweep(shared_airflow, platform, campaigns=40)
    shared_airflow.kill("scheduler")
    platform.wait_for(lambda platform: statuses(platform) == {"Stopped"}, 60)
    shared_airflow.start("scheduler")
    assert_swept_once(shared_airflow, platform, run)


def test_a_sweep_goes_on_while_the_database_restarts(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    run = begin_sweep(shared_airflow, platform, campaigns=40)
    shared_airflow.restart_postgres()
    assert_swept_once(shared_airflow, platform, run)
