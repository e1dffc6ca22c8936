"""The control API and the status page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
import requests

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.seeds import SEEDS
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient


class ControlClient:
    """A client of the control API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = sandbox.url + "/_sandbox/"

    def send(self, method: str, path: str, document: Any = None) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        return requests.request(method, self.url + path, json=document, headers=headers, timeout=20)

    def state(self, query: str = "") -> dict[str, Any]:
        document: dict[str, Any] = self.send("GET", "state" + query).json()
        return document


@pytest.fixture
def control(sandbox: Sandbox) -> ControlClient:
    return ControlClient(sandbox)


def test_the_state_has_campaigns_counters_settings_and_connections(
    sandbox: Sandbox, control: ControlClient, kore_v1: KoreClient, clock: VirtualClock
) -> None:
    sandbox.config.rate_limit = 2
    campaign = sandbox.add_campaign("cd-1", stop_delay=10)
    sandbox.add_campaign(campaign_type="sonarly", status="Stopped")
    for _ in range(3):
        kore_v1.stop("cd-1")
    clock.advance(4)
    state = control.state()
    first = state["campaigns"][0]
    assert (first["id"], first["platform"], first["status"], first["live"]) == (
        "cd-1",
        "Kore.ai",
        "Active",
        True,
    )
    assert first["pending"] == {"status": "Stopped", "seconds": 6.0}
    assert (first["stop_requests"], first["updated_at"]) == (2, campaign.updated_at)
    assert state["counters"] == {
        "campaigns": 2,
        "live": 1,
        "stopped": 1,
        "requests": 3,
        "refused": 1,
        "window_used": 2,
    }
    assert state["config"]["rate_limit"] == 2
    assert state["connections"] == {
        "kore": sandbox.kore_connection(),
        "kore_v2": sandbox.kore_connection("v2"),
        "sonarly": sandbox.sonarly_connection(),
    }


def test_a_short_state_shows_live_campaigns_and_those_that_changed_last(
    sandbox: Sandbox, control: ControlClient, clock: VirtualClock
) -> None:
    for number, status in enumerate(["Stopped", "Stopped", "Active", "Stopped"]):
        sandbox.add_campaign(f"cd-{number}", status=status)
        clock.advance(1)
    KoreClient(sandbox).status("cd-2")
    state = control.state("?campaigns=2&requests=5&connections=0")
    assert [campaign["id"] for campaign in state["campaigns"]] == ["cd-2", "cd-3"]
    assert state["counters"]["campaigns"] == 4
    assert [received["action"] for received in state["requests"]] == ["status"]
    assert "connections" not in state


def test_requests_are_shown_without_headers_bodies_and_tokens(
    sandbox: Sandbox, control: ControlClient, kore_v1: KoreClient, sonarly: SonarlyClient
) -> None:
    token = kore_v1.token()
    kore_v1.stop(sandbox.add_campaign("cd-1").id, auth=token)
    sonarly.list()
    response = control.send("GET", "requests")
    assert [(row["action"], row["campaign_id"], row["status_code"]) for row in response.json()] == [
        ("stop", "cd-1", 200),
        ("list", None, 200),
    ]
    for text in (response.text, control.send("GET", "state?requests=9&connections=0").text):
        for secret in (token, sandbox.config.api_key, sandbox.config.client_secret):
            assert secret not in text


def test_campaigns_can_be_added_changed_and_removed(sandbox: Sandbox, control: ControlClient) -> None:
    one = control.send("POST", "campaigns", {"campaign_id": "cd-1", "stop_delay": 3, "name": "One"})
    assert (one.status_code, one.json()["id"]) == (201, "cd-1")
    many = control.send("POST", "campaigns", [{"campaign_type": "voice"}, {"campaign_type": "sonarly"}])
    assert [campaign["campaign_type"] for campaign in many.json()] == ["voice", "sonarly"]
    changed = control.send("PATCH", "campaigns/cd-1", {"status": "paused", "stoppable": False})
    assert changed.json()["status"] == "Paused"
    campaign = sandbox.campaign("cd-1")
    assert (campaign.status, campaign.stoppable, campaign.stop_delay) == ("Paused", False, 3)
    assert control.send("DELETE", "campaigns/cd-1").status_code == 200
    assert len(sandbox.campaigns()) == 2


@pytest.mark.parametrize(
    ("method", "path", "document", "status"),
    [
        ("POST", "campaigns", {"colour": "red"}, 400),
        ("POST", "campaigns", {"status": "Sleeping"}, 400),
        ("POST", "campaigns", "text", 400),
        ("POST", "campaigns", None, 400),
        ("PATCH", "campaigns/cd-1", {"id": "cd-2"}, 400),
        ("PATCH", "campaigns/cd-nobody", {"status": "Active"}, 404),
        ("DELETE", "campaigns/cd-nobody", None, 404),
        ("PATCH", "config", {"port": 1}, 400),
        ("PATCH", "config", {"client_secret": "x"}, 400),
        ("PATCH", "config", [], 400),
        ("POST", "faults", {"kind": "explode"}, 400),
        ("POST", "faults", {"kind": "contradiction", "how": "magic"}, 400),
        ("POST", "faults", {}, 400),
        ("POST", "faults", [], 400),
        ("GET", "nothing", None, 404),
    ],
)
def test_an_invalid_request_is_an_error_and_changes_nothing(
    sandbox: Sandbox, control: ControlClient, method: str, path: str, document: Any, status: int
) -> None:
    sandbox.add_campaign("cd-1")
    assert control.send(method, path, document).status_code == status
    assert [campaign.id for campaign in sandbox.campaigns()] == ["cd-1"]


POSTS = [("campaigns", '[{"campaign_id": "cd-2"}]'), ("faults", '{"kind": "error"}'), ("reset", "")]
SIMPLE_TYPES = ["text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "", None]


@pytest.mark.parametrize("content_type", SIMPLE_TYPES)
@pytest.mark.parametrize(("path", "body"), POSTS)
def test_what_a_page_of_another_origin_can_send_without_a_question_changes_nothing(
    sandbox: Sandbox, path: str, body: str, content_type: str | None
) -> None:
    sandbox.add_campaign("cd-1")
    url = f"{sandbox.url}/_sandbox/{path}"
    response = requests.post(url, body.encode(), headers={"Content-Type": content_type}, timeout=20)
    assert response.status_code == 415
    assert [campaign.id for campaign in sandbox.campaigns()] == ["cd-1"]
    assert sandbox.state.faults.describe() == []


@pytest.mark.parametrize(("method", "path"), [("DELETE", "campaigns/cd-1"), ("PATCH", "config"), ("POST", "reset")])
def test_what_a_browser_asks_about_first_is_not_allowed(sandbox: Sandbox, method: str, path: str) -> None:
    question = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": method}
    response = requests.options(f"{sandbox.url}/_sandbox/{path}", headers=question, timeout=20)
    assert response.status_code == 405
    assert not any(name.lower().startswith("access-control") for name in response.headers)


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "127.0.0.1.elsewhere.example:8765", "localhost.elsewhere.example"]
)
@pytest.mark.parametrize("path", ["/", "/_sandbox/state", "/_sandbox/reset"])
def test_a_page_of_another_name_that_leads_here_is_given_nothing(sandbox: Sandbox, path: str, host: str) -> None:
    sandbox.add_campaign("cd-1")
    headers = {"Host": host, "Content-Type": "application/json"}
    method = "POST" if path.endswith("reset") else "GET"
    response = requests.request(method, sandbox.url + path, headers=headers, timeout=20)
    assert response.status_code == 400
    assert sandbox.config.client_secret not in response.text
    assert len(sandbox.campaigns()) == 1


def test_the_page_can_be_opened_as_localhost(sandbox: Sandbox) -> None:
    headers = {"Host": f"localhost:{sandbox.port}"}
    assert requests.get(sandbox.url, headers=headers, timeout=20).status_code == 200


def test_faults_can_be_planned_and_cleared(sandbox: Sandbox, control: ControlClient, kore_v1: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    response = control.send("POST", "faults", {"kind": "error", "action": "stop", "count": None, "status": 503})
    assert response.status_code == 201
    [planned] = control.state()["faults"]
    assert (planned["kind"], planned["count"], planned["options"]["status"]) == ("error", None, 503)
    assert kore_v1.stop(campaign.id).status_code == 503
    assert control.send("DELETE", "faults").status_code == 200
    assert kore_v1.stop(campaign.id).status_code == 200


def test_a_reset_removes_campaigns_and_requests(sandbox: Sandbox, control: ControlClient) -> None:
    sandbox.add_campaign()
    assert control.send("POST", "reset").status_code == 200
    assert control.state()["campaigns"] == []


def test_control_and_page_are_not_platform_requests(sandbox: Sandbox, control: ControlClient) -> None:
    control.state()
    requests.get(sandbox.url, timeout=20)
    assert sandbox.requests == []
    assert control.state()["counters"]["requests"] == 0


def test_the_page_is_self_contained_and_holds_no_secret(sandbox: Sandbox) -> None:
    response = requests.get(sandbox.url, timeout=20)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "<title>Campaign sandbox</title>" in response.text
    for outside in ("src=", "https://", 'href="http', "@import", "innerHTML"):
        assert outside not in response.text
    for secret in (sandbox.config.client_secret, sandbox.config.api_key):
        assert secret not in response.text


class Buttons(HTMLParser):
    """The buttons of a page: their label with the request that each sends."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.requests: dict[str, dict[str, str | None]] = {}
        self._attributes: dict[str, str | None] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes = dict(attrs) if tag == "button" else None

    def handle_data(self, data: str) -> None:
        if self._attributes is not None:
            self.requests[data] = self._attributes
        self._attributes = None


def press(sandbox: Sandbox, label: str) -> requests.Response:
    """Send what a button of the page sends."""
    button = Buttons(requests.get(sandbox.url, timeout=20).text).requests[label]
    headers = {"Content-Type": "application/json"}
    url = f"{sandbox.url}{button['data-path']}"
    return requests.request(str(button["data-method"]), url, data=button.get("data-body"), headers=headers, timeout=20)


def test_the_page_has_a_button_that_adds_a_campaign_of_each_type(sandbox: Sandbox) -> None:
    for count in (1, 2):
        assert press(sandbox, "Add campaigns").status_code == 201
        types = [(campaign.campaign_type, campaign.status) for campaign in sandbox.campaigns()]
        assert types == [("sms", "Active"), ("voice", "Active"), ("sonarly", "Active")] * count


def test_the_page_has_a_button_that_resets(sandbox: Sandbox, kore_v1: KoreClient) -> None:
    kore_v1.stop(sandbox.add_campaign().id)
    assert press(sandbox, "Reset").status_code == 200
    assert (sandbox.campaigns(), sandbox.requests) == ([], [])


def test_a_reset_brings_the_campaigns_of_the_start_back() -> None:
    with Sandbox(campaigns=3) as sandbox:
        sandbox.remove_campaign("cd-sms-evening-1")
        sandbox.set_status("cd-voice-evening-1", "Stopped")
        press(sandbox, "Add campaigns")
        press(sandbox, "Reset")
        campaigns = {campaign.id: campaign.status for campaign in sandbox.campaigns()}
        assert campaigns == {campaign_id: status for campaign_id, _, status, _ in SEEDS[:3]}


SETTINGS: dict[str, Any] = {
    "ignore_sort": True,
    "ignore_filters": True,
    "clock_offset": -3600,
    "start_status_word": "preparing",
    "sonarly_permissions": ["campaigns:read"],
    "rate_limit": None,
}


def test_settings_can_be_changed(sandbox: Sandbox, control: ControlClient) -> None:
    response = control.send("PATCH", "config", SETTINGS)
    assert response.status_code == 200
    assert response.json() == control.state()["config"] == sandbox.config.public_settings()
    assert response.json().items() >= SETTINGS.items()
    assert response.json()["stop_delay"] == 0.0


def test_a_changed_setting_takes_effect(sandbox: Sandbox, control: ControlClient, sonarly: SonarlyClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="sonarly")
    control.send("PATCH", "config", SETTINGS)
    assert sonarly.stop(campaign.id).status_code == 403


def test_restarts_can_be_set_and_changed(sandbox: Sandbox, control: ControlClient) -> None:
    control.send("POST", "campaigns", {"campaign_id": "cd-1", "restarts": 3, "restart_delay": 7})
    campaign = sandbox.campaign("cd-1")
    assert (campaign.restarts, campaign.restart_delay) == (3, 7)
    control.send("PATCH", "campaigns/cd-1", {"restarts": 0})
    assert campaign.restarts == 0


def test_a_contradiction_can_be_planned(sandbox: Sandbox, control: ControlClient, kore_v1: KoreClient) -> None:
    sandbox.add_campaign()
    control.send("POST", "faults", {"kind": "contradiction", "how": "more"})
    assert control.state()["faults"][0]["action"] == "list"
    assert kore_v1.list().json()["data"]["hasMore"] is True
