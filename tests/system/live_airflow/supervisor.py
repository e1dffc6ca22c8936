"""The components of one live Airflow: started, killed, started again, and ended together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.system.live_airflow.component import Component, Program
from tests.system.live_airflow.waiting import wait_until

END_TIMEOUT = 30.0


class Supervisor(ABC):
    """
    Components by name, in the order in which they were started.

    :param start_timeout: seconds for any of them to become ready
    """

    def __init__(self, start_timeout: float) -> None:
        self.start_timeout = start_timeout
        self.processes: dict[str, Component] = {}

    @abstractmethod
    def works(self, component: Component, since: datetime) -> bool:
        """Tell whether a component does its work, by a heartbeat after ``since`` if it has any."""

    def launch(self, program: Program, logs: Path) -> None:
        """Start a program for the first time."""
        component = Component(program, logs / f"{program.name}.log")
        self.processes[program.name] = component
        component.start()

    def pids(self) -> list[int]:
        """Return the ids of all processes of all components."""
        return [pid for component in self.processes.values() for pid in component.pids()]

    def kill(self, name: str) -> None:
        """Kill a component with SIGKILL, and all that it had started, as if its machine had lost power."""
        self.processes[name].kill(END_TIMEOUT)

    def stop(self, name: str, timeout: float = END_TIMEOUT) -> None:
        """
        Stop a component in order, as an upgrade would.

        :param timeout: seconds it may take
        """
        component = self.processes[name]
        component.signal(component.program.stop_signal)
        component.wait(timeout)

    def start(self, name: str, wait: bool = True) -> None:
        """
        Start a component again that was killed or stopped.

        :param wait: wait until it is ready
        """
        self.processes[name].start()
        if wait:
            self.wait_until_ready(name)

    def wait_until_ready(self, name: str, timeout: float | None = None) -> None:
        """
        Wait until a component that was started does its work.

        :param timeout: seconds; ``start_timeout`` if None
        :raises RuntimeError: if it has ended instead
        :raises TimeoutError: with the end of its log
        """
        component = self.processes[name]

        def ready() -> bool:
            if not component.is_alive():
                raise RuntimeError(f"{name} has ended by itself:\n{component.tail()}")
            return self.works(component, component.started_at)

        def failure() -> str:
            return f"{name} not ready:\n{component.tail()}"

        wait_until(ready, timeout or self.start_timeout, failure, interval=0.05)

    def recover(self) -> list[str]:
        """
        Start what has ended by itself, as a service manager would, until every component works again.

        A scheduler or a dag-processor that cannot reach the database for a second ends (Airflow 3.3.2).

        :return: the names of those that were started
        """
        since = datetime.now(UTC)
        return [name for name in self.processes if self._recover(self.processes[name], since)]

    def _recover(self, component: Component, since: datetime) -> bool:
        """Wait until a component works; true if it had to be started for that."""
        started = False

        def works() -> bool:
            nonlocal started
            if not component.is_alive():
                started = True
                component.start()
            return self.works(component, max(since, component.started_at))

        def failure() -> str:
            return f"{component.name} has not recovered:\n{component.tail()}"

        wait_until(works, self.start_timeout, failure)
        return started

    def end(self, names: Iterable[str]) -> None:
        """End components, all at the same time, and wait until nothing of them is left."""
        components = [self.processes[name] for name in names]
        for component in components:
            component.end()
        for component in components:
            component.wait(END_TIMEOUT)
