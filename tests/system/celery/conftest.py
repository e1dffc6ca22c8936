"""One Airflow with a Celery worker, which runs the example DAGs, and a browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import SecretsBackend
from tests.system.live_airflow import LiveAirflow

if TYPE_CHECKING:  # most system tests need no browser
    from playwright.sync_api import Browser, Locator, Page

REPOSITORY = Path(__file__).parents[3]


SWEEP = """
from airflow.sdk import DAG
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

with DAG("sweep"):
    StopActiveCampaignsOperator(task_id="sweep", timeout=300)
"""


def take_picture(subject: Locator | Page, name: str) -> None:
    """Save a picture for the documentation as ``docs/images/<name>.png``, where ``SCREENSHOTS=1`` asks for it."""
    if os.environ.get("SCREENSHOTS") == "1":
        subject.screenshot(path=REPOSITORY / f"docs/images/{name}.png", animations="disabled")


def close_now(file: Path) -> None:
    """Give a DAG calling hours that ended six hours ago: it acts on what time it is, and the tests run at any."""
    now, quarter = datetime.now(UTC), timedelta(hours=6)
    span = {"start": f"{now + quarter:%H:%M}", "end": f"{now - quarter:%H:%M}"}
    hours = {"frequency": "DAILY", "timezone": "UTC", **span}
    pattern = re.compile(r"^CALLING_HOURS = \{.*?^\}$", re.MULTILINE | re.DOTALL)
    text, count = pattern.subn(f"CALLING_HOURS = {hours}", file.read_text())
    assert count == 1
    file.write_text(text)


@pytest.fixture(scope="session")
def airflow(backend: SecretsBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    dags = tmp_path_factory.mktemp("shared") / "dags"
    shutil.copytree(REPOSITORY / "example_dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    (dags / "sweep.py").write_text(SWEEP)
    close_now(dags / "deadline_alert.py")
    with LiveAirflow(dags, celery=True, env=backend.settings) as airflow:
        yield airflow


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium; its own sandbox does not start for root."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, airflow: LiveAirflow) -> Iterator[Page]:
    """Return a page that has logged in: before 3.2 Airflow forgets on the way which page was asked for."""
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": 1200, "height": 2000})  # large enough to show a form whole
    page.set_default_timeout(30_000)
    page.goto(f"{airflow.url}/api/v2/auth/login")
    expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()
    yield page
    page.close()
