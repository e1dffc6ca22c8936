"""A response is whole and the one to the request that was sent, or its outcome is unknown."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignUnavailableError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.platforms.base import Action, ApiRequest
from tests.kinds import Connect
from tests.servers import RawServer

STOPPED = b'{"status": "Stopped", "message": "Campaign Stopped"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = OK + b"Content-Length: %d\r\n\r\n" % len(STOPPED) + STOPPED
BROKEN_DOWN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


@pytest.fixture
def stop(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Campaign]:
    """Return what sends one stop, and no second, by a client that all of a test's stops share."""
    hooks: list[CampaignHook] = []

    def stop(server: RawServer, campaign_id: str = "a", **extra: Any) -> Campaign:
        if not hooks:
            fields = {"iid": "st-1", "account_id": "acc-1", "timeout": 30, **extra}
            connect({"conn_type": "kore", "host": server.url, "login": "cs-1", "password": "x" * 32, "extra": fields})
            hooks.append(CampaignHook.for_conn_id("campaign_default"))
        client = hooks[0].client
        return client.requester.perform(ApiRequest(Action.STOP, campaign_id, "sms"), client.deadline(60))

    return stop


Stop = Callable[..., Campaign]

LATE = {
    "interim": (EARLY_HINTS, WHOLE),
    "after-204": (b"HTTP/1.1 204 No Content\r\n\r\n", WHOLE),
    "short-length": (OK + b"Content-Length: 2\r\n\r\n{}", WHOLE),
    "twice": (WHOLE, WHOLE),
    "chunked": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", WHOLE),
}
"""What a server says to the stop of A, and what follows when it receives another request on the same connection."""


@pytest.mark.timeout(30)
@pytest.mark.parametrize("how", LATE)
def test_a_late_response_is_never_taken_for_that_to_the_next_request(stop: Stop, how: str) -> None:
    first, late = LATE[how]
    used: set[socket.socket] = set()

    def speak(connection: socket.socket) -> None:
        if connection in used:
            connection.sendall(late)
        used.add(connection)
        connection.sendall(first if b"/a?" in server.requests[-1] else BROKEN_DOWN)

    with RawServer(speak, keeps_open=True) as server:
        if how == "twice":
            assert stop(server, "a").status == "Stopped"
        else:
            with pytest.raises(CampaignUnavailableError) as raised:
                stop(server, "a", timeout=0.3)
            assert raised.value.outcome_unknown
        with pytest.raises(CampaignUnavailableError, match="HTTP 500"):
            stop(server, "b")
        assert [b"/b?" in request for request in server.requests] == [False, True]


IN_A_CHUNK = OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(STOPPED) + STOPPED
NOT_WHOLE = {
    "interim": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "length-of-another-script": OK + b"Content-Length: \xb2\r\n\r\n" + STOPPED,
    "negative-length": OK + b"Content-Length: -1\r\n\r\n" + STOPPED,
    "no-length": OK + b"Content-Length:\r\n\r\n" + STOPPED,
    "two-lengths": OK + b"Content-Length: 7, 8\r\n\r\n" + STOPPED,
    "length": WHOLE[:-1],
    "chunk": IN_A_CHUNK,
    "last-chunk": IN_A_CHUNK + b"\r\n",
    "status-line": b"HTTP/1.1 429 T",
    "header": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1",
    "headers": b"HTTP/1.1 429 Too Many Requests\r\n",
    "chunk-size": IN_A_CHUNK + b"\r\n000",
    "last-chunk-size": IN_A_CHUNK + b"\r\n0\r",
    "trailer": IN_A_CHUNK + b"\r\n0\r\nX-Checksum: 1",
    "trailers": IN_A_CHUNK + b"\r\n0\r\n",
    "negative-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + STOPPED + b"\r\n0\r\n\r\n",
    "too-long": OK + b"Content-Length: %d\r\n\r\n" % (len(STOPPED) - 1) + STOPPED,
    "another-encoding": OK + b"Content-Encoding: br\r\n\r\n\x8b\x02\x80",
    "no-gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + STOPPED,
}


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", EARLY_HINTS * 3])
def test_an_interim_response_is_passed_over(stop: Stop, interim: bytes) -> None:
    with RawServer(lambda connection: connection.sendall(interim + WHOLE)) as server:
        assert stop(server).status == "Stopped"
        assert len(server.requests) == 1


@pytest.mark.parametrize("how", NOT_WHOLE)
def test_a_response_that_is_not_whole_is_an_unknown_outcome(stop: Stop, how: str) -> None:
    with (
        RawServer(lambda connection: connection.sendall(NOT_WHOLE[how])) as server,
        pytest.raises(CampaignUnavailableError) as raised,
    ):
        stop(server)
    assert raised.value.outcome_unknown


def test_a_header_that_can_not_be_read_is_not_logged(stop: Stop, caplog: pytest.LogCaptureFixture) -> None:
    def speak(connection: socket.socket) -> None:
        token = re.findall(rb"auth: (\S+)", server.requests[0])[0]
        connection.sendall(OK + token + b"\r\nContent-Length: 2\r\n\r\n" + STOPPED)

    with RawServer(speak) as server:
        assert stop(server).status == "Stopped"
    assert "eyJ" not in caplog.text


def test_a_response_about_another_campaign_is_an_unknown_outcome(stop: Stop) -> None:
    said = OK + b'\r\n{"status": "Stopped", "id": "cd-a"}'
    with (
        RawServer(lambda connection: connection.sendall(said)) as server,
        pytest.raises(CampaignUnavailableError, match="is about another campaign, 'cd-a'") as raised,
    ):
        stop(server, "cd-b")
    assert raised.value.outcome_unknown


@pytest.mark.timeout(30)
def test_a_connection_that_a_balancer_has_forgotten_is_not_used_again(stop: Stop) -> None:
    used: set[socket.socket] = set()

    def speak(connection: socket.socket) -> None:
        if connection not in used:  # what comes later is swallowed
            used.add(connection)
            connection.sendall(WHOLE)

    with RawServer(speak, keeps_open=True) as server:
        for campaign_id in "abc":
            assert stop(server, campaign_id).status == "Stopped"
        assert len(server.requests) == 3


@pytest.mark.timeout(30)
def test_a_connection_is_closed_once_its_response_was_read(stop: Stop) -> None:
    closed: Queue[bytes] = Queue()

    def speak(connection: socket.socket) -> None:
        connection.sendall(WHOLE)
        closed.put(connection.recv(1))

    with RawServer(speak) as server:
        stop(server)
        assert closed.get(timeout=60) == b""
    assert b"\r\nConnection: close\r\n" in server.requests[0]
