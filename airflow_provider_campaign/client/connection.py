"""A connection for one request: one time limit for all of it, and no response but the final one."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from http.client import HTTPMessage, HTTPResponse
from io import BufferedReader, RawIOBase
from threading import Thread
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

CONNECT_TIMEOUT = 10.0
"""Seconds to look a host up and reach one of its addresses, or the request's time limit if that is shorter."""


class TimeLimit:
    """
    The end of what may take a number of seconds from now on.

    A socket's own time-out starts again with every byte, so that a server could keep a client for hours.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """
        Seconds until then.

        :raises TimeoutError: When there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class LimitedConnection(HTTPConnection):
    """
    A connection that is bound by one time limit from the look-up of the host to the last byte of the response.

    :param limit: When all of it must have ended.
    :param on_connect: Called when the connection stands, and nothing was sent yet.
    """

    def __init__(self, *args: Any, limit: TimeLimit, on_connect: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit = limit
        self._on_connect = on_connect

    def connect(self) -> None:
        super().connect()
        self._on_connect()

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, method: str | None = None
    ) -> HTTPResponse:
        """Return the response, also a proxy's, that a socket carries."""
        return _FinalResponse(sock, self._limit, method)

    def _new_conn(self) -> socket.socket:
        """Return a socket that is connected to one of the host's addresses, each of which has a share of the time."""
        limit = TimeLimit(min(CONNECT_TIMEOUT, self._limit.left))
        addresses = _look_up(self._dns_host.strip("[]"), self.port, limit.left)
        failure = OSError("the host has no address")
        for untried, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                sock = create_connection(address, limit.left / untried, socket_options=self.socket_options)
                sock.settimeout(self._limit.left)
                return sock
            except OSError as error:
                failure = error
        raise failure


class LimitedTLSConnection(LimitedConnection, HTTPSConnection):
    """The same over TLS, whose handshake is part of connecting."""


class _FinalResponse(HTTPResponse):
    """A response that passes over interim ones (1xx), and is read within a time limit."""

    def __init__(self, sock: socket.socket, limit: TimeLimit, method: str | None) -> None:
        super().__init__(sock, method=method)
        self.fp = _WholeLines(_LimitedReader(self.fp.detach(), sock, limit))

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
    """
    A stream that never ends where a line is expected, or within one.

    http.client takes what there is of a line for all of it: the "0" of a chunk's size "0059" would be the last chunk's.
    """

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise ConnectionError
        return line


class _LimitedReader(RawIOBase):
    """A socket's stream, each read of which may take what is left of a time limit."""

    def __init__(self, stream: RawIOBase, sock: socket.socket, limit: TimeLimit) -> None:
        self._stream = stream
        self._sock = sock
        self._limit = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._limit.left)
        count = cast("int | None", self._stream.readinto(buffer))
        self._sock.settimeout(self._limit.left)  # for the TLS handshake that follows a proxy's response
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _look_up(host: str, port: int, seconds: float) -> list[tuple[str, int]]:
    """
    Return a host's addresses.

    :raises TimeoutError: When that takes too long; the system's resolver, which has no time-out, is left to itself.
    """
    found: Future[list[tuple[str, int]]] = Future()

    def look_up() -> None:
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([cast("tuple[str, int]", address[:2]) for *_, address in addresses])
        except (OSError, ValueError, OverflowError) as error:
            found.set_exception(error)

    Thread(target=look_up, daemon=True).start()
    return found.result(seconds)
