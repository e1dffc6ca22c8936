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

KEPT = "file://FOLDER/records"
PLACES = {"kept": KEPT, "killed": KEPT, "nowhere": None}
for name, place in PLACES.items():
    with DAG(name):
        StopActiveCampaignsOperator(
            task_id="sweep", timeout=300 if name == "killed" else 12, records_path=place,
            retries=2, retry_delay=timedelta(seconds=3),
        )
"""


@pytest.fixture
def store(folder: Path) -> RecordStore:
    return RecordStore(f"file://{folder}/records")


@pytest.fixture(autouse=True)
def four_campaigns_one_stuck(platform: Sandbox) -> None:
    for number in range(4):
        platform.add_campaign(f"c-{number}")
    platform.add_fault(Fault("error", action="stop", campaign_id="c-3", count=None))


def result_of_three_tries(airflow: LiveAirflow, dag_id: str) -> dict[str, Any]:
    """Return what the sweep has put into XCom when it has given up, which holds what the first try has stopped."""
    result: dict[str, Any] = airflow.xcom(dag_id, airflow.run_dag(dag_id, state="failed"), "sweep")
    assert sorted(row["campaign_id"] for row in result["stopped"]) == ["c-0", "c-1", "c-2"]
    assert all(row["asked_at"] <= row["confirmed_at"] and row["try_number"] == 1 for row in result["stopped"])
    assert [row["campaign_id"] for row in result["failed"]] == ["c-3"]
    return result


def test_after_three_tries_the_last_result_and_record_hold_all_four(airflow: LiveAirflow, store: RecordStore) -> None:
    result = result_of_three_tries(airflow, "kept")
    records = read_all(store)
    assert [record.path[-9:] for record in records] == ["try1.json", "try2.json", "try3.json"]
    last = records[-1].record or {}
    assert last["campaigns"] == [*result["stopped"], *result["failed"]]
    assert result["record"] == {"path": f"{store.records_path}/{records[-1].path}", "sha256": records[-1].sha256}
    assert [(each["try_number"], each["outcome"]) for each in last["earlier_tries"]] == [(1, "failed"), (2, "failed")]
    assert verify_records(records, [result["record"]["sha256"]]) == []


@pytest.mark.skipif(Version("3.3") > VERSION, reason="before 3.3 there is no task state store")
def test_without_a_records_path_the_task_state_store_makes_a_result_whole(airflow: LiveAirflow) -> None:
    assert result_of_three_tries(airflow, "nowhere")["record"] is None


def test_a_task_that_is_terminated_leaves_what_it_did(
    airflow: LiveAirflow, platform: Sandbox, store: RecordStore
) -> None:
    before = len(read_all(store))
    run_id = airflow.trigger_dag("killed")
    platform.wait_for(lambda platform: sum(not campaign.live for campaign in platform.campaigns()) == 3, 90)
    airflow.api("PATCH", f"/dags/killed/dagRuns/{run_id}/taskInstances/sweep", json={"new_state": "failed"})

    def left() -> Mapping[str, Any] | None:
        """Return the new record, once it is written whole."""
        records = read_all(store)
        return records[-1].record if len(records) > before else None

    record = wait_until(left, timeout=30, failure=lambda: airflow.describe("killed", run_id))
    assert record["outcome"] == "killed"
    assert {row["campaign_id"]: bool(row["confirmed_at"]) for row in record["campaigns"]} == {
        **{"c-0": True, "c-1": True, "c-2": True, "c-3": False}
    }
    assert verify_records(store.read()) == []
