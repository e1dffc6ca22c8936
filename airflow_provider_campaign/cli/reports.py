"""The commands that read records: all that there are, and those of each end of calling hours."""

from __future__ import annotations

from argparse import Namespace
from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.arguments import argument_error, read_records_path, read_words
from airflow_provider_campaign.cli.accounts import read_conn_ids, read_rules
from airflow_provider_campaign.cli.output import NOT_VERIFIED, SUCCESS, Output, Row, command, printable, write_csv
from airflow_provider_campaign.cli.pages import closing_line, closings_page, records_page, write_page
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK
from airflow_provider_campaign.records.chain import Discrepancy, RecordChain, verdict
from airflow_provider_campaign.records.closings import IN_TIME, ROW, SOURCE, ExpectedClosings, day_limit
from airflow_provider_campaign.records.record import run_name, titles
from airflow_provider_campaign.records.shape import DEFAULTS, RecordFile
from airflow_provider_campaign.records.store import RecordStore

RECORD_COLUMNS = ("ended_at", "connection_id", "run", "outcome", "found", "left", "left_out", "scope", "incidents")
CAMPAIGN_COLUMNS = (
    *("action", "outcome", "connection_id", "platform", "account", "reason", "window_end", "timezone", "began_at"),
    *("ended_at", "run", "scope", "left_out", "campaign_id", "name", "campaign_type", "status_before", "asked_at"),
    *("confirmed_at", "status", "message", "is_incident", "unanswered", "try_number", "path", "sha256"),
)
CLOSING_COLUMNS = ("connection_id", "rule", "local_end", "outcome", "campaigns", "live_again", "run")


@command
def records(options: Namespace, output: Output) -> int:
    """List the records of a path, and verify all of them."""
    path = _read_path(options)
    conn_ids = read_conn_ids(options.conn_id) if options.conn_id else []
    since, until = _read_day("--from", options.since), _read_day("--to", options.until)
    expected = [word.lower() for text in options.expect or () for word in read_words("--expect", text)]
    chain, listed = RecordChain(), list[tuple[Row, list[Row]]]()
    for file in RecordStore(path).read():
        chain.add(file)
        if file.record and _is_chosen(file.record, conn_ids, since, until):
            row = record_row(file)
            listed.append((row, campaign_rows(row, file) if options.csv or options.html else []))
    listed.sort(key=lambda each: (each[0]["ended_at"], each[0]["path"]))
    rows, campaigns = [row for row, _ in listed], [campaign for _, each in listed for campaign in each]
    discrepancies = chain.discrepancies(expected)
    if options.html:
        write_page(records_page(path, discrepancies, rows, campaigns))
    elif options.csv:
        write_csv(CAMPAIGN_COLUMNS, campaigns)
    else:
        output.rows(rows, RECORD_COLUMNS)
    text = f"{len(rows)} of {len(chain)} records listed."
    text += "" if rows else " That is no evidence of anything: see the command closings."
    return _verdict(chain, discrepancies, output, text, is_good=bool(rows))


@command
def closings(options: Namespace, output: Output) -> int:
    """List every end of calling hours in a span, and verify the records that it is known from."""
    path = _read_path(options)
    rules = read_rules(options.calling_hours, options.conn_id)
    since, until = _read_span(options)
    now = datetime.fromtimestamp(SYSTEM_CLOCK.time(), UTC)
    expected, chain = ExpectedClosings(rules, since, until, now), RecordChain()
    for file in RecordStore(path).read():
        chain.add(file)
        expected.add(file)
    rows, discrepancies = expected.rows(), chain.discrepancies()
    if options.html:
        write_page(closings_page(path, discrepancies, rows))
    elif options.csv:
        write_csv((*ROW, *SOURCE), map(closing_line, rows))
    else:
        output.rows(rows if output.is_for_machines else list(map(closing_line, rows)), CLOSING_COLUMNS)
    for conn_id in sorted(expected.unexpected):
        output.say(f"{conn_id} has records, and no calling hours were given: its closings are not listed.")
    good = sum(row["outcome"] == IN_TIME for row in rows)
    text = f"{good} of {len(rows)} closings in time."
    return _verdict(chain, discrepancies, output, text, is_good=0 < good == len(rows))


def _read_path(options: Namespace) -> str:
    if options.html and options.csv:
        raise argument_error("--csv", True, "and so is --html", "Give one of them.")
    return read_records_path("RECORDS_PATH", options.records_path) or ""


def _read_day(name: str, text: str | None) -> date | None:
    """Return a day, of a time zone that is not known yet."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise argument_error(name, text, "which is not a date", "Give, for example, 2026-01-31.") from None


def _read_span(options: Namespace) -> tuple[date, date]:
    """Return the first and the last day."""
    since, until = _read_day("--from", options.since), _read_day("--to", options.until)
    if options.month is None and since is not None and until is not None:
        return since, until
    if options.month is None or since is not None or until is not None:
        raise argument_error("--month", options.month, "beside --from and --to", "Give --month, or --from and --to.")
    try:
        first = date.fromisoformat(f"{options.month}-01")
    except ValueError:
        raise argument_error("--month", options.month, "which is not a month", "Give, for example, 2026-11.") from None
    return first, first.replace(day=monthrange(first.year, first.month)[1])


def _is_chosen(record: Mapping[str, Any], conn_ids: Sequence[str], since: date | None, until: date | None) -> bool:
    """Return whether a record is of an account, and of days of its calling hours' time zone."""
    ended_at, zone = datetime.fromisoformat(record["ended_at"]), _zone(record["timezone"])
    is_early = since is not None and ended_at < day_limit(since, zone)
    is_late = until is not None and ended_at >= day_limit(until, zone, days=1)
    return not (is_early or is_late) and (not conn_ids or record["connection_id"] in conn_ids)


def _zone(name: str | None) -> ZoneInfo:
    """Return the time zone of a record, UTC if it has none that is known."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def record_row(file: RecordFile) -> dict[str, Any]:
    """Return a record as one line of a list."""
    record = file.record or {}
    campaigns, scope = record["campaigns"], record["scope"]
    confirmed = [campaign["confirmed_at"] for campaign in campaigns if campaign["confirmed_at"]]
    is_listed_only = scope.get("dry_run") and record["outcome"] == "success"
    row = {
        **{key: record[key] for key in ("ended_at", "connection_id", "action", "error", "reason", "window_end")},
        "run": run_name(record),
        "outcome": "dry run" if is_listed_only else record["outcome"],
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


def campaign_rows(row: Row, file: RecordFile) -> list[Row]:
    """Return a line for each campaign of a record, or one for a run that found none."""
    record = file.record or {}
    own = [each for each in record["campaigns"] if each["try_number"] == record["run"].get("try_number")]
    lines = [{**record, **row, **campaign} for campaign in own or [{}]]
    return [{column: line.get(column) for column in CAMPAIGN_COLUMNS} for line in lines]


def _scope_text(scope: Mapping[str, Any]) -> str:
    """Return what a run was limited to, empty if to nothing."""
    limits = {name: each for name, each in scope.items() if name != "dry_run" and each != DEFAULTS["scope"].get(name)}
    texts = {name: each if isinstance(each, str) else ", ".join(each or ()) for name, each in limits.items()}
    return "; ".join(f"{name} {text}" for name, text in texts.items())


def _verdict(
    chain: RecordChain, discrepancies: Sequence[Discrepancy], output: Output, text: str, *, is_good: bool
) -> int:
    """Print what the chain of records shows, and the text; return the exit status."""
    for each in discrepancies:
        output.verdict(f"{each.kind}: {each.path} {each.text}", is_good=not each.is_error)
    is_unchanged, chain_text = verdict(discrepancies)
    if len(chain):
        output.verdict(f"Chain of {len(chain)} records: {chain_text}.", is_good=is_unchanged)
    else:
        output.problem("No record is there: check the path.")
    output.verdict(text, is_good=is_good)
    return SUCCESS if is_good and is_unchanged and len(chain) else NOT_VERIFIED
