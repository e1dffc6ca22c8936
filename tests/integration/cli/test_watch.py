"""The command for a cron on another machine, as that runs it: what it shows, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.__main__ import main
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily

RunTask = Callable[..., Outcome]
Watch = Callable[..., tuple[int, list[dict[str, Any]], str]]

HOURS = daily("UTC", ("09:00", "21:00"))
EVENING, NIGHT, NOON = "2026-11-23 20:55", "2026-11-23 21:30", "2026-11-24 12:00"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hours.json").write_text(json.dumps(HOURS))
    return tmp_path


@pytest.fixture
def watch(folder: Path, capsys: pytest.CaptureFixture[str]) -> Watch:
    """Return the command's exit status, its rows, and what it says besides."""

    def watch(*options: str, command: str = "watch") -> tuple[int, list[dict[str, Any]], str]:
        hours = ("--calling-hours", str(folder / "hours.json")) if command == "watch" else ()
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main((command, *hours, *options, "-o", "json"))
        shown = capsys.readouterr()
        return int(end.value.code or 0), json.loads(shown.out or "[]"), shown.err

    return watch


@pytest.fixture
def records(folder: Path) -> tuple[str, ...]:
    return ("--records-path", f"file://{folder}/records")


@pytest.fixture
def close(folder: Path) -> StopActiveCampaignsOperator:
    return StopActiveCampaignsOperator(
        task_id="close", calling_hours=HOURS, records_path=f"file://{folder}/records", deferrable=True
    )


def test_a_campaign_that_is_live_while_closed_is_3_and_named(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, watch: Watch
) -> None:
    campaign_sandbox.add_campaign("cd-1", name="Sale")
    campaign_clock.go_to(NOON)
    assert watch()[:2] == (0, [])
    campaign_clock.go_to("2026-11-24 21:00:01")
    status, rows, said = watch()
    assert (status, [(row["conn_id"], row["campaign_id"]) for row in rows]) == (3, [("campaign_default", "cd-1")])
    assert "cd-1 (Sale) is live although closed" in said
    assert {request.action for request in campaign_sandbox.requests} == {"list"}


def test_several_accounts_are_watched_at_once(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, watch: Watch
) -> None:
    campaign_sandbox.add_campaign("lead-1", "sonarly")
    campaign_clock.go_to(NIGHT)
    status, rows, _ = watch("--conn-id", "campaign_default", "--conn-id", "sonarly")
    assert (status, [(row["conn_id"], row["campaign_id"]) for row in rows]) == (3, [("sonarly", "lead-1")])


def test_an_end_that_is_verified_on_record_is_0(
    campaign_sandbox: Sandbox,
    campaign_clock: VirtualClock,
    watch: Watch,
    records: tuple[str, ...],
    run_task: RunTask,
    close: StopActiveCampaignsOperator,
) -> None:
    campaign_sandbox.add_campaign("cd-1")
    run_task(close, at=EVENING)
    campaign_clock.go_to(NIGHT)
    assert watch(*records)[:2] == (0, [])


def test_an_end_without_a_record_is_4_once_its_grace_is_over(
    campaign_sandbox: Sandbox,
    campaign_clock: VirtualClock,
    watch: Watch,
    records: tuple[str, ...],
    run_task: RunTask,
    close: StopActiveCampaignsOperator,
) -> None:
    run_task(close, at="2026-11-22 20:55")
    campaign_clock.go_to("2026-11-23 21:09")
    assert watch(*records)[0] == 0
    campaign_clock.go_to("2026-11-23 21:11")
    status, rows, said = watch(*records)
    assert (status, [row["end"] for row in rows]) == (4, ["2026-11-23T21:00:00+00:00"])
    assert "no evidence" in said
    assert "Is the DAG paused, or the scheduler dead?" in said
    campaign_clock.go_to("2026-11-24 21:05")
    assert watch(*records)[0] == 4  # all day long


@pytest.mark.parametrize("how", ["dry run", "not closed"])
def test_a_record_that_verifies_nothing_is_4(
    campaign_sandbox: Sandbox,
    campaign_clock: VirtualClock,
    watch: Watch,
    records: tuple[str, ...],
    run_task: RunTask,
    close: StopActiveCampaignsOperator,
    how: str,
) -> None:
    campaign_sandbox.add_campaign("cd-1")
    if how == "dry run":
        close.dry_run = True
    else:
        campaign_sandbox.add_fault(Fault("error", action="stop", count=None))
    run_task(close, at="2026-11-23 21:01")
    campaign_sandbox.set_status("cd-1", "Stopped")
    campaign_clock.go_to(NIGHT)
    status, rows, _ = watch(*records)
    assert (status, [row["found"] for row in rows]) == (4, [how])


def test_records_that_have_become_too_old_are_4(
    campaign_sandbox: Sandbox,
    campaign_clock: VirtualClock,
    watch: Watch,
    records: tuple[str, ...],
    run_task: RunTask,
    close: StopActiveCampaignsOperator,
) -> None:
    assert watch(*records, "--newest-record", "900")[0] == 4
    run_task(close, at="2026-11-24 10:00")
    campaign_clock.go_to("2026-11-24 10:14")
    assert watch(*records, "--newest-record", "900")[1][1:] == []
    campaign_clock.go_to("2026-11-24 10:16")
    status, rows, said = watch(*records, "--newest-record", "900")
    assert (status, rows[-1]["found"]) == (4, "old records")
    assert "the newest is of 2026-11-24T10:00" in said


def test_a_live_campaign_counts_more_than_a_missing_record(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, watch: Watch, records: tuple[str, ...]
) -> None:
    campaign_sandbox.add_campaign("cd-1")
    campaign_clock.go_to(NIGHT)
    status, rows, _ = watch(*records)
    assert (status, len(rows)) == (3, 2)


def test_an_account_that_can_not_be_listed_is_no_all_clear(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, watch: Watch
) -> None:
    campaign_sandbox.add_fault(Fault("forbidden", action="list", count=None))
    campaign_clock.go_to(NIGHT)
    status, rows, said = watch()
    assert (status, rows) == (1, [])
    assert "campaign_default" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--conn-id", "nobody"), "Connection 'nobody'"),
        (("--newest-record", "900"), "--newest-record"),
        (("--records-path", "file:///tmp/records", "--newest-record", "soon"), "--newest-record"),
    ],
)
def test_a_wrong_option_is_2_and_sends_nothing(
    campaign_sandbox: Sandbox, watch: Watch, options: tuple[str, ...], says: str
) -> None:
    status, _, said = watch(*options)
    assert (status, campaign_sandbox.requests) == (2, [])
    assert says in said


def test_live_fails_on_request_if_a_campaign_is_live(campaign_sandbox: Sandbox, watch: Watch) -> None:
    assert watch("--fail-if-any", command="live")[0] == 0
    campaign_sandbox.add_campaign("cd-1")
    assert watch(command="live")[0] == 0
    assert watch("--fail-if-any", command="live")[0] == 1


def test_records_that_nobody_can_open_hide_no_live_campaign(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, watch: Watch
) -> None:
    campaign_sandbox.add_campaign("cd-1")
    campaign_clock.go_to(NIGHT)
    status, rows, said = watch("--records-path", "nosuch://bucket/records")
    assert (status, [row["found"] for row in rows]) == (3, ["live while closed", "unreadable records"])
    assert "cd-1" in said
