"""A record holds up: each try leaves one, a retry's holds all that was done, and nothing is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
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
    StopSmsCampaignOperator,
    StopVoiceCampaignOperator,
)
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Fault
from airflow_provider_campaign.sandbox.task_runs import Outcome, StateStore
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.certificates import Authority
from tests.integration.sweep.runs import Account, Dag, ids, plant
from tests.kinds import Connect
from tests.records_guard import RECORDS_PATH, read_all, verify_records
from tests.servers import RawServer

RunTask = Callable[..., Outcome]


@pytest.fixture
def sandbox(clock: VirtualClock, connect: Connect) -> Iterator[Account]:
    with Account(clock=clock) as account:
        account.use("v2", connect)
        account.add(4, name="Sale")
        yield account


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    """Return a DAG whose tries know of each other by their records only."""
    dag = Dag(clock, timeout=30)
    dag.runner.has_state_store = False
    return dag


def records_of(store: RecordStore) -> list[Any]:
    return [file.record for file in read_all(store)]


def stick(sandbox: Account) -> None:
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-3", count=None))


def test_the_last_of_three_tries_holds_what_all_of_them_did(sandbox: Account, store: RecordStore, dag: Dag) -> None:
    stick(sandbox)
    run = dag.triggered()
    tries = [run.attempt() for _ in range(3)]
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
    assert (tries[-1].ids("stopped"), tries[-1].ids("failed"), tries[-1].result["total"]) == (ids(3), ["c-3"], 4)
    assert [file.path[-9:] for file in read_all(store)] == ["try1.json", "try2.json", "try3.json"]
    assert verify_records(store.read(), [each.result["record"]["sha256"] for each in tries]) == []


@pytest.mark.parametrize("status", ["Stopped", "Scheduled"])
def test_a_campaign_that_changes_between_two_tries_is_read_by_the_next(sandbox: Account, dag: Dag, status: str) -> None:
    stick(sandbox)
    run = dag.triggered()
    run.attempt()
    sandbox.set_status("c-3", status)
    outcome = run.attempt()
    if status == "Scheduled":
        assert isinstance(outcome.error, CampaignSweepError)
        assert "neither live nor stopped" in outcome.message
        return
    result = outcome.result
    assert outcome.ids("stopped") == ids(4)
    assert (result["outcome"], result["failed"], result["total"]) == ("success", [], 4)
    [row] = [row for row in result["stopped"] if row["campaign_id"] == "c-3"]
    assert (row["try_number"], row["status_before"]) == (2, "Active")
    assert row["asked_at"] <= result["began_at"] <= row["confirmed_at"]


def test_runs_with_nothing_live_skipped_or_with_a_wrong_argument_leave_records(
    sandbox: Account, store: RecordStore, dag: Dag
) -> None:
    refused = dag.sweep(campaign_types="{{ none }}")
    now, hours = dag.clock.date, timedelta(hours=2)
    window = daily("UTC", (f"{now - hours:%H:00}", f"{now + hours:%H:00}"))
    skipped = dag.scheduled(now - 7 * hours).attempt(calling_hours=window)
    assert sandbox.requests == []
    for campaign_id in ids(4):
        sandbox.set_status(campaign_id, "Completed")
    dag.clock.advance(60)
    nothing = dag.sweep(reason="window closed").result
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


@pytest.mark.parametrize("has_state_store", [False, True])
def test_a_records_path_that_cannot_be_written_fails_once_all_is_stopped(
    sandbox: Account, dag: Dag, tmp_path: Path, caplog: pytest.LogCaptureFixture, has_state_store: bool
) -> None:
    dag.runner.has_state_store = has_state_store
    folder = tmp_path / "records"
    folder.write_text("a file, where there should be a folder")
    dag.arguments["records_path"] = f"file://{folder}"
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-2"))
    run = dag.triggered()
    failed = run.attempt(timeout=1)
    assert isinstance(failed.error, CampaignRecordError)
    assert failed.names("c-2")
    assert f"The record can't be written to 'file://{folder}'" in failed.message
    assert failed.ids("stopped") == ["c-0", "c-1", "c-3"]
    [logged] = [line for line in caplog.messages if line.startswith("The record that could not be written: ")]
    assert len(json.loads(logged.partition(": ")[2])["campaigns"]) == 4
    folder.unlink()
    assert run.attempt().result["outcome"] == "success"
    assert sandbox.live == set()
    assert ("Previous tries of this task have left no record: 1" in caplog.text) == (not has_state_store)
    [record] = records_of(RecordStore(f"file://{folder}"))
    [earlier] = record["earlier_tries"]
    assert earlier["outcome"] == ("failed" if has_state_store else None)
    assert has_state_store or earlier == {"try_number": 1, "outcome": None, "path": None, "sha256": None}


class PlainStore(StateStore):
    """Airflow's, which refuses what is no plain JSON, also a tuple."""

    def set(self, key: str, value: Any) -> None:
        assert json.loads(json.dumps(value)) == value
        super().set(key, value)


@pytest.mark.parametrize("has_state_store", [True, False])
def test_without_a_records_path_the_task_state_store_keeps_the_result(
    sandbox: Account, monkeypatch: pytest.MonkeyPatch, dag: Dag, has_state_store: bool
) -> None:
    monkeypatch.delenv(RECORDS_PATH)
    dag.runner.has_state_store = has_state_store
    stick(sandbox)
    run = dag.triggered()
    run.dag_run.stores["sweep", -1] = PlainStore()
    run.attempt()
    outcome = run.attempt()
    assert (outcome.ids("stopped"), outcome.ids("failed")) == (ids(3) if has_state_store else [], ["c-3"])
    assert [each["outcome"] for each in outcome.result["earlier_tries"]] == ["failed" if has_state_store else None]
    assert outcome.result["record"] is None


@pytest.mark.parametrize("name", ["sweep.try1.2.json", "sweep.try1.json"])
@pytest.mark.usefixtures("sandbox")
def test_a_planted_record_attests_nothing_where_airflow_keeps_the_record(
    store: RecordStore, dag: Dag, name: str
) -> None:
    dag.runner.has_state_store = True
    run = dag.triggered()
    first = run.attempt().result["record"]
    plant(Path(store.records_path.removeprefix("file://")), name, {"campaign_id": "c-never"})
    result = run.attempt().result
    assert "c-never" not in json.dumps(result)
    assert [each["sha256"] for each in result["earlier_tries"]] == [first["sha256"]]


# Single stops, starts and deletes.


def single(store: RecordStore, operator: type[Any] = StopSmsCampaignOperator, **arguments: Any) -> Any:
    return operator(**{"task_id": "single", "campaign_id": "c-0", "records_path": store.records_path, **arguments})


@pytest.mark.parametrize(
    ("operator", "action", "statuses"),
    [
        (StopSmsCampaignOperator, "stop", (None, "Stopped")),
        (StartSmsCampaignOperator, "start", (None, "Active")),
        (DeleteSmsCampaignOperator, "delete", ("Active", "Deleted")),
    ],
)
def test_a_single_action_leaves_a_record_where_a_path_is_set(
    sandbox: Account, store: RecordStore, operator: type, action: str, statuses: tuple[str | None, str]
) -> None:
    if action == "start":
        sandbox.set_status("c-0", "Ready")
    single(store, operator, reason="complaint 4711").execute({})
    [record] = records_of(store)
    assert (record["action"], record["outcome"], record["reason"]) == (action, "success", "complaint 4711")
    assert record["scope"] == {"campaign_id": "c-0", "campaign_type": "sms"}
    assert record["requests"] == len(sandbox.requests)
    [campaign] = record["campaigns"]
    assert (campaign["status_before"], campaign["status"]) == statuses
    assert record["began_at"] <= campaign["asked_at"] <= campaign["confirmed_at"] <= record["ended_at"]


def test_a_single_stop_that_fails_leaves_a_record_and_its_retry_too(
    sandbox: Account, store: RecordStore, run_task: RunTask
) -> None:
    sandbox.add_fault(Fault("lost", how="error", action="stop", campaign_id="c-0"))
    sandbox.add_fault(Fault("error", action="status", campaign_id="c-0", count=200))
    assert isinstance(run_task(single(store, timeout=30)).error, CampaignUnavailableError)
    sandbox.clear_faults()
    assert run_task(single(store), try_number=2).result["already_stopped"] is True
    first, second = records_of(store)
    assert (first["outcome"], second["outcome"]) == ("failed", "success")
    assert first["campaigns"][0]["confirmed_at"] is None
    [campaign] = second["campaigns"]
    assert (campaign["asked_at"], campaign["already_stopped"]) == (first["campaigns"][0]["asked_at"], False)


def test_a_deferred_stop_leaves_its_record_when_it_resumes(
    sandbox: Account, store: RecordStore, run_task: RunTask
) -> None:
    sandbox.campaign("c-0").stop_delay = 600
    with pytest.raises(TaskDeferred) as deferred:
        single(store, deferrable=True).execute({})
    assert deferred.value.trigger.serialize()[1]["end_task"] is False
    assert records_of(store) == []
    assert run_task(single(store, deferrable=True)).triggers == ["CampaignWaitTrigger"]
    [record] = records_of(store)
    assert (record["outcome"], record["requests"]) == ("success", 1)
    [campaign] = record["campaigns"]
    assert record["began_at"] <= campaign["asked_at"] <= campaign["confirmed_at"]


# What the record of a single action says that did not succeed.


def failed(store: RecordStore, operator: type[Any] = StopSmsCampaignOperator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a single action that fails; return its record, and the campaign in it."""
    with pytest.raises(CampaignError):
        single(store, operator, timeout=30).execute({})
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
    sandbox: Account,
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
    sandbox: Account, connect: Connect, store: RecordStore, tmp_path: Path, is_trusted: bool
) -> None:
    with RawServer(lambda connection: None, Authority(tmp_path).server_context()) as server:
        host = "http://127.0.0.1:1" if is_trusted else server.url
        connect({**sandbox.kore_connection("v2"), "host": host})
        record, campaign = failed(store)
    assert (record["requests"], campaign["asked_at"], campaign["unanswered"]) == (0, None, False)
    assert campaign["status"] == "unknown"
