"""The command for a cron on another machine, as that runs it: what it shows, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.commands import Command, Shown

HOURS = daily("UTC", ("09:00", "21:00"))
NIGHT, NOON = "2026-11-23 21:30", "2026-11-24 12:00"


@dataclass(frozen=True)
class Guarded:
    """An account whose calling hours a DAG keeps, and a cron watches."""

    platform: Sandbox
    clock: VirtualClock
    folder: Path
    command: Command
    run_task: Callable[..., Outcome]

    @property
    def records(self) -> tuple[str, str]:
        return ("--records-path", f"file://{self.folder}/records")

    def close(self, at: str, dry_run: bool = False) -> None:
        """Run the DAG's sweep."""
        records_path = self.records[1]
        self.run_task(
            StopActiveCampaignsOperator(
                task_id="close", calling_hours=HOURS, records_path=records_path, dry_run=dry_run, deferrable=True
            ),
            at=at,
        )

    def watch(self, *options: str, at: str) -> Shown:
        """Run the cron's command."""
        self.clock.go_to(at)
        return self.command("watch", "--calling-hours", f"{self.folder}/hours.json", *options, "-o", "json")


@pytest.fixture
def guarded(
    campaign_sandbox: Sandbox,
    campaign_clock: VirtualClock,
    tmp_path: Path,
    command: Command,
    run_task: Callable[..., Outcome],
) -> Guarded:
    (tmp_path / "hours.json").write_text(json.dumps(HOURS))
    return Guarded(campaign_sandbox, campaign_clock, tmp_path, command, run_task)


def test_a_campaign_that_is_live_while_closed_is_3_and_named(guarded: Guarded) -> None:
    accounts = ("--conn-id", "campaign_default", "--conn-id", "sonarly")
    guarded.platform.add_campaign("cd-1", name="Sale")
    guarded.platform.add_campaign("lead-1", "sonarly")
    shown = guarded.watch(*accounts, at=NOON)
    assert (shown.status, shown.rows) == (0, [])
    shown = guarded.watch(*accounts, at="2026-11-24 21:00:01")
    assert (shown.status, {row["conn_id"]: row["campaign_id"] for row in shown.rows}) == (
        3,
        {"campaign_default": "cd-1", "sonarly": "lead-1"},
    )
    assert "cd-1 (Sale) is live although closed" in shown.stderr
    assert {request.action for request in guarded.platform.requests} == {"list"}


def test_an_end_without_a_record_is_4_after_its_grace(guarded: Guarded) -> None:
    guarded.platform.add_campaign("cd-1")
    guarded.close(at="2026-11-22 20:55")
    assert guarded.watch(*guarded.records, at="2026-11-22 21:30").status == 0
    assert guarded.watch(*guarded.records, at="2026-11-23 21:09").status == 0
    shown = guarded.watch(*guarded.records, at="2026-11-23 21:11")
    assert (shown.status, [row["end"] for row in shown.rows]) == (4, ["2026-11-23T21:00:00+00:00"])
    assert "no evidence" in shown.stderr
    assert "Is the DAG paused, or the scheduler dead?" in shown.stderr
    assert guarded.watch(*guarded.records, at="2026-11-24 21:05").status == 4  # all day long


@pytest.mark.parametrize("how", ["dry run", "not closed"])
def test_a_record_that_verifies_nothing_is_4(guarded: Guarded, how: str) -> None:
    guarded.platform.add_campaign("cd-1")
    if how == "not closed":
        guarded.platform.add_fault(Fault("error", action="stop", count=None))
    guarded.close(at="2026-11-23 21:01", dry_run=how == "dry run")
    guarded.platform.set_status("cd-1", "Stopped")
    shown = guarded.watch(*guarded.records, at=NIGHT)
    assert (shown.status, [row["found"] for row in shown.rows]) == (4, [how])


def test_records_that_have_become_too_old_are_4(guarded: Guarded) -> None:
    options = (*guarded.records, "--newest-record", "900")
    assert guarded.watch(*options, at="2026-11-24 09:30").rows[-1]["found"] == "old records"  # there are none
    guarded.close(at="2026-11-24 10:00")
    assert guarded.watch(*options, at="2026-11-24 10:14").rows[1:] == []
    shown = guarded.watch(*options, at="2026-11-24 10:16")
    assert (shown.status, shown.rows[-1]["found"]) == (4, "old records")
    assert "the newest is of 2026-11-24T10:00" in shown.stderr


@pytest.mark.parametrize(
    ("path", "found"), [("file://{}/records", "no evidence"), ("nosuch://records", "unreadable records")]
)
def test_a_live_campaign_counts_more_than_missing_or_unreadable_records(
    guarded: Guarded, path: str, found: str
) -> None:
    guarded.platform.add_campaign("cd-1")
    shown = guarded.watch("--records-path", path.format(guarded.folder), at=NIGHT)
    assert (shown.status, [row["found"] for row in shown.rows]) == (3, ["live while closed", found])


def test_an_account_that_can_not_be_listed_is_no_all_clear(guarded: Guarded) -> None:
    guarded.platform.add_fault(Fault("forbidden", action="list", count=None))
    shown = guarded.watch(at=NIGHT)
    assert (shown.status, shown.rows) == (1, [])
    assert "campaign_default" in shown.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--conn-id", "nobody"), "Connection 'nobody'"),
        (("--newest-record", "900"), "--newest-record"),
        (("--records-path", "file:///tmp/records", "--newest-record", "soon"), "--newest-record"),
    ],
)
def test_a_wrong_option_is_2_and_sends_nothing(guarded: Guarded, options: tuple[str, ...], says: str) -> None:
    shown = guarded.watch(*options, at=NIGHT)
    assert (shown.status, guarded.platform.requests) == (2, [])
    assert says in shown.stderr


def test_live_fails_on_request_if_a_campaign_is_live(campaign_sandbox: Sandbox, command: Command) -> None:
    assert command("live", "--fail-if-any").status == 0
    campaign_sandbox.add_campaign("cd-1")
    assert command("live").status == 0
    assert command("live", "--fail-if-any").status == 1
