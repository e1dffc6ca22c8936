"""The page "Campaign shutdowns" in a live Airflow below a path, as a viewer sees it, who may do least."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from packaging.version import Version
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.system.celery import sweep_history
from tests.system.celery.conftest import take_picture
from tests.system.celery.sweep_history import FIELDS, LEAD, campaign, closing, closing_run, history, run
from tests.system.live_airflow import VERSION, LiveAirflow

pytestmark = pytest.mark.skipif(Version("3.1") > VERSION, reason="Airflow has pages of plugins from 3.1 on")

PREFIX = "/airflow"
USER = "viewer"
NOW = datetime.now(UTC)
GUARDED = (0, 1, 2, 25)
"""How many closings ago there were runs all night; that many runs are enough for the page to leave some unread."""

RED = "rgb(185, 28, 28)"
HOSTILE = "<img src=x onerror=\"parent.document.title='hostile'\"><script>parent.document.title='hostile'</script>"
OLD = datetime.combine(NOW.date() - timedelta(days=200), time(21), sweep_history.ZONE).astimezone(UTC)  # an end

DAGS = """
from airflow.sdk import DAG
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

class NightlySweep(StopActiveCampaignsOperator):
    pass

for name in ("keep_closed", "several", "nightly"):
    with DAG(name, schedule=None) as dag:
        (NightlySweep if name == "nightly" else StopActiveCampaignsOperator)(task_id="stop_active_campaigns")
    globals()[name] = dag
"""


def special_runs() -> list[dict[str, Any]]:
    ended = OLD + timedelta(seconds=5)
    about = {"rule": HOSTILE, "end": OLD.isoformat()}
    hostile = campaign(1, OLD, ended, name=HOSTILE, campaign_id="=cmd|' /C calc'!A0", message=HOSTILE, **about)
    fields = {"calling_hours": [{**FIELDS["calling_hours"], "name": HOSTILE}], "dry_run": False}
    closings = [closing(OLD, ended, ["=cmd|' /C calc'!A0"], HOSTILE)]
    mapped = [
        run(OLD - LEAD, ended, stopped=[each], closings=closings, reason=HOSTILE)
        | {"dag_id": "several", "map_index": index, "rendered_fields": fields}
        for index, each in enumerate((hostile, campaign(2, OLD, ended, **about)))
    ]
    nightly = {"dag_id": "nightly", "operator": "NightlySweep", "rendered_fields": fields}
    return [*mapped, closing_run(OLD, 3, last=30, rule=HOSTILE) | nightly]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    """Bring up an Airflow whose users have to log in, with thirty days in its database."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "dags").mkdir()
    (folder / "dags/sweeps.py").write_text(DAGS)
    (folder / "passwords.json").write_text(json.dumps({USER: USER}))
    environment = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:{USER}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "100",
    }
    with LiveAirflow(folder / "dags", path=PREFIX, env=environment) as live:
        live.cli("dags", "reserialize")
        runs = json.dumps([*history(NOW, GUARDED), *special_runs()])
        script = [sys.executable, sweep_history.__file__]
        subprocess.run(script, input=runs, env=live.environment, text=True, check=True)
        yield live


@pytest.fixture(scope="module")
def session(airflow: LiveAirflow, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000}, timezone_id="Europe/Berlin")
    page.set_default_timeout(60_000)
    page.goto(f"{airflow.url}{PREFIX}/")
    for name in ("username", "password"):
        page.locator(f"input[name={name}]").fill(USER)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Browse")).to_be_visible()
    yield page
    page.close()


@pytest.fixture
def shutdowns(session: Page, airflow: LiveAirflow) -> FrameLocator:
    """Return the page with all closings: opened by the menu, as a person does, or as the test before has left it."""
    frame = session.frame_locator("iframe")
    if "/plugin/" not in session.url:
        session.goto(f"{airflow.url}{PREFIX}/")
        session.get_by_role("button", name="Browse").click()
        session.get_by_text("Campaign shutdowns").click()
    elif frame.get_by_label("Closings up to").input_value():
        frame.get_by_label("Closings up to").fill("")
    elif frame.get_by_role("link", name="All closings").count():
        frame.get_by_role("link", name="All closings").click()
    expect(rows(frame)).to_have_count(30, timeout=120_000)
    finished(frame)
    return frame


def finished(shutdowns: FrameLocator) -> None:
    """Wait until the page has all that it reads by itself."""
    expect(shutdowns.locator("main[aria-busy=false]")).to_be_visible(timeout=120_000)


def show_closings_up_to(shutdowns: FrameLocator, end: datetime) -> None:
    shutdowns.get_by_label("Closings up to").fill((end - timedelta(hours=12)).date().isoformat())
    expect(shutdowns.locator("#status")).to_contain_text("As of")
    finished(shutdowns)


def rows(shutdowns: FrameLocator) -> Any:
    return shutdowns.locator("table.closings tbody tr")


def test_thirty_closings_are_shown_with_few_requests_and_none_to_elsewhere(
    session: Page, airflow: LiveAirflow, request: pytest.FixtureRequest
) -> None:
    requested: list[str] = []

    def note(request: Any) -> None:
        if "/campaign-shutdowns/" in request.frame.url:
            requested.append(f"{request.method} {request.url}")

    session.on("request", note)
    shutdowns: FrameLocator = request.getfixturevalue("shutdowns")
    session.remove_listener("request", note)
    expected = {
        0: "Verified in time",
        sweep_history.LATE: "Late by 1 min 35 s, 44 campaigns live at the end",
        sweep_history.UNSEEN: "No evidence",
        sweep_history.FAILED: "2 campaigns not verified stopped",
        sweep_history.KILLED: "Failed, no result",
    }
    for days, words in expected.items():
        expect(rows(shutdowns).nth(days)).to_contain_text(words)
    expect(rows(shutdowns).first).to_contain_text("America/New_York")
    expect(rows(shutdowns).first).to_contain_text(re.compile("1 min .*before the end"))
    expect(rows(shutdowns).nth(sweep_history.UNSEEN).locator(".outcome")).to_have_css("color", RED)
    again = rows(shutdowns).get_by_text("Verified in time, 1 campaign live again").count()
    assert again >= 1
    expect(shutdowns.locator(".outcome.good")).to_have_count(26 - again)
    expect(shutdowns.locator("svg .column")).to_have_count(30)
    expect(shutdowns.locator("svg text.mark.bad")).to_have_count(3)
    expect(shutdowns.get_by_text("had nothing to close")).to_be_visible()
    page_url = f"{airflow.url}{PREFIX}/"
    assert {address for address in requested if not address.startswith(f"GET {page_url}")} == {
        f"POST {page_url}campaign-shutdowns/ends"
    }
    assert 200 < sum("xcomEntries" in address for address in requested) <= 250
    assert 6 < sum("taskInstances?" in address for address in requested) <= 12
    take_picture(session, "campaign-shutdowns")


def test_a_closing_is_opened_and_left_with_the_keyboard(shutdowns: FrameLocator, session: Page) -> None:
    link = rows(shutdowns).nth(sweep_history.FAILED).get_by_role("link")
    link.focus()
    session.keyboard.press("Enter")
    expect(shutdowns.get_by_role("heading", level=2)).to_be_focused()
    campaigns = shutdowns.get_by_role("table", name="Campaigns")
    expect(campaigns.locator("tbody tr")).to_have_count(31)
    expect(campaigns.locator("tbody tr").first).to_contain_text("not verified stopped")
    shutdowns.get_by_text("Record in full").click()
    expect(shutdowns.locator("pre")).to_contain_text('"connection_id": "campaign_default"')
    shutdowns.get_by_role("link", name="All closings").press("Enter")
    expect(link).to_be_focused()


def test_the_csv_can_be_copied_and_downloaded_where_the_frame_allows_it(shutdowns: FrameLocator, session: Page) -> None:
    shutdowns.get_by_text("CSV", exact=True).click()
    lines = shutdowns.get_by_label("closings as CSV").input_value().splitlines()
    assert lines[0].startswith("end,rule,last_confirmed_at,")
    assert len(lines) == 31
    shutdowns.get_by_role("button", name="Copy").click()
    expect(shutdowns.get_by_text(re.compile("Copied|Selected"))).to_be_visible()
    allowed = "allow-downloads" in (shutdowns.owner.get_attribute("sandbox") or "")
    expect(shutdowns.get_by_role("link", name="Download")).to_have_count(int(allowed))
    if allowed:
        with session.expect_download() as download:
            shutdowns.get_by_role("link", name="Download").click()
        assert download.value.path().read_text().splitlines() == lines


def test_names_that_other_users_have_chosen_are_only_text(shutdowns: FrameLocator, session: Page) -> None:
    show_closings_up_to(shutdowns, OLD)
    rows(shutdowns).first.get_by_role("link").click()
    expect(shutdowns.get_by_role("heading", level=2)).to_contain_text(HOSTILE)
    expect(shutdowns.get_by_role("table", name="Campaigns")).to_contain_text(HOSTILE)
    expect(shutdowns.locator("img, main script")).to_have_count(0)
    shutdowns.get_by_text("CSV", exact=True).click()
    assert ",'=cmd|' /C calc'!A0," in shutdowns.get_by_label("campaigns as CSV").input_value()
    assert "hostile" not in session.title()


def test_mapped_tasks_are_sweeps_of_their_own_and_subclasses_can_be_named(shutdowns: FrameLocator) -> None:
    show_closings_up_to(shutdowns, OLD)
    expect(rows(shutdowns).locator("td.number").first).to_have_text("2")
    sweeps = shutdowns.get_by_label("Sweep").locator("option")
    expect(sweeps).to_have_text(["All", "several.stop_active_campaigns[0]", "several.stop_active_campaigns[1]"])
    shutdowns.get_by_text("Operators", exact=True).click()
    shutdowns.get_by_label("Also show tasks").fill("NightlySweep")
    shutdowns.get_by_role("button", name="Refresh").click()
    expect(sweeps).to_have_count(4)
    expect(rows(shutdowns)).to_have_count(1)  # all are for the same end of the window, once their results are read
    for text in ("30 s after the end", "Late by 30 s", "3 of 3 sweeps"):
        expect(rows(shutdowns).first).to_contain_text(text)
    shutdowns.get_by_label("Sweep").select_option("several.stop_active_campaigns[1]")
    expect(rows(shutdowns).locator("td.number").first).to_have_text("1")
    shutdowns.get_by_label("Also show tasks").fill("")
    shutdowns.get_by_role("button", name="Refresh").click()


def test_without_any_sweep_it_says_how_to_get_one(shutdowns: FrameLocator) -> None:
    shutdowns.get_by_label("Closings up to").fill("2020-01-01")
    expect(shutdowns.get_by_role("heading", name="No sweep has run in this time")).to_be_visible()
    expect(shutdowns.locator("pre")).to_contain_text("StopActiveCampaignsOperator(")


SWEEP = "keep_closed.stop_active_campaigns"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("taskInstances?*", 401, ["You are not logged in"]),
        ("taskInstances?*", 403, ["You may not see this"]),
        ("taskInstances?*", 500, ["Airflow could not be asked"]),
        ("campaign-shutdowns/ends", 400, [f"{SWEEP}: no such key", "Verified in time"]),
        ("xcomEntries/**", 403, ["results could not be read", "Success, you may not read XComs", "No evidence"]),
    ],
)
def test_it_says_what_airflow_does_not_show(
    shutdowns: FrameLocator, session: Page, path: str, status: int, words: list[str]
) -> None:
    session.route(f"**/{path}", lambda route: route.fulfill(status=status, json={"detail": "no such key"}))
    session.reload()
    for each in words:
        expect(shutdowns.locator("body")).to_contain_text(each, timeout=120_000)
    if path.endswith("ends"):  # only results show closings
        finished(shutdowns)
        expect(rows(shutdowns).get_by_text("No evidence")).to_have_count(0)
    session.unroute(f"**/{path}")
    shutdowns.get_by_role("button", name="Refresh").click()
    expect(shutdowns.get_by_text(words[0])).to_have_count(0, timeout=120_000)


def test_it_is_as_dark_as_airflow(shutdowns: FrameLocator, session: Page) -> None:
    colours = []
    for theme in ("light", "dark"):
        session.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        session.reload()
        expect(rows(shutdowns).first).to_be_visible(timeout=120_000)
        expect(shutdowns.locator("html")).to_have_attribute("data-theme", theme)
        colours.append(shutdowns.locator("body").evaluate("body => getComputedStyle(body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(24, 24, 27)"]
    session.evaluate("localStorage.setItem('theme', 'light')")
