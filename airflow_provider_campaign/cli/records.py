"""The command that lists and verifies records."""

from __future__ import annotations

import csv
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_campaign.arguments import argument_error, read_records_path, read_words
from airflow_provider_campaign.cli.accounts import NOT_VERIFIED, SUCCESS, read_conn_ids
from airflow_provider_campaign.cli.output import Output, printable
from airflow_provider_campaign.cli.records_page import records_page
from airflow_provider_campaign.records.chain import Discrepancy, RecordFile, verify_records
from airflow_provider_campaign.records.store import RecordStore

_COLUMNS = ("ended_at", "connection_id", "run", "outcome", "found", "left", "incidents")

_RUN_COLUMNS = (
    "action",
    "outcome",
    "connection_id",
    "platform",
    "account",
    "reason",
    "window_end",
    "began_at",
    "ended_at",
)
_CAMPAIGN_COLUMNS = (
    *("campaign_id", "name", "campaign_type", "status_before", "asked_at", "confirmed_at", "status", "message"),
    *("is_incident", "unanswered", "try_number"),
)

Row = dict[str, Any]


def show_records(options: Namespace, output: Output) -> int:
    """List the records of a path, and hold them against each other."""
    if options.html and options.csv:
        raise argument_error("--csv", True, "and so is --html", "Give one of them.")
    path = read_records_path("RECORDS_PATH", options.records_path) or ""
    conn_ids = read_conn_ids(options.conn_id) if options.conn_id else []
    since = _moment("--from", options.since)
    until = _moment("--to", options.until, is_end=True)
    files = RecordStore(path).read()
    expected = [word.lower() for text in options.expect or () for word in read_words("--expect", text)]
    discrepancies = verify_records(files, expected)
    chosen = [file for file in files if file.record and _is_chosen(file.record, conn_ids, since, until)]
    rows = [record_row(file) for file in chosen]
    if options.html:
        page = records_page(path, rows, chosen, discrepancies)
        sys.stdout.write(page.encode("ascii", "xmlcharrefreplace").decode())  # whatever the terminal's encoding is
    elif options.csv:
        _write_csv(chosen)
    else:
        output.rows(rows, _COLUMNS)
    return _verdict(files, chosen, discrepancies, output)


def record_row(file: RecordFile) -> Row:
    """Return a record as one line of a list."""
    record = file.record or {}
    run, campaigns = record["run"], record["campaigns"]
    confirmed = [campaign["confirmed_at"] for campaign in campaigns if campaign["confirmed_at"]]
    last = max(confirmed, default=None)
    row = {
        "ended_at": record["ended_at"],
        "connection_id": record["connection_id"],
        "run": _run_name(run),
        "action": record["action"],
        "outcome": record["outcome"],
        "error": record["error"],
        "window_end": record["window_end"],
        "found": len(campaigns),
        "stopped": len(confirmed),
        "left": 0 if record["scope"].get("dry_run") else len(campaigns) - len(confirmed),
        "incidents": len(record["incidents"]),
        "last_confirmed_at": last,
        "seconds_after_window": _seconds(record["window_end"] or record["began_at"], last),
        "requests": record["requests"],
        "path": file.path,
        "sha256": file.sha256,
    }
    return {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}


def _run_name(run: Mapping[str, Any]) -> str:
    if "command" in run:
        return f"{run['command']} ({run.get('user') or 'unknown'})"
    return f"{run.get('dag_id')}.{run.get('task_id')} try {run.get('try_number')}"


def _seconds(begin: str | None, end: str | None) -> float | None:
    if begin is None or end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds(), 1)


def _moment(name: str, text: str | None, *, is_end: bool = False) -> datetime | None:
    """Return a day or a moment, in UTC unless it says otherwise; a day that ends a span belongs to it."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argument_error(name, text, "which is no date", "Give, for instance, 2026-01-31.") from None
    is_day = len(text) <= len("2026-01-31")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if is_end and is_day else moment


def _is_chosen(
    record: Mapping[str, Any], conn_ids: Sequence[str], since: datetime | None, until: datetime | None
) -> bool:
    ended_at = datetime.fromisoformat(record["ended_at"])
    is_in_span = (since is None or ended_at >= since) and (until is None or ended_at < until)
    return is_in_span and (not conn_ids or record["connection_id"] in conn_ids)


def _verdict(
    files: Sequence[RecordFile], chosen: Sequence[RecordFile], discrepancies: Iterable[Discrepancy], output: Output
) -> int:
    """Say what is wrong with the records, and return the exit status."""
    errors = [each for each in discrepancies if each.is_error]
    for each in discrepancies:
        text = f"{each.kind}: {each.path} {each.text}"
        output.problem(text) if each.is_error else output.say(text)
    if not files:
        output.problem("No record is there: check the path.")
        return NOT_VERIFIED
    output.say(f"{len(chosen)} of {len(files)} records listed; all {len(files)} checked, {len(errors)} problems.")
    return NOT_VERIFIED if errors else SUCCESS


def _write_csv(files: Iterable[RecordFile]) -> None:
    """Write a line for each campaign, and one for each run that found none."""
    writer = csv.writer(sys.stdout)
    writer.writerow([*_RUN_COLUMNS, "run", *_CAMPAIGN_COLUMNS, "path", "sha256"])
    for file in files:
        record = file.record or {}
        own = [each for each in record["campaigns"] if each["try_number"] == record["run"].get("try_number")]
        for campaign in own or [{}]:
            cells = [*(record[name] for name in _RUN_COLUMNS), _run_name(record["run"])]
            cells += [*map(campaign.get, _CAMPAIGN_COLUMNS), file.path, file.sha256]
            writer.writerow(map(_cell, cells))


def _cell(value: Any) -> Any:
    """Return a cell of one line that steers no terminal, and that no spreadsheet takes for a formula."""
    text = printable(value) if isinstance(value, str) else ""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text or value
