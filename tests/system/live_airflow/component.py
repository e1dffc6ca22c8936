"""One long-running program of the live Airflow, under its warden."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.system.live_airflow import warden


@dataclass(frozen=True, kw_only=True)
class Program:
    """
    What to run, and how to end it.

    :param user: run as this user instead of the present one
    :param grace: seconds between ``stop_signal`` and SIGKILL at the end; 0 kills at once
    :param remove: directory the warden removes if this Python is killed before it can do so
    """

    name: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 0.0
    remove: Path | None = None


class Component:
    """A program that can be started, killed and started again; its output is appended to one log."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.name = program.name
        self.log = log
        self.pid = 0
        self.started_at = datetime.now(UTC)
        self._log_offset = 0
        self._warden: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program and learn its process id."""
        if self.is_alive():
            raise RuntimeError(f"{self.name} is running, pid {self.pid}")
        self.started_at = datetime.now(UTC)
        read_end, write_end = os.pipe()
        with self.log.open("ab") as log, open(read_end, "rb") as pid_pipe:
            self._log_offset = log.tell()
            try:
                self._warden = self._start_warden(write_end, log.fileno())
            finally:
                os.close(write_end)
            line = pid_pipe.readline()
        if not line:
            raise RuntimeError(f"{self.name} could not be started:\n{self.tail()}")
        self.pid = int(line)

    def _start_warden(self, pid_fd: int, log_fd: int) -> subprocess.Popen[bytes]:
        program = self.program
        options = [f"--parent={os.getpid()}", f"--pid-fd={pid_fd}", f"--grace={program.grace}"]
        options.append(f"--stop-signal={int(program.stop_signal)}")
        options += [f"--user={program.user}"] if program.user else []
        options += [f"--remove={program.remove}"] if program.remove else []
        return subprocess.Popen(
            [sys.executable, "-I", "-S", warden.__file__, *options, "--", *program.command],
            stdin=subprocess.DEVNULL,
            stdout=log_fd,
            stderr=log_fd,
            cwd=program.directory,
            env=program.environment,
            pass_fds=[pid_fd],
            start_new_session=True,
        )

    def is_alive(self) -> bool:
        """Return whether the program or anything it started is still there."""
        return self._warden is not None and self._warden.poll() is None

    def pids(self) -> list[int]:
        """Return the process ids of the program's warden, of the program and of all it has started."""
        if self._warden is None or not self.is_alive():
            return []
        return [self._warden.pid, *warden.descendants(self._warden.pid)]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self, timeout: float = 10) -> None:
        """Kill the program with SIGKILL, and then all that it had started, and wait until none is left."""
        self.signal(signal.SIGKILL)
        self.wait(timeout)

    def end(self) -> None:
        """Begin the end as the program wishes it, with its grace, without waiting."""
        if self.is_alive() and self._warden is not None:
            self._warden.terminate()

    def wait(self, timeout: float) -> None:
        """Wait until the program and all it started have ended, for a number of seconds."""
        if self._warden is None:
            return
        try:
            self._warden.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} (pid {self.pid}) still alive after {timeout} s") from None

    def output(self) -> str:
        """Return what the program has written since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._log_offset)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
