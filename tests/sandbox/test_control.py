"""The control API and the status page."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient

JSON = {"Content-Type": "application/json"}
Control = Callable[..., requests.Response]


@pytest.fixture
def control(sandbox: Sandbox) -> Control:
    def send(method: str, path: str, document: Any = None) -> requests.Response:
        url = f"{sandbox.url}/_sandbox/{path}"
        return requests.request(method, url, json=document, headers=JSON, timeout=20)

    return send


def test_the_state_has_campaigns_counters_settings_and_connections(
    sandbox: Sandbox, control: Control, kore: KoreClient, clock: VirtualClock
) -> None:
    sandbox.config.rate_limit = 2
    campaign = sandbox.add_campaign("cd-1", stop_delay=10)
    sandbox.add_campaign(campaign_type="sonarly", status="Stopped")
    for _ in range(3):
        kore.stop("cd-1")
    clock.advance(4)
    requests.get(sandbox.url, timeout=20)  # the page's requests and ours are none to the platform
    state = control("GET", "state").json()
    shown = {"id": "cd-1", "platform": "Kore.ai", "status": "Active", "live": True, "stop_requests": 2}
    shown |= {"pending": {"status": "Stopped", "seconds": 6.0}, "updated_at": campaign.updated_at}
    assert state["campaigns"][0].items() >= shown.items()
    counted = {"campaigns": 2, "live": 1, "stopped": 1, "requests": 3, "refused": 1, "window_used": 2}
    assert state["counters"] == counted
    assert state["config"]["rate_limit"] == 2
    assert list(state["connections"].values()) == list(sandbox.connections().values())
    # The page shows live campaigns and those that changed last.
    state = control("GET", "state?campaigns=1&requests=1&connections=0").json()
    assert [campaign["id"] for campaign in state["campaigns"]] == ["cd-1"]
    assert [received["action"] for received in state["requests"]] == ["stop"]
    assert (state["counters"], "connections" in state) == (counted, False)


def test_requests_are_shown_without_headers_bodies_and_tokens(
    sandbox: Sandbox, control: Control, kore: KoreClient, sonarly: SonarlyClient
) -> None:
    token = kore.token()
    kore.stop(sandbox.add_campaign("cd-1").id, auth=token)
    sonarly.list()
    response = control("GET", "requests")
    shown = [(row["action"], row["campaign_id"], row["status_code"]) for row in response.json()]
    assert shown == [("stop", "cd-1", 200), ("list", None, 200)]
    text = response.text + control("GET", "state?requests=9&connections=0").text
    assert not any(secret in text for secret in (token, sandbox.config.api_key, sandbox.config.client_secret))


def test_campaigns_faults_and_settings_can_be_changed(
    sandbox: Sandbox, control: Control, kore: KoreClient, sonarly: SonarlyClient
) -> None:
    one = control("POST", "campaigns", {"campaign_id": "cd-1", "stop_delay": 3, "restarts": 2})
    assert (one.status_code, one.json()["id"]) == (201, "cd-1")
    many = control("POST", "campaigns", [{"campaign_type": "voice"}, {"campaign_type": "sonarly"}])
    assert [campaign["campaign_type"] for campaign in many.json()] == ["voice", "sonarly"]
    assert control("PATCH", "campaigns/cd-1", {"status": "paused", "stoppable": False}).json()["status"] == "Paused"
    campaign = sandbox.campaign("cd-1")
    assert (campaign.status, campaign.stoppable, campaign.stop_delay, campaign.restarts) == ("Paused", False, 3, 2)
    assert control("DELETE", "campaigns/cd-1").status_code == 200
    voice, sonarlys = (campaign.id for campaign in sandbox.campaigns())

    planned = {"kind": "error", "action": "stop", "count": None, "status": 503}
    assert control("POST", "faults", planned).status_code == 201
    [fault] = control("GET", "state").json()["faults"]
    assert (fault["kind"], fault["count"], fault["options"]["status"]) == ("error", None, 503)
    assert kore.stop(voice, "voice").status_code == 503
    assert control("DELETE", "faults").status_code == 200
    assert kore.stop(voice, "voice").status_code == 200

    allowed = ["campaigns:read"]
    settings = {"ignore_sort": True, "clock_offset": -3600, "rate_limit": None, "sonarly_permissions": allowed}
    response = control("PATCH", "config", settings)
    assert response.status_code == 200
    assert response.json() == control("GET", "state").json()["config"] == sandbox.config.public_settings()
    assert response.json().items() >= {**settings, "stop_delay": 0.0}.items()
    assert sonarly.stop(sonarlys).status_code == 403
    assert control("POST", "reset").status_code == 200
    assert (sandbox.campaigns(), sandbox.requests) == ([], [])


def test_it_listens_on_the_loopback_interface_only(sandbox: Sandbox) -> None:
    assert sandbox.url == f"http://127.0.0.1:{sandbox.port}"
    with socket.socket() as elsewhere:
        elsewhere.settimeout(20)
        assert elsewhere.connect_ex(("127.0.0.2", sandbox.port)) != 0


def test_an_invalid_request_is_an_error_and_changes_nothing(sandbox: Sandbox, control: Control) -> None:
    sandbox.add_campaign("cd-1")
    invalid: list[tuple[str, str, Any, int]] = [
        ("POST", "campaigns", {"colour": "red"}, 400),
        ("POST", "campaigns", {"status": "Sleeping"}, 400),
        ("PATCH", "campaigns/cd-1", {"id": "cd-2"}, 400),
        ("PATCH", "campaigns/cd-nobody", {"status": "Active"}, 404),
        ("PATCH", "config", {"client_secret": "x"}, 400),
        ("PATCH", "config", [], 400),
        ("POST", "faults", {"kind": "explode"}, 400),
        ("POST", "faults", {"kind": "contradiction", "how": "magic"}, 400),
        ("GET", "nothing", None, 404),
    ]
    for method, path, document, status in invalid:
        assert control(method, path, document).status_code == status, (path, document)
    assert [campaign.id for campaign in sandbox.campaigns()] == ["cd-1"]


@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; application/json", "", None])
def test_a_request_that_any_page_may_send_changes_nothing(sandbox: Sandbox, content_type: str | None) -> None:
    sandbox.add_campaign("cd-1")
    for path, body in (("campaigns", '[{"campaign_id": "cd-2"}]'), ("faults", '{"kind": "error"}'), ("reset", "")):
        url, headers = f"{sandbox.url}/_sandbox/{path}", {"Content-Type": content_type}
        assert requests.post(url, body.encode(), headers=headers, timeout=20).status_code == 415
        # What a browser asks about first, it is not allowed.
        question = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "PATCH"}
        response = requests.options(url, headers=question, timeout=20)
        assert response.status_code == 405
        assert not any(name.lower().startswith("access-control") for name in response.headers)
    assert [campaign.id for campaign in sandbox.campaigns()] == ["cd-1"]
    assert sandbox.state.faults.describe() == []


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example:8765"])
def test_a_name_that_leads_here_is_given_nothing(sandbox: Sandbox, host: str) -> None:
    sandbox.add_campaign("cd-1")
    for method, path in (("GET", "/"), ("GET", "/_sandbox/state"), ("POST", "/_sandbox/reset")):
        response = requests.request(method, sandbox.url + path, headers={**JSON, "Host": host}, timeout=20)
        assert response.status_code == 400
        assert sandbox.config.client_secret not in response.text
    assert len(sandbox.campaigns()) == 1


def test_the_sandbox_page_is_self_contained_and_holds_no_secret(sandbox: Sandbox) -> None:
    response = requests.get(sandbox.url, headers={"Host": f"localhost:{sandbox.port}"}, timeout=20)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "<title>Campaign sandbox</title>" in response.text
    outside = ("src=", "https://", 'href="http', "@import", "innerHTML")
    for text in (*outside, sandbox.config.client_secret, sandbox.config.api_key):
        assert text not in response.text
