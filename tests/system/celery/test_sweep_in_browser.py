"""What a person sees of a sweep: in Airflow, and on the sandbox's page."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from airflow_provider_campaign.sandbox import Sandbox
from tests.system.celery.pictures import take_picture
from tests.system.live_airflow import LiveAirflow

NAMES = ("Evening reminder", "Renewal call", "Payment due", "Delivery window", "Appointment", "Win-back")


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
