"""One HTTP request, bounded in time and size; every failure says whether the platform may have acted on it."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol, Self, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.response import HTTPResponse

from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse

CONNECT_TIMEOUT = 10.0
"""Seconds to establish a connection, or the connection's time-out where that is shorter."""

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""Responses above this size are refused; a page of a hundred campaigns is well under 1 MiB."""

MAX_CONNECTIONS = 20
"""Connections to the host that are kept open for the next request."""

_CHUNK_BYTES = 64 * 1024


class NotSent(Exception):
    """The request did not reach the platform: no connection was made."""


class OutcomeUnknown(Exception):
    """The request was sent, the response is missing or can't be used: the platform may have acted on it."""


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
        :param seconds: The longest that the whole response may take, and connecting before it.
        :raises NotSent: When no connection could be made.
        :raises CertificateError: When the host's certificate was refused.
        :raises OutcomeUnknown: When the request left and no complete response came back.
        """

    def close(self) -> None:
        """Close the connections that are kept open; the next request opens another."""


class RequestsTransport:
    """
    A session of ``requests`` that follows no redirects and keeps no cookies, so that threads may share it.

    :param base_url: Scheme, host and port, with no slash at the end.
    :param ca_bundle: Path of the certificates to trust instead of the usual ones.
    """

    def __init__(self, base_url: str, ca_bundle: str | None = None, user_agent: str | None = None) -> None:
        self.base_url = base_url
        self._verify: str | bool = ca_bundle or True
        self._user_agent = user_agent

    @cached_property
    def session(self) -> requests.Session:
        """The session that all requests go through."""
        session = _bounded_session()
        session.verify = self._verify
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if self._user_agent:
            session.headers["User-Agent"] = self._user_agent
        return session

    def send_request(self, request: HttpRequest, headers: Mapping[str, str], seconds: float) -> HttpResponse:
        try:
            with self.session.request(
                request.method,
                self.base_url + request.path,
                json=request.json,
                auth=_SigningHeaders(headers),
                verify=self._verify,  # said again, or REQUESTS_CA_BUNDLE in the environment would win
                timeout=(min(CONNECT_TIMEOUT, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                return HttpResponse(response.status_code, response.headers, _read_body(response))
        except requests.ConnectTimeout as error:
            raise NotSent(_reason(error)) from error
        except requests.exceptions.SSLError as error:
            if _cause(error, ssl.SSLCertVerificationError):
                raise CertificateError(_reason(error)) from error
            raise OutcomeUnknown(_reason(error)) from error
        except (requests.RequestException, HTTPError, OSError) as error:
            kind = NotSent if _cause(error, NewConnectionError) else OutcomeUnknown
            raise kind(_reason(error)) from error

    def close(self) -> None:
        self.session.close()


class _SigningHeaders(requests.auth.AuthBase):
    """Put headers on a request last of all, so that no ``.netrc`` replaces them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def _bounded_session() -> requests.Session:
    """Return a session whose requests end in time even when the other side sends a byte now and then."""
    session = _BoundedSession()
    session.mount("http://", _BoundedAdapter(pool_maxsize=MAX_CONNECTIONS))
    session.mount("https://", _BoundedAdapter(pool_maxsize=MAX_CONNECTIONS))
    return session


def _read_body(response: requests.Response) -> bytes:
    """Read the body piece by piece, so that its size can't hold the caller; its pace is the watchdog's."""
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > MAX_RESPONSE_BYTES:
        raise ResponseTooLong(f"the response is {declared} bytes long, more than the {MAX_RESPONSE_BYTES} accepted")
    body = bytearray()
    raw = cast(HTTPResponse, response.raw)
    with getattr(raw.connection, "watchdog", nullcontext()):
        while piece := raw.read1(_CHUNK_BYTES, decode_content=True):
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


def _reason(error: BaseException) -> str:
    """Name a failure in a few words; the libraries' own texts hold addresses of objects and whole URLs."""
    for kind, words in _REASONS:
        if _cause(error, kind):
            return words
    return f"the request failed ({type(error).__name__})"


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (requests.ConnectTimeout, "no connection within the time-out"),
    (TimeoutError, "no response within the time-out"),
    (requests.exceptions.ProxyError, "the proxy could not be reached, refused, or broke off"),
    (socket.gaierror, "the host name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (NewConnectionError, "no connection could be made"),
    (ssl.SSLCertVerificationError, "the host's certificate could not be verified"),
    (ssl.SSLError, "the TLS session failed"),
    (ConnectionError, "the connection was closed before the response was complete"),
    (requests.ConnectionError, "the connection was closed before the response was complete"),
    (HTTPError, "the response broke off or was not HTTP"),
)


class _Watchdog:
    """
    Shut a socket down, and with that wake whoever reads from it, if a block is not over in time.

    A socket's own time-out starts again with every byte, so that a server could keep a client for hours.

    :param seconds: From now on, for all the blocks together.
    :raises TimeoutError: At the end of a block that took too long.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._due = time.monotonic() + seconds

    def __enter__(self) -> Self:
        self._timer = threading.Timer(self._due - time.monotonic(), self._shut_down)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if time.monotonic() >= self._due:
            raise TimeoutError

    def _shut_down(self) -> None:
        with suppress(OSError):  # the other side was faster
            # Not the method of a TLS socket, which would pull the session away under the reader.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class _BoundedConnection(HTTPConnection):
    """A connection whose response must be there, whole, within the read time-out."""

    watchdog: _Watchdog

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        self.watchdog = _Watchdog(cast(socket.socket, self.sock), cast(float, self.timeout))
        with self.watchdog:
            return super().getresponse()


class _BoundedConnectionTLS(_BoundedConnection, HTTPSConnection):
    pass


class _BoundedPool(HTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _BoundedPoolTLS(HTTPSConnectionPool):
    ConnectionCls = _BoundedConnectionTLS


_POOLS = {"http": _BoundedPool, "https": _BoundedPoolTLS}


class _BoundedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):  # SOCKS has pools of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _BoundedSession(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: to prepare a redirect, requests reads the response whole, whatever its size and pace."""
