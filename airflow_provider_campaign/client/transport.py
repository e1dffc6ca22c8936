"""One HTTP request, bounded in time and size; every failure says whether the platform may have acted on it."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from functools import cached_property, partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse
from urllib3.util import create_urllib3_context

from airflow_provider_campaign.client.connection import LimitedConnection, LimitedTLSConnection, TimeLimit
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""Responses above this size are refused; a page of a hundred campaigns is well under 1 MiB."""

_CHUNK_BYTES = 64 * 1024

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "close"}


class NotSent(Exception):
    """The request did not reach the platform: no connection was made."""


class OutcomeUnknown(Exception):
    """The request was sent, the response is missing or unusable: the platform may have acted on it."""


class ResponseTooLong(OutcomeUnknown):
    """The response is longer than what is accepted."""


class CertificateError(Exception):
    """The host's certificate is not one that the connection trusts; nothing was sent."""


class Transport(Protocol):
    """The way to a host: sends one request, and returns the response whole."""

    base_url: str

    def send_request(self, request: HttpRequest, headers: Mapping[str, str], seconds: float) -> HttpResponse:
        """
        Send a request once.

        :param headers: What signs it.
        :param seconds: The longest that all of it may take, from the look-up of the host to the end of the response.
        :raises NotSent: When no connection could be made.
        :raises CertificateError: When the host's certificate was refused.
        :raises OutcomeUnknown: When the request left and no complete response came back.
        """


class RequestsTransport:
    """
    Sends each request over a connection of its own; threads may share it.

    :param base_url: Scheme, host, and port, with no slash at the end.
    :param ca_bundle: Path of the certificates to trust instead of the usual ones.
    """

    def __init__(
        self, base_url: str, ca_bundle: str | None = None, user_agent: str = "airflow-provider-campaign"
    ) -> None:
        self.base_url = base_url
        self._ca_bundle = ca_bundle
        self._user_agent = user_agent

    def send_request(self, request: HttpRequest, headers: Mapping[str, str], seconds: float) -> HttpResponse:
        limit = TimeLimit(seconds)
        attempt = _Attempt(limit, self._tls if self.base_url.startswith("https:") else None)
        proxy = None
        try:
            prepared = self._prepare(request, headers)
            proxy = _proxy_for(self.base_url)
            proxies = {"https": proxy} if proxy else {}
            with closing(attempt), attempt.send(prepared, stream=True, timeout=seconds, proxies=proxies) as response:
                return HttpResponse(response.status_code, response.headers, _read_body(response))
        except OutcomeUnknown:
            raise
        except Exception as error:
            if attempt.has_connected:
                raise OutcomeUnknown(_reason(error, _NO_RESPONSE)) from error
            kind = CertificateError if _cause(error, ssl.SSLCertVerificationError) else NotSent
            by_way = ", by way of the proxy that the environment names" if proxy else ""
            raise kind(_reason(error, _NO_CONNECTION) + by_way) from error

    def _prepare(self, request: HttpRequest, headers: Mapping[str, str]) -> requests.PreparedRequest:
        own = {"User-Agent": self._user_agent, **_HEADERS}
        url = self.base_url + request.path
        return requests.Request(request.method, url, {**own, **headers}, json=request.json).prepare()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """
        What the host's certificate has to satisfy; reading the trusted ones costs more than a connection.

        :raises CertificateError: When they are unreadable.
        """
        named = self._ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        path = named or DEFAULT_CA_BUNDLE_PATH
        context = create_urllib3_context()
        try:
            cafile, capath = (None, path) if os.path.isdir(path) else (path, None)
            context.load_verify_locations(cafile, capath)
        except OSError as error:
            raise CertificateError(f"{path!r} (CA Bundle or REQUESTS_CA_BUNDLE) holds no certificate") from error
        return context


class _Attempt(HTTPAdapter):
    """
    Sends one request over a connection of its own.

    A connection that was used before may hold bytes that a server, or a balancer in front of it, sent too many: the
    next request would take them for its response. Or it was forgotten on the other side, and the request is lost.
    """

    def __init__(self, limit: TimeLimit, tls: ssl.SSLContext | None) -> None:
        self.has_connected = False
        """Whether the request may have been sent."""
        self._limit = limit
        self._tls = tls
        super().__init__(pool_connections=1, pool_maxsize=1)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind = LimitedTLSConnection if pool.scheme == "https" else LimitedConnection
        pool.ConnectionCls = partial(kind, limit=self._limit, on_connect=self._note_connection)
        return cast(HTTPConnectionPool, pool)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {"ssl_context": self._tls}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the context knows whom to trust, and requests would add others."""

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("socks"):
            raise requests.exceptions.InvalidProxyURL("SOCKS has connections of its own, which know no time limit")
        return super().proxy_manager_for(proxy, proxy_ssl_context=self._tls, **kwargs)

    def _note_connection(self) -> None:
        self.has_connected = True


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
    return (
        None
        if is_loopback(urlsplit(base_url).hostname or "")
        else select_proxy(base_url, get_environ_proxies(base_url))
    )


def _read_body(response: requests.Response) -> bytes:
    """Read the body piece by piece, so that its size can't hold the caller."""
    raw = cast(HTTPResponse, response.raw)
    declared = response.headers.get("Content-Length")
    if declared is not None and raw.length_remaining is None and not raw.chunked:
        raise OutcomeUnknown("the response's Content-Length is not a number")
    if raw.length_remaining and raw.length_remaining > MAX_RESPONSE_BYTES:
        raise ResponseTooLong(f"the response is {declared} bytes long, more than the {MAX_RESPONSE_BYTES} accepted")
    # Other encodings were not asked for, and not every installed library that reads them keeps to a size.
    is_packed = response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    body = bytearray()
    while piece := raw.read1(_CHUNK_BYTES, decode_content=is_packed):
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            raise ResponseTooLong(f"the response is longer than the {MAX_RESPONSE_BYTES} bytes accepted")
    return bytes(body)


def _cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Return the error of this kind that is wrapped, however deep, in another."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop()
        if isinstance(current, kind):
            return current
        if id(current) in seen:
            continue
        seen.add(id(current))
        wrapped = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        queue.extend(item for item in wrapped if isinstance(item, BaseException))
    return None


_Reasons = tuple[tuple[type[BaseException], str], ...]


def _reason(error: BaseException, reasons: _Reasons) -> str:
    """Name a failure in a few words; the libraries' own texts hold addresses of objects and whole URLs."""
    return next(
        (words for kind, words in reasons if _cause(error, kind)), f"the request failed ({type(error).__name__})"
    )


_NO_CONNECTION: _Reasons = (
    (requests.exceptions.InvalidProxyURL, "an HTTP proxy is expected"),
    (TimeoutError, "no connection within the time-out"),
    (socket.gaierror, "the host name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (ssl.SSLCertVerificationError, "the host's certificate could not be verified"),
    (ssl.SSLError, "the TLS session failed"),
    (OSError, "no connection could be made"),
)
_NO_RESPONSE: _Reasons = (
    (TimeoutError, "no response within the time-out"),
    (ssl.SSLError, "the TLS session failed"),
    (ConnectionError, "the connection was closed before the response was complete"),
    (requests.ConnectionError, "the connection was closed before the response was complete"),
    (HTTPError, "the response broke off or was not HTTP"),
)
