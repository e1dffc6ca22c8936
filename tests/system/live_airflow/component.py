"""One long-running program of the live Airflow."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.system.live_airflow.waiting import wait_until

START_TIMEOUT = 180.0
END_TIMEOUT = 30.0
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


@dataclass
class Component:
    """
    A program that can be started, killed, and started again; each time it has a log of its own.

    If this Python is killed, the program gets ``stop_signal``.

    :param works: whether it does its work, judged by what has happened since a moment, if that can be seen
    :param user: run as this user instead of the present one
    """

    name: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    works: Callable[[datetime], bool]
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    started_at: datetime = field(init=False)
    _starts: int = field(default=0, init=False)
    _process: psutil.Popen | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """The file with the output since the last start."""
        return self.directory / f"{self.name}.{self._starts}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return int(self._process.pid)

    def start(self) -> None:
        if self.is_alive():
            raise RuntimeError(f"{self.name} is running, pid {self.pid}")
        self._starts += 1
        self.started_at = datetime.now(UTC)
        with self.log.open("wb") as log:
            self._process = psutil.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self.environment,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                start_new_session=True,
                preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, int(self.stop_signal), 0, 0, 0),
            )

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        return [process.pid for process in self._family()]

    def _family(self) -> list[psutil.Process]:
        if self._process is None or not self.is_alive():
            return []
        return [self._process, *self._process.children(recursive=True)]

    def kill(self) -> None:
        """Kill the program with SIGKILL, and all that it had started, as if its machine had lost power."""
        stopped: set[psutil.Process] = set()
        while running := set(self._family()) - stopped:  # what is stopped starts nothing any more
            stopped |= running
            signal_each(running, signal.SIGSTOP)
        signal_each(stopped, signal.SIGKILL)
        ids = [process.pid for process in stopped]
        wait_until(lambda: all(map(has_ended, ids)), END_TIMEOUT, lambda: f"{self.name} can't be killed")
        if self._process is not None:
            self.wait(END_TIMEOUT)  # until all of its threads have ended, too

    def signal(self, number: signal.Signals) -> None:
        signal_each(self._family()[:1], number)

    def wait(self, timeout: float) -> int:
        assert self._process is not None
        return int(self._process.wait(timeout))

    def stop(self) -> None:
        """Stop the program in order, as an upgrade would; kill what is left of it."""
        if self.is_alive():
            self.signal(self.stop_signal)
            with suppress(psutil.TimeoutExpired):
                self.wait(END_TIMEOUT)
        self.kill()

    def wait_until_ready(self) -> None:
        """
        Wait until the program that was started does its work.

        :raises RuntimeError: if it has ended instead
        :raises TimeoutError: with the end of its log
        """

        def ready() -> bool:
            if not self.is_alive():
                raise RuntimeError(f"{self.name} has ended by itself:\n{self.tail()}")
            return self.works(self.started_at)

        wait_until(ready, START_TIMEOUT, lambda: f"{self.name} not ready:\n{self.tail()}")

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self._starts else ""

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.output().splitlines()[-lines:])


def has_ended(pid: int) -> bool:
    """Return whether a process has ended, even if its parent has not collected it."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def signal_each(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
