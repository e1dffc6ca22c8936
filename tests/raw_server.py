"""A server on loopback that says any bytes at any pace, over TLS or not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Speak = Callable[[socket.socket], None]


class RawServer:
    """
    Serve from ``with`` to its end, one thread a connection.

    :param speak: Answers on a connection whose request has been read.
    :param tls: Serve TLS with this context.
    :param keeps_open: Leave it to the client to close a connection, instead of closing it after the first request.
    """

    def __init__(self, speak: Speak, tls: ssl.SSLContext | None = None, *, keeps_open: bool = False) -> None:
        self.requests: list[bytes] = []
        self._speak = speak
        self._tls = tls
        self._keeps_open = keeps_open
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):  # the end
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):  # the client left, or never trusted us
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            with connection:
                while True:
                    self.requests.append(read_request(connection))
                    self._speak(connection)
                    if not self._keeps_open:
                        break


def read_request(connection: socket.socket) -> bytes:
    """Read up to the blank line, and the body that the header announces."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(map(int, lengths)):
        body += _some(connection)
    return head + b"\r\n\r\n" + body


def _some(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionError("the client left")
    return piece
