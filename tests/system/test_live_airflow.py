"""The live Airflow runs tasks, survives the loss of its components and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until

pytestmark = [pytest.mark.timeout(400), pytest.mark.tooling]

REPOSITORY = Path(__file__).parents[2]
SLEEP = "sleep 987654"
EXECUTORS = ["LocalExecutor", "CeleryExecutor"]

SHORT = """
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG


def hello(who):
    print(f"hello {who}")
    return {"hello": who}


with DAG("short"):
    python = PythonOperator.partial(task_id="python", python_callable=hello).expand(op_args=[["a"], ["b"]])
    bash = BashOperator(task_id="bash", bash_command="echo from-bash; echo last-line")
    wait = TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=2), deferrable=True)
    [python, bash] >> wait
"""

LONG = f"""
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG

with DAG("deferred"):
    TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=8), deferrable=True)

with DAG("asleep"):
    BashOperator(task_id="sleep", bash_command="exec {SLEEP}")
"""


@pytest.fixture(scope="module")
def dags_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dags")
    (folder / "short.py").write_text(SHORT)
    (folder / "long.py").write_text(LONG)
    return folder


@pytest.fixture(scope="module", params=EXECUTORS)
def airflow(request: pytest.FixtureRequest, dags_folder: Path) -> Iterator[LiveAirflow]:
    environment = {"AIRFLOW_CONN_GIVEN": '{"conn_type": "generic", "host": "given.invalid"}'}
    with LiveAirflow(dags_folder, executor=request.param, parallelism=4, env=environment) as live:
        yield live


def test_a_run_succeeds_and_its_xcoms_and_logs_can_be_read(airflow: LiveAirflow) -> None:
    run = airflow.trigger_dag("short", conf={"a": 1}, run_id="first")
    assert run["dag_run_id"] == "first"
    assert airflow.wait_for_run("short", "first")["state"] == "success"

    assert airflow.xcom("short", "first", "python", map_index=1) == {"hello": "b"}
    assert airflow.xcom("short", "first", "bash") == "last-line"
    assert "hello b" in airflow.task_log("short", "first", "python", map_index=1)
    assert "from-bash" in airflow.task_log("short", "first", "bash")
    tasks = airflow.task_instances("short", "first")
    assert sorted(task["task_id"] for task in tasks) == ["bash", "python", "python", "wait"]
    workers = {"worker-1", "worker-2"} if airflow.executor == "CeleryExecutor" else {"localhost"}
    assert {task["hostname"] for task in tasks} <= workers


def test_a_deferred_task_survives_the_loss_of_the_triggerer(airflow: LiveAirflow) -> None:
    airflow.trigger_dag("deferred", run_id="triggerer-killed")
    airflow.wait_for_task_state("deferred", "triggerer-killed", "wait", "deferred")
    killed = airflow.processes["triggerer"].pids()
    airflow.kill("triggerer")
    assert alive(killed) == []
    assert not airflow.processes["triggerer"].is_alive()

    airflow.start("triggerer")
    assert airflow.wait_for_run("deferred", "triggerer-killed")["state"] == "success"


def test_a_run_survives_a_restart_of_the_database(airflow: LiveAirflow) -> None:
    airflow.trigger_dag("deferred", run_id="database-restarted")
    airflow.wait_for_task_state("deferred", "database-restarted", "wait", "deferred")
    airflow.restart_postgres()
    assert airflow.wait_for_run("deferred", "database-restarted")["state"] == "success"
    assert [name for name, process in airflow.processes.items() if not process.is_alive()] == []


def test_connections_can_be_made_tested_and_deleted(airflow: LiveAirflow) -> None:
    airflow.create_connection({"connection_id": "made", "conn_type": "generic", "host": "made.invalid"})
    assert airflow.api("GET", "/connections/made")["host"] == "made.invalid"
    assert airflow.test_connection({"connection_id": "made", "conn_type": "generic"})["status"] is False
    airflow.delete_connection("made")
    assert airflow.request("GET", "/connections/made").status_code == 404


def test_the_command_line_sees_the_environment(airflow: LiveAirflow) -> None:
    assert "given.invalid" in airflow.cli("connections", "get", "given", "--output=json")
    with pytest.raises(RuntimeError, match="no-such-command"):
        airflow.cli("no-such-command")


def test_a_timeout_says_how_things_stand(airflow: LiveAirflow) -> None:
    airflow.trigger_dag("asleep", run_id="hangs")
    airflow.wait_for_task_state("asleep", "hangs", "sleep", "running", count=1)
    with pytest.raises(TimeoutError, match=r"(?s)scheduler \(alive\).*sleep try 1: running x 1"):
        airflow.wait_for_run("asleep", "hangs", timeout=0.5)
    airflow.api("PATCH", "/dags/asleep/dagRuns/hangs", json={"state": "failed"})


@pytest.mark.parametrize("executor", EXECUTORS)
def test_nothing_is_left_after_the_end_even_with_tasks_running(
    executor: str, dags_folder: Path, tmp_path: Path
) -> None:
    with LiveAirflow(dags_folder, executor=executor, parallelism=4, log_dir=tmp_path) as airflow:
        pids = pids_with_a_task_asleep(airflow)
    assert alive(pids) == []
    assert not airflow.directory.exists()
    assert (tmp_path / "scheduler.log").stat().st_size > 0
    assert list((tmp_path / "tasks").rglob("*asleep*"))


def test_nothing_is_left_when_the_python_of_the_test_is_killed(dags_folder: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"""
        import pathlib, time
        from tests.system.test_live_airflow import LiveAirflow, pids_with_a_task_asleep
        with LiveAirflow({str(dags_folder)!r}) as airflow:
            pids = pids_with_a_task_asleep(airflow)
            text = " ".join(map(str, [airflow.directory, *pids, "end"]))
            pathlib.Path({str(told)!r}).write_text(text)
            time.sleep(600)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=REPOSITORY) as python:
        try:
            wait_until(lambda: told.exists() and told.read_text().endswith("end"), 200, lambda: "not up")
        finally:
            python.send_signal(signal.SIGKILL)
    directory, *pids = told.read_text().split()[:-1]
    wait_until(lambda: not alive([int(pid) for pid in pids]), 20, lambda: f"still there of {pids}")
    assert not Path(directory).exists()


def pids_with_a_task_asleep(airflow: LiveAirflow) -> list[int]:
    """Run a task whose command has a session of its own, and return all processes there are then."""
    airflow.trigger_dag("asleep", run_id="asleep")
    wait_until(
        lambda: any(SLEEP in command_of(pid) for pid in airflow.pids()),
        timeout=60,
        failure=lambda: airflow.describe("asleep", "asleep"),
    )
    return airflow.pids()


def command_of(pid: int) -> str:
    """Return the command line of a process; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def alive(pids: list[int]) -> list[int]:
    """Return those of a component's processes that are still there; zombies, which init collects, are not."""
    assert len(pids) >= 3
    return [pid for pid in pids if state_of(pid) not in ("", "Z")]


def state_of(pid: int) -> str:
    """Return the letter for a process's state; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
