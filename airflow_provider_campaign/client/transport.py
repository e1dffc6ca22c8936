"""One HTTP request, bounded in time and size; every failure says whether the platform may have acted on it."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from functools import cached_property, partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_auth_from_url,
    get_environ_proxies,
    select_proxy,
)
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, make_headers
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ProxySchemeUnknown
from urllib3.util import create_urllib3_context

from airflow_provider_campaign.client.connection import Attempt, LimitedConnection, LimitedTLSConnection
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""Responses above this size are refused; a page of a hundred campaigns is well under 1 MiB."""

_CHUNK_BYTES = 64 * 1024

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "close"}


class NotSent(Exception):
    """The request did not reach the platform: no connection was made."""


class CertificateError(NotSent):
    """The host's certificate is not one that the connection trusts."""


class OutcomeUnknown(Exception):
    """The request was sent, the response is missing or unusable: the platform may have acted on it."""


class Transport(Protocol):
    """The way to a host: sends one request, and returns the response whole."""

    base_url: str

    def send_request(self, request: HttpRequest, headers: Mapping[str, str], seconds: float) -> HttpResponse:
        """
        Send a request once.

        :param headers: What signs it.
        :param seconds: The longest that all of it may take, from the look-up of the host to the end of the response.
        :raises NotSent: When no connection could be made.
        :raises OutcomeUnknown: When the request left and no complete response came back.
        """


class HttpTransport:
    """
    Sends each request over a connection of its own; threads may share it.

    A connection that was used before may hold bytes that a server, or a balancer in front of it, sent too many: the
    next request would take them for its response. Or it was forgotten on the other side, and the request is lost.

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
        attempt, proxy = Attempt(seconds), None
        try:
            proxy = _proxy_for(self.base_url)
            response = self._pool(attempt, proxy).urlopen(
                request.method,
                request.path,
                **self._content(request, headers),
                retries=False,
                redirect=False,
                timeout=seconds,
                preload_content=False,
            )
            with closing(response):
                return HttpResponse(response.status, response.headers, _read_body(response))
        except (NotSent, OutcomeUnknown):
            raise
        except Exception as error:
            if attempt.is_connected:
                raise OutcomeUnknown(_reason(error, is_connected=True)) from error
            kind = CertificateError if _holds(error, ssl.SSLCertVerificationError) else NotSent
            by_way = ", by way of the proxy that the environment names" if proxy else ""
            raise kind(_reason(error, is_connected=False) + by_way) from error

    def _content(self, request: HttpRequest, headers: Mapping[str, str]) -> dict[str, Any]:
        own = {"User-Agent": self._user_agent, **_HEADERS}
        if request.json is not None:
            body = json.dumps(request.json).encode()
            return {"body": body, "headers": {**own, "Content-Type": "application/json", **headers}}
        return {"body": None if request.method == "GET" else b"", "headers": {**own, **headers}}

    def _pool(self, attempt: Attempt, proxy: str | None) -> HTTPConnectionPool:
        is_tls = self.base_url.startswith("https:")
        tls = self._tls if is_tls else None
        manager = _proxy_manager(proxy, tls) if proxy else PoolManager(ssl_context=tls)
        pool: Any = manager.connection_from_url(self.base_url)
        pool.ConnectionCls = partial(LimitedTLSConnection if is_tls else LimitedConnection, attempt=attempt)
        return cast(HTTPConnectionPool, pool)

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


def _read_body(response: BaseHTTPResponse) -> bytes:
    """Read the body piece by piece, so that its size can't hold the caller."""
    raw: Any = response
    declared = raw.headers.get("Content-Length")
    if declared is not None and raw.length_remaining is None and not raw.chunked:
        raise OutcomeUnknown("the response's Content-Length is not a number")
    if raw.length_remaining and raw.length_remaining > MAX_RESPONSE_BYTES:
        raise OutcomeUnknown(f"the response is {declared} bytes long, more than the {MAX_RESPONSE_BYTES} accepted")
    # Other encodings were not asked for, and not every installed library that reads them keeps to a size.
    is_packed = raw.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    body = bytearray()
    while piece := raw.read1(_CHUNK_BYTES, decode_content=is_packed):
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
