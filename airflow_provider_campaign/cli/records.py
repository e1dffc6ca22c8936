"""The command that lists and verifies records."""

from __future__ import annotations

import csv
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.arguments import argument_error, read_records_path, read_words
from airflow_provider_campaign.cli.accounts import NOT_VERIFIED, SUCCESS, read_conn_ids
from airflow_provider_campaign.cli.output import Output, printable
from airflow_provider_campaign.cli.records_page import record_details, records_page
from airflow_provider_campaign.records.chain import Discrepancy, RecordChain, RecordFile, verdict
from airflow_provider_campaign.records.closings import day_limit
from airflow_provider_campaign.records.record import run_name, titles
from airflow_provider_campaign.records.shape import DEFAULTS
from airflow_provider_campaign.records.store import RecordStore

_COLUMNS = ("ended_at", "connection_id", "run", "outcome", "found", "left", "left_out", "scope", "incidents")

_CSV_COLUMNS = (
    *("action", "outcome", "connection_id", "platform", "account", "reason", "window_end", "timezone", "began_at"),
    *("ended_at", "run", "scope", "left_out", "campaign_id", "name", "campaign_type", "status_before", "asked_at"),
    *("confirmed_at", "status", "message", "is_incident", "unanswered", "try_number", "path", "sha256"),
)

Row = dict[str, Any]


def show_records(options: Namespace, output: Output) -> int:
    """List the records of a path, and verify all of them."""
    check_styles(options)
    path = read_records_path("RECORDS_PATH", options.records_path) or ""
    conn_ids = read_conn_ids(options.conn_id) if options.conn_id else []
    since, until = read_moment("--from", options.since), read_moment("--to", options.until)
    expected = [word.lower() for text in options.expect or () for word in read_words("--expect", text)]
    chain, listed = RecordChain(), list[tuple[Row, Any]]()
    for file in RecordStore(path).read():
        chain.add(file)
        if file.record and _is_chosen(file.record, conn_ids, since, until):
            row = record_row(file)
            details = record_details(row, file) if options.html else _csv_rows(row, file) if options.csv else None
            listed.append((row, details))
    listed.sort(key=lambda each: (each[0]["ended_at"], each[0]["path"]))
    rows, discrepancies = [row for row, _ in listed], chain.discrepancies(expected)
    if options.html:
        write_page(records_page(path, rows, [details for _, details in listed], discrepancies))
    elif options.csv:
        write_csv(_CSV_COLUMNS, (line for _, lines in listed for line in lines))
    else:
        output.rows(rows, _COLUMNS)
    is_unchanged = show_verdict(chain, discrepancies, output)
    text = f"{len(rows)} of {len(chain)} records listed."
    output.say(text) if rows else output.problem(f"{text} That is no evidence of anything: see the command closings.")
    return SUCCESS if is_unchanged and rows else NOT_VERIFIED


def record_row(file: RecordFile) -> Row:
    """Return a record as one line of a list."""
    record = file.record or {}
    campaigns, scope = record["campaigns"], record["scope"]
    confirmed = [campaign["confirmed_at"] for campaign in campaigns if campaign["confirmed_at"]]
    is_dry_run = bool(scope.get("dry_run"))
    row = {
        "ended_at": record["ended_at"],
        "connection_id": record["connection_id"],
        "run": run_name(record),
        "action": record["action"],
        "outcome": "dry run" if is_dry_run and record["outcome"] == "success" else record["outcome"],
        "error": record["error"],
        "window_end": record["window_end"],
        "found": len(campaigns),
        "stopped": len(confirmed),
        "left": len(campaigns) - len(confirmed),
        "left_out": ", ".join(titles(record["excluded"]).values()),
        "scope": _scope_text(scope),
        "incidents": len(record["incidents"]),
        "last_confirmed_at": max(confirmed, default=None),
        "requests": record["requests"],
        "path": file.path,
        "sha256": file.sha256,
    }
    return {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}


def _scope_text(scope: Mapping[str, Any]) -> str:
    """Return what a run was limited to, empty if to nothing."""
    limits = {
        name: value for name, value in scope.items() if name != "dry_run" and value != DEFAULTS["scope"].get(name)
    }
    texts = (f"{name} {value if isinstance(value, str) else ', '.join(value or ())}" for name, value in limits.items())
    return "; ".join(texts)


def read_moment(name: str, text: str | None) -> date | None:
    """Return a day, of a time zone that is not yet known, or a moment, in UTC unless it says otherwise."""
    try:
        if text is None or len(text) <= len("2026-01-31"):
            return None if text is None else date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argument_error(name, text, "which is no date", "Give, for example, 2026-01-31.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_chosen(record: Mapping[str, Any], conn_ids: Sequence[str], since: date | None, until: date | None) -> bool:
    """Return whether a record is of an account, and of days of its calling hours' time zone."""
    ended_at, zone = datetime.fromisoformat(record["ended_at"]), _zone(record["timezone"])
    is_in_span = (since is None or ended_at >= day_limit(since, zone)) and (
        until is None or ended_at < day_limit(until, zone, days=1)
    )
    return is_in_span and (not conn_ids or record["connection_id"] in conn_ids)


def check_styles(options: Namespace) -> None:
    if options.html and options.csv:
        raise argument_error("--csv", True, "and so is --html", "Give one of them.")


def show_verdict(chain: RecordChain, discrepancies: Sequence[Discrepancy], output: Output) -> bool:
    """Print the problems of the records; return whether they are as they were written."""
    for each in discrepancies:
        text = f"{each.kind}: {each.path} {each.text}"
        output.problem(text) if each.is_error else output.say(text)
    if not len(chain):
        output.problem("No record is there: check the path.")
        return False
    is_good, text = verdict(discrepancies)
    text = f"Chain of {len(chain)} records: {text}."
    output.say(text) if is_good else output.problem(text)
    return is_good


def write_page(page: str) -> None:
    sys.stdout.write(page.encode("ascii", "xmlcharrefreplace").decode())  # whatever the terminal's encoding is


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_cell(row.get(name)) for name in columns)


def _csv_rows(row: Row, file: RecordFile) -> list[Row]:
    """Return a line for each campaign, or one for a run that found none."""
    record = file.record or {}
    own = [each for each in record["campaigns"] if each["try_number"] == record["run"].get("try_number")]
    return [{**record, **row, **campaign} for campaign in own or [{}]]


def _cell(value: Any) -> Any:
    """Return a cell of one line that steers no terminal, and that no spreadsheet takes for a formula."""
    text = printable(value) if isinstance(value, str) else ""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text or value


def _zone(name: str | None) -> ZoneInfo:
    """Return the time zone of a record, UTC if it has none that is known."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
