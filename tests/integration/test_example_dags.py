"""Each example DAG, run by Airflow itself against the sandbox, leaves the platform as it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import airflow
import pytest
from packaging.version import Version

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.__main__ import SEEDS, seed

EXAMPLE_DAGS = Path(__file__).parents[2] / "example_dags"
GONE = "deleted"


@dataclass(frozen=True)
class Example:
    """
    What a DAG does to the sandbox's own campaigns.

    :param changes: the campaigns that are different afterwards, each with its status then
    :param since: the first Airflow that it runs on
    :param task_id: run this task alone, where ``dags test`` can't run the DAG
    """

    changes: Mapping[str, str]
    since: str = "2.11"
    task_id: str | None = None


SMS_AND_VOICE = ("cd-sms-evening-1", "cd-sms-evening-2", "cd-voice-evening-1", "cd-voice-evening-2")
ALL_STOPPED = dict.fromkeys(SMS_AND_VOICE, "Stopped")

EXAMPLES = {
    # With a deadline, ``dags test`` fails once all tasks have succeeded (seen on 3.1.8 and 3.3.2).
    "deadline_alert": Example(ALL_STOPPED, since="3.1", task_id="stop_active_campaigns"),
    "end_of_window": Example(ALL_STOPPED),
    "kore_v2": Example({"cd-voice-evening-1": GONE}),
    "mapped_stop": Example({"cd-sms-evening-1": "Stopped", "cd-sms-evening-2": "Stopped"}),
    "morning_start": Example({"cd-sms-morning-1": "Active"}),
    "report_on_asset": Example({}, since="3.0"),
    "several_accounts": Example(
        {**ALL_STOPPED, "650000000000000000000001": "Stopped", "650000000000000000000002": "Stopped"}
    ),
    "sonarly": Example({"650000000000000000000001": "Stopped"}),
    "start_of_window": Example({"cd-sms-morning-1": "Active", "cd-voice-tomorrow-1": "Active"}),
    "stop_campaigns": Example({"cd-sms-evening-1": GONE, "cd-voice-evening-1": "Stopped"}),
}


def connections(sandbox: Sandbox) -> dict[str, str]:
    """Return the environment that holds every connection an example DAG names."""
    named = {
        "campaign_default": sandbox.kore_connection("v1"),
        "kore_v2": sandbox.kore_connection("v2"),
        "sonarly": sandbox.sonarly_connection(),
    }
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection) for conn_id, connection in named.items()}


def run_airflow(home: Path, *command: str, dags: Path = EXAMPLE_DAGS, **environment: str) -> None:
    """Run a command of Airflow's, and fail with what it said if it does."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *command],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("airflow-home")
    run_airflow(home, "db", "migrate")
    return home


def statuses(sandbox: Sandbox) -> dict[str, str]:
    present = {campaign.id: campaign.status for campaign in sandbox.campaigns()}
    return {campaign_id: present.get(campaign_id, GONE) for campaign_id, *_ in SEEDS}


@pytest.mark.parametrize("dag_id", sorted(EXAMPLES))
def test_an_example_dag_changes_the_campaigns_that_it_names_and_no_other(dag_id: str, airflow_home: Path) -> None:
    example = EXAMPLES[dag_id]
    if Version(airflow.__version__) < Version(example.since):
        pytest.skip(f"{dag_id} needs Airflow {example.since}")
    with Sandbox() as sandbox:
        seed(sandbox, len(SEEDS))
        before = statuses(sandbox)
        dag_file = EXAMPLE_DAGS / f"{dag_id}.py"
        command = (
            ["tasks", "test", dag_id, example.task_id, "2026-01-02"] if example.task_id else ["dags", "test", dag_id]
        )
        run_airflow(airflow_home, *command, dags=dag_file, **connections(sandbox))
        assert statuses(sandbox) == {**before, **example.changes}


def test_every_example_dag_is_run() -> None:
    assert {file.stem for file in EXAMPLE_DAGS.glob("*.py")} == set(EXAMPLES)
