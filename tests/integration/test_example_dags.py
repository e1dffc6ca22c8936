"""Each example DAG, run by Airflow itself against the sandbox, leaves the platform as it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import airflow
import pytest
from packaging.version import Version

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.__main__ import SEEDS, seed
from tests.airflow_process import AirflowProcess

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

    def command(self, dag_id: str) -> list[str]:
        """Return the command of Airflow's that runs it."""
        return ["tasks", "test", dag_id, self.task_id, "2026-01-02"] if self.task_id else ["dags", "test", dag_id]


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


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("airflow-home")
    AirflowProcess(home, {}).run("-m", "airflow", "db", "migrate")
    return home


def connections(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Return every connection that an example DAG names."""
    return {
        "campaign_default": sandbox.kore_connection("v1"),
        "kore_v2": sandbox.kore_connection("v2"),
        "sonarly": sandbox.sonarly_connection(),
    }


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
        process = AirflowProcess(airflow_home, connections(sandbox), EXAMPLE_DAGS / f"{dag_id}.py")
        process.run("-m", "airflow", *example.command(dag_id))
        assert statuses(sandbox) == {**before, **example.changes}


def test_every_example_dag_is_run() -> None:
    assert {file.stem for file in EXAMPLE_DAGS.glob("*.py")} == set(EXAMPLES)
