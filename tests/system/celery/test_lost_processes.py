"""Processes die while a sweep is under way: nothing is lost, and nothing is reported stopped that is not."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.system.live_airflow import LiveAirflow


def statuses(platform: Sandbox) -> set[str]:
    """Return the statuses that campaigns have."""
    return {campaign.status for campaign in platform.campaigns()}


@pytest.mark.parametrize("victim", ["scheduler", "postgres"])
def test_a_sweep_goes_on_while_a_part_of_airflow_is_dead(airflow: LiveAirflow, platform: Sandbox, victim: str) -> None:
    ids = {platform.add_campaign(f"cd-{number}").id for number in range(40)}
    platform.add_fault(Fault("slow", action="stop", count=None, seconds=1))
    run = airflow.trigger_dag("sweep")
    platform.wait_for(lambda platform: "Stopped" in statuses(platform), 90)
    assert "Active" in statuses(platform)
    if victim == "postgres":  # ended with all connections to it
        airflow.processes["postgres"].stop()
        airflow.recover()
    else:
        airflow.kill("scheduler")
        platform.wait_for(lambda platform: statuses(platform) == {"Stopped"}, 60)
        airflow.start("scheduler")
    airflow.wait_for_run("sweep", run)
    assert statuses(platform) == {"Stopped"}
    assert Counter(request.campaign_id for request in platform.requests if request.action == "stop") == Counter(ids)
    assert {row["campaign_id"] for row in airflow.xcom("sweep", run, "sweep")["stopped"]} == ids
    assert airflow.task_instances("sweep", run)[0]["try_number"] == 1
