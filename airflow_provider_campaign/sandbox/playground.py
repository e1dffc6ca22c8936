"""
Run Airflow's UI with the sandbox behind it, for a person who wants to click: ``make airflow``.

Everything is on loopback, in a throw-away AIRFLOW_HOME, and gone after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import requests

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.seeds import SEEDS

START_TIMEOUT = 240.0
"""Seconds until Airflow must be up."""

END_TIMEOUT = 30.0
"""Seconds until Airflow must have exited."""

COMMANDS = (
    ("api-server",),
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("triggerer", "--skip-serve-logs"),
)
"""What runs: logs are read from the disk, and their servers would listen on all addresses of the machine."""

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class Interruption:
    """
    Ctrl-C or SIGTERM: acknowledged at once, acted upon only at a `check`, so that neither start nor end is cut short.

    With a handler of its own the playground also hears SIGINT where a shell has had it ignored, as it does for jobs
    in the background.
    """

    def __init__(self) -> None:
        self._requested = False

    def listen(self) -> None:
        """Handle both signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request)

    def check(self) -> None:
        """
        Go on unless the user wants to end the playground.

        :raises KeyboardInterrupt: If the user does
        """
        if self._requested:
            raise KeyboardInterrupt

    def _request(self, signal_number: int, frame: FrameType | None) -> None:
        message = "Still stopping." if self._requested else f"Stopping; this can take {END_TIMEOUT:g} seconds."
        self._requested = True
        with suppress(OSError):  # nobody may be reading any more
            os.write(sys.stdout.fileno(), f"\n{message}\n".encode())  # print fails where the signal interrupts a print


def settings(home: Path, dags_folder: Path, port: int) -> dict[str, str]:
    """Return the environment of an Airflow that is open to this machine and stores nothing outside its home."""
    url = f"http://127.0.0.1:{port}"
    options: Mapping[str, Any] = {
        "CORE__DAGS_FOLDER": dags_folder.resolve(),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 4,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "API__BASE_URL": url,
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__WORKERS": 1,
        "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "API_AUTH__JWT_ISSUER": "playground",  # 3.0 needs one
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        # Else a DAG that is unpaused makes up for its last run, beside the one that the person has asked for.
        "SCHEDULER__USE_JOB_SCHEDULE": False,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {
        **isolated_environment(),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
    }


def isolated_environment() -> dict[str, str]:
    """Return this process's environment without Airflow's variables, and without a proxy for this machine."""
    unwanted = ("AIRFLOW_", "_AIRFLOW_", "PYTHONDONTWRITEBYTECODE")  # without bytecode it starts half as fast
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    exempt = ",".join(filter(None, [inherited.get("no_proxy") or inherited.get("NO_PROXY"), "127.0.0.1,localhost"]))
    return {**inherited, "no_proxy": exempt, "NO_PROXY": exempt}


@contextmanager
def running(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """
    Run Airflow's commands at once, each in a process group of its own, and end all of them.

    :param log: File for their output.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with log.open("ab") as output:
            for command in commands:
                processes.append(
                    subprocess.Popen(  # noqa: S603
                        [sys.executable, "-m", "airflow", *command],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        yield processes
    finally:
        end(processes)


def end(processes: Collection[subprocess.Popen[bytes]]) -> None:
    """End processes, and what they have started."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + END_TIMEOUT
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_healthy(processes: Collection[subprocess.Popen[bytes]], url: str, interruption: Interruption) -> None:
    """
    Wait until every component of Airflow works.

    :raises KeyboardInterrupt: When the user wants to end the playground meanwhile.
    :raises RuntimeError: When one exits, or it takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        interruption.check()
        if any(process.poll() is not None for process in processes):
            raise RuntimeError("Airflow has ended by itself")
        with suppress(requests.RequestException, ValueError):
            health = requests.get(f"{url}/api/v2/monitor/health", timeout=10).json()
            if all(health.get(name, {}).get("status") == "healthy" for name in COMPONENTS):
                return
        time.sleep(0.5)
    raise RuntimeError(f"Airflow is not up after {START_TIMEOUT:g} seconds")


def create_connections(url: str, sandbox: Sandbox) -> None:
    """
    Enter the connections that the example DAGs use, so that they can be seen and edited in the UI.

    :param sandbox: Where they lead.
    """
    token = requests.get(f"{url}/auth/token", timeout=60).json()["access_token"]
    for conn_id, connection in sandbox.connections().items():
        requests.post(
            f"{url}/api/v2/connections",
            headers={"Authorization": f"Bearer {token}"},
            json={
                **connection,
                "connection_id": conn_id,
                # Apart from the host, because the UI of Airflow 3.3.2 can't test a connection without a port.
                "host": "http://127.0.0.1",
                "port": sandbox.port,
                "extra": json.dumps(connection["extra"]),
            },
            timeout=60,
        ).raise_for_status()


def check_ports(*ports: int) -> None:
    """
    Make sure that ports can be listened on.

    :raises RuntimeError: When one is taken.
    """
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            problem = f"Can't listen on port {port}: {error.strerror}. Choose others with --port and --sandbox-port."
            raise RuntimeError(problem) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run until Ctrl-C or SIGTERM; return the exit code.

    :param arguments: Those after the module's name; None for the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_campaign.sandbox.playground", description=__doc__)
    parser.add_argument("dags_folder", type=Path, help="the folder with the DAGs")
    parser.add_argument("--port", type=int, default=8080, help="the port of Airflow's UI")
    parser.add_argument("--sandbox-port", type=int, default=8765, help="the port of the sandbox")
    options = parser.parse_args(arguments)
    interruption = Interruption()
    interruption.listen()
    try:
        if version("apache-airflow").startswith("2."):
            raise RuntimeError("The playground needs Airflow 3.")
        if not options.dags_folder.is_dir():
            raise RuntimeError(f"There is no folder {options.dags_folder}.")
        check_ports(options.port, options.sandbox_port)
        with Sandbox(port=options.sandbox_port, campaigns=len(SEEDS), stop_delay=3, start_delay=3) as sandbox:
            run(options.dags_folder, options.port, sandbox, interruption)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Everything is stopped.")
    return 0


def run(dags_folder: Path, port: int, sandbox: Sandbox, interruption: Interruption) -> None:
    """
    Bring Airflow up, say where it is, and stay until it ends or is interrupted.

    :raises RuntimeError: When Airflow exits by itself, with the end of its output.
    """
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="airflow-playground-", ignore_cleanup_errors=True) as home:
        log, environment = Path(home) / "airflow.log", settings(Path(home), dags_folder, port)
        print("Airflow is starting; this takes about a minute …", flush=True)
        try:
            with running([("db", "migrate")], environment, log) as [migration]:
                while migration.poll() is None:
                    interruption.check()
                    time.sleep(0.5)
            with running(COMMANDS, environment, log) as components:
                wait_until_healthy(components, url, interruption)
                create_connections(url, sandbox)
                print(f"Airflow   {url}  (no login: everybody on this machine is an admin)")
                print(f"Sandbox   {sandbox.url}  (campaigns and requests, as they change)")
                print(f"DAGs      {dags_folder.resolve()}  (what you add or change shows up within a minute)")
                print(f"Conn ids  {', '.join(sandbox.connections())}")
                print(f"Log       {log}")
                print("Schedules are off: trigger the DAGs manually.")
                print("Ctrl-C ends both and removes everything.", flush=True)
                while all(process.poll() is None for process in components):
                    interruption.check()
                    time.sleep(0.5)
                raise RuntimeError("Airflow has ended by itself")
        except RuntimeError as error:
            raise RuntimeError(f"{error}:\n{log.read_text(errors='replace')[-3000:]}") from None


if __name__ == "__main__":
    sys.exit(main())
