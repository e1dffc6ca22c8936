"""One Airflow with a Celery worker, which runs the example DAGs, and a browser."""

from __future__ import annotations

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
    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).parents[3]


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
    """Bring up Airflow with the example DAGs and those of the tests."""
    dags = tmp_path_factory.mktemp("shared") / "dags"
    for folder in (REPOSITORY / "example_dags", REPOSITORY / "tests/system/celery/dags"):
        shutil.copytree(folder, dags, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
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
