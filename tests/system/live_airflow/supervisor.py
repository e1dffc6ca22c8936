"""The components of one live Airflow: started, killed, started again, and ended together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.system.live_airflow.component import Component, Program
from tests.system.live_airflow.waiting import wait_until

START_TIMEOUT = 180.0
END_TIMEOUT = 30.0


class Supervisor(ABC):
    """Components by name, in the order in which they were started."""

    def __init__(self) -> None:
        self.processes: dict[str, Component] = {}

    @abstractmethod
    def works(self, component: Component, since: datetime) -> bool:
        """Return whether a component does its work, by a heartbeat after ``since`` if it has any."""

    def launch(self, program: Program, logs: Path) -> None:
        """Start a program for the first time."""
        component = Component(program, logs / f"{program.name}.log")
        self.processes[program.name] = component
        component.start()

    def kill(self, name: str) -> None:
        """Kill a component with SIGKILL, and all that it had started, as if its machine had lost power."""
        self.processes[name].kill(END_TIMEOUT)

    def stop(self, name: str) -> None:
        """Stop a component in order, as an upgrade would."""
        component = self.processes[name]
        component.signal(component.program.stop_signal)
        component.wait(END_TIMEOUT)

    def start(self, name: str) -> None:
        """Start a component again that was killed or stopped."""
        self.processes[name].start()
        self.wait_until_ready(name)

    def wait_until_ready(self, name: str) -> None:
        """
        Wait until a component that was started does its work.

        :raises RuntimeError: if it has ended instead
        :raises TimeoutError: with the end of its log
        """
        component = self.processes[name]

        def ready() -> bool:
            if not component.is_alive():
                raise RuntimeError(f"{name} has ended by itself:\n{component.tail()}")
            return self.works(component, component.started_at)

        wait_until(ready, START_TIMEOUT, lambda: f"{name} not ready:\n{component.tail()}", interval=0.05)

    def recover(self) -> None:
        """
        Start what has ended by itself, as a service manager would, until every component works again.

        A scheduler or a dag-processor that cannot reach the database for a second ends (Airflow 3.3.2).
        """
        since = datetime.now(UTC)

        def works(component: Component) -> bool:
            if not component.is_alive():
                component.start()
            return self.works(component, max(since, component.started_at))

        for name, component in self.processes.items():
            wait_until(
                lambda component=component: works(component),  # type: ignore[misc]
                START_TIMEOUT,
                lambda name=name, component=component: f"{name} has not recovered:\n{component.tail()}",  # type: ignore[misc]
            )

    def end(self, names: Iterable[str]) -> None:
        """End components, all at the same time, and wait until nothing of them is left."""
        components = [self.processes[name] for name in names]
        for component in components:
            component.end()
        for component in components:
            component.wait(END_TIMEOUT)
