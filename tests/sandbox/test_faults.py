"""Which requests a fault meets, and what it leaves undone; the provider's own tests meet each kind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_campaign.sandbox import Campaign, Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS, LIST_FAULT_KINDS
from tests.sandbox.clients import KoreClient, SonarlyClient

TEXT = "You've exceeded the per-minute rate limit. Please wait for sometime before retrying."


@pytest.fixture
def campaign(sandbox: Sandbox) -> Campaign:
    return sandbox.add_campaign()


@pytest.fixture
def open_socket(sandbox: Sandbox, campaign: Campaign) -> Iterator[socket.socket]:
    """Return a connection on which a stop was sent."""
    kore = KoreClient(sandbox)
    url = urlsplit(sandbox.url + kore.path("trigger", campaign.id) + "&trigger=stop")
    head = [f"POST {url.path}?{url.query} HTTP/1.1", f"Host: {url.netloc}", "Content-Length: 2"]
    head += [f"{name}: {value}" for name, value in kore.headers().items()]
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=20) as connection:
        connection.sendall("\r\n".join([*head, "", "{}"]).encode())
        yield connection


INJECTED_RESPONSES: list[tuple[Fault, int, str]] = [
    (Fault("rate_limit"), 429, TEXT),
    (Fault("rate_limit_text"), 400, TEXT),
    (Fault("error"), 500, "errors"),
    (Fault("error", status=503, json=False), 503, ""),
    (Fault("html"), 502, "502 Bad Gateway"),
    (Fault("html_ok"), 200, "<h1>"),
    (Fault("empty"), 200, ""),
    (Fault("failure", message="No agent"), 200, "No agent"),
    (Fault("unauthorized"), 401, "errors"),
    (Fault("forbidden"), 403, "errors"),
    (Fault("conflict"), 409, "errors"),
    (Fault("bad_request"), 400, "errors"),
    (Fault("not_found"), 404, "errors"),
]


@pytest.mark.parametrize(
    ("fault", "status", "text"), INJECTED_RESPONSES, ids=lambda value: getattr(value, "kind", None)
)
def test_an_injected_response_replaces_the_platforms(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign, fault: Fault, status: int, text: str
) -> None:
    sandbox.add_fault(fault)
    response = kore.stop(campaign.id)
    assert response.status_code == status
    assert text in response.text
    assert bool(response.text) == bool(text)
    [received] = sandbox.requests
    assert (received.fault, received.status_code, campaign.stop_requests) == (fault.kind, status, 0)


def test_an_injected_error_has_each_platforms_format(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, campaign: Campaign
) -> None:
    sandbox.add_fault(Fault("failure"))
    assert kore.status(campaign.id).json()["status"] == "failure"
    for kind in ("failure", "unauthorized", "rate_limit", "error", "conflict"):
        sandbox.add_fault(Fault(kind))
        document = sonarly.list().json()
        assert document["success"] is False
        assert document["error"]["code"]
        assert document["traceId"]


def test_a_hang_sends_nothing_until_the_client_disconnects(
    sandbox: Sandbox, campaign: Campaign, kore: KoreClient
) -> None:
    sandbox.add_fault(Fault("hang"))
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            sandbox.url + kore.path("trigger", campaign.id) + "&trigger=stop",
            headers=kore.headers(),
            data="{}",
            timeout=0.1,
        )
    sandbox.wait_for(lambda sandbox: [received.fault for received in sandbox.requests] == ["hang"])
    assert sandbox.requests[0].status_code is None
    sandbox.add_fault(Fault("hang", seconds=0.01))
    with pytest.raises(requests.ConnectionError, match="without response"):
        kore.stop(campaign.id)
    assert campaign.stop_requests == 0


def receive_until(connection: socket.socket, wanted: bytes) -> bytes:
    received = b""
    while wanted not in received:
        piece = connection.recv(4096)
        assert piece, "the connection was closed"
        received += piece
    return received


@pytest.mark.parametrize(
    ("kind", "wanted", "header_ends"),
    [("dribble", b"1\r\n.\r\n1\r\n.\r\n", True), ("dribble_headers", b"X-Padding: ...", False)],
)
def test_a_response_can_come_byte_by_byte(
    sandbox: Sandbox, campaign: Campaign, kind: str, wanted: bytes, header_ends: bool, request: Any
) -> None:
    sandbox.add_fault(Fault(kind, interval=0.001))
    received = receive_until(request.getfixturevalue("open_socket"), wanted)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"\r\n\r\n" in received) == header_ends


def test_a_slow_request_is_executed_even_if_the_client_has_disconnected(
    sandbox: Sandbox, campaign: Campaign, request: Any
) -> None:
    sandbox.add_fault(Fault("slow", seconds=0.05))
    connection = request.getfixturevalue("open_socket")
    sandbox.wait_for(lambda sandbox: len(sandbox.requests) == 1)
    connection.close()
    sandbox.wait_for(lambda sandbox: sandbox.campaign(campaign.id).status == "Stopped")


@pytest.mark.parametrize(("how", "symptom"), [("reset", "Connection reset by peer"), ("hang", "Read timed out")])
def test_a_request_can_be_executed_without_a_response(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign, how: str, symptom: str
) -> None:
    sandbox.add_fault(Fault("lost", how=how))
    path = kore.path("trigger", campaign.id) + "&trigger=stop"
    with pytest.raises((requests.ConnectionError, requests.ReadTimeout), match=symptom):
        requests.post(sandbox.url + path, headers=kore.headers(), data="{}", timeout=0.2)
    sandbox.wait_for(lambda sandbox: campaign.status == "Stopped")
    assert campaign.stop_requests == 1
    assert sandbox.requests[0].status_code is None


def test_a_fault_applies_to_matching_requests_only(sandbox: Sandbox, kore: KoreClient) -> None:
    first, second = sandbox.add_campaign(), sandbox.add_campaign()
    sandbox.add_fault(Fault("error", action="stop", campaign_id=first.id, skip=1, count=2))
    codes = [(kore.stop(first.id).status_code, kore.stop(second.id).status_code) for _ in range(4)]
    assert codes == [(200, 200), (500, 409), (500, 409), (409, 409)]
    assert kore.status(first.id).status_code == 200


def test_a_fault_may_be_for_one_platform(sandbox: Sandbox, campaign: Campaign, sonarly: SonarlyClient) -> None:
    clients = [KoreClient(sandbox, "v1"), KoreClient(sandbox, "v2")]
    for platform, hit in (("kore-v2", [False, True, False]), ("kore", [True, True, False])):
        sandbox.add_fault(Fault("error", platform=platform, count=None))
        responses = [*(client.status(campaign.id) for client in clients), sonarly.list()]
        assert [response.status_code == 500 for response in responses] == hit
        sandbox.clear_faults()


def test_faults_come_in_the_order_in_which_they_were_planned(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign
) -> None:
    sandbox.add_fault(Fault("error", count=1))
    sandbox.add_fault(Fault("conflict", count=1))
    sandbox.add_fault(Fault("html", skip=3, count=None))
    codes = [kore.status(campaign.id).status_code for _ in range(5)]
    assert codes == [500, 409, 200, 502, 502]


def test_a_request_that_is_not_executed_does_not_count_as_one(
    sandbox: Sandbox, kore: KoreClient, campaign: Campaign
) -> None:
    sandbox.config.rate_limit = 1
    sandbox.add_fault(Fault("error", count=3))
    codes = [kore.status(campaign.id).status_code for _ in range(5)]
    assert codes == [500, 500, 500, 200, 429]


def test_every_kind_can_be_planned_and_no_other(sandbox: Sandbox) -> None:
    for kind in FAULT_KINDS | LIST_FAULT_KINDS:
        assert kind in repr(sandbox.add_fault(Fault(kind)))
    with pytest.raises(ValueError, match="unknown fault"):
        Fault("explode")
    with pytest.raises(TypeError, match="no option secnds"):
        Fault("hang", secnds=3)
    with pytest.raises(ValueError, match="how of 'lost'"):
        Fault("lost", how="magic")
