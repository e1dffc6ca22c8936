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
from tests.records_guard import RECORDS_PATH, check_records, read_all, verify_records
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


def test_a_closing_without_live_campaigns_leaves_a_record(sandbox: Sandbox, store: RecordStore) -> None:
    for number in range(4):
        sandbox.set_status(f"c-{number}", "Completed")
    result = attempt(reason="window closed").result
    [record] = records_of(store)
    assert (record["outcome"], record["campaigns"], record["reason"]) == ("success", [], "window closed")
    assert (record["connection_id"], record["platform"]) == ("campaign_default", "Kore.ai")
    assert record["account"] == "/".join(sandbox.kore_connection()["extra"][key] for key in ("account_id", "iid"))
    assert result["record"]["sha256"] == read_all(store)[0].sha256
    assert result["record"]["path"] == f"{store.records_path}/{read_all(store)[0].path}"


def test_a_run_that_is_skipped_leaves_a_record_that_says_why(
    sandbox: Sandbox, store: RecordStore, clock: VirtualClock
) -> None:
    now = datetime.fromtimestamp(clock.time(), UTC)
    window = ((now - timedelta(hours=2)).strftime("%H:00"), (now + timedelta(hours=2)).strftime("%H:00"))
    context = {"data_interval_end": now - timedelta(hours=14), "dag_run": SimpleNamespace(run_type="scheduled")}
    skipped = attempt(1, context, calling_hours=daily("UTC", window))
    assert isinstance(skipped.error, AirflowSkipException)
    [record] = records_of(store)
    assert record["outcome"] == skipped.result["outcome"] == "skipped"
    assert "nothing was sent" in record["error"]
    assert sandbox.requests == []


def test_a_run_with_a_wrong_argument_leaves_a_record(sandbox: Sandbox, store: RecordStore) -> None:
    refused = attempt(campaign_types="{{ x }}")
    assert isinstance(refused.error, CampaignConfigError)
    [record] = records_of(store)
    assert (record["outcome"], record["requests"]) == ("failed", 0)
    assert "campaign_types" in record["error"]


def test_a_records_path_that_cannot_be_written_fails_once_all_is_stopped(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "records"
    folder.write_text("a file, where there should be a folder")
    failed = attempt(1, records_path=f"file://{folder}")
    assert not any(campaign.live for campaign in sandbox.campaigns())
    assert isinstance(failed.error, CampaignRecordError)
    assert str(folder) in str(failed.error)
    assert ids(failed.result["stopped"]) == ["c-0", "c-1", "c-2", "c-3"]
    [logged] = [line for line in caplog.messages if line.startswith("The record that could not be written: ")]
    assert len(json.loads(logged.partition(": ")[2])["campaigns"]) == 4
    folder.unlink()
    assert attempt(2, records_path=f"file://{folder}").result["outcome"] == "success"
    [record] = records_of(RecordStore(f"file://{folder}"))
    assert record["earlier_tries"] == [{"try_number": 1, "outcome": None, "path": None, "sha256": None}]


def test_the_error_names_the_campaigns_left_and_the_record_not_written(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-2", count=None))
    failed = attempt(1, records_path=f"file://{tmp_path}/records\0")
    assert isinstance(failed.error, CampaignRecordError)
    assert "c-2 (Sale 2)" in str(failed.error)
    assert "The record can't be written" in str(failed.error)


def test_what_a_lost_try_did_is_not_known_and_the_record_says_so(
    sandbox: Sandbox, store: RecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    result = attempt(3).result
    assert [(each["try_number"], each["outcome"]) for each in result["earlier_tries"]] == [(1, None), (2, None)]
    assert "Previous tries of this task have left no record: 1, 2" in caplog.text


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


def test_a_record_that_was_not_written_is_kept_in_the_task_state_store(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.write_text("a file")
    context = {"task_state_store": StateStore()}
    attempt(1, context, records_path=f"file://{folder}")
    folder.unlink()
    attempt(2, context, records_path=f"file://{folder}")
    [record] = records_of(RecordStore(f"file://{folder}"))
    assert len(record["campaigns"]) == 4
    assert [each["outcome"] for each in record["earlier_tries"]] == ["failed"]


def test_a_cleared_task_adds_to_what_was_done_before(sandbox: Sandbox, store: RecordStore) -> None:
    attempt(1)
    sandbox.add_campaign("late")
    result = attempt(2).result
    assert ids(result["stopped"]) == ["c-0", "c-1", "c-2", "c-3", "late"]
    assert check_records(Path(store.records_path.removeprefix("file://"))) == 2


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


def test_a_retry_on_another_account_reports_its_own_work_only(
    sandbox: Sandbox, store: RecordStore, connect: Connect
) -> None:
    stick(sandbox)
    attempt(1, timeout=30)
    connect(sandbox.sonarly_connection())
    result = attempt(2).result
    assert (result["platform"], result["stopped"], result["failed"]) == ("Sonarly", [], [])
    assert [each["outcome"] for each in result["earlier_tries"]] == ["failed"]


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


def test_a_single_action_without_a_path_leaves_none(sandbox: Sandbox, store: RecordStore) -> None:
    act(StopSmsCampaignOperator(task_id="single", campaign_id="c-0"))
    assert records_of(store) == []


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


@pytest.mark.parametrize(
    ("status", "operator", "faults", "says"),
    [
        ("Scheduled", StopSmsCampaignOperator, (), "it is Scheduled"),
        ("Scheduled", StopSmsCampaignOperator, ("conflict",), "it is Scheduled"),
        ("Active", StopVoiceCampaignOperator, (), "which is Active"),
    ],
    ids=["refused", "a conflict", "the wrong type"],
)
def test_a_stop_that_fails_leaves_the_status_that_its_error_shows(
    sandbox: Sandbox, store: RecordStore, status: str, operator: type, faults: tuple[str, ...], says: str
) -> None:
    sandbox.set_status("c-0", status)
    for kind in faults:
        sandbox.add_fault(Fault(kind, action="stop", count=None))
    record, campaign = failed(store, operator)
    assert says in record["error"]
    assert (campaign["status"], campaign["confirmed_at"], campaign["unanswered"]) == (status, None, False)


@pytest.mark.parametrize(("how", "is_unanswered"), [("lost", True), ("rate_limit", False)])
def test_whether_a_stop_was_answered_is_on_record(
    sandbox: Sandbox, store: RecordStore, how: str, is_unanswered: bool
) -> None:
    options: dict[str, Any] = {"how": "error"} if how == "lost" else {"count": None}
    sandbox.add_fault(Fault(how, action="stop", **options))
    sandbox.add_fault(Fault("error", action="status", count=None))
    record, campaign = failed(store)
    assert (record["refused"] > 0) == (how == "rate_limit")
    assert (bool(campaign["asked_at"]), campaign["unanswered"]) == (True, is_unanswered)
    assert campaign["confirmed_at"] is None


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
