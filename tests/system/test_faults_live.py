"""Processes die while campaigns are stopped: nothing is lost, and nothing is reported stopped that is not."""

from __future__ import annotations

import re
from collections import Counter

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.timeout(400)

RUN = 240
"""Seconds that a run may take, with the death of one of its processes in it."""


@pytest.fixture(autouse=True)
def healthy(shared_airflow: LiveAirflow) -> None:
    """Begin with every component at work, whatever the test before did to them."""
    shared_airflow.recover()


def start(airflow: LiveAirflow, dag_id: str) -> str:
    """Start a run and return its id."""
    return str(airflow.trigger_dag(dag_id)["dag_run_id"])


def states(airflow: LiveAirflow, dag_id: str, run_id: str) -> Counter[str]:
    """Return how many task instances are in which state."""
    return Counter(task["state"] for task in airflow.task_instances(dag_id, run_id))


def add_campaigns(platform: Sandbox, count: int) -> list[str]:
    """Put live campaigns into the account and return their ids."""
    return [platform.add_campaign(f"cd-{number}").id for number in range(count)]


def statuses(platform: Sandbox) -> set[str]:
    """Return the statuses that campaigns have."""
    return {campaign.status for campaign in platform.campaigns()}


def stop_requests(platform: Sandbox) -> Counter[str | None]:
    """Return how many stops arrived for each campaign."""
    return Counter(request.campaign_id for request in platform.requests if request.action == "stop")


def begin_sweep(airflow: LiveAirflow, platform: Sandbox, campaigns: int) -> str:
    """Start a sweep that is slow enough to be disturbed, and return its run's id once a few campaigns are stopped."""
    add_campaigns(platform, campaigns)
    platform.config.rate_limit = None
    platform.add_fault(Fault("slow", action="stop", count=None, seconds=1))
    run = start(airflow, "sweep")
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


def test_a_stop_whose_worker_is_killed_is_taken_up_by_another_try_and_not_sent_twice(
    shared_airflow: LiveAirflow, platform: Sandbox
) -> None:
    platform.add_campaign("cd-one")
    platform.add_fault(Fault("lost", action="stop", how="hang"))
    run = start(shared_airflow, "stop_one")
    platform.wait_for(lambda platform: platform.campaign("cd-one").status == "Stopped", 60)
    [task] = shared_airflow.task_instances("stop_one", run)
    assert task["state"] == "running"
    shared_airflow.kill(task["hostname"])
    assert shared_airflow.wait_for_run("stop_one", run, timeout=RUN)["state"] == "success"
    [task] = shared_airflow.task_instances("stop_one", run)
    assert task["try_number"] == 2
    assert stop_requests(platform) == {"cd-one": 1}
    assert shared_airflow.xcom("stop_one", run, "stop")["status"] == "Stopped"


def test_a_hundred_waits_survive_the_triggerer_and_none_ends_before_its_campaign(
    shared_airflow: LiveAirflow, platform: Sandbox
) -> None:
    *most, late = add_campaigns(platform, 100)
    platform.config.rate_limit = None
    run = start(shared_airflow, "watch_many")

    def reach(**expected: int) -> None:
        wait_until(
            lambda: states(shared_airflow, "watch_many", run) == expected,
            RUN,
            lambda: f"not {expected}: {shared_airflow.describe('watch_many', run)}",
        )

    reach(deferred=100)
    shared_airflow.kill("triggerer")
    for campaign in most:
        platform.set_status(campaign, "Stopped")
    shared_airflow.start("triggerer")
    reach(success=99, deferred=1)
    assert platform.campaign(late).status == "Active"
    platform.set_status(late, "Stopped")
    assert shared_airflow.wait_for_run("watch_many", run, timeout=RUN)["state"] == "success"
    assert {request.action for request in platform.requests} <= {"status", "list"}


def test_a_sweep_goes_on_while_the_scheduler_is_dead(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    run = begin_sweep(shared_airflow, platform, campaigns=40)
    shared_airflow.kill("scheduler")
    platform.wait_for(lambda platform: statuses(platform) == {"Stopped"}, 60)
    shared_airflow.start("scheduler")
    assert_swept_once(shared_airflow, platform, run)


def test_a_sweep_goes_on_after_the_platform_was_away(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    run = begin_sweep(shared_airflow, platform, campaigns=40)
    platform.stop()
    wait_until(
        lambda: re.search(r"[1-9]\d* with a problem", shared_airflow.task_log("sweep", run, "sweep")),
        RUN,
        lambda: shared_airflow.describe("sweep", run),
    )
    assert "Active" in statuses(platform)
    platform.start()
    assert shared_airflow.wait_for_run("sweep", run, timeout=RUN)["state"] == "success"
    assert statuses(platform) == {"Stopped"}
    record = shared_airflow.xcom("sweep", run, "sweep")
    assert len(record["stopped"]) + len(record["already_stopped"]) == 40


def test_a_sweep_goes_on_while_the_database_restarts(shared_airflow: LiveAirflow, platform: Sandbox) -> None:
    run = begin_sweep(shared_airflow, platform, campaigns=40)
    shared_airflow.restart_postgres()
    assert_swept_once(shared_airflow, platform, run)
