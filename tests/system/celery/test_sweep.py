"""A sweep on a Celery worker: what a person sees of it, and what the death of a part of Airflow does to it."""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.system.celery.conftest import take_picture
from tests.system.live_airflow import LiveAirflow

NAMES = ("Evening reminder", "Renewal call", "Payment due", "Delivery window", "Appointment", "Win-back")


def statuses(sandbox: Sandbox) -> dict[str, str]:
    return {campaign.id: campaign.status for campaign in sandbox.campaigns()}


def test_a_finished_sweep_can_be_read_in_airflow_and_on_the_sandboxs_page(
    page: Page, airflow: LiveAirflow, platform: Sandbox
) -> None:
    for number, name in enumerate(NAMES * 2):
        kind = ("sms", "voice")[number % 2]
        platform.add_campaign(f"cd-{kind}-{number:02}", kind, name=name, stop_delay=number % 3)
    run = airflow.run_dag("sweep")
    page.set_viewport_size({"width": 1200, "height": 700})
    page.goto(f"{airflow.url}/dags/sweep/runs/{run}/tasks/sweep")
    expect(page.get_by_text("Stopped 12 of 12 live campaigns").first).to_be_visible()
    take_picture(page, "sweep-in-airflow")

    page.goto(platform.url)
    expect(page.get_by_text("cd-sms-00").first).to_be_visible()
    expect(page.get_by_text("Active", exact=True)).to_have_count(0)
    take_picture(page, "sweep-on-the-platform")


def test_the_sandboxs_page_has_buttons_that_add_campaigns_and_reset(page: Page) -> None:
    with Sandbox(campaigns=3) as sandbox:
        seeded = statuses(sandbox)
        sandbox.remove_campaign("cd-sms-evening-1")
        sandbox.set_status("cd-voice-evening-1", "Stopped")
        page.goto(sandbox.url)
        for count in (5, 8):
            page.get_by_role("button", name="Add campaigns").click()
            sandbox.wait_for(lambda sandbox, count=count: len(sandbox.campaigns()) == count)  # type: ignore[misc]
        added = [(campaign.campaign_type, campaign.status) for campaign in sandbox.campaigns()[2:]]
        assert added == [("sms", "Active"), ("voice", "Active"), ("sonarly", "Active")] * 2
        page.get_by_role("button", name="Reset").click()
        sandbox.wait_for(lambda sandbox: statuses(sandbox) == seeded)


@pytest.mark.parametrize("victim", ["scheduler", "postgres"])
def test_a_sweep_goes_on_while_a_part_of_airflow_is_dead(airflow: LiveAirflow, platform: Sandbox, victim: str) -> None:
    ids = {platform.add_campaign(f"cd-{number}").id for number in range(40)}
    platform.add_fault(Fault("slow", action="stop", count=None, seconds=1))
    run = airflow.trigger_dag("sweep")
    platform.wait_for(lambda platform: "Stopped" in statuses(platform).values(), 90)
    assert "Active" in statuses(platform).values()
    if victim == "postgres":  # ended with all connections to it
        airflow.processes["postgres"].stop()
        airflow.recover()
    else:
        airflow.kill("scheduler")
        platform.wait_for(lambda platform: {*statuses(platform).values()} == {"Stopped"}, 60)
        airflow.start("scheduler")
    airflow.wait_for_run("sweep", run)
    assert {*statuses(platform).values()} == {"Stopped"}
    assert Counter(request.campaign_id for request in platform.requests if request.action == "stop") == Counter(ids)
    assert {row["campaign_id"] for row in airflow.xcom("sweep", run, "sweep")["stopped"]} == ids
    assert airflow.task_instances("sweep", run)[0]["try_number"] == 1
