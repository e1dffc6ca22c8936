"""The connection to one client, down to the socket: proper responses, and every way to break one."""

from __future__ import annotations

import asyncio
import socket
import struct

from starlette.types import Receive, Scope, Send

from airflow_provider_campaign.sandbox.responses import HttpResponse

CHUNK_SIZE = 64 * 1024
# With this, closing a socket sends a reset (RST) instead of an orderly end (FIN).
LINGER_ZERO = struct.pack("ii", 1, 0)


class ClientConnection:
    """
    The connection that one request came in on.

    :param scope: The ASGI scope; the server's protocol has put the transport into its state.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self._receive = receive
        self._send = send

    async def read_body(self) -> bytes | None:
        """Return the request's body, None if the client disconnected before it was complete."""
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if not message.get("more_body", False):
                return bytes(body)

    async def send_response(self, response: HttpResponse, date: str) -> None:
        """
        Send a response.

        :param date: The ``Date`` header.
        """
        await self._send_headers(response, {"Content-Length": str(len(response.body)), "Date": date})
        await self._send({"type": "http.response.body", "body": response.body})

    def send_first(self, response: HttpResponse | None, date: str) -> None:
        """
        Send what no client expects before a response.

        :param response: Itself; None for an interim response, Early Hints.
        :param date: The ``Date`` header.
        """
        whole = b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preconnect\r\n\r\n"
        if response is not None:
            head = f"HTTP/1.1 {response.status} \r\nContent-Length: {len(response.body)}\r\nDate: {date}\r\n\r\n"
            whole = head.encode("latin-1") + response.body
        self._transport.write(whole)

    async def wait_disconnected(self, timeout: float | None = None) -> bool:
        """
        Wait until the client has disconnected; return whether it has.

        :param timeout: Seconds; None waits for ever.
        """
        try:
            async with asyncio.timeout(timeout):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True

    async def reset(self) -> None:
        """Reset the connection: the client sees neither a response nor an orderly end."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self._transport.abort()
        await self.wait_disconnected()

    async def hang(self, seconds: float | None) -> None:
        """
        Send nothing until the client disconnects, or close the connection.

        :param seconds: When to close it; None never does.
        """
        if not await self.wait_disconnected(seconds):
            self._transport.close()
            await self.wait_disconnected()

    async def dribble(self, interval: float) -> None:
        """
        Send the headers, then an endless body byte by byte.

        :param interval: Seconds between two bytes.
        """
        await self._send_headers(HttpResponse(200), {})
        byte = b'"'
        while not await self.wait_disconnected(interval):
            await self._send({"type": "http.response.body", "body": byte, "more_body": True})
            byte = b"."

    async def dribble_headers(self, interval: float) -> None:
        """
        Send an endless header byte by byte.

        :param interval: Seconds between two bytes.
        """
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Padding: ")
        while not await self.wait_disconnected(interval):
            self._transport.write(b".")

    async def huge(self, size: int, chunked: bool) -> None:
        """
        Send a valid JSON document of any size.

        :param size: Bytes.
        :param chunked: Send it without a ``Content-Length``.
        """
        await self._send_headers(HttpResponse(200), {} if chunked else {"Content-Length": str(size)})
        opening, closing = b'{"padding": "', b'"}'
        padding = max(0, size - len(opening) - len(closing))
        await self._send({"type": "http.response.body", "body": opening, "more_body": True})
        while padding > 0 and not self._transport.is_closing():
            chunk = b"." * min(CHUNK_SIZE, padding)
            padding -= len(chunk)
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        if self._transport.is_closing():
            await self.wait_disconnected()
        else:
            await self._send({"type": "http.response.body", "body": closing})

    async def _send_headers(self, response: HttpResponse, framing: dict[str, str]) -> None:
        headers = {**framing, **response.headers}
        if response.content_type is not None:
            headers["Content-Type"] = response.content_type
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": response.status, "headers": raw})
