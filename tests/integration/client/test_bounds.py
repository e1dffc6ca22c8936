"""What holds whatever the other side does: sizes, times, redirects, certificates."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.client.transport import MAX_RESPONSE_BYTES
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignRequestError, CampaignUnavailableError
from airflow_provider_campaign.operators.campaign import StopCampaignOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.certificates import Authority
from tests.kinds import SONARLY, Connect
from tests.servers import RawServer, Speak, read_request

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("clock")]

PACE = 0.02
"""Seconds between two bytes: far less than any time-out of a socket."""

IMPATIENT = {"timeout": 0.3, "retry_budget": 0.2}
"""Seconds after which a response that never ends is given up; all others have time, however busy the machine is."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STOPPED = b'{"success": true, "data": {"campaign": {"id": "c1", "status": "stopped"}, "id": "c1", "status": "stopped"}}'
NO_RESPONSE = "no response within the time-out"
NO_CONNECTION = "no connection within the time-out"


def connection_to(url: str, **extra: Any) -> dict[str, Any]:
    extra = {"account_group_id": "ag", "timeout": 30, "retry_budget": 60, **extra}
    return {"conn_type": "sonarly", "host": url, "password": "sk_live_bounds", "extra": extra}


def stop() -> dict[str, Any]:
    return StopCampaignOperator(task_id="stop", campaign_id="c1").execute({})


def responding(body: bytes, head: bytes = OK) -> Speak:
    """Return what responds properly."""
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + length + body)


def dribbling(beginning: bytes, piece: bytes = b".") -> Speak:
    """Return what begins a response and then sends a piece now and then, for ever."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            time.sleep(PACE)  # the pace is what is tested
            connection.sendall(piece)

    return speak


def tunnel(context: ssl.SSLContext, speak: Speak, requests: list[bytes] | None = None) -> Speak:
    """
    Return what a proxy does that leads to a platform: it takes a CONNECT, and then the platform's TLS.

    :param requests: Where to keep the requests that the platform received.
    """

    def take(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as inner:
            request = read_request(inner)
            if requests is not None:
                requests.append(request)
            speak(inner)

    return take


NEVER_ENDING = {
    "status-line": dribbling(b"HTTP/1.1 200 "),
    "interim-responses": dribbling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header": dribbling(OK + b"X-Padding: "),
    "headers": dribbling(OK, b"X-Padding: .\r\n"),
    "body": dribbling(OK + b"Content-Length: 1000000\r\n\r\n"),
    "body-without-length": dribbling(OK + b"Connection: close\r\n\r\n"),
    "chunks": dribbling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n.\r\n"),
    "chunk-size": dribbling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": dribbling(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: .\r\n"),
    "packed-header": dribbling(OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03"),
    "redirect": dribbling(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 1000000\r\n\r\n"),
}


def dribble_a_handshake(connection: socket.socket) -> None:
    """Take a CONNECT, and what begins a TLS session."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(1)
    dribbling(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0")(connection)


NEVER_CONNECTING = {
    "status-line": dribbling(b"HTTP/1.1 200 "),
    "header": dribbling(b"HTTP/1.1 200 OK\r\nX-Padding: "),
    "headers": dribbling(b"HTTP/1.1 200 OK\r\n", b"X-Padding: .\r\n"),
    "handshake": dribble_a_handshake,
}
"""What a proxy may say to a CONNECT that comes to no end."""

FAR = "https://platform.test"
"""A host that only a proxy leads to."""


def through(proxy: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the environment say that requests go by way of a proxy."""
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


@contextmanager
def swallowing_addresses(count: int) -> Iterator[list[tuple[str, int]]]:
    """Yield addresses on loopback that take no further connection and refuse none: their queues are full."""
    with ExitStack() as stack:
        addresses = []
        for number in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind((f"127.0.0.{number + 1}", 0))
            listener.listen(0)
            addresses.append(listener.getsockname())
            for _ in range(4):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(addresses[-1])
        yield addresses


def resolve(monkeypatch: pytest.MonkeyPatch, look_up: Callable[[], list[tuple[str, int]]]) -> None:
    """Have the system's resolver know the host that is no address."""
    resolver = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        if not FAR.endswith(host):
            return list(resolver(host, *args, **kwargs))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in look_up()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# Time.


@pytest.mark.parametrize(
    ("part", "is_tls"), [*((part, False) for part in NEVER_ENDING), ("header", True), ("body", True)]
)
def test_a_response_that_never_ends_times_out(connect: Connect, authority: Authority, part: str, is_tls: bool) -> None:
    with RawServer(NEVER_ENDING[part], authority.server_context() if is_tls else None) as server:
        connect(connection_to(server.url, ca_bundle=str(authority.bundle), **IMPATIENT))
        with pytest.raises(CampaignUnavailableError, match=NO_RESPONSE):
            stop()


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_response_that_never_ends_times_out_through_a_proxy_too(
    connect: Connect, authority: Authority, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    with RawServer(tunnel(authority.server_context("platform.test"), NEVER_ENDING[part])) as proxy:
        through(proxy, monkeypatch)
        connect(connection_to(FAR, ca_bundle=str(authority.bundle), **IMPATIENT))
        with pytest.raises(CampaignUnavailableError, match=NO_RESPONSE):
            stop()
        assert proxy.requests[0].startswith(b"CONNECT platform.test:443 ")


@pytest.mark.parametrize("part", NEVER_CONNECTING)
def test_a_proxy_that_never_connects_times_out(connect: Connect, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    with RawServer(NEVER_CONNECTING[part]) as proxy:
        through(proxy, monkeypatch)
        connect(connection_to(FAR, **IMPATIENT))
        with pytest.raises(
            CampaignUnavailableError, match=f"{NO_CONNECTION}, by way of the proxy that the environment names"
        ):
            stop()


def test_a_tls_handshake_that_nobody_answers_times_out(connect: Connect) -> None:
    with RawServer(responding(STOPPED)) as server:  # it waits for the end of a request
        connect(connection_to(f"https://127.0.0.1:{server.port}", **IMPATIENT))
        with pytest.raises(CampaignUnavailableError, match=NO_CONNECTION):
            stop()


def test_a_resolver_that_does_not_answer_times_out(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def look_up() -> list[tuple[str, int]]:
        answers.wait()
        return []

    resolve(monkeypatch, look_up)
    connect(connection_to(FAR, **IMPATIENT))
    try:
        with pytest.raises(CampaignUnavailableError, match=NO_CONNECTION):
            stop()
    finally:
        answers.set()


@pytest.mark.timeout(8)
def test_all_addresses_of_a_host_together_have_the_time_of_one_request(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with swallowing_addresses(6) as addresses:
        resolve(monkeypatch, lambda: addresses)
        connect(connection_to(FAR, timeout=1, retry_budget=0.2))  # two attempts
        with pytest.raises(CampaignUnavailableError, match=NO_CONNECTION):
            stop()


def test_an_address_that_swallows_packets_does_not_hide_the_next(
    connect: Connect, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        swallowing_addresses(2) as addresses,
        RawServer(responding(STOPPED), authority.server_context("platform.test")) as server,
    ):
        resolve(monkeypatch, lambda: [*addresses, ("127.0.0.1", server.port)])
        connect(connection_to(FAR, ca_bundle=str(authority.bundle), timeout=1.5))
        assert stop()["status"] == "Stopped"


def test_the_retry_budget_ends_even_a_request_that_might_take_hours(
    sandbox: Sandbox, connect: Connect, clock: VirtualClock
) -> None:
    campaign = SONARLY.add_campaign(sandbox)
    sandbox.add_fault(Fault("dribble", count=None))
    connect(SONARLY.connection(sandbox, timeout=7200, retry_budget=0.3))
    with pytest.raises(CampaignUnavailableError):
        SONARLY.stop(campaign.id).execute({})
    assert clock.passed <= 1


# Proxies and redirects.


def test_a_request_that_went_through_a_proxy_may_have_reached_the_platform(
    connect: Connect, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speak(connection: socket.socket) -> None:
        if len(received) > 1:
            responding(STOPPED)(connection)

    received: list[bytes] = []
    with RawServer(tunnel(authority.server_context("platform.test"), speak, received)) as proxy:
        through(proxy, monkeypatch)
        connect(connection_to(FAR, ca_bundle=str(authority.bundle)))
        assert stop()["status"] == "Stopped"
        assert [request.split(b" ")[0] for request in received] == [b"POST", b"GET"]


def test_a_proxy_that_refuses_is_named_and_nothing_was_sent(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with RawServer(lambda connection: connection.sendall(refusal)) as proxy:
        through(proxy, monkeypatch)
        connect(connection_to(FAR, retry_budget=0.2))
        with pytest.raises(
            CampaignUnavailableError, match="no connection could be made, by way of the proxy"
        ) as raised:
            stop()
        assert not raised.value.outcome_unknown


def test_a_socks_proxy_is_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    connect(connection_to(FAR, retry_budget=0.2))
    with pytest.raises(CampaignUnavailableError, match="an HTTP proxy is expected, by way of the proxy"):
        stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST"])
def test_nothing_for_loopback_goes_to_a_proxy(connect: Connect, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with RawServer(responding(STOPPED)) as proxy, RawServer(responding(STOPPED)) as server:
        through(proxy, monkeypatch)
        connect(connection_to(f"http://{host}:{server.port}"))
        assert stop()["status"] == "Stopped"
        assert (len(server.requests), proxy.requests) == (1, [])


def test_nothing_is_sent_to_where_a_redirect_leads(sandbox: Sandbox, connect: Connect) -> None:
    with RawServer(responding(STOPPED)) as elsewhere:
        campaign = SONARLY.add_campaign(sandbox)
        sandbox.add_fault(Fault("redirect", location=f"{elsewhere.url}/v1", status=307))
        connect(sandbox.sonarly_connection())
        with pytest.raises(CampaignRequestError):
            SONARLY.stop(campaign.id).execute({})
        assert elsewhere.requests == []


# Sizes.


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_response_above_the_limit_is_refused(sandbox: Sandbox, connect: Connect, chunked: bool) -> None:
    campaign = SONARLY.add_campaign(sandbox)
    sandbox.add_fault(Fault("huge", size=MAX_RESPONSE_BYTES + 1, chunked=chunked, count=None))
    connect(SONARLY.connection(sandbox, timeout=30, retry_budget=60))
    with pytest.raises(CampaignUnavailableError, match=rf"the response is .* {MAX_RESPONSE_BYTES} (bytes )?accepted"):
        SONARLY.stop(campaign.id).execute({})


def test_a_response_at_the_limit_is_read(connect: Connect) -> None:
    with RawServer(responding(STOPPED.ljust(MAX_RESPONSE_BYTES))) as server:
        connect(connection_to(server.url))
        assert stop()["status"] == "Stopped"


def test_a_response_that_unpacks_to_more_than_the_limit_is_refused(connect: Connect) -> None:
    packed = gzip.compress(b" " * (4 * MAX_RESPONSE_BYTES))
    with RawServer(responding(packed, OK + b"Content-Encoding: gzip\r\n")) as server:
        connect(connection_to(server.url, retry_budget=1))
        with pytest.raises(CampaignUnavailableError, match="the response is longer than"):
            stop()


@pytest.mark.parametrize(
    "head", [OK, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n"], ids=["a response", "a redirect"]
)
def test_a_body_that_is_declared_too_long_is_not_read(connect: Connect, head: bytes) -> None:
    taken = 0

    def speak(connection: socket.socket) -> None:
        nonlocal taken
        connection.sendall(head + b"Content-Length: 1000000000\r\n\r\n")
        for _ in range(1000):
            taken += connection.send(b" " * 1_000_000)

    with RawServer(speak) as server:
        connect(connection_to(server.url, retry_budget=1))
        with pytest.raises(CampaignUnavailableError, match="the response is 1000000000 bytes long"):
            stop()
    assert taken < 100_000_000  # no more than the buffers of both sides hold, a few times


# Certificates.


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"], ids=["an unknown authority", "another host"])
def test_a_certificate_that_can_not_be_verified_is_refused(
    connect: Connect, authority: Authority, address: str
) -> None:
    with RawServer(responding(STOPPED), authority.server_context(address)) as server:
        connect(connection_to(server.url, ca_bundle=str(authority.bundle) if address == "127.0.0.2" else None))
        with pytest.raises(CampaignConfigError, match=r"certificate could not be verified.*CA Bundle \(ca_bundle\)"):
            stop()
        assert server.requests == []


@pytest.mark.parametrize(
    ("field", "variables"),
    [
        ("ours", {"REQUESTS_CA_BUNDLE": "another", "CURL_CA_BUNDLE": "another"}),
        (None, {"REQUESTS_CA_BUNDLE": "ours"}),
    ],
    ids=["field", "environment"],
)
def test_a_private_authority_is_trusted_by_field_or_environment(
    connect: Connect,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    field: str | None,
    variables: dict[str, str],
) -> None:
    bundles = {"ours": str(authority.bundle), "another": str(Authority(tmp_path, "another").bundle), None: None}
    for variable, name in variables.items():
        monkeypatch.setenv(variable, str(bundles[name]))
    with RawServer(responding(STOPPED), authority.server_context()) as server:
        connect(connection_to(server.url, ca_bundle=bundles[field]))
        assert stop()["status"] == "Stopped"
        assert len(server.requests) == 1


def test_a_ca_bundle_without_a_certificate_is_named(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle.pem").write_text("no certificate\n")
    connect(connection_to("https://127.0.0.1:9", ca_bundle=str(tmp_path / "bundle.pem")))
    with pytest.raises(CampaignConfigError, match=r"CA Bundle \(ca_bundle\)"):
        stop()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    connect(connection_to("https://127.0.0.1:9"))
    with pytest.raises(CampaignConfigError, match=r"'/nowhere/bundle.pem' .* holds no certificate. Nothing was sent"):
        stop()
