"""A person enters a connection in Airflow's own form, in a real browser, and presses Test."""

from __future__ import annotations

import re

import pytest
from packaging.version import Version
from playwright.sync_api import Locator, Page, expect

from airflow_provider_campaign.get_provider_info import get_provider_info
from airflow_provider_campaign.sandbox import Sandbox
from tests.system.celery.conftest import take_picture
from tests.system.live_airflow import VERSION, LiveAirflow

pytestmark = pytest.mark.skipif(
    Version("3.1") > VERSION,
    reason="Airflow 3.0 has no Test button, and no provider's fields unless flask-appbuilder is installed",
)

STANDARD_FIELDS = {
    "kore": ["Description", "Host", "Client ID", "Client Secret", "Port"],
    "sonarly": ["Description", "Host", "API Key", "Port"],
}
# Before 3.3 Airflow's form masks none of the extra fields, and before 3.2 it requires none.
MASKED = {"Client Secret", "API Key", "Private Key" if Version("3.3") <= VERSION else ""}
REQUIRED = {"Application ID", "Account ID", "Account Group ID"} if Version("3.2") <= VERSION else set()
INFO = {info["connection-type"]: info for info in get_provider_info()["connection-types"]}
PLATFORMS = pytest.mark.parametrize("conn_type", STANDARD_FIELDS)


@pytest.fixture
def connections(page: Page, airflow: LiveAirflow) -> Page:
    page.goto(f"{airflow.url}/connections")
    return page


class Form:
    """Airflow's dialog for a connection, as a person sees it: sections, labels, help texts, values."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialog = page.get_by_role("dialog")

    def begin(self, conn_id: str, conn_type: str) -> None:
        """Open it for a new connection."""
        self.page.get_by_role("button", name="Add Connection").click()
        self.input("Connection ID").fill(conn_id)
        self.input("Connection Type").fill(INFO[conn_type]["hook-name"])
        self.page.keyboard.press("Enter")
        self.open_section("Standard Fields")

    def open_section(self, title: str) -> None:
        section = self.dialog.get_by_role("button", name=title, exact=True)
        expect(section).to_be_visible()
        if section.get_attribute("aria-expanded") == "false":
            section.click()
        expect(section).to_have_attribute("aria-expanded", "true")

    def field(self, label: str) -> Locator:
        its_label = self.page.locator("label", has_text=re.compile(rf"^\s*{re.escape(label)}[\s*]*$"))
        return self.dialog.locator("[data-scope=field][data-part=root]").filter(has=its_label)

    def input(self, label: str) -> Locator:
        return self.field(label).locator("input, textarea").first

    def masked(self, labels: list[str]) -> set[str]:
        """Return the labels of the fields in which what is typed can't be read."""
        return {label for label in labels if self.field(label).locator("input[type=password]").count() == 1}

    def labels(self) -> list[str]:
        """Return the labels of the fields in view, without the mark of those that are required."""
        texts = self.dialog.locator("label:visible").all_inner_texts()
        return [text.replace("*", "").strip() for text in texts]


def entries(platform: Sandbox, conn_type: str) -> list[tuple[str, dict[str, str]]]:
    """Return what a person types for a connection to the sandbox, by section and label."""
    config = platform.config
    usual = {"Host": "http://127.0.0.1", "Port": str(platform.port)}
    if conn_type == "sonarly":
        standard, extra = {"API Key": config.api_key}, {"Account Group ID": config.account_group_id}
    else:
        standard = {"Client ID": config.client_id, "Client Secret": config.client_secret}
        extra = {"Application ID": config.iid, "Account ID": config.account_id}
    return [("Standard Fields", {**usual, **standard}), ("Extra Fields", extra)]


def press(page: Page, button: str, conn_id: str) -> None:
    row = page.get_by_role("row").filter(has=page.get_by_text(conn_id, exact=True))
    row.get_by_role("button", name=button).click()


def enter(page: Page, conn_id: str, conn_type: str, sections: list[tuple[str, dict[str, str]]]) -> Locator:
    """Fill in the form for a new connection, save and test it; return what Airflow shows of the test."""
    form = Form(page)
    form.begin(conn_id, conn_type)
    for title, values in sections:
        form.open_section(title)
        for label, value in values.items():
            form.input(label).fill(value)
    form.dialog.get_by_role("button", name="Save").click()
    expect(form.dialog).to_have_count(0)
    press(page, "Test Connection", conn_id)
    toast = page.get_by_role("status").filter(has_text="Test Connection").last
    expect(toast).to_be_visible()
    return toast


@PLATFORMS
def test_the_form_shows_exactly_the_fields_with_their_help_texts(connections: Page, conn_type: str) -> None:
    general, standard = ["Connection ID", "Connection Type"], STANDARD_FIELDS[conn_type]
    help_texts = {field["label"]: field["description"] for field in INFO[conn_type]["conn-fields"].values()}
    extra = list(help_texts)
    form = Form(connections)
    form.begin("unsaved", conn_type)
    assert sorted(form.labels()) == sorted(general + standard)
    assert form.masked(standard) == MASKED.intersection(standard)
    form.open_section("Extra Fields")
    expect(form.input("Host")).to_be_hidden()
    assert form.labels() == general + extra
    assert form.masked(extra) == MASKED.intersection(extra)
    for label, text in help_texts.items():
        expect(form.field(label)).to_contain_text(text)
        assert ("*" in form.field(label).locator("label").inner_text()) == (label in REQUIRED), label
    expect(form.dialog.get_by_role("button", name="Save")).to_be_enabled(enabled=not REQUIRED)


@PLATFORMS
def test_a_saved_connection_is_tested_and_shown_again_without_its_secret(
    connections: Page, platform: Sandbox, airflow: LiveAirflow, conn_type: str
) -> None:
    conn_id, sections = f"{conn_type}_evening", entries(platform, conn_type)
    platform.add_campaign(campaign_type="sonarly" if conn_type == "sonarly" else "sms")
    account = "ag-sandbox-0000 has 1" if conn_type == "sonarly" else "acc-sandbox-0000/st-sandbox-0000 has"
    expect(enter(connections, conn_id, conn_type, sections)).to_contain_text(f"account {account}")
    assert [request.action for request in platform.requests].count("list") == 1

    press(connections, "Edit Connection", conn_id)
    form = Form(connections)
    for title, values in sections:
        form.open_section(title)
        for label, value in values.items():
            expect(form.input(label)).to_have_value("***" if label in MASKED else value)
    take_picture(form.dialog, f"connection-form-{conn_type}")
    stored = str(airflow.api("GET", f"/connections/{conn_id}"))
    assert not [value for label, value in sections[0][1].items() if label in MASKED and value in stored]


def test_the_test_button_says_what_to_fix_if_the_secret_is_wrong(connections: Page, platform: Sandbox) -> None:
    sections = entries(platform, "kore")
    sections[0][1]["Client Secret"] = "not-the-secret"
    toast = enter(connections, "wrong", "kore", sections)
    for text in ("HTTP 401", "Client Secret"):
        expect(toast).to_contain_text(text)
    take_picture(toast, "connection-test-kore")
