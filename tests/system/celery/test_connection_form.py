"""A person enters a connection in Airflow's own form, in a real browser, and presses Test."""

from __future__ import annotations

import re
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from playwright.sync_api import Locator, Page, expect

from airflow_provider_campaign.get_provider_info import get_provider_info
from airflow_provider_campaign.sandbox import Sandbox
from tests.system.celery.pictures import take_picture
from tests.system.live_airflow import VERSION, LiveAirflow

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        Version("3.1") > VERSION,
        reason="Airflow 3.0 has no Test button, and no provider's fields unless flask-appbuilder is installed",
    ),
]

STANDARD_FIELDS = {
    "kore": ["Description", "Host", "Client ID", "Client Secret", "Port"],
    "sonarly": ["Description", "Host", "API Key", "Port"],
}
EXTRA_FIELDS = {
    "kore": [
        "Application ID",
        "Account ID",
        "API Version",
        "JWT Algorithm",
        "JWT Subject",
        "Private Key",
        "Request Timeout (seconds)",
        "Retry Budget (seconds)",
        "CA Bundle",
        "Endpoints",
    ],
    "sonarly": ["Account Group ID", "Request Timeout (seconds)", "Retry Budget (seconds)", "CA Bundle"],
}
# Before 3.3 Airflow's form masks none of the extra fields, and before 3.2 it requires none.
MASKED = {"Client Secret", "API Key", "Private Key" if Version("3.3") <= VERSION else ""}
REQUIRED = {"Application ID", "Account ID", "Account Group ID"} if Version("3.2") <= VERSION else set()
SECRET_LABEL = {"kore": "Client Secret", "sonarly": "API Key"}
INFO = {info["connection-type"]: info for info in get_provider_info()["connection-types"]}


@pytest.fixture
def connections_page(airflow_page: Page, shared_airflow: LiveAirflow) -> Page:
    airflow_page.goto(f"{shared_airflow.url}/connections")
    return airflow_page


@pytest.fixture(params=["kore", "sonarly"])
def conn_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Form:
    """Airflow's dialogue for a connection, as a person sees it: sections, labels, help texts, values."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialog = page.get_by_role("dialog")

    @classmethod
    def new(cls, page: Page, conn_id: str, conn_type: str) -> Form:
        """Open the form for a new connection."""
        page.get_by_role("button", name="Add Connection").click()
        form = cls(page)
        form.fill("Connection ID", conn_id)
        form.input("Connection Type").fill(INFO[conn_type]["hook-name"])
        page.keyboard.press("Enter")
        expect(form.section("Standard Fields")).to_be_visible()
        return form

    def section(self, title: str) -> Locator:
        """Return the heading that opens and closes a section."""
        return self.dialog.get_by_role("button", name=title, exact=True)

    def open_section(self, title: str) -> None:
        """Open a section, unless it is open."""
        if self.section(title).get_attribute("aria-expanded") == "false":
            self.section(title).click()
        expect(self.section(title)).to_have_attribute("aria-expanded", "true")

    def field(self, label: str) -> Locator:
        """Return a field with its label and help text."""
        its_label = self.page.locator("label", has_text=re.compile(rf"^\s*{re.escape(label)}[\s*]*$"))
        return self.dialog.locator("[data-scope=field][data-part=root]").filter(has=its_label)

    def input(self, label: str) -> Locator:
        """Return what a field is typed into."""
        return self.field(label).locator("input, textarea").first

    def is_masked(self, label: str) -> bool:
        """Tell whether what is typed into a field can't be read."""
        return self.field(label).locator("input[type=password]").count() == 1

    def fill(self, label: str, value: str) -> None:
        """Type a value."""
        self.input(label).fill(value)

    def labels(self) -> list[str]:
        """Return the labels of the fields in view, without the mark of those that are required."""
        texts = self.dialog.locator("label:visible").all_inner_texts()
        return [text.replace("*", "").strip() for text in texts]

    def save(self) -> None:
        """Save, and wait until the form is gone."""
        self.dialog.get_by_role("button", name="Save").click()
        expect(self.dialog).to_have_count(0)


def entries(platform: Sandbox, conn_type: str) -> dict[str, str]:
    """Return what a person types for a connection to the sandbox, by label."""
    config = platform.config
    usual = {"Host": "http://127.0.0.1", "Port": str(platform.port)}
    if conn_type == "sonarly":
        return {**usual, "API Key": config.api_key, "Account Group ID": config.account_group_id}
    return {
        **usual,
        "Client ID": config.client_id,
        "Client Secret": config.client_secret,
        "Application ID": config.iid,
        "Account ID": config.account_id,
    }


def enter(page: Page, conn_id: str, conn_type: str, values: dict[str, str]) -> None:
    """Fill in the form for a new connection and save it."""
    form = Form.new(page, conn_id, conn_type)
    for title, labels in (("Standard Fields", STANDARD_FIELDS), ("Extra Fields", EXTRA_FIELDS)):
        form.open_section(title)
        for label in filter(values.__contains__, labels[conn_type]):
            form.fill(label, values[label])
    form.save()


def row(page: Page, conn_id: str) -> Locator:
    """Return the connection's row in the list."""
    return page.get_by_role("row").filter(has=page.get_by_text(conn_id, exact=True))


def press_test(page: Page, conn_id: str) -> Locator:
    """Press Test in the connection's row and return the message that Airflow shows."""
    row(page, conn_id).get_by_role("button", name="Test Connection").click()
    toast = page.get_by_role("status").filter(has_text="Test Connection").last
    expect(toast).to_be_visible()
    return toast


def test_the_form_shows_exactly_the_fields_with_their_help_texts(connections_page: Page, conn_type: str) -> None:
    form = Form.new(connections_page, "unsaved", conn_type)
    general = ["Connection ID", "Connection Type"]
    assert sorted(form.labels()) == sorted(general + STANDARD_FIELDS[conn_type])
    for label in STANDARD_FIELDS[conn_type]:
        assert form.is_masked(label) == (label in MASKED), label
    form.open_section("Extra Fields")
    expect(form.input("Host")).to_be_hidden()
    assert form.labels() == general + EXTRA_FIELDS[conn_type]
    described = {field["label"]: field["description"] for field in INFO[conn_type]["conn-fields"].values()}
    for label in EXTRA_FIELDS[conn_type]:
        expect(form.field(label)).to_contain_text(described[label])
        assert form.is_masked(label) == (label in MASKED), label
        assert ("*" in form.field(label).locator("label").inner_text()) == (label in REQUIRED), label
    expect(form.dialog.get_by_role("button", name="Save")).to_be_enabled(enabled=not REQUIRED)


def test_a_saved_connection_is_tested_and_shown_again_without_its_secret(
    connections_page: Page, platform: Sandbox, shared_airflow: LiveAirflow, conn_type: str
) -> None:
    conn_id, values = f"{conn_type}_evening", entries(platform, conn_type)
    platform.add_campaign(campaign_type="sonarly" if conn_type == "sonarly" else "sms")
    enter(connections_page, conn_id, conn_type, values)
    expected = (
        "account ag-sandbox-0000 has 1" if conn_type == "sonarly" else "account acc-sandbox-0000/st-sandbox-0000 has"
    )
    expect(press_test(connections_page, conn_id)).to_contain_text(expected)
    assert [request.action for request in platform.requests].count("list") == 1

    row(connections_page, conn_id).get_by_role("button", name="Edit Connection").click()
    form = Form(connections_page)
    for title, labels in (("Standard Fields", STANDARD_FIELDS), ("Extra Fields", EXTRA_FIELDS)):
        form.open_section(title)
        for label in filter(values.__contains__, labels[conn_type]):
            expect(form.input(label)).to_have_value("***" if label in MASKED else values[label])
    take_picture(form.dialog, f"connection-form-{conn_type}")
    stored: dict[str, Any] = shared_airflow.api("GET", f"/connections/{conn_id}")
    assert values[SECRET_LABEL[conn_type]] not in str(stored)
    shared_airflow.delete_connection(conn_id)


def test_the_test_button_says_what_to_fix_if_the_secret_is_wrong(
    connections_page: Page, platform: Sandbox, shared_airflow: LiveAirflow
) -> None:
    enter(connections_page, "wrong", "kore", {**entries(platform, "kore"), "Client Secret": "not-the-secret"})
    toast = press_test(connections_page, "wrong")
    for text in ("HTTP 401", "Client Secret"):
        expect(toast).to_contain_text(text)
    take_picture(toast, "connection-test-kore")
    shared_airflow.delete_connection("wrong")
