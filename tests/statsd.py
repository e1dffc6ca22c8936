"""A server that receives Airflow's metrics."""

from __future__ import annotations

import socket
from collections import defaultdict
from contextlib import suppress
from typing import Self


class Statsd:
    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)  # nothing is read before runs are over
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def options(self) -> dict[str, str]:
        port = str(self._socket.getsockname()[1])
        section = {"ON": "True", "HOST": "127.0.0.1", "PORT": port, "INFLUXDB_ENABLED": "True"}
        return {f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in section.items()}

    def take(self) -> dict[str, float]:
        """Return the sum of each metric that has come since this was asked last, by name and tags."""
        sums: dict[str, float] = defaultdict(float)
        with suppress(BlockingIOError):
            while True:
                name, _, value = self._socket.recv(65535).decode().partition(":")
                sums[name] += float(value.partition("|")[0])
        return sums
