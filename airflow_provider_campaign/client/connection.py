"""A connection for one request: one time limit for all of it, and no response but the final one."""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future
from http.client import HTTPMessage, HTTPResponse
from io import BufferedReader, RawIOBase
from threading import Thread
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

CONNECT_TIMEOUT = 10.0
"""Seconds to look a host up and reach one of its addresses, or the request's time limit if that is shorter."""


class Attempt:
    """
    One request: when it must have ended, and whether it may have been sent.

    A socket's own time-out starts again with every byte, so that a server could keep a client for hours.
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


class LimitedConnection(HTTPConnection):
    """A connection that one attempt bounds, from the look-up of the host to the last byte of the response."""

    def __init__(self, *args: Any, attempt: Attempt, **kwargs: Any) -> None:
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
        """Return a socket that is connected to one of the host's addresses, each of which has a share of the time."""
        limit = Attempt(min(CONNECT_TIMEOUT, self._attempt.left))
        addresses = _look_up(self._dns_host.strip("[]"), self.port, limit.left)
        failure = OSError("the host has no address")
        for number, address in enumerate(addresses):
            try:
                share = limit.left / (len(addresses) - number)
                sock = create_connection(address, share, socket_options=self.socket_options)
                sock.settimeout(self._attempt.left)
                return sock
            except OSError as error:
                failure = error
        raise failure


class LimitedTLSConnection(LimitedConnection, HTTPSConnection):
    """The same over TLS, whose handshake is part of connecting."""


class _FinalResponse(HTTPResponse):
    """A response that passes over interim ones (1xx), and is read within an attempt's time."""

    def __init__(self, sock: socket.socket, attempt: Attempt, method: str | None) -> None:
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
    """A socket's stream, each read of which may take what is left of an attempt's time."""

    def __init__(self, stream: RawIOBase, sock: socket.socket, attempt: Attempt) -> None:
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


def _look_up(host: str, port: int, seconds: float) -> list[tuple[str, int]]:
    """Return a host's addresses; the system's resolver has no time-out, and is left to itself after these seconds."""
    found: Future[list[tuple[str, int]]] = Future()

    def look_up() -> None:
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([cast("tuple[str, int]", address[:2]) for *_, address in addresses])
        except (OSError, ValueError, OverflowError) as error:
            found.set_exception(error)

    Thread(target=look_up, daemon=True).start()
    return found.result(seconds)
