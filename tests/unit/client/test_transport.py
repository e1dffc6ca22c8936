"""One request over a real socket: a whole response in time, or an error that says whether anything was sent."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from airflow_provider_campaign.client import transport
from airflow_provider_campaign.client.transport import CertificateError, NotSent, OutcomeUnknown, Transport
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse
from tests.certificates import Authority
from tests.servers import RawServer, Speak, read_request

pytestmark = pytest.mark.timeout(30)

Patch = pytest.MonkeyPatch
PACE = 0.02  # seconds between two bytes: far less than any time-out of a socket
IMPATIENT = 0.3
"""Seconds after which a response that never ends is abandoned; all others have time, however busy the machine is."""

FAR = "https://platform.test"  # a host that only a proxy leads to
OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"status": "Stopped"}'
WHOLE = OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
IN_A_CHUNK = CHUNKED + b"%x\r\n" % len(BODY) + BODY
NO_CONNECTION, LATE = "no connection within the time-out", "no response within the time-out"
BROKE_OFF = "the response broke off or was not HTTP"
BY_PROXY = ", by way of the proxy that the environment names"


def send(url: str, seconds: float = 60, ca_bundle: Path | None = None) -> HttpResponse:
    return Transport(url, str(ca_bundle or "") or None).send_request(HttpRequest("POST", "/stop", {}), dict, seconds)


def failure(url: str, seconds: float = 60, ca_bundle: Path | None = None) -> tuple[type[Exception], str]:
    with pytest.raises((NotSent, OutcomeUnknown)) as caught:
        send(url, seconds, ca_bundle)
    return caught.type, str(caught.value)


def saying(response: bytes) -> Speak:
    return lambda connection: connection.sendall(response)


def dribbling(beginning: bytes, piece: bytes = b".") -> Speak:
    """Return what begins a response and then sends a piece now and then, for ever."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            time.sleep(PACE)  # the pace is what is tested
            connection.sendall(piece)

    return speak


def tunnel(context: ssl.SSLContext, speak: Speak) -> Speak:
    """Return what a proxy does that leads to a platform: it takes a CONNECT, and then the platform's TLS."""

    def take(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as inner:
            read_request(inner)
            speak(inner)

    return take


@contextmanager
def proxy(speak: Speak, monkeypatch: Patch, credentials: str = "") -> Iterator[RawServer]:
    """Have the environment say that requests go by way of a proxy."""
    with RawServer(speak) as server:
        for variable in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(variable, f"http://{credentials}127.0.0.1:{server.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# What a server says.

ZIPPED = OK + b"Content-Encoding: gzip\r\n\r\n"
BLANKS = b" " * (transport.MAX_RESPONSE_BYTES + 1)
NEVER_ENDING = {
    "status-line": dribbling(b"HTTP/1.1 200 "),
    "interim-responses": dribbling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header": dribbling(OK + b"X-Padding: "),
    "body": dribbling(OK + b"Content-Length: 1000000\r\n\r\n"),
    "chunk-size": dribbling(CHUNKED, b"0"),
    "trailers": dribbling(CHUNKED + b"0\r\n", b"X: .\r\n"),
}
TOO_LONG = (
    OK + b"Content-Length: %d\r\n\r\n" % len(BLANKS) + BLANKS,
    OK + b"\r\n" + BLANKS,
    ZIPPED + gzip.compress(BLANKS),
)
NO_LENGTH = (
    OK + b"Content-Length: \xb2\r\n\r\n" + BODY,
    OK + b"Content-Length: -1\r\n\r\n" + BODY,
    OK + b"Content-Length: 7, 8\r\n\r\n" + BODY,
    OK + b"Content-Length: 7\r\nContent-Length: 8\r\n\r\n" + BODY,
)
NOT_WHOLE = (
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
    WHOLE[:-1],
    IN_A_CHUNK + b"\r\n",
    b"HTTP/1.1 429 T",
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1",
    b"HTTP/1.1 404 Not Found\r\n\r\n",
    CHUNKED,
    CHUNKED + b"-5\r\n" + BODY + b"\r\n0\r\n\r\n",
    ZIPPED + gzip.compress(BODY)[:-1],
    ZIPPED + BODY,
)
UNUSABLE = [
    *((speak, LATE) for speak in NEVER_ENDING.values()),
    *(
        (saying(said), f"the response is longer than the {transport.MAX_RESPONSE_BYTES} bytes accepted")
        for said in TOO_LONG
    ),
    *((saying(said), "the response's Content-Length is not a number") for said in NO_LENGTH),
    *((saying(said), BROKE_OFF) for said in NOT_WHOLE),
]


@pytest.mark.parametrize(("speak", "problem"), UNUSABLE)
def test_a_response_that_is_not_whole_in_time_and_size_is_an_unknown_outcome(speak: Speak, problem: str) -> None:
    with RawServer(speak) as server:
        assert failure(server.url, IMPATIENT if problem == LATE else 60) == (OutcomeUnknown, problem)


@pytest.mark.parametrize(
    "said", [OK + b"\r\n" + BODY.ljust(transport.MAX_RESPONSE_BYTES), ZIPPED + gzip.compress(BODY)], ids=len
)
def test_a_response_at_the_limit_or_compressed_unasked_is_read(said: bytes) -> None:
    with RawServer(saying(said)) as server:
        assert send(server.url).body.strip() == BODY


def test_a_connection_is_closed_once_its_response_was_read() -> None:
    closed: Queue[bytes] = Queue()

    def speak(connection: socket.socket) -> None:
        connection.sendall(WHOLE)
        closed.put(connection.recv(1))

    with RawServer(speak) as server:
        send(server.url)
        assert closed.get(timeout=60) == b""
    assert b"\r\nConnection: close\r\n" in server.requests[0]


def test_nothing_is_sent_to_where_a_redirect_leads() -> None:
    with RawServer(saying(WHOLE)) as elsewhere:
        redirect = b"HTTP/1.1 307 Moved\r\nLocation: %s/v1\r\nContent-Length: 0\r\n\r\n" % elsewhere.url.encode()
        with RawServer(saying(redirect)) as server:
            assert send(server.url).status == 307
    assert elsewhere.requests == []


# Proxies.


def dribble_a_handshake(connection: socket.socket) -> None:
    """Take a CONNECT, and what begins a TLS session."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(1)
    dribbling(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0")(connection)


REFUSAL = saying(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("speak", [NEVER_ENDING["status-line"], NEVER_ENDING["header"], dribble_a_handshake, REFUSAL])
def test_a_proxy_that_does_not_connect_is_named_and_nothing_was_sent(monkeypatch: Patch, speak: Speak) -> None:
    seconds, problem = (60, "no connection could be made") if speak is REFUSAL else (IMPATIENT, NO_CONNECTION)
    with proxy(speak, monkeypatch):
        assert failure(FAR, seconds) == (NotSent, problem + BY_PROXY)


def test_a_request_goes_through_the_proxy_that_the_environment_names(authority: Authority, monkeypatch: Patch) -> None:
    speak = tunnel(authority.server_context("platform.test"), saying(WHOLE))
    with proxy(speak, monkeypatch, "user:p%40ss@") as server:
        assert send(FAR, ca_bundle=authority.bundle).body == BODY
    assert server.requests[0].startswith(b"CONNECT platform.test:443 ")
    assert re.findall(b"(?i)proxy-authorization: Basic (.*)\r\n", server.requests[0]) == [b64encode(b"user:p@ss")]


def test_what_went_through_a_proxy_may_have_reached_the_platform(authority: Authority, monkeypatch: Patch) -> None:
    for speak, seconds, problem in ((saying(b""), 60, BROKE_OFF), (NEVER_ENDING["body"], IMPATIENT, LATE)):
        with proxy(tunnel(authority.server_context("platform.test"), speak), monkeypatch):
            assert failure(FAR, seconds, authority.bundle) == (OutcomeUnknown, problem)


@pytest.mark.parametrize("scheme", ["socks5", "https"])
def test_a_proxy_that_is_no_http_proxy_is_refused(monkeypatch: Patch, scheme: str) -> None:
    monkeypatch.setenv("all_proxy", f"{scheme}://127.0.0.1:9")
    assert failure(FAR) == (NotSent, f"an HTTP proxy is expected{BY_PROXY}")


@pytest.mark.parametrize("host", ["http://127.0.0.1", "http://LOCALHOST", "https://127.0.0.1"])
def test_nothing_for_loopback_goes_to_a_proxy(authority: Authority, monkeypatch: Patch, host: str) -> None:
    context = authority.server_context() if host.startswith("https") else None
    with proxy(saying(WHOLE), monkeypatch) as server, RawServer(saying(WHOLE), context) as platform:
        assert send(f"{host}:{platform.port}", ca_bundle=authority.bundle).body == BODY
    assert (len(platform.requests), server.requests) == (1, [])


# Hosts.


def test_a_tls_handshake_that_nobody_answers_times_out() -> None:
    with RawServer(saying(WHOLE)) as server:
        assert failure(f"https://127.0.0.1:{server.port}", IMPATIENT) == (NotSent, NO_CONNECTION)


def resolve(monkeypatch: Patch, look_up: Callable[[], list[tuple[str, int]]]) -> None:
    """Have the system's resolver know the host that is no address."""

    def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in look_up()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_resolver_that_does_not_answer_times_out(monkeypatch: Patch) -> None:
    answers = threading.Event()
    resolve(monkeypatch, lambda: [("127.0.0.1", 9)] * answers.wait())
    try:
        assert failure(FAR, IMPATIENT) == (NotSent, NO_CONNECTION)
    finally:
        answers.set()


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


@pytest.mark.timeout(8)
def test_all_addresses_of_a_host_together_have_the_time_of_one_request(monkeypatch: Patch) -> None:
    with swallowing_addresses(6) as addresses:
        resolve(monkeypatch, lambda: addresses)
        assert failure(FAR, 1) == (NotSent, NO_CONNECTION)


def test_an_address_that_swallows_packets_does_not_hide_the_next(authority: Authority, monkeypatch: Patch) -> None:
    context = authority.server_context("platform.test")
    with swallowing_addresses(2) as addresses, RawServer(saying(WHOLE), context) as server:
        resolve(monkeypatch, lambda: [*addresses, ("127.0.0.1", server.port)])
        assert send(FAR, 1.5, authority.bundle).body == BODY


def test_a_host_that_can_not_be_reached_is_sent_nothing() -> None:
    assert failure("http://127.0.0.1:1") == (NotSent, "the connection was refused")
    assert failure("https://a.invalid") == (NotSent, "the host name could not be resolved")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"], ids=["an unknown authority", "another host"])
def test_a_certificate_that_can_not_be_verified_is_refused(authority: Authority, address: str) -> None:
    with RawServer(saying(WHOLE), authority.server_context(address)) as server:
        refused = failure(server.url, ca_bundle=authority.bundle if address == "127.0.0.2" else None)
    assert refused == (CertificateError, "the host's certificate could not be verified")
    assert server.requests == []


@pytest.mark.parametrize("is_field", [True, False], ids=["field", "environment"])
def test_a_private_authority_is_trusted_by_field_or_environment(
    authority: Authority, tmp_path: Path, monkeypatch: Patch, is_field: bool
) -> None:
    bundle = Authority(tmp_path, "another").bundle if is_field else authority.bundle
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with RawServer(saying(WHOLE), authority.server_context()) as server:
        assert send(server.url, ca_bundle=authority.bundle if is_field else None).body == BODY


def test_a_ca_bundle_without_a_certificate_is_named(tmp_path: Path, monkeypatch: Patch) -> None:
    (tmp_path / "bundle.pem").write_text("no certificate\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    for named, path in ((tmp_path / "bundle.pem", f"{tmp_path}/bundle.pem"), (None, "/nowhere/bundle.pem")):
        problem = f"{path!r} (CA Bundle or REQUESTS_CA_BUNDLE) holds no certificate"
        assert failure("https://127.0.0.1:9", ca_bundle=named) == (CertificateError, problem)
