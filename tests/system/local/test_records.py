"""Records in a live Airflow: three tries and a campaign that is stuck, and a task that is told to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.records_guard import read_all, verify_records
from tests.system.live_airflow import VERSION, LiveAirflow
from tests.system.live_airflow.waiting import wait_until
from tests.system.local.conftest import Deploy

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(Version("3.1") > VERSION, reason="the ObjectStoragePath of Airflow 3.0 does not open files"),
]

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator

KEPT = "file://FOLDER/records"
PLACES = {"kept": KEPT, "killed": KEPT, "nowhere": None}
for name, place in PLACES.items():
    timeout = 300 if name == "killed" else 12
    with DAG(name):
        StopActiveCampaignsOperator(
            task_id="sweep", campaign_conn_id="on_record", timeout=timeout, records_path=place,
            retries=2, retry_delay=timedelta(seconds=3),
        )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records_live")


@pytest.fixture(scope="module")
def store(folder: Path) -> RecordStore:
    return RecordStore(f"file://{folder}/records")


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(platform: Sandbox, folder: Path, deploy: Deploy) -> LiveAirflow:
    return deploy(DAGS.replace("FOLDER", str(folder)), on_record=platform.kore_connection("v2"))


@pytest.fixture(autouse=True)
def four_campaigns(platform: Sandbox) -> None:
    platform.reset()
    for number in range(4):
        platform.add_campaign(f"c-{number}")


def run(airflow: LiveAirflow, dag_id: str) -> tuple[str, dict[str, Any]]:
    """Run a DAG; return its state and what its task has put into XCom."""
    run_id = airflow.trigger_dag(dag_id)["dag_run_id"]
    state = airflow.wait_for_run(dag_id, run_id, timeout=240)["state"]
    return state, airflow.xcom(dag_id, run_id, "sweep")


def stick(platform: Sandbox) -> None:
    platform.add_fault(Fault("error", action="stop", campaign_id="c-3", count=None))


def test_after_three_tries_the_last_result_and_record_hold_all_four(
    airflow: LiveAirflow, platform: Sandbox, store: RecordStore
) -> None:
    stick(platform)
    state, result = run(airflow, "kept")
    assert state == "failed"
    assert sorted(row["campaign_id"] for row in result["stopped"]) == ["c-0", "c-1", "c-2"]
    assert all(row["asked_at"] <= row["confirmed_at"] and row["try_number"] == 1 for row in result["stopped"])
    assert [row["campaign_id"] for row in result["failed"]] == ["c-3"]
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
    stick(platform)
    run_id = airflow.trigger_dag("killed")["dag_run_id"]
    platform.wait_for(lambda platform: sum(not campaign.live for campaign in platform.campaigns()) == 3, 90)
    airflow.api("PATCH", f"/dags/killed/dagRuns/{run_id}/taskInstances/sweep", json={"new_state": "failed"})
    wait_until(lambda: len(read_all(store)) > before, timeout=30, failure=lambda: airflow.describe("killed", run_id))
    record = read_all(store)[-1].record or {}
    assert record["outcome"] == "killed"
    assert {row["campaign_id"]: bool(row["confirmed_at"]) for row in record["campaigns"]} == {
        **{"c-0": True, "c-1": True, "c-2": True, "c-3": False}
    }
    assert verify_records(store.read()) == []


@pytest.mark.skipif(Version("3.3") > VERSION, reason="before 3.3 there is no task state store")
def test_without_a_records_path_the_task_state_store_makes_a_result_whole(
    airflow: LiveAirflow, platform: Sandbox
) -> None:
    stick(platform)
    state, result = run(airflow, "nowhere")
    assert state == "failed"
    assert sorted(row["campaign_id"] for row in result["stopped"]) == ["c-0", "c-1", "c-2"]
    assert [row["campaign_id"] for row in result["failed"]] == ["c-3"]
    assert result["record"] is None
