"""What a retry can't mend ends a task at once; what it can is left to Airflow's retries: seen in a real run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.airflow_process import AirflowProcess
from tests.kinds import KINDS, Kind

DAG_FILE = Path(__file__).parent / "dags" / "retries.py"
PLATFORMS = {"kore": KINDS[0], "sonarly": KINDS[-1]}

LASTING = {
    "unauthorized": "stop",
    "forbidden": "stop",
    "not_found": "stop",
    "bad_request": "stop status",
    "redirect": "stop",
}
"""Faults that stay, and what they cost: one try of the task, of the three that it has."""

PASSING = {"rate_limit": "stop stop status stop", "lost": "stop status status status"}
"""Faults that end the first try, which makes two attempts, and what the two tries cost together."""


@dataclass(frozen=True)
class Outcome:
    """What became of the run: each task's state and tries, and the platforms as they were left."""

    tasks: dict[str, list[object]]
    sandbox: Sandbox

    def calls(self, task_id: str) -> str:
        """Return what a task asked for; Sonarly reads a status by the action that reads the whole campaign."""
        calls = [str(request.action) for request in self.sandbox.requests if request.campaign_id == task_id]
        return " ".join(calls).replace("get", "status")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Run one task for each platform and fault."""
    with Sandbox(require_jti=True) as sandbox:
        for name, kind in PLATFORMS.items():
            plan_faults(sandbox, name, kind)
        connections = {name: kind.connection(sandbox, retry_budget=2) for name, kind in PLATFORMS.items()}
        airflow = AirflowProcess(tmp_path_factory.mktemp("retries"), connections, DAG_FILE.parent)
        airflow.run("-m", "airflow", "db", "migrate")
        yield Outcome(airflow.answer(str(DAG_FILE)), sandbox)


def plan_faults(sandbox: Sandbox, platform: str, kind: Kind) -> None:
    for fault in (*LASTING, *PASSING):
        kind.add_campaign(sandbox, campaign_id=f"{platform}-{fault}")
    for fault in LASTING:
        sandbox.add_fault(Fault(fault, action="stop", campaign_id=f"{platform}-{fault}", count=None))
    # A platform that asks to be left alone for longer than there is time is tried just once more.
    sandbox.add_fault(
        Fault("rate_limit", action="stop", campaign_id=f"{platform}-rate_limit", count=2, retry_after="60")
    )
    read = "status" if platform == "kore" else "get"
    sandbox.add_fault(Fault("lost", how="error", action="stop", campaign_id=f"{platform}-lost"))
    sandbox.add_fault(Fault("rate_limit", action=read, campaign_id=f"{platform}-lost", count=2, retry_after="60"))


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("fault", LASTING)
def test_what_a_retry_can_not_mend_ends_the_task_at_once(outcome: Outcome, platform: str, fault: str) -> None:
    task_id = f"{platform}-{fault}"
    assert outcome.tasks[task_id] == ["failed", 1]
    fresh_token = "stop " if fault == "unauthorized" and platform == "kore" else ""
    assert outcome.calls(task_id) == fresh_token + LASTING[fault]
    assert outcome.sandbox.campaign(task_id).status == "Active"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("fault", PASSING)
def test_what_a_retry_can_mend_is_left_to_airflow(outcome: Outcome, platform: str, fault: str) -> None:
    task_id = f"{platform}-{fault}"
    assert outcome.tasks[task_id] == ["success", 2]
    assert outcome.calls(task_id) == PASSING[fault]
    assert outcome.sandbox.campaign(task_id).status == "Stopped"
    assert outcome.sandbox.campaign(task_id).stop_requests == 1


def test_a_refused_token_is_followed_by_a_fresh_one(outcome: Outcome) -> None:
    sent = [request.claims for request in outcome.sandbox.requests if request.campaign_id == "kore-unauthorized"]
    assert len({claims["jti"] for claims in sent if claims}) == len(sent) == 2
