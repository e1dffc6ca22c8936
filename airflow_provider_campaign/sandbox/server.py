"""uvicorn in a thread: started and stopped by events, on the loopback interface only."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOPBACK = "127.0.0.1"
START_TIMEOUT = 10.0
KEEP_ALIVE = 75


class SandboxProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which also gives the application its transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport into the state of the connection's scopes."""
        super().connection_made(transport)
        # asyncio forgets this for listeners made by ``socket.create_server``; without it, responses take 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class SandboxServer(uvicorn.Server):
    """uvicorn's server, stopped by an event instead of polling, and without waiting for clients."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def stop(self) -> None:
        """Request the end of ``main_loop``, from any thread."""
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Wait for ``stop``."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self.ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Abort all connections and cancel their requests."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # One turn of the loop, in which the requests see that their clients have disconnected.
        await asyncio.sleep(0)
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class ServerThread:
    """
    A server in a daemon thread.

    :param port: TCP port; 0 takes a free one.
    :raises OSError: When the port is taken.
    """

    def __init__(self, application: ASGIApp, port: int) -> None:
        self._listener = socket.create_server((LOOPBACK, port), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        config = uvicorn.Config(
            application,
            http=SandboxProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="warning",
            date_header=False,  # the platform's clock need not be ours
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._server = SandboxServer(config)
        self._thread = threading.Thread(target=self._serve, name="campaign-sandbox", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(START_TIMEOUT):
            raise RuntimeError("the sandbox's server did not start")

    def stop(self) -> None:
        """Stop the server and close all connections."""
        self._server.stop()
        self._thread.join(START_TIMEOUT)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))
