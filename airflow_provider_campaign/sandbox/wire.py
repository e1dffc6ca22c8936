"""The connection to one client, down to the socket: proper answers, and every way not to give one."""

from __future__ import annotations

import asyncio
import socket
import struct

from starlette.types import Receive, Scope, Send

from airflow_provider_campaign.sandbox.answers import Answer

CHUNK = 64 * 1024
# With this, closing a socket sends a reset instead of an orderly end.
LINGER_ZERO = struct.pack("ii", 1, 0)


class Wire:
    """
    One request's connection.

    :param scope: the ASGI scope; the server's protocol has put the transport into its state
    :param receive: the ASGI receive function
    :param send: the ASGI send function
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self._receive = receive
        self._send = send

    async def body(self) -> bytes | None:
        """Return the request's body, None when the client left before it was complete."""
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if not message.get("more_body", False):
                return bytes(body)

    async def answer(self, answer: Answer, date: str) -> None:
        """
        Send an answer.

        :param answer: the answer
        :param date: its `Date` header
        """
        await self._start(answer, {"Content-Length": str(len(answer.body)), "Date": date})
        await self._send({"type": "http.response.body", "body": answer.body})

    async def gone(self, seconds: float | None = None) -> bool:
        """
        Wait until the client has left; tell whether it has.

        :param seconds: how long to wait at most, None for ever
        """
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True

    async def reset(self) -> None:
        """Reset the connection: the client sees neither an answer nor an orderly end."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self._transport.abort()
        await self.gone()

    async def hang(self, seconds: float | None) -> None:
        """
        Say nothing until the client leaves, or close the connection after a while.

        :param seconds: the while, None for ever
        """
        if not await self.gone(seconds):
            self._transport.close()
            await self.gone()

    async def dribble(self, interval: float) -> None:
        """
        Send the header, then the body byte by byte without end.

        :param interval: seconds between two bytes
        """
        await self._start(Answer(200), {})
        byte = b'"'
        while not await self.gone(interval):
            await self._send({"type": "http.response.body", "body": byte, "more_body": True})
            byte = b"."

    async def dribble_headers(self, interval: float) -> None:
        """
        Send a header that never ends, byte by byte.

        :param interval: seconds between two bytes
        """
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Padding: ")
        while not await self.gone(interval):
            self._transport.write(b".")

    async def huge(self, size: int, chunked: bool) -> None:
        """
        Send a valid JSON document of any size.

        :param size: bytes
        :param chunked: whether the size is kept from the client
        """
        await self._start(Answer(200), {} if chunked else {"Content-Length": str(size)})
        opening, closing = b'{"padding": "', b'"}'
        filling = max(0, size - len(opening) - len(closing))
        await self._send({"type": "http.response.body", "body": opening, "more_body": True})
        while filling > 0 and not self._transport.is_closing():
            piece = b"." * min(CHUNK, filling)
            filling -= len(piece)
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        if self._transport.is_closing():
            await self.gone()
        else:
            await self._send({"type": "http.response.body", "body": closing})

    async def _start(self, answer: Answer, framing: dict[str, str]) -> None:
        headers = {**framing, **answer.headers}
        if answer.content_type is not None:
            headers["Content-Type"] = answer.content_type
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": raw})
