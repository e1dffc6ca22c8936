"""
One HTTP request, bounded in time and size; every failure says whether the platform may have acted on it.

It is made by http.client, since requests does not say whether a request has left.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from threading import Event, Timer
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url, get_environ_proxies, select_proxy
from urllib3 import make_headers

from airflow_provider_campaign.client.threads import call_in_thread
from airflow_provider_campaign.exceptions import forget_variables
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse

MAX_RESPONSE_BYTES = 8 * 1024 * 1024  # a page of a hundred campaigns is well under 1 MiB
CONNECT_TIMEOUT = 15.0  # seconds to look a host up, reach one of its addresses, and agree on TLS
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

        :param sign: Returns the headers that sign it; no traceback has a variable with these.
        :param seconds: The longest that all of it may take, from the look-up of the host to the end of the response.
        :raises NotSent: When no connection could be made.
        :raises OutcomeUnknown: When the request left and no complete response came back.
        """
        ends, is_connected = time.monotonic() + seconds, False
        try:
            with closing(self._connection(min(seconds, CONNECT_TIMEOUT))) as connection:
                # Neither the system's resolver nor a host with many addresses keeps to a time-out.
                call_in_thread(connection.connect, min(seconds, CONNECT_TIMEOUT))
                is_connected = True
                with _time_limit(connection.sock, ends - time.monotonic()):
                    body, headers = self._content(request)
                    connection.request(request.method, request.path, body, {**headers, **sign()})
                    return _read(connection.getresponse())
        except Exception as error:
            forget_variables(error)
            if isinstance(error, NotSent | OutcomeUnknown):
                raise
            raise self._failure(error, is_connected=is_connected) from error

    def _content(self, request: HttpRequest) -> tuple[bytes | None, dict[str, str]]:
        """Return the body and the headers of a request that is not signed yet."""
        if request.json is not None:
            return json.dumps(request.json).encode(), {**self._headers, "Content-Type": "application/json"}
        return None if request.method == "GET" else b"", self._headers

    def _failure(self, error: Exception, *, is_connected: bool) -> Exception:
        """Return what the transport raises for whatever a library has raised."""
        if is_connected:
            return OutcomeUnknown(_reason(error, "response"))
        kind = CertificateError if isinstance(error, ssl.SSLCertVerificationError) else NotSent
        return kind(_reason(error, "connection") + (_BY_PROXY if self._proxy else ""))

    def _connection(self, seconds: float) -> HTTPConnection:
        """Return a connection that is not made yet: to the host, or to the proxy that leads there."""
        address, patience = urlsplit(self.base_url), seconds / MAX_SILENT_ADDRESSES
        host = address.hostname or ""
        if address.scheme == "http":  # a loopback host: no other is connected to without TLS
            return HTTPConnection(host, address.port, timeout=patience)
        if not (proxy := self._proxy):
            return HTTPSConnection(host, address.port, timeout=patience, context=self._tls)
        by = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if by.scheme != "http":
            raise NotSent(f"an HTTP proxy is expected{_BY_PROXY}")
        connection = HTTPSConnection(by.hostname or "", by.port or 80, timeout=patience, context=self._tls)
        user, password = get_auth_from_url(by.geturl())
        headers = make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
        connection.set_tunnel(host, address.port or 443, headers)
        return connection

    @property
    def _proxy(self) -> str | None:
        """The proxy that the environment names for the host."""
        is_ours = is_loopback(urlsplit(self.base_url).hostname or "")
        return None if is_ours else select_proxy(self.base_url, get_environ_proxies(self.base_url))

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


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, so that no proxy leads to it and no one can listen on the way."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _time_limit(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End what waits for a socket once this time has passed: its own time-out starts again with every byte."""
    has_passed = Event()

    def end() -> None:
        has_passed.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    sock.settimeout(max(seconds, 0.0) or None)
    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if not has_passed.is_set():
            raise
    finally:
        timer.cancel()
    if has_passed.is_set():
        raise TimeoutError


def _read(response: HTTPResponse) -> HttpResponse:
    """Return a response whole, the interim ones (1xx) passed over; piece by piece, so that its size can't hold us."""
    while response.status < 200:
        response.headers = response.msg = None  # type: ignore[assignment] # what has begun is not begun again
        response.begin()
    lengths = response.headers.get_all("Content-Length", [])
    if lengths and not response.chunked and (response.length is None or len(set(lengths)) > 1):
        raise OutcomeUnknown("the response's Content-Length is not a number")
    body = bytearray()
    while len(body) <= MAX_RESPONSE_BYTES and (piece := response.read1(64 * 1024)):
        body += piece
    # http.client takes headers that break off for all of them: nothing at all is a response that says so.
    is_whole = not response.length and bool(body or lengths or response.chunked)
    if response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):  # which was not asked for
        unpacker = zlib.decompressobj(wbits=31)
        body = bytearray(unpacker.decompress(body, MAX_RESPONSE_BYTES + 1))
        is_whole = is_whole and unpacker.eof
    if len(body) > MAX_RESPONSE_BYTES:
        raise OutcomeUnknown(f"the response is longer than the {MAX_RESPONSE_BYTES} bytes accepted")
    if not is_whole:
        raise OutcomeUnknown("the response broke off or was not HTTP")
    return HttpResponse(response.status, CaseInsensitiveDict(response.headers.items()), bytes(body))


def _reason(error: Exception, awaited: str) -> str:
    """Name a failure in a few words; the libraries' own texts hold addresses of objects and whole URLs."""
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, f"no {awaited} within the time-out"),
        (socket.gaierror, "the host name could not be resolved"),
        (ConnectionRefusedError, "the connection was refused"),
        (ssl.SSLCertVerificationError, "the host's certificate could not be verified"),
        (ssl.SSLError, "the TLS session failed"),
    )
    otherwise = "the response broke off or was not HTTP" if awaited == "response" else "no connection could be made"
    return next((words for kind, words in reasons if isinstance(error, kind)), otherwise)
