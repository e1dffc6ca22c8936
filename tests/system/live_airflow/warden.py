"""Run one command and see that nothing of it is left behind: ``python warden.py [options] -- command ...``.

Airflow's components start processes that leave their process group (each task has its own, a BashOperator's
command even its own session), so killing a group leaves orphans. A warden is the "child subreaper" of its
command: whatever the command starts stays below the warden in the process tree, however it detaches itself.
The warden ends when the command has ended, when it gets SIGTERM, or when the process that started it is gone
(even by SIGKILL), and always kills everything below it first. Standard library and Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


class Warden:
    """
    Keep one command and all of its descendants.

    :param options: the command line, parsed
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.status: int | None = None
        self.stopping = False
        self.wake, self.waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Start the command, wait for the end of it or of the parent, clean up and return the exit status."""
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        self.pid = self._start()
        os.write(self.options.pid_fd, b"%d\n" % self.pid)
        os.close(self.options.pid_fd)
        orphaned = self._wait()
        self._end()
        if orphaned and self.options.remove:
            remove(self.options.remove)
        return self.status or 0

    def _start(self) -> int:
        user = self.options.user
        command = subprocess.Popen(
            self.options.command,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
        )
        return command.pid

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _wait(self) -> bool:
        """Wait; true if the parent is gone."""
        try:
            parent = os.pidfd_open(self.options.parent)
        except ProcessLookupError:
            return True
        while self.status is None and not self.stopping:
            readable, _, _ = select.select([parent, self.wake], [], [])
            if parent in readable or os.getppid() != self.options.parent:
                return True
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 4096)
            self._reap()
        return False

    def _reap(self) -> bool:
        """Collect whoever has ended; false when nobody is left below this process."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status) % 256

    def _end(self) -> None:
        """Give the command its grace, if any, then kill all that is left."""
        deadline = time.monotonic() + self.options.grace
        if self.status is None and self.options.grace:
            os.kill(self.pid, self.options.stop_signal)
        while self._reap() and self.status is None and time.monotonic() < deadline:
            time.sleep(0.01)
        while self._reap():
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def descendants(root: int) -> list[int]:
    """Return the ids of all processes below ``root``, from /proc."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children[int(fields[1])].append(int(entry.name))
    found = list(children[root])
    for pid in found:
        found.extend(children[pid])
    return found


def remove(directory: str) -> None:
    """Remove a directory that others may be writing to until they are killed as well."""
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            return
        time.sleep(0.1)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True, help="process whose end is also ours")
    parser.add_argument("--pid-fd", type=int, required=True, help="where to write the command's process id")
    parser.add_argument("--user", help="run the command as this user")
    parser.add_argument("--stop-signal", type=int, default=signal.SIGTERM)
    parser.add_argument("--grace", type=float, default=0.0, help="seconds between stop signal and SIGKILL")
    parser.add_argument("--remove", help="directory to remove when the parent died without doing so")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(Warden(parse(sys.argv[1:])).run())
