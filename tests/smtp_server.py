"""A mail server on this machine that delivers nothing, and keeps what it was sent."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any, Self


class SmtpServer:
    def __init__(self) -> None:
        self.mails: list[Message] = []
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def connection(self) -> dict[str, Any]:
        port: int = self._server.server_address[1]
        extra = {"disable_ssl": True, "disable_tls": True, "retry_limit": 1}
        return {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}

    def texts(self) -> list[tuple[str, str]]:
        return [(str(mail["Subject"]), _text(mail)) for mail in self.mails]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        mails = self.mails

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 local")
                while line := self.rfile.readline():
                    word = line[:4].upper()
                    if word == b"DATA":
                        self._say("354 go ahead")
                        lines = list(iter(self.rfile.readline, b".\r\n"))
                        mails.append(message_from_bytes(b"".join(lines), policy=default))
                    self._say("221 bye" if word == b"QUIT" else "250 ok")

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        return Handler


def _text(mail: Message) -> str:
    parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    return "\n".join(part.decode() for part in parts if isinstance(part, bytes))
