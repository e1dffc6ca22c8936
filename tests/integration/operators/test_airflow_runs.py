"""Real runs: Airflow renders, maps, reschedules, keeps what operators return, and tries again what a retry can mend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.airflow_process import SharedAirflow
from tests.kinds import KINDS
from tests.meanwhile import meanwhile
from tests.statsd import Statsd

DAG_FILE = Path(__file__).parent / "dags" / "runs.py"
RECORD = {"campaign_id", "status", "message", "updated_at", "already_stopped", "raw"}
PLATFORMS = {"kore": KINDS[0], "sonarly": KINDS[-1]}

LASTING = {
    "kore-unauthorized": "stop stop",  # the second one with a fresh token
    "sonarly-forbidden": "stop",
    "kore-not_found": "stop status",
}
"""Faults that stay, and the requests that they cost: those of one try of the task, of the three that it has."""

IN_FORM = (("cd-0", "sms", "Evening"), ("cd-1", "voice", "Evening"), ("cd-2", "sms", "Morning"))
"""The campaigns of the account that the form is for."""

PASSING = {"sonarly-rate_limit": "stop stop status stop", "kore-lost": "stop status status status"}
"""Faults that end the first try, which makes two attempts, and the requests of the two tries together."""


@dataclass(frozen=True)
class Outcome:
    """What became of each task (its state, number of tries, and XCom), and the platforms as they were left."""

    tasks: dict[str, list[Any]]
    sandbox: Sandbox
    metrics: dict[str, float]

    def requests(self, campaign_id: str) -> str:
        """Return the actions requested; Sonarly reads a status by the one that reads the whole campaign."""
        actions = [str(request.action) for request in self.sandbox.requests if request.campaign_id == campaign_id]
        return " ".join(actions).replace("get", "status")


@pytest.fixture(scope="module")
def outcome(shared_airflow: SharedAirflow, statsd: Statsd) -> Iterator[Outcome]:
    with Sandbox(require_jti=True, rate_limit=None) as sandbox, Sandbox() as of_form:
        for number in (1, 2, 3):
            sandbox.add_campaign(f"cd-sms-{number}", status="Stopped" if number == 2 else "Active")
        sandbox.add_campaign("cd-voice-1", "voice", stop_delay=3600)
        sandbox.add_campaign("outreach-1", "sonarly")
        for campaign_id, campaign_type, name in IN_FORM:
            of_form.add_campaign(campaign_id, campaign_type, name=name)
        plan_faults(sandbox)
        connections = {
            "campaign_default": sandbox.kore_connection("v1"),
            "kore_v2": sandbox.kore_connection("v2"),
            "form": of_form.kore_connection(),
            **{name: kind.connection(sandbox, retry_budget=2) for name, kind in PLATFORMS.items()},
        }
        shared_airflow.use_dags(DAG_FILE)
        script = str(shared_airflow.dags_folder / DAG_FILE.name)
        statsd.take()
        with meanwhile(sandbox, voice_was_polled_twice, lambda: sandbox.set_status("cd-voice-1", "Stopped")):
            tasks = shared_airflow.answer(script, connections=connections)
        yield Outcome(tasks, sandbox, statsd.take())


def plan_faults(sandbox: Sandbox) -> None:
    for task_id in (*LASTING, *PASSING):
        platform, fault = task_id.split("-")
        PLATFORMS[platform].add_campaign(sandbox, campaign_id=task_id)
        if task_id in LASTING:
            sandbox.add_fault(Fault(fault, action="stop", campaign_id=task_id, count=None))
    # A platform that asks to be left alone for longer than there is time is tried just once more.
    sandbox.add_fault(Fault("rate_limit", action="stop", campaign_id="sonarly-rate_limit", count=2, retry_after="60"))
    sandbox.add_fault(Fault("lost", how="error", action="stop", campaign_id="kore-lost"))
    sandbox.add_fault(Fault("rate_limit", action="status", campaign_id="kore-lost", count=2, retry_after="60"))


def voice_was_polled_twice(sandbox: Sandbox) -> bool:
    return [request.action for request in sandbox.requests if request.campaign_id == "cd-voice-1"].count("status") >= 2


def test_a_run_stops_waits_and_deletes(outcome: Outcome) -> None:
    left = {campaign.id: campaign.status for campaign in outcome.sandbox.campaigns()}
    assert "cd-sms-1" not in left
    for campaign_id in ("cd-sms-2", "cd-sms-3", "cd-voice-1", "outreach-1"):
        assert left[campaign_id] == "Stopped"
    evening = {task: end for task, end in outcome.tasks.items() if task.startswith(("stop_", "delete"))}
    assert {outcome.tasks[task][0] for task in (*evening, "measure", "ids", "wait")} == {"success"}
    records = {task: record for task, (_, _, record) in evening.items()}
    assert {frozenset(record) for record in records.values()} == {frozenset(RECORD)}
    assert {task: (record["campaign_id"], record["status"]) for task, record in records.items()} == {
        "stop_sms[0]": ("cd-sms-1", "Stopped"),
        "stop_sms[1]": ("cd-sms-2", "Stopped"),
        "stop_sms[2]": ("cd-sms-3", "Stopped"),
        "stop_voice": ("cd-voice-1", "Active"),
        "stop_outreach[0]": ("outreach-1", "Stopped"),
        "delete": ("cd-sms-1", "Stopped"),
    }
    assert [task for task, record in records.items() if record["already_stopped"]] == ["stop_sms[1]"]
    assert outcome.tasks["wait"][-1] == "Stopped"
    assert outcome.requests("cd-voice-1").startswith("stop status status")


def test_a_failure_that_no_retry_can_fix_ends_the_task_at_once(outcome: Outcome) -> None:
    assert {tuple(outcome.tasks[task_id][:2]) for task_id in LASTING} == {("failed", 1)}
    assert {task_id: outcome.requests(task_id) for task_id in LASTING} == LASTING
    assert all(outcome.sandbox.campaign(task_id).status == "Active" for task_id in LASTING)
    tokens = [each.claims or {} for each in outcome.sandbox.requests if each.campaign_id == "kore-unauthorized"]
    assert len({claims["jti"] for claims in tokens}) == 2


def test_a_failure_that_a_retry_may_fix_is_left_to_airflow(outcome: Outcome) -> None:
    assert {tuple(outcome.tasks[task_id][:2]) for task_id in PASSING} == {("success", 2)}
    assert {task_id: outcome.requests(task_id) for task_id in PASSING} == PASSING
    assert all(outcome.sandbox.campaign(task_id).status == "Stopped" for task_id in PASSING)
    assert all(outcome.sandbox.campaign(task_id).stop_requests == 1 for task_id in PASSING)


def test_what_is_done_is_counted_by_platform_and_connection(outcome: Outcome) -> None:
    def metric(name: str, platform: str, connection_id: str) -> float:
        return outcome.metrics[f"airflow.campaign.{name},platform={platform},connection_id={connection_id}"]

    requests = {
        (platform, connection_id): metric("requests", platform, connection_id)
        for platform, connection_id in (("Kore.ai", "campaign_default"), ("Kore.ai", "kore"), ("Sonarly", "sonarly"))
    }
    by_kore = [task_id for task_id in (*LASTING, *PASSING) if task_id.startswith("kore")]
    assert requests["Kore.ai", "kore"] == sum(len(outcome.requests(task_id).split()) for task_id in by_kore)
    evening = ("cd-sms-1", "cd-sms-2", "cd-sms-3")
    assert requests["Kore.ai", "campaign_default"] == sum(len(outcome.requests(each).split()) for each in evening) > 3
    assert metric("stopped", "Kore.ai", "campaign_default") == 2  # the third was stopped before
    assert metric("stopped", "Sonarly", "sonarly") == 2  # of the evening, and once it was refused
    assert metric("failed", "Kore.ai", "kore") == 3  # two for good, and the first of two tries
    assert metric("rate_limited", "Sonarly", "sonarly") == 2
    odd_id = "kore_prod___" + "x" * 88
    assert metric("seconds_after_window_end", "Kore.ai", odd_id) == 12.5
    assert metric("incidents", "Kore.ai", odd_id) == 1


def test_what_a_form_says_is_what_a_run_does(outcome: Outcome) -> None:
    def end(submission: str) -> tuple[Any, ...]:
        state, _, result = outcome.tasks[submission]
        stopped = [row["campaign_id"] for row in (result or {}).get("stopped", [])]
        return state, (result or {}).get("total"), sorted(stopped)

    assert end("dry run") == ("success", 3, [])
    for wrong in ("no types", "no pattern, as None", "a status that is none", "not a boolean"):
        assert end(wrong) == ("failed", 0, [])
    assert end("sms of the evening") == ("success", 1, ["cd-0"])
    assert end("all") == ("success", 2, ["cd-1", "cd-2"])
