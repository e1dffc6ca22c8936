"""The example DAG with a deadline: whoever is on action hears of a window that was not closed, and of no other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("airflow.sdk.definitions.deadline", reason="Airflow before 3.1 has no deadline alerts")

from airflow_provider_campaign.sandbox import Sandbox
from tests.smtp_server import SmtpServer
from tests.system.conftest import SecretsBackend
from tests.system.live_airflow import LiveAirflow
from tests.system.live_airflow.waiting import wait_until

DAG_ID = "deadline_alert"
INTERVAL = timedelta(minutes=5)  # what the DAG allows itself after the end of the window


@pytest.fixture
def smtp(backend: SecretsBackend) -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        backend.store(smtp_default=server.connection)
        yield server


def test_a_mail_is_sent_for_the_run_that_misses_its_deadline_only(
    airflow: LiveAirflow, platform: Sandbox, smtp: SmtpServer
) -> None:
    ended = datetime.now(UTC) + timedelta(seconds=60) - INTERVAL  # so that the alarm is due in a minute
    platform.add_campaign("cd-good")
    in_time = airflow.trigger_dag(DAG_ID, logical_date=ended.isoformat())
    airflow.wait_for_run(DAG_ID, in_time)

    platform.add_campaign("cd-bad", stoppable=False)
    late = airflow.trigger_dag(DAG_ID, logical_date=(ended + timedelta(seconds=1)).isoformat())
    triggerer = airflow.processes["triggerer"]
    try:
        wait_until(
            lambda: any(f"Run {late} has not succeeded by its deadline" in text for _, text in smtp.texts()),
            timeout=200,
            failure=lambda: f"no mail\n{triggerer.tail()}",
        )
        assert {subject for subject, _ in smtp.texts()} == {"Campaigns may be live outside their calling hours"}
        assert not [text for _, text in smtp.texts() if in_time in text]
    finally:
        platform.set_status("cd-bad", "Stopped")  # which ends the run, so that it stops nothing of the next test's
        airflow.wait_for_run(DAG_ID, late)
