"""The pytest plugin for people who test their own DAGs; tests/integration/test_packaging.py runs it from a wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_campaign import testing
from airflow_provider_campaign.exceptions import CampaignTimeoutError
from airflow_provider_campaign.operators.campaign import (
    StopActiveCampaignsOperator,
    StopCampaignOperator,
    StopSmsCampaignOperator,
)
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily

RunTask = Callable[..., Outcome]
RunDag = Callable[..., dict[str, Outcome]]

REPOSITORY = Path(__file__).parents[2]
NIGHT = "2026-11-23 22:00"


def python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "AIRFLOW_HOME": str(folder / "airflow")}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_importing_the_plugin_imports_neither_airflow_nor_the_sandbox(tmp_path: Path) -> None:
    names = python(tmp_path, "-c", "import sys, airflow_provider_campaign.testing; print(*sys.modules)").split()
    assert [name for name in names if name.startswith("airflow_provider_campaign.")] == [testing.__name__]
    heavy = {"airflow", "asyncio", "jinja2", "requests", "starlette", "uvicorn"}
    assert {name.partition(".")[0] for name in names} & heavy == set()


def test_without_the_extra_a_fixture_says_what_to_install(tmp_path: Path) -> None:
    text = 'import sys\nsys.modules["starlette"] = None\n\ndef test_it(campaign_sandbox):\n    pass\n'
    (tmp_path / "test_it.py").write_text(text)
    said = python(tmp_path, "-m", "pytest", "-p", testing.__name__, "-p", "no:cacheprovider", "test_it.py")
    assert "pip install 'airflow-provider-campaign[sandbox]'" in said
    assert "1 error" in said


def test_a_deferred_stop_waits_on_the_virtual_clock_until_its_time_is_up(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, run_task: RunTask
) -> None:
    campaign_sandbox.add_campaign("cd-1", stop_delay=600)
    stop = StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1", deferrable=True)
    outcome = run_task(stop, at=NIGHT)
    assert (outcome.state, outcome.result["status"]) == ("success", "Stopped")
    assert outcome.triggers == ["CampaignWaitTrigger"]
    assert 540 <= sum(outcome.waits) <= campaign_clock.passed
    assert sum(end - began for began, end in outcome.in_slot) < 60
    assert campaign_clock.date - datetime(2026, 11, 23, 22, tzinfo=UTC) < timedelta(minutes=12)
    campaign_sandbox.add_campaign("cd-2", stoppable=False)
    stop = StopSmsCampaignOperator(task_id="stop", campaign_id="cd-2", deferrable=True, timeout=120)
    outcome = run_task(stop)
    assert isinstance(outcome.error, CampaignTimeoutError)
    assert outcome.names("cd-2")


def test_a_wait_of_airflows_own_passes_whatever_the_machines_date(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, run_task: RunTask
) -> None:
    campaign_sandbox.add_campaign("cd-1")
    campaign_sandbox.add_fault(Fault("rate_limit", action="stop", count=3))
    stop = StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1", deferrable=True)
    outcome = run_task(stop, at=datetime.now(UTC) + timedelta(seconds=75))
    assert (outcome.state, outcome.result["status"]) == ("success", "Stopped")
    assert outcome.waits
    assert min(outcome.waits) >= 60


def test_a_dag_hands_results_on_and_keeps_its_trigger_rules(campaign_sandbox: Sandbox, run_dag: RunDag) -> None:
    campaign_sandbox.add_campaign("cd-1")
    with DAG("evening", schedule=None) as dag:

        @task
        def names(result: Any) -> list[str]:
            return [row["campaign_id"] for row in result["stopped"]]

        stop = StopActiveCampaignsOperator(task_id="stop", retries=1, retry_delay=timedelta(minutes=1))
        missing = StopCampaignOperator(task_id="missing", campaign_id="{{ ti.xcom_pull(task_ids='names')[0] }}-none")
        names(stop.output) >> missing
        for name, rule in (("never", "all_success"), ("on_failure", "one_failed"), ("always", "all_done")):
            missing >> StopActiveCampaignsOperator(task_id=name, trigger_rule=rule)
    outcomes = run_dag(dag, at=NIGHT)
    assert outcomes["names"].result == ["cd-1"]
    assert outcomes["missing"].names("cd-1-none")
    states = [outcomes[name].state for name in ("never", "on_failure", "always")]
    assert states == ["upstream_failed", "success", "success"]


def test_retries_come_after_their_delay_and_callbacks_are_called(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, run_dag: RunDag
) -> None:
    called: list[tuple[str, int]] = []
    campaign_sandbox.add_campaign("cd-1", stoppable=False)
    with DAG("evening", schedule=None) as dag:
        callbacks: dict[str, Any] = {
            "on_retry_callback": lambda context: called.append(("retry", context["ti"].try_number)),
            "on_failure_callback": [lambda context: called.append((str(context["exception"])[:12], 2))],
        }
        StopActiveCampaignsOperator(
            task_id="stop", timeout=60, retries=1, retry_delay=timedelta(minutes=5), **callbacks
        )
    outcome = run_dag(dag)["stop"]
    assert outcome.names("cd-1")
    assert called == [("retry", 1), (outcome.message[:12], 2)]
    assert campaign_clock.passed > 300


def test_templates_read_variables_params_and_dates(
    campaign_sandbox: Sandbox, run_task: RunTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_HOURS", json.dumps(daily("UTC", ("09:00", "21:00"))))
    with DAG("evening", schedule=None, params={"why": "nothing"}):
        sweep = StopActiveCampaignsOperator(
            task_id="stop", calling_hours="{{ var.json.hours }}", reason="{{ params.why }} on {{ ds }}"
        )
    campaign_sandbox.add_campaign("cd-1")
    outcome = run_task(sweep, at=NIGHT, conf={"why": "a drill"}, scheduled=False)
    assert outcome.ids("stopped") == ["cd-1"]
    assert outcome.result["reason"] == "a drill on 2026-11-23"
