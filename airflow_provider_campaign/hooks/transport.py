"""One HTTP exchange, bounded in time and size, with every way to fail told apart by whether it was heard."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Self, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.response import HTTPResponse

CONNECT_TIMEOUT = 10.0
"""Seconds to establish a connection, or the connection's time-out where that is shorter."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Answers above this size are refused; a page of a hundred campaigns is well under 1 MiB."""

_CHUNK_BYTES = 64 * 1024


class NotHeard(Exception):
    """The request did not reach the platform: no connection was made."""


class MaybeHeard(Exception):
    """The request was sent, the answer is missing or can't be used: the platform may have acted on it."""


class Untrusted(Exception):
    """The host's certificate is not one that the connection trusts; nothing was sent."""


@dataclass(frozen=True)
class Request:
    """
    A call as it goes over the wire, before it is signed.

    :param method: The HTTP method.
    :param path: The path with its query, percent-encoded.
    :param json: The JSON body, or None for no body at all.
    """

    method: str
    path: str
    json: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP status, headers (case-insensitive) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def exchange(
    session: requests.Session, url: str, request: Request, auth: requests.auth.AuthBase, seconds: float
) -> Answer:
    """
    Send a request once and read its answer whole; redirects are not followed.

    :param seconds: The longest that the whole answer may take, and connecting before it.
    :raises NotHeard: When no connection could be made.
    :raises Untrusted: When the host's certificate was refused.
    :raises MaybeHeard: When the request left and no complete answer came back.
    """
    try:
        with session.request(
            request.method,
            url + request.path,
            json=request.json,
            auth=auth,
            verify=session.verify,  # said again, or REQUESTS_CA_BUNDLE in the environment would win
            timeout=(min(CONNECT_TIMEOUT, seconds), seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            return Answer(response.status_code, response.headers, _read(response))
    except requests.ConnectTimeout as error:
        raise NotHeard(_reason(error)) from error
    except requests.exceptions.SSLError as error:
        if _cause(error, ssl.SSLCertVerificationError):
            raise Untrusted(_reason(error)) from error
        raise MaybeHeard(_reason(error)) from error
    except (requests.RequestException, HTTPError, OSError) as error:
        kind = NotHeard if _cause(error, NewConnectionError) else MaybeHeard
        raise kind(_reason(error)) from error


def bounded_session() -> requests.Session:
    """Return a session whose exchanges end in time even when the other side sends a byte now and then."""
    session = _BoundedSession()
    session.mount("http://", _BoundedAdapter())
    session.mount("https://", _BoundedAdapter())
    return session


def _read(response: requests.Response) -> bytes:
    """Read the body piece by piece, so that its size can't hold the caller; its pace is the watchdog's."""
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > MAX_ANSWER_BYTES:
        raise MaybeHeard(f"the answer is {declared} bytes long, more than the {MAX_ANSWER_BYTES} accepted")
    body = bytearray()
    raw = cast(HTTPResponse, response.raw)
    with getattr(raw.connection, "watchdog", nullcontext()):
        while piece := raw.read1(_CHUNK_BYTES, decode_content=True):
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise MaybeHeard(f"the answer is longer than the {MAX_ANSWER_BYTES} bytes accepted")
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
    return f"the exchange failed ({type(error).__name__})"


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (requests.ConnectTimeout, "no connection within the time-out"),
    (TimeoutError, "no answer within the time-out"),
    (requests.exceptions.ProxyError, "the proxy could not be reached, refused, or broke off"),
    (socket.gaierror, "the host name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (NewConnectionError, "no connection could be made"),
    (ssl.SSLCertVerificationError, "the host's certificate could not be verified"),
    (ssl.SSLError, "the TLS session failed"),
    (ConnectionError, "the connection was closed before the answer was complete"),
    (requests.ConnectionError, "the connection was closed before the answer was complete"),
    (HTTPError, "the answer broke off or was not HTTP"),
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
    """A connection whose answer must be there, whole, within the read time-out."""

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
        """Return None: to prepare a redirect, requests reads the answer whole, whatever its size and pace."""
