"""A 404 proves a delete only if a delete is known to have been sent: by this try, or by an earlier one's record."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignNotFoundError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.operators.campaign import DeleteSmsCampaignOperator
from airflow_provider_campaign.records.shape import canonical
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import Connect
from tests.records_guard import read_all

WAYS = ("records path", "task state store")
"""How a try hands on what it did."""


class Task:
    """
    A task that deletes a campaign, over all its tries.

    :param way: How a try hands on what it did; None if it can't.
    """

    def __init__(self, folder: Path, way: str | None, **arguments: Any) -> None:
        self.records = RecordStore(f"file://{folder}/records")
        self._state: dict[str, str] = {}
        self._way = way
        self._arguments = {"campaign_id": "c-0", **arguments}
        self._tries = 0

    def run(self, **arguments: Any) -> dict[str, Any]:
        """Run the next try."""
        self._tries += 1
        ti = SimpleNamespace(dag_id="cleanup", run_id="r", task_id="delete", map_index=-1, try_number=self._tries)
        context: Any = {"ti": ti}
        if self._way == "task state store":
            context["task_state_store"] = SimpleNamespace(get=self._state.get, set=self._state.__setitem__)
        path = self.records.records_path if self._way == "records path" else None
        arguments = {"records_path": path, **self._arguments, **arguments}
        return dict(DeleteSmsCampaignOperator(task_id="delete", **arguments).execute(context))

    def run_in_vain(self, error: type[CampaignError] = CampaignUnavailableError, **arguments: Any) -> str:
        with pytest.raises(error) as caught:
            self.run(timeout=30, **arguments)
        return str(caught.value)


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection("v2"))
    sandbox.add_campaign("c-0", status="Stopped")
    return sandbox


def lose_the_response(sandbox: Sandbox) -> None:
    """Have the first delete carried out, and neither it nor a later one answered."""
    sandbox.add_fault(Fault("lost", action="delete", how="error"))
    sandbox.add_fault(Fault("error", action="delete", count=None))


@pytest.mark.parametrize("delay", [0.0, 20.0])
def test_a_live_campaign_is_stopped_before_it_is_deleted_on_request(
    sandbox: Sandbox, tmp_path: Path, delay: float
) -> None:
    campaign = sandbox.add_campaign("live", stop_delay=delay)
    Task(tmp_path, None, campaign_id="live", stop_first=True).run()
    assert [status for _, status in campaign.history] == ["Active", "Stopped"]
    assert "live" not in [campaign.id for campaign in sandbox.campaigns()]


@pytest.mark.parametrize("way", [*WAYS, None])
def test_a_mistyped_id_is_not_deleted_by_clearing_the_task(sandbox: Sandbox, tmp_path: Path, way: str | None) -> None:
    task = Task(tmp_path, way, campaign_id="mistyped")
    task.run_in_vain(CampaignNotFoundError, ignore_missing="False")
    for _ in range(2):
        text = task.run_in_vain(CampaignNotFoundError)
        assert "campaign 'mistyped' (connection 'campaign_default'" in text
        assert "set ignore_missing=True" in text
    record = task.run(ignore_missing=True)
    assert (record["campaign_id"], record["status"]) == ("mistyped", "Deleted")
    sandbox.add_fault(Fault("forbidden", action="delete"))
    task.run_in_vain(CampaignAuthError, ignore_missing=True)
    assert "ignore_missing" in task.run_in_vain(CampaignNotFoundError)


@pytest.mark.parametrize(("way", "stop_first"), [(WAYS[0], False), (WAYS[1], True)])
def test_a_delete_whose_response_was_lost_is_proven_by_a_404(
    sandbox: Sandbox, tmp_path: Path, way: str, stop_first: bool
) -> None:
    task = Task(tmp_path, way, stop_first=stop_first)
    lose_the_response(sandbox)
    task.run_in_vain()
    sandbox.clear_faults()
    sandbox.add_fault(Fault("forbidden", action="delete"))
    task.run_in_vain(CampaignError)  # a try in between that is refused changes nothing
    assert task.run()["status"] == "Deleted"


@pytest.mark.parametrize("way", WAYS)
def test_a_delete_that_was_done_is_done_still_once_its_task_is_cleared(
    sandbox: Sandbox, tmp_path: Path, way: str
) -> None:
    task = Task(tmp_path, way)
    assert task.run()["status"] == "Stopped"
    assert task.run()["status"] == "Deleted"


def test_without_a_record_a_retry_claims_no_earlier_delete(sandbox: Sandbox, tmp_path: Path) -> None:
    task = Task(tmp_path, None)
    lose_the_response(sandbox)
    task.run_in_vain()
    sandbox.clear_faults()
    assert "nothing shows that it has sent a delete" in task.run_in_vain(CampaignNotFoundError)


@pytest.mark.parametrize(
    ("way", "fault"), [(WAYS[0], "rate_limit"), (WAYS[1], "forbidden"), *((way, "unreachable") for way in WAYS)]
)
def test_a_delete_that_was_refused_or_never_left_proves_nothing(
    sandbox: Sandbox, connect: Connect, tmp_path: Path, way: str, fault: str
) -> None:
    task = Task(tmp_path, way)
    if fault == "unreachable":
        connect({**sandbox.kore_connection("v2"), "host": "http://127.0.0.1:1"})
    else:
        sandbox.add_fault(Fault(fault, action="delete", count=None))
    task.run_in_vain(CampaignError)
    sandbox.clear_faults()
    connect(sandbox.kore_connection("v2"))
    sandbox.remove_campaign("c-0")  # another user
    assert "ignore_missing" in task.run_in_vain(CampaignNotFoundError)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("changed", ["connection id", "account", "campaign"])
def test_what_was_deleted_elsewhere_is_no_proof(
    sandbox: Sandbox, connect: Connect, clock: VirtualClock, tmp_path: Path, way: str, changed: str
) -> None:
    task = Task(tmp_path, way)
    lose_the_response(sandbox)
    task.run_in_vain()
    sandbox.clear_faults()
    connect(sandbox.kore_connection("v2"), "another")
    arguments = {"connection id": {"campaign_conn_id": "another"}, "campaign": {"campaign_id": "c-1"}}.get(changed, {})
    with Sandbox(clock=clock, account_id="acc-2") as other:
        if changed == "account":
            connect(other.kore_connection("v2"))
        assert "ignore_missing" in task.run_in_vain(CampaignNotFoundError, **arguments)


def test_a_planted_record_is_no_proof(sandbox: Sandbox, tmp_path: Path) -> None:
    records = RecordStore(f"file://{tmp_path}/records")
    task = Task(tmp_path, "task state store", campaign_id="mistyped", records_path=records.records_path)
    task.run_in_vain(CampaignNotFoundError)
    [file] = read_all(records)
    record: Any = json.loads(canonical(file.record or {}))
    record["campaigns"][0]["unanswered"] = True
    (tmp_path / "records" / file.path.replace("try1", "try1.2")).write_bytes(canonical(record))
    assert "ignore_missing" in task.run_in_vain(CampaignNotFoundError)
