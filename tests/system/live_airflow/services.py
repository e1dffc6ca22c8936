"""The programs Airflow stands on: a throw-away PostgreSQL and Redis, found among Debian's packages."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.system.live_airflow.component import Component

POSTGRES_SETTINGS = {
    "fsync": "off",  # but not synchronous_commit: a killed server must not lose what it has committed
    "full_page_writes": "off",
    "max_connections": "400",
    "listen_addresses": "",
}


def postgres(directory: Path, environment: Mapping[str, str]) -> Component:
    """Create a PostgreSQL cluster in a new directory; it listens on a socket there, which only its owner may open."""
    directory.mkdir(mode=0o700)
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to be run by root
    if user:
        shutil.chown(directory, user, user)
    programs = newest_postgres()
    initdb = [str(programs / "initdb"), f"--pgdata={directory / 'data'}", "--username=airflow", "--auth=trust"]
    subprocess.run(
        [*initdb, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        env=environment,
        cwd=directory,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    is_ready = [str(programs / "pg_isready"), "--quiet", f"--host={directory}"]
    settings = [f"-c{name}={value}" for name, value in POSTGRES_SETTINGS.items()]
    return Component(
        "postgres",
        [str(programs / "postgres"), "-D", str(directory / "data"), "-k", str(directory), *settings],
        directory=directory,
        environment=environment,
        works=lambda _: subprocess.run(is_ready, env=environment, check=False).returncode == 0,
        user=user,
        stop_signal=signal.SIGINT,  # its fast shutdown
    )


def postgres_url(directory: Path) -> str:
    return f"postgresql+psycopg2://airflow@/postgres?host={directory}"


def redis(directory: Path, environment: Mapping[str, str]) -> Component:
    """Prepare a Redis without persistence; it listens on a socket in a new directory."""
    directory.mkdir(mode=0o700)
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("no redis-server on the path: install the Debian package 'redis-server'")
    return Component(
        "redis",
        [program, "--port", "0", "--unixsocket", str(directory / "socket"), "--save", ""],
        directory=directory,
        environment=environment,
        works=lambda _: (directory / "socket").exists(),
    )


def redis_url(directory: Path) -> str:
    return f"redis+socket://{directory / 'socket'}"


def newest_postgres() -> Path:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        raise RuntimeError("no PostgreSQL in /usr/lib/postgresql: install the Debian package 'postgresql'")
    return max(found, key=lambda path: float(path.parent.name))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
