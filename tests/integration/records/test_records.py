"""A record holds up: each try leaves one, a retry's holds all that was done, and nothing is lost on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_campaign.exceptions import (
    CampaignConfigError,
    CampaignError,
    CampaignRecordError,
    CampaignSweepError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.operators.campaign import (
    DeleteSmsCampaignOperator,
    StartSmsCampaignOperator,
    StopActiveCampaignsOperator,
    StopSmsCampaignOperator,
    StopVoiceCampaignOperator,
)
from airflow_provider_campaign.records.shape import canonical
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.triggers.wait import event_payload
from tests.calling_hours import daily
from tests.certificates import Authority
from tests.kinds import Connect
from tests.records_guard import RECORDS_PATH, read_all, verify_records
from tests.servers import RawServer

RUN_ID = "scheduled__2026-11-21T21:00:00+00:00"


@dataclass
class Try:
    """What Airflow gives a task of its try."""

    try_number: int = 1
    dag_id: str = "closing"
    run_id: str = RUN_ID
    task_id: str = "sweep"
    map_index: int = -1
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@dataclass
class Attempt:
    """What came of a try: what it put into XCom or returned, and the error that ended it."""

    result: dict[str, Any]
    error: BaseException | None = None


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection("v2"))
    for number in range(4):
        sandbox.add_campaign(f"c-{number}", name=f"Sale {number}")
    return sandbox


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordStore:
    path = f"file://{tmp_path}/records"
    monkeypatch.setenv(RECORDS_PATH, path)
    return RecordStore(path)


def attempt(number: int = 1, context: dict[str, Any] | None = None, **arguments: Any) -> Attempt:
    """Run one try of the sweep."""
    ti = Try(number)
    whole: Any = {"ti": ti, **(context or {})}
    try:
        return Attempt(StopActiveCampaignsOperator(task_id="sweep", **arguments).execute(whole))
    except Exception as error:  # noqa: BLE001 whatever ends it
        return Attempt(ti.xcoms.get("return_value", {}), error)


def records_of(store: RecordStore) -> list[Any]:
    return [file.record for file in read_all(store)]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["campaign_id"] for row in rows)


def stick(sandbox: Sandbox, campaign_id: str = "c-3") -> None:
    sandbox.add_fault(Fault("error", action="stop", campaign_id=campaign_id, count=None))


def test_the_last_of_three_tries_holds_what_all_of_them_did(sandbox: Sandbox, store: RecordStore) -> None:
    stick(sandbox)
    tries = [attempt(number, timeout=30) for number in (1, 2, 3)]
    assert all(isinstance(each.error, CampaignSweepError) for each in tries)
    first, _, last = records_of(store)
    assert [len(record["campaigns"]) for record in records_of(store)] == [4, 4, 4]
    assert [(each["try_number"], each["outcome"]) for each in last["earlier_tries"]] == [(1, "failed"), (2, "failed")]
    for number in range(3):
        [row] = [row for row in last["campaigns"] if row["campaign_id"] == f"c-{number}"]
        assert row in first["campaigns"]
        assert (row["try_number"], row["status"], row["status_before"]) == (1, "Stopped", "Active")
        assert row["asked_at"] <= row["confirmed_at"] < last["began_at"]
    [stuck] = [row for row in last["campaigns"] if row["confirmed_at"] is None]
    assert (stuck["campaign_id"], stuck["try_number"]) == ("c-3", 3)
    result = tries[-1].result
    assert (ids(result["stopped"]), ids(result["failed"]), result["total"]) == (["c-0", "c-1", "c-2"], ["c-3"], 4)
    assert [file.path[-9:] for file in read_all(store)] == ["try1.json", "try2.json", "try3.json"]
    assert verify_records(store.read(), [each.result["record"]["sha256"] for each in tries]) == []


def test_a_stop_between_two_tries_is_read_and_confirmed_by_the_next(sandbox: Sandbox, store: RecordStore) -> None:
    sandbox.set_status("c-3", "Active")
    stick(sandbox)
    attempt(1, timeout=30)
    sandbox.set_status("c-3", "Stopped")
    result = attempt(2).result
    assert ids(result["stopped"]) == ["c-0", "c-1", "c-2", "c-3"]
    assert (result["outcome"], result["failed"], result["total"]) == ("success", [], 4)
    [row] = [row for row in result["stopped"] if row["campaign_id"] == "c-3"]
    assert (row["try_number"], row["status_before"]) == (2, "Active")
    assert row["asked_at"] <= result["began_at"] <= row["confirmed_at"]


def test_a_campaign_neither_live_nor_stopped_fails_the_next_try_too(sandbox: Sandbox, store: RecordStore) -> None:
    stick(sandbox)
    attempt(1, timeout=30)
    sandbox.set_status("c-3", "Scheduled")
    again = attempt(2)
    assert isinstance(again.error, CampaignSweepError)
    assert "neither live nor stopped" in str(again.error)


def test_runs_with_nothing_live_skipped_or_with_a_wrong_argument_leave_records(
    sandbox: Sandbox, store: RecordStore, clock: VirtualClock
) -> None:
    refused = attempt(campaign_types="{{ x }}")
    now = datetime.fromtimestamp(clock.time(), UTC)
    window = ((now - timedelta(hours=2)).strftime("%H:00"), (now + timedelta(hours=2)).strftime("%H:00"))
    context = {"data_interval_end": now - timedelta(hours=14), "dag_run": SimpleNamespace(run_type="scheduled")}
    skipped = attempt(1, context, calling_hours=daily("UTC", window))
    assert sandbox.requests == []
    for number in range(4):
        sandbox.set_status(f"c-{number}", "Completed")
    clock.advance(60)
    nothing = attempt(reason="window closed").result
    assert [type(each.error) for each in (refused, skipped)] == [CampaignConfigError, AirflowSkipException]
    records = sorted(records_of(store), key=lambda record: record["outcome"])
    assert [record["outcome"] for record in records] == ["failed", "skipped", "success"]
    assert "campaign_types" in records[0]["error"]
    assert "nothing was sent" in records[1]["error"]
    last = records[2]
    assert (last["campaigns"], last["reason"], last["platform"]) == ([], "window closed", "Kore.ai")
    assert last["account"] == "/".join(sandbox.kore_connection()["extra"][key] for key in ("account_id", "iid"))
    file = next(file for file in read_all(store) if file.record == last)
    assert nothing["record"] == {"sha256": file.sha256, "path": f"{store.records_path}/{file.path}"}


def test_a_records_path_that_cannot_be_written_fails_once_all_is_stopped(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "records"
    folder.write_text("a file, where there should be a folder")
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-2", count=1))
    context = {"task_state_store": StateStore()}
    failed = [attempt(1, each, records_path=f"file://{folder}", timeout=1) for each in ({}, context)]
    assert not any(campaign.live for campaign in sandbox.campaigns())
    assert all(isinstance(each.error, CampaignRecordError) for each in failed)
    assert "c-2 (Sale 2)" in str(failed[0].error)
    assert f"The record can't be written to 'file://{folder}'" in str(failed[0].error)
    assert ids(failed[0].result["stopped"]) == ["c-0", "c-1", "c-3"]
    logged = [line for line in caplog.messages if line.startswith("The record that could not be written: ")]
    assert len(json.loads(logged[0].partition(": ")[2])["campaigns"]) == 4
    folder.unlink()
    assert attempt(2, records_path=f"file://{folder}").result["outcome"] == "success"
    assert "Previous tries of this task have left no record: 1" in caplog.text
    attempt(3, context, records_path=f"file://{folder}")
    second, third = records_of(RecordStore(f"file://{folder}"))
    assert second["earlier_tries"] == [{"try_number": 1, "outcome": None, "path": None, "sha256": None}]
    assert [each["outcome"] for each in third["earlier_tries"]] == ["failed", "success"]


class StateStore(dict[str, Any]):
    """Airflow's task state store, of one task."""

    def set(self, key: str, value: Any) -> None:
        assert json.loads(json.dumps(value)) == value  # it refuses what is no plain JSON, also a tuple
        self[key] = value


@pytest.mark.parametrize("has_state", [True, False])
def test_without_a_records_path_the_task_state_store_keeps_the_result(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, has_state: bool
) -> None:
    monkeypatch.delenv(RECORDS_PATH)
    stick(sandbox)
    context = {"task_state_store": StateStore()} if has_state else {}
    attempt(1, context, timeout=30)
    result = attempt(2, context, timeout=30).result
    assert (ids(result["stopped"]), ids(result["failed"])) == (["c-0", "c-1", "c-2"] if has_state else [], ["c-3"])
    assert [each["outcome"] for each in result["earlier_tries"]] == ["failed" if has_state else None]
    assert result["record"] is None


def test_a_planted_record_attests_nothing_where_airflow_keeps_the_record(sandbox: Sandbox, store: RecordStore) -> None:
    context = {"task_state_store": StateStore()}
    first = attempt(1, context).result["record"]
    record = json.loads(Path(first["path"].removeprefix("file://")).read_bytes())
    planted = {**record["campaigns"][0], "campaign_id": "c-never"}
    Path(first["path"].removeprefix("file://").replace("try1", "try1.2")).write_bytes(
        canonical({**record, "campaigns": [*record["campaigns"], planted]})
    )
    result = attempt(2, context).result
    assert "c-never" not in json.dumps(result)
    assert [each["sha256"] for each in result["earlier_tries"]] == [first["sha256"]]
    Path(first["path"].removeprefix("file://")).write_bytes(canonical({**record, "reason": "edited"}))
    assert attempt(2, context).result["earlier_tries"] == result["earlier_tries"]


# Single stops, starts and deletes.


def act(operator: Any, number: int = 1) -> dict[str, Any]:
    result: dict[str, Any] = operator.execute({"ti": Try(number, task_id=operator.task_id)})
    return result


def single(store: RecordStore, **arguments: Any) -> dict[str, Any]:
    return {"task_id": "single", "campaign_id": "c-0", "records_path": store.records_path, **arguments}


@pytest.mark.parametrize(
    ("operator", "action", "statuses"),
    [
        (StopSmsCampaignOperator, "stop", (None, "Stopped")),
        (StartSmsCampaignOperator, "start", (None, "Active")),
        (DeleteSmsCampaignOperator, "delete", ("Active", "Deleted")),
    ],
)
def test_a_single_action_leaves_a_record_where_a_path_is_set(
    sandbox: Sandbox, store: RecordStore, operator: type, action: str, statuses: tuple[str | None, str]
) -> None:
    if action == "start":
        sandbox.set_status("c-0", "Ready")
    act(operator(**single(store, reason="complaint 4711")))
    [record] = records_of(store)
    assert (record["action"], record["outcome"], record["reason"]) == (action, "success", "complaint 4711")
    assert record["scope"] == {"campaign_id": "c-0", "campaign_type": "sms"}
    assert record["requests"] == len(sandbox.requests)
    [campaign] = record["campaigns"]
    assert (campaign["status_before"], campaign["status"]) == statuses
    assert record["began_at"] <= campaign["asked_at"] <= campaign["confirmed_at"] <= record["ended_at"]


def test_a_single_stop_that_fails_leaves_a_record_and_its_retry_too(sandbox: Sandbox, store: RecordStore) -> None:
    sandbox.add_fault(Fault("lost", how="error", action="stop", campaign_id="c-0"))
    sandbox.add_fault(Fault("error", action="status", campaign_id="c-0", count=200))
    with pytest.raises(CampaignUnavailableError):
        act(StopSmsCampaignOperator(**single(store, timeout=30)))
    sandbox.clear_faults()
    assert act(StopSmsCampaignOperator(**single(store)), 2)["already_stopped"] is True
    first, second = records_of(store)
    assert (first["outcome"], second["outcome"]) == ("failed", "success")
    assert first["campaigns"][0]["confirmed_at"] is None
    [campaign] = second["campaigns"]
    assert (campaign["asked_at"], campaign["already_stopped"]) == (first["campaigns"][0]["asked_at"], False)


def test_a_deferred_stop_leaves_its_record_when_it_resumes(sandbox: Sandbox, store: RecordStore) -> None:
    sandbox.add_campaign("slow", stop_delay=600)
    arguments = single(store, campaign_id="slow", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        act(StopSmsCampaignOperator(**arguments))
    assert records_of(store) == []
    assert deferred.value.trigger.serialize()[1]["end_task"] is False
    result = {**deferred.value.trigger.serialize()[1]["result"], "status": "Stopped"}
    context: Any = {"ti": Try(task_id="single")}
    StopSmsCampaignOperator(**arguments).execute_complete(
        context, event_payload(result), **json.loads(json.dumps(deferred.value.kwargs))
    )
    [record] = records_of(store)
    assert (record["outcome"], record["requests"]) == ("success", 1)
    [campaign] = record["campaigns"]
    assert record["began_at"] <= campaign["asked_at"] <= campaign["confirmed_at"]


# What the record of a single action says that did not succeed.


def failed(store: RecordStore, operator: type = StopSmsCampaignOperator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a single action that fails; return its record, and the campaign in it."""
    with pytest.raises(CampaignError):
        act(operator(**single(store, timeout=30)))
    [record] = records_of(store)
    return record, record["campaigns"][0]


REFUSED, STATUS_DOWN = Fault("conflict", action="stop", count=None), Fault("error", action="status", count=None)
LOST, LIMITED = Fault("lost", how="error", action="stop"), Fault("rate_limit", action="stop", count=None)


@pytest.mark.parametrize(
    ("status", "operator", "faults", "says", "unanswered"),
    [
        ("Scheduled", StopSmsCampaignOperator, (), "it is Scheduled", False),
        ("Scheduled", StopSmsCampaignOperator, (REFUSED,), "it is Scheduled", False),
        ("Active", StopVoiceCampaignOperator, (), "which is Active", False),
        (None, StopSmsCampaignOperator, (LOST, STATUS_DOWN), "", True),
        (None, StopSmsCampaignOperator, (LIMITED, STATUS_DOWN), "", False),
    ],
    ids=["refused", "a conflict", "the wrong type", "lost", "rate-limited"],
)
def test_a_stop_that_fails_leaves_the_status_that_its_error_shows_and_whether_it_was_answered(
    sandbox: Sandbox,
    store: RecordStore,
    status: str | None,
    operator: type,
    faults: tuple[Fault, ...],
    says: str,
    unanswered: bool,
) -> None:
    sandbox.set_status("c-0", status or "Active")
    for fault in faults:
        sandbox.add_fault(fault)
    record, campaign = failed(store, operator)
    assert says in record["error"]
    assert (record["refused"] > 0) == (LIMITED in faults)
    assert status in (campaign["status"], None)
    assert (bool(campaign["asked_at"]), campaign["confirmed_at"], campaign["unanswered"]) == (True, None, unanswered)


@pytest.mark.parametrize("is_trusted", [True, False], ids=["no connection", "a refused certificate"])
def test_nothing_was_asked_where_nothing_was_sent(
    sandbox: Sandbox, connect: Connect, store: RecordStore, tmp_path: Path, is_trusted: bool
) -> None:
    with RawServer(lambda connection: None, Authority(tmp_path).server_context()) as server:
        host = "http://127.0.0.1:1" if is_trusted else server.url
        connect({**sandbox.kore_connection("v2"), "host": host})
        record, campaign = failed(store)
    assert (record["requests"], campaign["asked_at"], campaign["unanswered"]) == (0, None, False)
    assert campaign["status"] == "unknown"
