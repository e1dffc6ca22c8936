"""One HTTP request, bounded in time and size; every failure says whether the platform may have acted on it."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from functools import cached_property, partial
from http.client import HTTPMessage, HTTPResponse
from io import BufferedReader, RawIOBase
from threading import Thread
from typing import Any, cast
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url, get_environ_proxies, select_proxy
from urllib3 import PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProxySchemeUnknown
from urllib3.util import create_urllib3_context

from airflow_provider_campaign.exceptions import forget_variables
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse

MAX_RESPONSE_BYTES = 8 * 1024 * 1024  # a page of a hundred campaigns is well under 1 MiB
CONNECT_TIMEOUT = 10.0  # seconds to look a host up and reach one of its addresses
MAX_SILENT_ADDRESSES = 3  # the number of a host's addresses that are tried in this time, if none of them answers

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "close"}


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
        attempt, proxy = _Attempt(seconds), None
        body, headers = None if request.method == "GET" else b"", dict(self._headers)
        if request.json is not None:
            body, headers["Content-Type"] = json.dumps(request.json).encode(), "application/json"
        try:
            proxy = _proxy_for(self.base_url)
            send = partial(self._pool(attempt, proxy).urlopen, retries=False, redirect=False, preload_content=False)
            with closing(send(request.method, request.path, body, {**headers, **sign()}, timeout=seconds)) as response:
                return HttpResponse(response.status, response.headers, _read_body(response))
        except Exception as error:
            forget_variables(error)
            if isinstance(error, NotSent | OutcomeUnknown):
                raise
            reason = _reason(error, is_connected=attempt.is_connected)
            if attempt.is_connected:
                raise OutcomeUnknown(reason) from error
            kind = CertificateError if _holds(error, ssl.SSLCertVerificationError) else NotSent
            raise kind(f"{reason}{', by way of the proxy that the environment names' if proxy else ''}") from error

    def _pool(self, attempt: _Attempt, proxy: str | None) -> Any:
        is_tls = self.base_url.startswith("https:")
        tls = self._tls if is_tls else None
        manager = _proxy_manager(proxy, tls) if proxy else PoolManager(ssl_context=tls)
        pool: Any = manager.connection_from_url(self.base_url)
        pool.ConnectionCls = partial(_TLSConnection if is_tls else _Connection, attempt=attempt)
        return pool

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """What the host's certificate has to satisfy; reading the trusted ones costs more than a connection."""
        named = self._ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        path = named or DEFAULT_CA_BUNDLE_PATH
        context = create_urllib3_context()
        try:
            cafile, capath = (None, path) if os.path.isdir(path) else (path, None)
            context.load_verify_locations(cafile, capath)
        except OSError as error:
            raise CertificateError(f"{path!r} (CA Bundle or REQUESTS_CA_BUNDLE) holds no certificate") from error
        return context


class _Attempt:
    """
    One request: when it must have ended, and whether it may have been sent.

    A socket's own time-out starts again with every byte.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self.is_connected = False

    @property
    def left(self) -> float:
        """The seconds that are left; a :class:`TimeoutError` if there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def note_connection(self) -> None:
        self.is_connected = True


class _Connection(HTTPConnection):
    """A connection that one attempt bounds, from the look-up of the host to the last byte of the response."""

    def __init__(self, *args: Any, attempt: _Attempt, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._attempt = attempt

    def connect(self) -> None:
        super().connect()
        self._attempt.note_connection()

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, method: str | None = None
    ) -> HTTPResponse:
        """Return the response, also a proxy's, that a socket carries."""
        return _FinalResponse(sock, self._attempt, method)

    def _new_conn(self) -> socket.socket:
        """Connect in a thread: neither the system's resolver nor a host with many addresses keeps to a time-out."""
        seconds = min(CONNECT_TIMEOUT, self._attempt.left)
        self.timeout = seconds / MAX_SILENT_ADDRESSES
        connected: Future[socket.socket] = Future()
        Thread(target=_settle, args=(connected, super()._new_conn), daemon=True).start()
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
        parsed, self.headers = self.headers, HTTPMessage()
        for name, value in parsed.items():  # urllib3 logs what else was there, and that may hold the request's token
            self.headers[name] = value
        self.msg = self.headers


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


def _settle(future: Future[socket.socket], connect: Callable[[], socket.socket]) -> None:
    try:
        future.set_result(connect())
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


def _proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment names for a host."""
    if is_loopback(urlsplit(base_url).hostname or ""):
        return None
    return select_proxy(base_url, get_environ_proxies(base_url))


def _proxy_manager(proxy: str, tls: ssl.SSLContext | None) -> ProxyManager:
    url = proxy if "://" in proxy else f"http://{proxy}"
    user, password = get_auth_from_url(url)
    headers = make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
    return ProxyManager(url, proxy_headers=headers, ssl_context=tls, proxy_ssl_context=tls)


def _read_body(response: Any) -> bytes:
    """Read the body piece by piece, so that its size can't hold the caller."""
    declared = response.headers.get("Content-Length")
    if declared is not None and response.length_remaining is None and not response.chunked:
        raise OutcomeUnknown("the response's Content-Length is not a number")
    if response.length_remaining and response.length_remaining > MAX_RESPONSE_BYTES:
        raise OutcomeUnknown(f"the response is {declared} bytes long, more than the {MAX_RESPONSE_BYTES} accepted")
    # Other encodings were not asked for, and not every installed library that reads them keeps to a size.
    is_packed = response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    body = bytearray()
    while piece := response.read1(64 * 1024, decode_content=is_packed):
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            raise OutcomeUnknown(f"the response is longer than the {MAX_RESPONSE_BYTES} bytes accepted")
    return bytes(body)


def _reason(error: BaseException, *, is_connected: bool) -> str:
    """Name a failure in a few words; the libraries' own texts hold addresses of objects and whole URLs."""
    reasons: tuple[tuple[type[BaseException], str], ...] = (
        (ProxySchemeUnknown, "an HTTP proxy is expected"),
        (TimeoutError, f"no {'response' if is_connected else 'connection'} within the time-out"),
        (socket.gaierror, "the host name could not be resolved"),
        (ConnectionRefusedError, "the connection was refused"),
        (ssl.SSLCertVerificationError, "the host's certificate could not be verified"),
        (ssl.SSLError, "the TLS session failed"),
    )
    otherwise = "the response broke off or was not HTTP" if is_connected else "no connection could be made"
    return next((words for kind, words in reasons if _holds(error, kind)), otherwise)


def _holds(error: BaseException, kind: type[BaseException], levels: int = 5) -> bool:
    """Return whether an error is of a kind, or wraps one that is."""
    if isinstance(error, kind):
        return True
    inner = (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args)
    return levels > 0 and any(_holds(each, kind, levels - 1) for each in inner if isinstance(each, BaseException))
