"""A month of records, and the commands that read them: each closing, those without any record, and what is damaged."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.testing import use_clock
from tests.calling_hours import daily, weekly
from tests.commands import Command, Shown
from tests.integration.sweep.runs import MONDAY, Dag
from tests.records_guard import TAMPERED

NEW_YORK = ZoneInfo("America/New_York")
RULES = [
    {"name": "florida", "name_pattern": "FL-*", **daily("America/New_York", ("9:00 AM", "8:00 PM"))},
    {
        "name": "others",
        **weekly("MO TU WE TH FR", "9:00 AM", "9:00 PM", "America/New_York"),
        "closed_dates": ["2027-02-15"],
        "overrides": [{"from": "2027-02-16T14:05", "until": "2027-02-17T00:00", "reason": "court order"}],
    },
]
ODD = '=HYPERLINK("x") <b>sale</b>\x1b[2J\u202e caf\u00e9\n.'
"""A formula, markup, what steers a terminal or turns the text around it, is not in every encoding, or breaks a line."""

SHOWN = '=HYPERLINK("x") <b>sale</b>\ufffd[2J caf\u00e9 .'  # cleaned where it came in
FLORIDA, GEORGIA = "FL-1 (FL-<Sale>)", f"GA-1 ({SHOWN})"
NO_RUN, REMOVED, CHANGED, PAUSED = 3, 9, 17, 20
"""Days of February without a run, those whose record is damaged, and from when on the DAG was paused."""


def local(day: int, time: str) -> datetime:
    return datetime.fromisoformat(f"2027-02-{day:02}T{time}").replace(tzinfo=NEW_YORK).astimezone(UTC)


def make_evening(dag: Dag, sandbox: Sandbox, day: int) -> None:
    """Make the run of an evening, on which two campaigns are live, and what else this day has."""
    sandbox.set_status("FL-1", "Active")
    if local(day, "12:00").weekday() < 5:
        sandbox.set_status("GA-1", "Active")
    sandbox.campaign("GA-1").stoppable = day != 18
    options: dict[int, dict[str, Any]] = {5: {"dry_run": True}, 8: {"name_pattern": "FL-*"}, 18: {"timeout": 5}}
    times = {4: "21:40", 16: "13:50"}
    dag.guard(local(day, times.get(day, "19:50")), **options.get(day, {}))
    if day == 16:
        dag.guard(local(day, "19:50"))
    sandbox.campaign("GA-1").stoppable = True
    if day == 11:  # somebody starts a campaign at night, and somebody else looks
        sandbox.set_status("GA-1", "Active")
        dag.clock.go_to(local(day + 1, "02:00"))
        dag.triggered().attempt()


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, clock = tmp_path_factory.mktemp(TAMPERED) / TAMPERED, VirtualClock(MONDAY)
    with pytest.MonkeyPatch.context() as patch, Sandbox(clock=clock) as sandbox:
        use_clock(clock, patch)
        patch.setenv("AIRFLOW_CONN_EAST", json.dumps(sandbox.kore_connection("v2")))
        sandbox.add_campaign("FL-1", name="FL-<Sale>")
        sandbox.add_campaign("GA-1", name=ODD)
        dag = Dag(
            *(clock, "east"),
            campaign_conn_id="east",
            calling_hours=RULES,
            look_ahead=timedelta(hours=2),
            records_path=f"file://{folder}/records",
        )
        for day in (day for day in range(1, PAUSED) if day != NO_RUN):
            make_evening(dag, sandbox, day)
        clock.go_to(datetime(2027, 3, 2, tzinfo=UTC))
        [removed] = folder.glob(f"records/east/scheduled__*{local(REMOVED, '19:50'):%Y-%m-%dT}*/*.json")
        removed.unlink()
        [changed] = folder.glob(f"records/east/scheduled__*{local(CHANGED, '19:50'):%Y-%m-%dT}*/*.json")
        changed.write_bytes(changed.read_bytes().replace(b'"requests"', b' "requests"'))
        (folder / "east.yaml").write_text(json.dumps(RULES))
        yield folder


@dataclass(frozen=True)
class Month:
    """The records, and the commands that read them a month later."""

    folder: Path
    command: Command

    def show(self, name: str, *options: str, accounts: tuple[str, ...] = ("east",)) -> Shown:
        hours = [f"--calling-hours={each}={self.folder}/east.yaml" for each in accounts] if name == "closings" else []
        return self.command(name, f"file://{self.folder}/records", *hours, *options)

    def days(self, *options: str) -> list[str]:
        return [row["ended_at"][:10] for row in self.show("records", "-o", "json", *options).rows]


@pytest.fixture
def month(records: Path, command: Command, campaign_clock: VirtualClock) -> Month:
    campaign_clock.go_to(datetime(2027, 3, 2, 1, 30, tzinfo=UTC))
    return Month(records, command)


@pytest.fixture
def beginning(month: Month, tmp_path: Path) -> Month:
    """The records of the first three evenings, none of which is damaged."""
    folder = tmp_path / TAMPERED
    for run in (run for day in (2, 3, 5) for run in month.folder.glob(f"records/east/*2027-02-0{day}T*")):
        shutil.copytree(run, folder / "records/east" / run.name)
    shutil.copy(month.folder / "east.yaml", folder)
    return Month(folder, month.command)


def test_each_closing_of_a_month_is_reported_as_it_was(month: Month) -> None:
    shown = month.show("closings", "--month", "2027-02", "-o", "json")
    rows = shown.rows
    assert shown.status == 1
    assert "Chain of 19 records: 1 not as they were written; 1 missing." in shown.stderr
    assert "21 of 47 closings in time." in shown.stderr
    told = {(row["rule"], int(row["local_end"][8:10])): row for row in rows}
    assert len(rows) == len(told) == 28 + 19  # each day, and each weekday but the holiday
    assert told["others", 16]["local_end"] == "2027-02-16T14:05-05:00"
    assert {row["outcome"] for (_, day), row in told.items() if day >= PAUSED} == {"no evidence"}
    before = {key: row for key, row in told.items() if key[1] < PAUSED}
    others = {key: (row["outcome"], row["campaigns"]) for key, row in before.items() if row["outcome"] != "in time"}
    assert others == {
        ("florida", NO_RUN): ("no evidence", []),
        ("others", NO_RUN): ("no evidence", []),
        ("florida", 4): ("late", [FLORIDA]),
        ("others", 4): ("late", [GEORGIA]),
        ("florida", 5): ("dry run", [FLORIDA]),
        ("others", 5): ("late", [GEORGIA]),  # until the run of Saturday
        ("others", 8): ("out of scope", [f"{GEORGIA} by name_pattern"]),
        ("florida", REMOVED): ("no evidence", []),
        ("others", REMOVED): ("no evidence", []),
        ("others", 11): ("live again", []),
        ("others", 12): ("live again", []),  # on the holiday after the weekend
        ("others", 18): ("not closed", [GEORGIA]),
    }

    row = told["others", 4]
    assert row["end"] == "2027-02-05T02:00:00+00:00"
    assert 2400 <= row["seconds_late"] < 2460
    assert row["run"] == "east.sweep scheduled__2027-02-05T02:40:00+00:00 try 1"
    assert (month.folder / "records" / row["path"]).is_file()
    assert told["others", 11]["live_again"] == [GEORGIA]


def test_a_span_is_status_0_only_if_every_closing_is_in_time(beginning: Month) -> None:
    shown = {day: beginning.show("closings", "--from", "2027-02-01", "--to", f"2027-02-{day:02}") for day in (2, 3)}
    assert {day: each.status for day, each in shown.items()} == {2: 0, 3: 1}
    assert all("none of the records that were written is missing" in each.stderr for each in shown.values())


def test_an_account_without_records_has_no_evidence(month: Month) -> None:
    shown = month.show("closings", "--from", "2027-02-01", "--to", "2027-02-02", "-o", "json", accounts=("eats",))
    assert [(row["connection_id"], row["outcome"]) for row in shown.rows] == [("eats", "no evidence")] * 4
    assert shown.status == 1
    shown = month.show("closings", "--month", "2027-02", accounts=("eats",))
    assert "east has records, and no calling hours were given" in shown.stderr
    shown = month.show("records", "--conn-id", "mistyped", "-o", "json")
    assert (shown.status, shown.rows) == (1, [])
    assert "0 of 19 records listed. That is no evidence of anything" in shown.stderr
    assert "no evidence of anything" in month.show("records", "--conn-id", "mistyped", "--html").stdout


def test_days_are_those_of_the_rules_zone_and_an_end_to_come_is_not_expected(month: Month) -> None:
    span = ("--from", "2027-02-01", "--to", "2027-02-02", "-o", "json")
    ends = [(row["end"], row["outcome"]) for row in month.show("closings", *span).rows]
    assert ends == [(f"2027-02-0{day}T0{hour}:00:00+00:00", "in time") for day in (2, 3) for hour in (1, 2)]
    assert month.days(*span[:4]) == ["2027-02-02", "2027-02-03"]
    last = month.show("closings", "--month", "2027-03", "-o", "json").rows
    assert [row["local_end"] for row in last] == ["2027-03-01T20:00-05:00"]


YAML = """
- name: florida
  timezone: America/New_York
  frequency: DAILY
  days: [{start: "9:00 AM", end: "8:00 PM"}]
  closed_dates: [2027-02-02]
"""


def test_calling_hours_are_read_as_yaml_with_its_dates(month: Month, tmp_path: Path) -> None:
    file = tmp_path / "hours.yaml"
    file.write_text(YAML)
    options = ("--from", "2027-02-01", "--to", "2027-02-03", f"--calling-hours={file}", "--conn-id", "east")
    rows = month.show("closings", *options, "-o", "json", accounts=()).rows
    assert [(row["local_end"][:10], row["outcome"]) for row in rows] == [
        ("2027-02-01", "in time"),
        ("2027-02-03", "no evidence"),
    ]
    file.write_text(YAML.replace('"8:00 PM"', "20:00"))
    shown = month.show("closings", *options, accounts=())
    assert (shown.status, "end" in shown.stderr) == (2, True)


def test_the_html_page_has_a_calendar_and_csv_and_page_a_line_for_each_closing(month: Month) -> None:
    page = month.show("closings", "--month", "2027-02", "--html").stdout
    assert page.count('<table class="calendar">') == 1
    assert page.count("<td>east</td>") == 47
    for text in ("<h2>east, February 2027</h2>", "FL-&lt;Sale&gt;", "@media print", "late by 0:40:0"):
        assert text in page
    assert "1 not as they were written; 1 missing." in page
    assert "<Sale>" not in page
    assert "http" not in page
    lines = list(csv.DictReader(io.StringIO(month.show("closings", "--month", "2027-02", "--csv").stdout)))
    assert [line["outcome"] for line in lines[4:8]] == [*["no evidence"] * 2, "late by 1:40:00", "late by 0:40:00"]


# The records themselves.


def test_records_are_listed_oldest_first_and_verified(beginning: Month) -> None:
    shown = beginning.show("records", "-o", "json")
    assert shown.status == 0
    assert [row["ended_at"][:10] for row in shown.rows] == ["2027-02-02", "2027-02-03", "2027-02-05"]
    assert beginning.days("--from", "2027-02-02") == ["2027-02-03", "2027-02-05"]
    assert beginning.days("--from", "2027-02-02", "--to", "2027-02-02") == ["2027-02-03"]
    counts = [(row["outcome"], row["found"], row["stopped"], row["left"]) for row in shown.rows]
    assert counts == [("success", 2, 2, 0)] * 3
    assert {row["connection_id"] for row in shown.rows} == {"east"}
    unchanged = "ecords unchanged; none of the records that were written is missing."
    assert f"Chain of 3 records: r{unchanged}" in beginning.show("records").stderr
    assert f"R{unchanged}" in beginning.show("records", "--html").stdout


@pytest.mark.parametrize(("word", "on_page"), [("changed", "not as they were written"), ("missing", "missing")])
def test_a_record_that_is_changed_or_missing_is_status_1_and_named(beginning: Month, word: str, on_page: str) -> None:
    file = next(beginning.folder.glob("records/east/*2027-02-03T*/*.json"))
    if word == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes().replace(b'"outcome":"success"', b'"outcome":"failed"'))
    shown, page = beginning.show("records"), beginning.show("records", "--html")
    assert (shown.status, page.status) == (1, 1)
    path = str(file.relative_to(beginning.folder / "records"))
    assert f"{word}: {path}" in shown.stderr
    assert f"1 {on_page}" in page.stdout
    assert path in page.stdout


def test_the_last_record_is_missed_by_the_hash_that_its_run_has_logged(beginning: Month) -> None:
    sha256 = beginning.show("records", "-o", "json").rows[-1]["sha256"]
    assert beginning.show("records", "--expect", f"{sha256.upper()},{sha256}").status == 0
    shutil.rmtree(next(beginning.folder.glob("records/east/*2027-02-05T*")))
    assert beginning.show("records").status == 0  # nobody came after it
    shown = beginning.show("records", "--expect", sha256)
    assert (shown.status, sha256 in shown.stderr) == (1, True)


def test_csv_and_page_have_a_line_a_campaign_and_neither_formulas_nor_markup(month: Month) -> None:
    printed, page = (month.show("records", form).stdout for form in ("--csv", "--html"))
    lines = list(csv.DictReader(io.StringIO(printed)))
    kept = {(line["campaign_id"], line["outcome"], line["name"], bool(line["confirmed_at"])) for line in lines}
    assert kept >= {("GA-1", "success", f"'{SHOWN}", True), ("GA-1", "failed", f"'{SHOWN}", False)}
    assert len(lines) == sum(row["found"] for row in month.show("records", "-o", "json").rows)
    assert len(re.findall(r"<td>(?:FL|GA)-1</td>", page)) == len(lines)
    assert ("\x1b" in printed, page.isascii(), "<b>sale" in page, "http" in page) == (False, True, False, False)
    assert ("caf&#233;" in page, "&lt;b&gt;sale" in page) == (True, True)


def test_records_name_dry_runs_scopes_and_left_out_campaigns(month: Month) -> None:
    rows = {row["ended_at"][:10]: row for row in month.show("records", "-o", "json").rows}
    assert (rows["2027-02-06"]["outcome"], rows["2027-02-06"]["left"]) == ("dry run", 2)
    assert (rows["2027-02-09"]["scope"], rows["2027-02-09"]["left_out"]) == ("name_pattern FL-*", GEORGIA)
    failed = rows["2027-02-19"]
    assert [failed[key] for key in ("outcome", "found", "stopped", "left")] == ["failed", 2, 1, 1]
    for style in (("-o", "table"), ("-o", "plain"), ("--html",), ("--csv",)):
        shown = month.show("records", *style).stdout
        assert all(text in shown for text in ("dry run", "name_pattern FL-*", "GA-1"))


@pytest.mark.parametrize(
    ("name", "options", "status", "says"),
    [
        ("records", ("records",), 2, "records"),
        ("records", ("file:///records", "--from", "yesterday"), 2, "yesterday"),
        ("records", ("file:///records", "--csv", "--html"), 2, "--html"),
        ("records", ("nosuchstore://records",), 1, "nosuchstore"),
        ("records", ("file://{}/empty",), 1, "No record is there"),
        ("closings", (), 2, "Give --month, or --from and --to"),
        ("closings", ("--month", "November"), 2, "invalid month value: 'November'"),
        ("closings", ("--month", "2027-02", "--from", "2027-02-01"), 2, "Give --month, or --from and --to"),
        ("closings", ("--month", "2027-02", "--conn-id", "west"), 2, "Give --calling-hours west=FILE"),
        ("closings", ("--month", "2027-02", "--calling-hours", "west=/nowhere.yaml"), 2, "can't be read"),
        ("closings", ("--month", "2027-02", "--calling-hours", "east=east.yaml"), 2, "has another file already"),
    ],
)
def test_what_can_not_be_read_is_named(
    month: Month, name: str, options: tuple[str, ...], status: int, says: str
) -> None:
    if name == "closings":
        shown = month.show(name, *options)
    else:
        shown = month.command(name, *(option.format(month.folder) for option in options))
    assert (shown.status, says in shown.stderr) == (status, True)
