"""One HTTP request, bounded in time and size; every failure says whether the platform may have acted on it."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from functools import cached_property
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from threading import Thread
from typing import Any, Self, cast
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url, get_environ_proxies, select_proxy
from urllib3 import make_headers

from airflow_provider_campaign.exceptions import forget_variables
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse

MAX_RESPONSE_BYTES = 8 * 1024 * 1024  # a page of a hundred campaigns is well under 1 MiB
CONNECT_TIMEOUT = 10.0  # seconds to look a host up and reach one of its addresses
MAX_SILENT_ADDRESSES = 3  # the number of a host's addresses that are tried in this time, if none of them answers

_HEADERS = {"Accept": "*/*", "Connection": "close"}
_BY_PROXY = ", by way of the proxy that the environment names"


class NotSent(Exception):
    """The request did not reach the platform: no connection was made."""


class CertificateError(NotSent):
    """The host's certificate is not one that the connection trusts."""


class OutcomeUnknown(Exception):
    """The request was sent, the response is missing or unusable: the platform may have acted on it."""


class Transport:
    """
    The way to a host: sends each request over a connection of its own; threads may share it.

    A connection that was used before may hold bytes that the next request would take for its response, or was
    forgotten on the other side.

    :param base_url: Scheme, host, and port, with no slash at the end.
    :param ca_bundle: Path of the certificates to trust instead of the usual ones.
    """

    def __init__(
        self, base_url: str, ca_bundle: str | None = None, user_agent: str = "airflow-provider-campaign"
    ) -> None:
        self.base_url = base_url
        self._ca_bundle = ca_bundle
        self._headers = {"User-Agent": user_agent, **_HEADERS}

    def send_request(self, request: HttpRequest, sign: Callable[[], Mapping[str, str]], seconds: float) -> HttpResponse:
        """
        Send a request once, signed, and return the response whole.

        No traceback has a variable with what it was signed by: consoles and error trackers show variables.

        :param sign: Returns the headers that sign it.
        :param seconds: The longest that all of it may take, from the look-up of the host to the end of the response.
        :raises NotSent: When no connection could be made.
        :raises OutcomeUnknown: When the request left and no complete response came back.
        """
        body, headers = None if request.method == "GET" else b"", dict(self._headers)
        if request.json is not None:
            body, headers["Content-Type"] = json.dumps(request.json).encode(), "application/json"
        with _Attempt(seconds) as attempt, closing(self._connection(attempt)) as connection:
            connection.request(request.method, request.path, body, {**headers, **sign()})
            with connection.getresponse() as response:
                said = CaseInsensitiveDict(response.headers.items())
                return HttpResponse(response.status, said, _read_body(response))

    def _connection(self, attempt: _Attempt) -> HTTPConnection:
        """Return a connection that is not made yet: to the host, or to the proxy that leads there."""
        address = urlsplit(self.base_url)
        host = address.hostname or ""
        if address.scheme == "http":  # a loopback host: no other is connected to without TLS
            return _Connection(attempt, host, address.port)
        proxy = None if is_loopback(host) else select_proxy(self.base_url, get_environ_proxies(self.base_url))
        if not proxy:
            return _TLSConnection(attempt, host, address.port, context=self._tls)
        attempt.way = _BY_PROXY
        by = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if by.scheme != "http":
            raise NotSent(f"an HTTP proxy is expected{_BY_PROXY}")
        connection = _TLSConnection(attempt, by.hostname or "", by.port or 80, context=self._tls)
        user, password = get_auth_from_url(by.geturl())
        headers = make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
        connection.set_tunnel(host, address.port or 443, headers)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """What the host's certificate has to satisfy; reading the trusted ones costs more than a connection."""
        named = self._ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        path = named or DEFAULT_CA_BUNDLE_PATH
        cafile, capath = (None, path) if os.path.isdir(path) else (path, None)
        try:
            return ssl.create_default_context(cafile=cafile, capath=capath)
        except OSError as error:
            raise CertificateError(f"{path!r} (CA Bundle or REQUESTS_CA_BUNDLE) holds no certificate") from error


class _Attempt:
    """
    One request: when it must have ended, and whether it may have been sent.

    A socket's own time-out starts again with every byte.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self.is_connected = False
        self.way = ""

    @property
    def left(self) -> float:
        """The seconds that are left; a :class:`TimeoutError` if there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Make of whatever a library raises what the transport raises."""
        if not isinstance(error, Exception):
            return
        forget_variables(error)
        if isinstance(error, NotSent | OutcomeUnknown):
            return
        if self.is_connected:
            raise OutcomeUnknown(self._reason(error)) from error
        failure = CertificateError if isinstance(error, ssl.SSLCertVerificationError) else NotSent
        raise failure(f"{self._reason(error)}{self.way}") from error

    def _reason(self, error: Exception) -> str:
        """Name a failure in a few words; the libraries' own texts hold addresses of objects and whole URLs."""
        reasons: tuple[tuple[type[Exception], str], ...] = (
            (TimeoutError, f"no {'response' if self.is_connected else 'connection'} within the time-out"),
            (socket.gaierror, "the host name could not be resolved"),
            (ConnectionRefusedError, "the connection was refused"),
            (ssl.SSLCertVerificationError, "the host's certificate could not be verified"),
            (ssl.SSLError, "the TLS session failed"),
        )
        otherwise = "the response broke off or was not HTTP" if self.is_connected else "no connection could be made"
        return next((words for kind, words in reasons if isinstance(error, kind)), otherwise)


class _Connection(HTTPConnection):
    """A connection that one attempt bounds, from the look-up of the host to the last byte of the response."""

    def __init__(self, attempt: _Attempt, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._attempt = attempt
        self._create_connection = self._dial

    def connect(self) -> None:
        super().connect()
        self._attempt.is_connected = True

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, method: str | None = None
    ) -> HTTPResponse:
        """Return the response, also a proxy's, that a socket carries."""
        return _FinalResponse(sock, self._attempt, method)

    def _dial(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Connect in a thread: neither the system's resolver nor a host with many addresses keeps to a time-out."""
        seconds = min(CONNECT_TIMEOUT, self._attempt.left)
        connected: Future[socket.socket] = Future()
        Thread(target=_settle, args=(connected, address, seconds / MAX_SILENT_ADDRESSES), daemon=True).start()
        sock = connected.result(seconds)
        sock.settimeout(self._attempt.left)
        return sock


class _TLSConnection(_Connection, HTTPSConnection):
    """The same over TLS, whose handshake is part of connecting."""


class _FinalResponse(HTTPResponse):
    """A response that passes over interim ones (1xx), and is read within an attempt's time."""

    def __init__(self, sock: socket.socket, attempt: _Attempt, method: str | None) -> None:
        super().__init__(sock, method=method)
        self.fp = _WholeLines(_LimitedReader(self.fp.detach(), sock, attempt))

    def begin(self) -> None:
        super().begin()
        while self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment] # what has begun is not begun again
            super().begin()


class _WholeLines(BufferedReader):
    """A stream that never ends within a line: http.client takes what there is of a line for all of it."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise ConnectionError
        return line


class _LimitedReader(RawIOBase):
    """A socket's stream, each read of which may take what is left of an attempt's time."""

    def __init__(self, stream: RawIOBase, sock: socket.socket, attempt: _Attempt) -> None:
        self._stream = stream
        self._sock = sock
        self._attempt = attempt

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._attempt.left)
        count = cast("int | None", self._stream.readinto(buffer))
        self._sock.settimeout(self._attempt.left)  # for the TLS handshake that follows a proxy's response
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _settle(future: Future[socket.socket], address: tuple[str, int], seconds: float) -> None:
    try:
        future.set_result(socket.create_connection(address, seconds))
    except Exception as error:  # noqa: BLE001 it is raised where the connection is waited for
        future.set_exception(error)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, so that no proxy leads to it and no one can listen on the way."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_body(response: HTTPResponse) -> bytes:
    """Read the body piece by piece, so that its size can't hold the caller."""
    declared = response.headers.get_all("Content-Length", [])
    if declared and not response.chunked and (response.length is None or len(set(declared)) > 1):
        raise OutcomeUnknown("the response's Content-Length is not a number")
    body = bytearray()
    while len(body) <= MAX_RESPONSE_BYTES and (piece := response.read1(64 * 1024)):
        body += piece
    is_whole = not response.length
    if response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):  # which was not asked for
        unpacker = zlib.decompressobj(wbits=31)
        body = bytearray(unpacker.decompress(body, MAX_RESPONSE_BYTES + 1))
        is_whole = is_whole and unpacker.eof
    if len(body) > MAX_RESPONSE_BYTES:
        raise OutcomeUnknown(f"the response is longer than the {MAX_RESPONSE_BYTES} bytes accepted")
    if not is_whole:
        raise OutcomeUnknown("the response broke off or was not HTTP")
    return bytes(body)
