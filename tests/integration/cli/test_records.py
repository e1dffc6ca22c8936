"""The command that lists and verifies records, on those that sweeps from the command line leave."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.commands import Command, Shown
from tests.kinds import Connect
from tests.records_guard import read_all

NAME = '=HYPERLINK("x") <b>sale</b>'
ODD = "\x1b[2J\u202e caf\u00e9\n"
"""What steers a terminal, turns the text around it, is not in every encoding, and breaks a line."""

NO_EVIDENCE = "0 of 3 records listed. That is no evidence of anything"


@dataclass(frozen=True)
class Records:
    """The records of three evenings, a day apart, of which the last has a campaign that can't be stopped."""

    folder: Path
    command: Command

    def show(self, *options: str) -> Shown:
        return self.command("records", f"file://{self.folder}", *options)

    def rows(self, *options: str) -> list[dict[str, Any]]:
        """Return the records as they are listed."""
        return self.show("-o", "json", *options).rows

    def files(self) -> list[Path]:
        """Return the files, the oldest first."""
        return [self.folder / file.path for file in read_all(RecordStore(f"file://{self.folder}"))]


@pytest.fixture
def records(sandbox: Sandbox, connect: Connect, clock: VirtualClock, tmp_path: Path, command: Command) -> Records:
    connect(sandbox.kore_connection())
    folder = tmp_path / "records"
    options = ("--yes", "--timeout", "60", "--reason", "evening", "--records-path", f"file://{folder}")
    for evening in range(3):
        if evening:
            clock.advance(86400)
        sandbox.add_campaign(f"sms-{evening}", "sms", "Active", f"{NAME}{ODD}.", stoppable=evening < 2)
        command("stop-active", *options)
    return Records(folder, command)


def test_records_are_listed_oldest_first_and_verified(records: Records) -> None:
    shown = records.show("-o", "json")
    assert shown.status == 0
    assert [(row["outcome"], row["found"], row["stopped"], row["left"]) for row in shown.rows] == [
        ("success", 1, 1, 0),
        ("success", 1, 1, 0),
        ("failed", 1, 0, 1),
    ]
    assert {row["connection_id"] for row in shown.rows} == {"campaign_default"}
    unchanged = "Chain of 3 records: records unchanged; none of the records that were written is missing."
    assert unchanged in records.show().stderr


def test_a_span_of_days_or_an_account_is_listed(records: Records) -> None:
    days = [row["ended_at"][:10] for row in records.rows()]
    assert [row["ended_at"][:10] for row in records.rows("--from", days[1])] == days[1:]
    assert [row["ended_at"][:10] for row in records.rows("--from", days[1], "--to", days[1])] == days[1:2]
    shown = records.show("--conn-id", "mistyped", "-o", "json")
    assert (shown.status, shown.rows) == (1, [])
    assert NO_EVIDENCE in shown.stderr
    assert "no evidence of anything" in records.show("--conn-id", "mistyped", "--html").stdout


def tamper(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"reason":"evening"', b'"reason":"morning"'))


@pytest.mark.parametrize(
    ("damage", "word", "on_page"),
    [(tamper, "changed", "not as they were written"), (Path.unlink, "missing", "missing")],
)
def test_a_record_that_is_changed_or_missing_is_status_1_and_named(
    records: Records, damage: Any, word: str, on_page: str
) -> None:
    file = records.files()[0]
    damage(file)
    shown, page = records.show(), records.show("--html")
    assert (shown.status, page.status) == (1, 1)
    path = str(file.relative_to(records.folder))
    assert f"{word}: {path}" in shown.stderr
    assert f"1 {on_page}" in page.stdout
    assert path in page.stdout


def test_the_last_record_is_missed_by_the_hash_that_its_run_has_logged(records: Records) -> None:
    sha256 = records.rows()[-1]["sha256"]
    assert records.show("--expect", f"{sha256.upper()},{sha256}").status == 0
    records.files()[-1].unlink()
    assert records.show().status == 0  # nobody came after it
    shown = records.show("--expect", sha256)
    assert shown.status == 1
    assert sha256 in shown.stderr


def test_csv_and_page_have_a_line_for_each_campaign_and_neither_formulas_nor_markup(records: Records) -> None:
    printed = records.show("--csv").stdout
    assert len(printed.splitlines()) == 4
    assert "\x1b" not in printed
    shown = f"'{NAME}\ufffd[2J caf\u00e9 ."  # cleaned where it came in
    lines = list(csv.DictReader(io.StringIO(printed)))
    assert [(line["campaign_id"], line["outcome"], line["name"], bool(line["confirmed_at"])) for line in lines] == [
        ("sms-0", "success", shown, True),
        ("sms-1", "success", shown, True),
        ("sms-2", "failed", shown, False),
    ]
    page = records.show("--html").stdout
    assert "Records unchanged; none of the records that were written is missing." in page
    assert page.isascii()
    assert "caf&#233;" in page
    assert ("<b>sale" in page, "&lt;b&gt;sale" in page) == (False, True)
    assert "http" not in page.replace("HYPERLINK", "")
    assert len(re.findall(r"<td>sms-\d</td>", page)) == 3


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("records",), 2, "records"),
        (("file:///records", "--from", "yesterday"), 2, "yesterday"),
        (("file:///records", "--csv", "--html"), 2, "--html"),
        (("nosuchstore://records",), 1, "nosuchstore"),
        (("file://{}/empty",), 1, "No record is there"),
    ],
)
def test_what_can_not_be_read_is_named(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    shown = command("records", *(text.format(tmp_path) for text in arguments))
    assert shown.status == status
    assert says in shown.stderr
