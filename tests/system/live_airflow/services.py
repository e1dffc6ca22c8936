"""The programs Airflow stands on: a throw-away PostgreSQL and Redis, found among Debian's packages."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.system.live_airflow.component import Program

POSTGRES_GLOB = "/usr/lib/postgresql/*/bin"
POSTGRES_USER = "postgres"
POSTGRES_SETTINGS = {
    "fsync": "off",  # but not synchronous_commit: a killed server must not lose what it has committed
    "full_page_writes": "off",
    "max_connections": "400",
    "listen_addresses": "127.0.0.1",
}


class Postgres:
    """A PostgreSQL cluster of its own in an empty directory, on loopback and a unix socket."""

    def __init__(self, directory: Path, port: int, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.port = port
        self.environment = environment
        self.password = secrets.token_urlsafe(16)
        self.user = POSTGRES_USER if os.geteuid() == 0 else None
        self.programs = newest_postgres()

    @property
    def url(self) -> str:
        """What SQLAlchemy puts after ``postgresql+driver``, with the password."""
        return f"://airflow:{self.password}@127.0.0.1:{self.port}/postgres"

    def initialise(self) -> None:
        """Create the cluster, as the user who may run it: PostgreSQL refuses to be run by root."""
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o600)
        if self.user:
            shutil.chown(self.directory, self.user, self.user)
            shutil.chown(password_file, self.user, self.user)
        options = ["--username=airflow", "--auth=password", f"--pwfile={password_file}"]
        options += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            [self.programs / "initdb", f"--pgdata={self.directory / 'data'}", *options],
            env=self.environment,
            cwd=self.directory,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed in {self.directory}:\n{done.stdout}{done.stderr}")

    def program(self, remove: Path | None) -> Program:
        """Return how to run the server; SIGINT is its fast shutdown."""
        settings = [f"-c{name}={value}" for name, value in POSTGRES_SETTINGS.items()]
        place = ["-D", str(self.directory / "data"), "-k", str(self.directory), "-p", str(self.port)]
        return Program(
            name="postgres",
            command=[str(self.programs / "postgres"), *place, *settings],
            directory=self.directory,
            environment=self.environment,
            user=self.user,
            stop_signal=signal.SIGINT,
            grace=10,
            remove=remove,
        )

    def is_ready(self) -> bool:
        """Return whether the server takes connections."""
        program = str(self.programs / "pg_isready")
        command = [program, "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(command, env=self.environment, check=False).returncode == 0


class Redis:
    """A Redis of its own in an empty directory, on loopback, without persistence."""

    def __init__(self, directory: Path, port: int, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.port = port
        self.environment = environment
        self.password = secrets.token_urlsafe(16)
        self.binary = require_program("redis-server", "redis-server")

    @property
    def url(self) -> str:
        """The broker URL, with the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def program(self) -> Program:
        """Write the configuration and return how to run the server."""
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self.password,
            "dir": self.directory,
            "save": '""',
            "appendonly": "no",
        }
        configuration = self.directory / "redis.conf"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return Program(
            name="redis",
            command=[self.binary, str(configuration)],
            directory=self.directory,
            environment=self.environment,
        )

    def is_ready(self) -> bool:
        """Return whether the server takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def newest_postgres() -> Path:
    """Return the directory of the newest PostgreSQL's programs."""
    found = [path for path in Path("/").glob(POSTGRES_GLOB.lstrip("/")) if (path / "initdb").exists()]
    if not found:
        raise RuntimeError(f"no PostgreSQL in {POSTGRES_GLOB}: install the Debian package 'postgresql'")
    return max(found, key=lambda path: float(path.parent.name))


def require_program(name: str, package: str) -> str:
    """Return where a program is; raise, naming the Debian package, if it is missing."""
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"no {name} on the path: install the Debian package '{package}'")
    return found


def free_ports(count: int) -> list[int]:
    """Return that many different free TCP ports of 127.0.0.1."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
