"""One Airflow with two Celery workers, the sandbox behind its connections, for all tests that can share it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_campaign.sandbox import Sandbox, SandboxConfig
from tests.system.live_airflow import LiveAirflow

if TYPE_CHECKING:  # most system tests need no browser
    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).parents[3]

SETTINGS = {
    # A task whose worker was killed is noticed after this many seconds.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
}


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
def shared_platform() -> Iterator[Sandbox]:
    """Run both platforms for the shared Airflow."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def shared_airflow(shared_platform: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    """Bring up Airflow with the example DAGs, those of the tests, and a connection to each platform."""
    dags = tmp_path_factory.mktemp("shared") / "dags"
    for folder in (REPOSITORY / "example_dags", REPOSITORY / "tests/system/celery/dags"):
        shutil.copytree(folder, dags, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    close_now(dags / "deadline_alert.py")
    connections = {
        "CAMPAIGN_DEFAULT": shared_platform.kore_connection("v1"),
        "KORE_V2": shared_platform.kore_connection("v2"),
        "SONARLY": shared_platform.sonarly_connection(),
    }
    environment = {f"AIRFLOW_CONN_{name}": json.dumps(connection) for name, connection in connections.items()}
    with LiveAirflow(
        dags, executor="CeleryExecutor", celery_workers=2, celery_concurrency=3, env={**SETTINGS, **environment}
    ) as airflow:
        yield airflow


@pytest.fixture
def platform(shared_platform: Sandbox) -> Sandbox:
    """Return the shared platforms, empty and with their usual settings."""
    usual = SandboxConfig()
    shared_platform.reset()
    for setting in ("stop_delay", "latency", "rate_limit"):
        setattr(shared_platform.config, setting, getattr(usual, setting))
    return shared_platform


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
def page(browser: Browser) -> Iterator[Page]:
    """Return an empty page, large enough to show a form whole."""
    page = browser.new_page(viewport={"width": 1200, "height": 2000})
    page.set_default_timeout(30_000)
    yield page
    page.close()


@pytest.fixture
def airflow_page(page: Page, shared_airflow: LiveAirflow) -> Page:
    """Return a page that has logged in: before 3.2 Airflow forgets on the way which page was asked for."""
    from playwright.sync_api import expect

    page.goto(f"{shared_airflow.url}/api/v2/auth/login")
    expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()
    return page
