"""The command for a cron on another machine, as that runs it: what it shows, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.commands import Command, Shown

HOURS = daily("UTC", ("09:00", "21:00"))
NIGHT, NOON = "2026-11-23 21:30", "2026-11-24 12:00"
RECORDS = ("--records-path", "file://{}/records")
Watch = Callable[..., Shown]
Close = Callable[..., None]


@pytest.fixture
def close(tmp_path: Path, run_task: Callable[..., Outcome]) -> Close:
    """Return what runs the sweep of a DAG that keeps the calling hours."""

    def run(at: str, dry_run: bool = False) -> None:
        arguments: Any = {"calling_hours": HOURS, "records_path": RECORDS[1].format(tmp_path), "dry_run": dry_run}
        run_task(StopActiveCampaignsOperator(task_id="close", deferrable=True, **arguments), at=at)

    return run


@pytest.fixture
def watch(campaign_sandbox: Sandbox, campaign_clock: VirtualClock, tmp_path: Path, command: Command) -> Watch:
    """Return what a cron runs; ``{}`` in an option is the test's folder."""
    (tmp_path / "hours.json").write_text(json.dumps(HOURS))

    def run(*options: str, at: str = NIGHT) -> Shown:
        campaign_clock.go_to(at)
        options = ("--calling-hours", "{}/hours.json", *options, "-o", "json")
        return command("watch", *(option.format(tmp_path) for option in options))

    return run


def test_a_campaign_that_is_live_while_closed_is_3_and_named(watch: Watch, campaign_sandbox: Sandbox) -> None:
    accounts = ("--conn-id", "campaign_default", "--conn-id", "sonarly")
    campaign_sandbox.add_campaign("cd-1", name="Sale")
    campaign_sandbox.add_campaign("lead-1", "sonarly")
    shown = watch(*accounts, at=NOON)
    assert (shown.status, shown.rows) == (0, [])
    shown = watch(*accounts, at="2026-11-24 21:00:01")
    found = {row["conn_id"]: row["campaign_id"] for row in shown.rows}
    assert (shown.status, found) == (3, {"campaign_default": "cd-1", "sonarly": "lead-1"})
    assert "cd-1 (Sale) is live although closed" in shown.stderr
    assert {request.action for request in campaign_sandbox.requests} == {"list"}


def test_an_end_without_a_record_is_4_after_its_grace(watch: Watch, close: Close, campaign_sandbox: Sandbox) -> None:
    campaign_sandbox.add_campaign("cd-1")
    close(at="2026-11-22 20:55")
    assert watch(*RECORDS, at="2026-11-22 21:30").status == 0
    assert watch(*RECORDS, at="2026-11-23 21:09").status == 0
    shown = watch(*RECORDS, at="2026-11-23 21:11")
    assert (shown.status, [row["end"] for row in shown.rows]) == (4, ["2026-11-23T21:00:00+00:00"])
    assert "no evidence" in shown.stderr
    assert "Is the DAG paused, or the scheduler dead?" in shown.stderr
    assert watch(*RECORDS, at="2026-11-24 21:05").status == 4  # all day long


@pytest.mark.parametrize("how", ["dry run", "not closed"])
def test_a_record_that_verifies_nothing_is_4(watch: Watch, close: Close, campaign_sandbox: Sandbox, how: str) -> None:
    campaign_sandbox.add_campaign("cd-1")
    if how == "not closed":
        campaign_sandbox.add_fault(Fault("error", action="stop", count=None))
    close(at="2026-11-23 21:01", dry_run=how == "dry run")
    campaign_sandbox.set_status("cd-1", "Stopped")
    shown = watch(*RECORDS)
    assert (shown.status, [row["found"] for row in shown.rows]) == (4, [how])


def test_records_that_have_become_too_old_are_4(watch: Watch, close: Close) -> None:
    options = (*RECORDS, "--newest-record", "900")
    assert watch(*options, at="2026-11-24 09:30").rows[-1]["found"] == "old records"  # there are none
    close(at="2026-11-24 10:00")
    assert watch(*options, at="2026-11-24 10:14").rows[1:] == []
    shown = watch(*options, at="2026-11-24 10:16")
    assert (shown.status, shown.rows[-1]["found"]) == (4, "old records")
    assert "the newest is of 2026-11-24T10:00" in shown.stderr


@pytest.mark.parametrize(("path", "found"), [(RECORDS[1], "no evidence"), ("nosuch://x", "unreadable records")])
def test_a_live_campaign_counts_more_than_missing_or_unreadable_records(
    watch: Watch, campaign_sandbox: Sandbox, path: str, found: str
) -> None:
    campaign_sandbox.add_campaign("cd-1")
    shown = watch("--records-path", path)
    assert (shown.status, [row["found"] for row in shown.rows]) == (3, ["live while closed", found])


def test_an_account_that_can_not_be_listed_is_no_all_clear(watch: Watch, campaign_sandbox: Sandbox) -> None:
    campaign_sandbox.add_fault(Fault("forbidden", action="list", count=None))
    shown = watch()
    assert (shown.status, shown.rows, "campaign_default" in shown.stderr) == (1, [], True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--conn-id", "nobody"), "Connection 'nobody'"),
        (("--newest-record", "900"), "--newest-record"),
        ((*RECORDS, "--newest-record", "soon"), "--newest-record"),
    ],
)
def test_a_wrong_option_is_2_and_sends_nothing(
    watch: Watch, campaign_sandbox: Sandbox, options: tuple[str, ...], says: str
) -> None:
    shown = watch(*options)
    assert (shown.status, campaign_sandbox.requests, says in shown.stderr) == (2, [], True)
