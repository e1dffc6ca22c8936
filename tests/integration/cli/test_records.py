"""The command that lists and verifies records, on those that sweeps from the command line leave."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.__main__ import main
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import Connect
from tests.records_guard import read_all

NAME = '=HYPERLINK("x") <b>sale</b>'
ODD = "\x1b[2J\u202e caf\u00e9\n"
"""What steers a terminal, turns the text around it, is not in every encoding, and breaks a line."""


class Records:
    """The records of three evenings, a day apart, of which the last has a campaign that can't be stopped."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.path = f"file://{folder}"
        self._capsys = capsys
        self.status = 0
        self.stderr = ""

    def command(self, *arguments: str) -> str:
        """Run a command; return what it printed."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        self.status = int(end.value.code or 0)
        printed = self._capsys.readouterr()
        self.stderr = printed.err
        return printed.out

    def rows(self, *options: str) -> list[dict[str, Any]]:
        """Return the records as they are listed."""
        return json.loads(self.command("records", self.path, "-o", "json", *options))  # type: ignore[no-any-return]

    def files(self) -> list[Path]:
        """Return the files, the oldest first."""
        return [self.folder / file.path for file in read_all(RecordStore(self.path))]


@pytest.fixture
def records(
    sandbox: Sandbox, connect: Connect, virtual_clock: VirtualClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Records:
    connect(sandbox.kore_connection())
    records = Records(tmp_path / "records", capsys)
    for evening in range(3):
        if evening:
            virtual_clock.advance(86400)
        sandbox.add_campaign(f"sms-{evening}", "sms", "Active", f"{NAME}{ODD}.", stoppable=evening < 2)
        records.command(
            "stop-active", "--yes", "--timeout", "60", "--reason", "evening", "--records-path", records.path
        )
    return records


def test_records_are_listed_oldest_first_and_verified(records: Records) -> None:
    rows = records.rows()
    assert records.status == 0
    assert [(row["outcome"], row["found"], row["stopped"], row["left"]) for row in rows] == [
        ("success", 1, 1, 0),
        ("success", 1, 1, 0),
        ("failed", 1, 0, 1),
    ]
    assert {row["connection_id"] for row in rows} == {"campaign_default"}
    records.command("records", records.path)
    unchanged = "Chain of 3 records: records unchanged; none of the records that were written is missing."
    assert unchanged in records.stderr


def test_a_span_of_days_is_listed_and_all_are_verified(records: Records) -> None:
    days = [row["ended_at"][:10] for row in records.rows()]
    assert [row["ended_at"][:10] for row in records.rows("--from", days[1])] == days[1:]
    assert [row["ended_at"][:10] for row in records.rows("--from", days[1], "--to", days[1])] == days[1:2]
    assert records.rows("--conn-id", "another") == []


def tamper(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"reason":"evening"', b'"reason":"morning"'))


PROBLEMS = {"changed": "not as they were written", "missing": "missing"}


@pytest.mark.parametrize(("damage", "word"), [(tamper, "changed"), (Path.unlink, "missing")])
def test_a_record_that_is_changed_or_missing_is_status_1_and_named(records: Records, damage: Any, word: str) -> None:
    file = records.files()[0]
    damage(file)
    records.rows()
    assert records.status == 1
    assert f"{word}: {file.relative_to(records.folder)}" in records.stderr
    page = records.command("records", records.path, "--html")
    assert records.status == 1
    assert f"1 {PROBLEMS[word]}" in page
    assert str(file.relative_to(records.folder)) in page


def test_the_last_record_is_missed_by_the_hash_that_its_run_has_logged(records: Records) -> None:
    sha256 = records.rows()[-1]["sha256"]
    records.rows("--expect", f"{sha256.upper()},{sha256}")
    assert records.status == 0
    records.files()[-1].unlink()
    records.rows()
    assert records.status == 0  # nobody came after it
    records.rows("--expect", sha256)
    assert records.status == 1
    assert sha256 in records.stderr


def test_csv_has_a_line_for_each_campaign_and_no_formulas(records: Records) -> None:
    printed = records.command("records", records.path, "--csv")
    assert len(printed.splitlines()) == 4
    assert "\x1b" not in printed
    lines = list(csv.DictReader(io.StringIO(printed)))
    shown = f"'{NAME}\ufffd[2J caf\u00e9 ."  # cleaned where it came in
    assert [(line["campaign_id"], line["outcome"], line["name"]) for line in lines] == [
        ("sms-0", "success", shown),
        ("sms-1", "success", shown),
        ("sms-2", "failed", shown),
    ]
    assert bool(lines[0]["confirmed_at"]) is True
    assert bool(lines[2]["confirmed_at"]) is False


def test_the_page_is_whole_in_itself(records: Records) -> None:
    page = records.command("records", records.path, "--html")
    assert records.status == 0
    assert "Records unchanged; none of the records that were written is missing." in page
    assert page.isascii()
    assert "caf&#233;" in page
    assert "<b>sale" not in page
    assert "&lt;b&gt;sale" in page
    assert "http" not in page.replace("HYPERLINK", "")
    assert len(re.findall(r"<td>sms-\d</td>", page)) == 3


def test_an_empty_listing_is_no_success(records: Records) -> None:
    assert records.rows("--conn-id", "mistyped") == []
    assert records.status == 1
    assert "0 of 3 records listed. That is no evidence of anything" in records.stderr
    assert "no evidence of anything" in records.command("records", records.path, "--conn-id", "mistyped", "--html")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("records", "records"), 2),
        (("records", "file:///records", "--from", "yesterday"), 2),
        (("records", "file:///records", "--csv", "--html"), 2),
        (("records", "nosuchstore://records"), 1),
    ],
)
def test_what_can_not_be_read_is_named(records: Records, arguments: tuple[str, ...], status: int) -> None:
    records.command(*arguments)
    assert records.status == status
    assert records.stderr


def test_a_path_without_records_is_status_1(records: Records, tmp_path: Path) -> None:
    records.command("records", f"file://{tmp_path}/empty")
    assert records.status == 1
    assert "No record is there" in records.stderr
