"""Records in a live Airflow: three tries and a campaign that is stuck, and a task that is told to end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.records_guard import read_all, verify_records
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until

pytestmark = pytest.mark.skipif(
    Version("3.1") > VERSION, reason="the ObjectStoragePath of Airflow 3.0 does not open files"
)

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator

for name, place in {"kept": "file://FOLDER", "killed": "file://FOLDER", "nowhere": None}.items():
    with DAG(name):
        again = {"retries": 2, "retry_delay": timedelta(seconds=3)}
        timeout = 300 if name == "killed" else 12
        StopActiveCampaignsOperator(task_id="sweep", timeout=timeout, records_path=place, **again)
"""


@pytest.fixture
def store(folder: Path) -> RecordStore:
    return RecordStore(f"file://{folder}")


@pytest.fixture(autouse=True)
def four_campaigns_one_stuck(platform: Sandbox) -> None:
    for number in range(4):
        platform.add_campaign(f"c-{number}")
    platform.add_fault(Fault("error", action="stop", campaign_id="c-3", count=None))


@pytest.mark.parametrize("dag_id", ["kept", *(["nowhere"] if Version("3.3") <= VERSION else [])])
def test_after_three_tries_the_last_result_and_record_hold_all_four(
    airflow: LiveAirflow, store: RecordStore, dag_id: str
) -> None:
    """Without records it is the task state store, from 3.3 on, that makes a result whole."""
    result: dict[str, Any] = airflow.xcom(dag_id, airflow.run_dag(dag_id, state="failed"), "sweep")
    assert sorted(row["campaign_id"] for row in result["stopped"]) == ["c-0", "c-1", "c-2"]
    assert all(row["asked_at"] <= row["confirmed_at"] and row["try_number"] == 1 for row in result["stopped"])
    assert [row["campaign_id"] for row in result["failed"]] == ["c-3"]
    if dag_id == "nowhere":
        assert result["record"] is None
        return
    records = read_all(store)
    assert [record.path[-9:] for record in records] == ["try1.json", "try2.json", "try3.json"]
    last = records[-1].record or {}
    assert last["campaigns"] == [*result["stopped"], *result["failed"]]
    assert result["record"] == {"path": f"{store.records_path}/{records[-1].path}", "sha256": records[-1].sha256}
    assert [(each["try_number"], each["outcome"]) for each in last["earlier_tries"]] == [(1, "failed"), (2, "failed")]
    assert verify_records(records, [result["record"]["sha256"]]) == []


def test_a_task_that_is_terminated_leaves_what_it_did(
    airflow: LiveAirflow, platform: Sandbox, store: RecordStore
) -> None:
    before = len(read_all(store))
    run_id = airflow.trigger_dag("killed")
    platform.wait_for(lambda platform: sum(not campaign.live for campaign in platform.campaigns()) == 3, 90)
    airflow.api("PATCH", f"/dags/killed/dagRuns/{run_id}/taskInstances/sweep", json={"new_state": "failed"})

    def left() -> list[Mapping[str, Any]]:
        return [file.record for file in read_all(store)[before:] if file.record]

    [record] = wait_until(left, timeout=30, failure=lambda: airflow.describe("killed", run_id))
    assert record["outcome"] == "killed"
    confirmed = {row["campaign_id"] for row in record["campaigns"] if row["confirmed_at"]}
    assert (confirmed, len(record["campaigns"])) == ({"c-0", "c-1", "c-2"}, 4)
    assert verify_records(store.read()) == []
