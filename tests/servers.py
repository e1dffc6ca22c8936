"""Servers on loopback: one says any bytes at any pace, over TLS or not; the other answers exactly what a test says."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from typing import Any, Self
from urllib.parse import quote

Speak = Callable[[socket.socket], None]


class Server:
    """Serve from ``with`` to its end, one thread a connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
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
                self.serve(connection)


class RawServer(Server):
    """A server that says any bytes at any pace once it has read a request, and then closes the connection, or not."""

    def __init__(self, speak: Speak, tls: ssl.SSLContext | None = None, *, keeps_open: bool = False) -> None:
        super().__init__(tls)
        self.requests: list[bytes] = []
        self._speak = speak
        self._keeps_open = keeps_open

    def serve(self, connection: socket.socket) -> None:
        while True:
            self.requests.append(read_request(connection))
            self._speak(connection)
            if not self._keeps_open:
                break


@dataclass(frozen=True)
class Sent:
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


class LocalServer(Server):
    """A server that answers exactly what a test says, and keeps what it was sent."""

    def __init__(self, answer: Callable[[Sent], Reply], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.requests: list[Sent] = []
        self._answer = answer

    def serve(self, connection: socket.socket) -> None:
        head, _, body = read_request(connection).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _version = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        sent = Sent(method, target, headers, body)
        self.requests.append(sent)
        reply = self._answer(sent)
        said = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, '')}"]
        given = {**reply.headers, "Content-Length": len(reply.body), "Connection": "close"}
        said += [f"{name}: {value}" for name, value in given.items()]
        connection.sendall("\r\n".join([*said, "", ""]).encode("latin-1") + reply.body)


class Echo:
    """
    A platform that responds with all that it was sent, and with what it knows: in headers, keys, and values.

    :param known: What it knows beside what it is sent.
    :param keys: Further keys of its documents.
    :param total: How many campaigns it says that it has; it has one.
    """

    def __init__(self, known: Sequence[str], status: int = 200, keys: Iterable[str] = (), total: int = 1) -> None:
        self.known, self.status, self.keys, self.total = known, status, keys, total
        self.tokens: list[str] = []

    def __call__(self, sent: Sent) -> Reply:
        token = sent.headers.get("auth") or sent.headers["authorization"].removeprefix("Bearer ")
        self.tokens.append(token)
        told = " ".join([*self.known, f"Bearer {token}", sent.target, *sent.headers.values(), json.dumps(sent.headers)])
        keys = {*self.keys, "name", "message", "updatedAt", "traceId", "code", told}
        texts: dict[str, Any] = dict.fromkeys(keys, told)
        hours = {"frequency": told, "timezone": told, "days": [{"day": told, "start": told, "end": told}]}
        row = {**texts, "id": "id-of-Ann", "status": "Stopped", "extra": {told: told}, "callingHours": hours}
        lists = {"results": [row], "items": [row], "hasMore": False, "nextCursor": None, "totalResults": self.total}
        failure = None if self.status == 200 else {"message": told, "msg": told, "code": told, "details": told}
        document = {**texts, "success": not failure, "error": failure, "errors": [failure] if failure else []}
        document["status"] = told if failure else "Stopped" if "trigger=" in sent.target else "success"
        document["data"] = {**row, **lists, "campaign": row}
        line = told.replace("\n", " ")
        names = ("Date", "Server", "Retry-After", "X-RateLimit-Limit", f"X-{as_name(told)}", f"X-Quota-{as_name(told)}")
        headers = {"Content-Type": f"application/json; x={line}", **dict.fromkeys(names, line)}
        headers["Location"] = f"https://{token}.{quote(self.known[-1])}/{quote(told)}"
        return Reply(json.dumps(document).encode(), self.status, headers)


def as_name(text: str) -> str:
    """Return a text as it can be a header's name."""
    return re.sub(r"[^\w-]", "-", text)


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
