"""What a missed deadline writes into the log."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from airflow_provider_campaign.deadlines import log_missed_deadline


def test_a_missed_deadline_is_an_error_that_names_the_run_the_dag_and_the_moment(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = {
        "dag_run": {"dag_id": "end_of_window", "dag_run_id": "scheduled__2026-03-02T02:00:00+00:00"},
        "deadline": {"id": "1", "deadline_time": datetime(2026, 3, 2, 2, 5, tzinfo=UTC)},
    }
    asyncio.run(log_missed_deadline(context))
    [record] = [record for record in caplog.records if record.name == "airflow_provider_campaign.deadlines"]
    assert record.levelno == logging.ERROR
    for part in ("scheduled__2026-03-02T02:00:00+00:00", "end_of_window", "2026-03-02 02:05:00+00:00"):
        assert part in record.getMessage()
