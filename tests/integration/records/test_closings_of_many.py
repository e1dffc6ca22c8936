"""A month of fourteen accounts with five rules and two holidays, each account with something that went wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_campaign.__main__ import main
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.testing import use_clock
from tests.calling_hours import daily
from tests.integration.sweep.runs import MONDAY, Dag
from tests.profiles import IS_EXHAUSTIVE
from tests.records_guard import TAMPERED

pytestmark = pytest.mark.skipif(not IS_EXHAUSTIVE, reason="a month of fourteen accounts takes minutes")

NEW_YORK = ZoneInfo("America/New_York")
HOLIDAYS = ["2027-02-15", "2027-02-22"]
ZONES = {
    "FL": ("America/New_York", "8:00 PM"),
    "NY": ("America/New_York", "8:30 PM"),
    "TX": ("America/Chicago", "8:00 PM"),
    "CA": ("America/Los_Angeles", "6:00 PM"),
}
RULES = [
    *(
        {"name": state, "name_pattern": f"{state}-*", **daily(zone, ("9:00 AM", end)), "closed_dates": HOLIDAYS}
        for state, (zone, end) in ZONES.items()
    ),
    {"name": "others", **daily("America/New_York", ("9:00 AM", "9:00 PM")), "closed_dates": HOLIDAYS},
]
FAULTS = ("no run", "late", "dry run", "scope", "removed", "changed", "at night")
ACCOUNTS = {f"account_{number:02}": FAULTS[number % len(FAULTS)] for number in range(14)}
DAY = 10
"""Of February: when it goes wrong."""

EXPECTED = {
    "no run": {"no evidence"},
    "late": {"late"},
    "dry run": {"dry run"},
    "scope": {"in time", "out of scope"},
    "removed": {"no evidence"},
    "changed": {"in time"},
    "at night": {"in time", "live again"},
}


def local(day: int, time: str) -> datetime:
    return datetime.fromisoformat(f"2027-02-{day:02}T{time}").replace(tzinfo=NEW_YORK).astimezone(UTC)


def make_evening(dag: Dag, sandbox: Sandbox, day: int, fault: str | None) -> None:
    """Make the run of an evening, on which a campaign of each rule is live, but for holidays."""
    if f"2027-02-{day:02}" not in HOLIDAYS:
        for name in (*ZONES, "GA"):
            sandbox.set_status(f"{name}-1", "Active")
    if fault == "no run":
        return
    options: dict[str | None, dict[str, Any]] = {"dry run": {"dry_run": True}, "scope": {"name_pattern": "FL-*"}}
    dag.guard(local(day, "21:40" if fault == "late" else "19:50"), **options.get(fault, {}))
    if fault == "at night":
        sandbox.set_status("GA-1", "Active")
        dag.clock.go_to(local(day + 1, "02:00"))
        dag.triggered().attempt()


def make_month(folder: Path, conn_id: str, fault: str) -> None:
    """Make the records of an account's February."""
    clock = VirtualClock(MONDAY)
    with pytest.MonkeyPatch.context() as patch, Sandbox(clock=clock) as sandbox:
        use_clock(clock, patch)
        patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(sandbox.kore_connection("v2")))
        for name in (*ZONES, "GA"):
            sandbox.add_campaign(f"{name}-1", name=f"{name}-Sale")
        arguments = {"campaign_conn_id": conn_id, "calling_hours": RULES, "records_path": f"file://{folder}/records"}
        dag = Dag(clock, conn_id, look_ahead=7200, **arguments)
        for day in range(1, 29):
            make_evening(dag, sandbox, day, fault if day == DAY else None)
    files = list(folder.glob(f"records/{conn_id}/scheduled__*{local(DAY, '19:50'):%Y-%m-%dT}*/*.json"))
    if fault == "removed":
        files[0].unlink()
    if fault == "changed":
        files[0].write_bytes(files[0].read_bytes().replace(b'"requests"', b' "requests"'))


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(TAMPERED) / TAMPERED
    for conn_id, fault in ACCOUNTS.items():
        make_month(folder, conn_id, fault)
    (folder / "rules.json").write_text(json.dumps(RULES))
    return folder


def test_each_closing_that_went_wrong_is_named_and_no_other(
    months: Path, capsys: pytest.CaptureFixture[str], campaign_clock: VirtualClock
) -> None:
    campaign_clock.go_to(datetime(2027, 3, 1, 12, tzinfo=UTC))
    hours = [f"--calling-hours={conn_id}={months}/rules.json" for conn_id in ACCOUNTS]
    with pytest.raises(SystemExit) as end:
        main(("closings", f"file://{months}/records", *hours, "--month", "2027-02", "-o", "json"))
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert end.value.code == 1
    assert len(rows) == 14 * 5 * (28 - len(HOLIDAYS))
    wrong = [row for row in rows if int(row["local_end"][8:10]) != DAY and row["outcome"] != "in time"]
    assert not wrong
    for conn_id, fault in ACCOUNTS.items():
        told = {row["outcome"] for row in rows if row["connection_id"] == conn_id and row["local_end"][8:10] == "10"}
        assert told == EXPECTED[fault], (conn_id, fault)
    assert "2 not as they were written; 2 missing." in printed.err
