"""The example DAGs that raise an alarm send a mail by Airflow's SMTP provider, to a server on this machine."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from tests.smtp_server import SmtpServer

RunDag = Callable[..., dict[str, Outcome]]

EXAMPLE_DAGS = Path(__file__).parents[3] / "example_dags"
EVENING, NIGHT = "2026-11-23T20:55-05:00", "2026-11-23T22:00-05:00"


@pytest.fixture
def smtp(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(server.connection))
        yield server


def example(name: str) -> Any:
    return runpy.run_path(str(EXAMPLE_DAGS / f"{name}.py"))["dag"]


def test_a_closing_sends_a_mail_only_if_it_fails(campaign_sandbox: Sandbox, run_dag: RunDag, smtp: SmtpServer) -> None:
    campaign = campaign_sandbox.add_campaign("cd-<b>stuck")
    assert run_dag(example("closing_with_alarms"), at=NIGHT)["close"].ids("stopped") == [campaign.id]
    assert smtp.texts() == []
    campaign_sandbox.set_status(campaign.id, "Active")
    campaign.stoppable = False
    assert run_dag(example("closing_with_alarms"), at=NIGHT)["close"].is_failed
    [(subject, text)] = smtp.texts()
    assert subject == "Campaigns are not verified stopped"
    assert "cd-&lt;b&gt;stuck" in text


def test_an_incident_is_an_event_and_then_a_mail(campaign_sandbox: Sandbox, run_dag: RunDag, smtp: SmtpServer) -> None:
    closing = example("closing_with_alarms")
    run_dag(closing, at=EVENING)
    campaign_sandbox.add_campaign("cd-night")
    [event] = run_dag(closing, at=NIGHT)["close"].events
    outcome = run_dag(example("incident_alarm"), events=[event])["mail"]
    assert outcome.error is None
    [(subject, text)] = smtp.texts()
    assert subject == "Campaigns were live outside their calling hours"
    assert "campaign_default: live while closed: cd-night" in text
