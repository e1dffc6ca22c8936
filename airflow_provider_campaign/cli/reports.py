"""The commands that read records: all that there are, those of each closing, and those that are missing."""

from __future__ import annotations

import sys
from argparse import Namespace
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.arguments import argument_error, read_records_path, read_seconds, read_words
from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.cli.accounts import read_conn_ids, read_rules
from airflow_provider_campaign.cli.campaigns import Sweeps, report, rows_of
from airflow_provider_campaign.cli.output import NOT_VERIFIED, SUCCESS, Output, Row, command, printable, write_csv
from airflow_provider_campaign.cli.pages import closing_line, closings_page, records_page
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.records.chain import Discrepancy, RecordChain, verdict
from airflow_provider_campaign.records.closings import COLUMNS, IN_TIME, UNVERIFIED, ExpectedClosings, day_limit
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
WATCH_COLUMNS = ("conn_id", "found", "campaign_id", "name", "status", "rule", "end")

LIVE_WHILE_CLOSED, NO_RECORD = 3, 4  # the exit statuses of what watch finds
GRACE = timedelta(minutes=10)  # how long after an end its record is waited for: a run writes it once it has ended
LOOK_BACK = timedelta(days=1)  # for how long an end without a record is reported


@command
def records(options: Namespace, output: Output) -> int:
    """List the records of a path, and verify all of them."""
    path = _read_path(options)
    conn_ids = read_conn_ids(options.conn_id) if options.conn_id else []
    expected = [word.lower() for text in options.expect or () for word in read_words("--expect", text)]
    chain, listed = RecordChain(), list[tuple[Row, list[Row]]]()
    for file in RecordStore(path).read():
        chain.add(file)
        if file.record and _is_chosen(file.record, conn_ids, options):
            row = record_row(file)
            listed.append((row, campaign_rows(row, file) if options.csv or options.html else []))
    listed.sort(key=lambda each: (each[0]["ended_at"], each[0]["path"]))
    rows, campaigns = [row for row, _ in listed], [campaign for _, each in listed for campaign in each]
    discrepancies = chain.discrepancies(expected)
    if options.html:
        sys.stdout.write(records_page(path, discrepancies, rows, campaigns))
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
        sys.stdout.write(closings_page(path, discrepancies, rows))
    elif options.csv:
        write_csv(COLUMNS, map(closing_line, rows))
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


def _read_span(options: Namespace) -> tuple[date, date]:
    since, until, month = options.since, options.until, options.month
    if month and not (since or until):
        return month, month.replace(day=monthrange(month.year, month.month)[1])
    if month or not (since and until):
        raise CampaignConfigError("Give --month, or --from and --to. No record was read.")
    return since, until


def _is_chosen(record: Mapping[str, Any], conn_ids: Sequence[str], options: Namespace) -> bool:
    """Return whether a record is of an account, and of days of its calling hours' time zone."""
    try:
        zone = ZoneInfo(record["timezone"] or "UTC")
    except (KeyError, ValueError, OSError):  # it was stored
        zone = ZoneInfo("UTC")
    ended_at = datetime.fromisoformat(record["ended_at"])
    is_early = options.since and ended_at < day_limit(options.since, zone)
    is_late = options.until and ended_at >= day_limit(options.until, zone, days=1)
    return not (is_early or is_late) and (not conn_ids or record["connection_id"] in conn_ids)


def record_row(file: RecordFile) -> dict[str, Any]:
    """Return a record as one line of a list."""
    record = file.record or {}
    campaigns, scope = record["campaigns"], record["scope"]
    confirmed = [campaign["confirmed_at"] for campaign in campaigns if campaign["confirmed_at"]]
    is_listed_only = scope.get("dry_run") and record["outcome"] == "success"
    usual = {**DEFAULTS["scope"], "dry_run": True}
    limits = [(name, each) for name, each in scope.items() if each and each != usual.get(name)]
    row = {
        **{key: record[key] for key in ("ended_at", "connection_id", "action", "error", "reason", "window_end")},
        "run": run_name(record),
        "outcome": "dry run" if is_listed_only else record["outcome"],
        "found": len(campaigns),
        "stopped": len(confirmed),
        "left": len(campaigns) - len(confirmed),
        "left_out": ", ".join(titles(record["excluded"]).values()),
        "scope": "; ".join(f"{name} {each if isinstance(each, str) else ', '.join(each)}" for name, each in limits),
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


def _verdict(
    chain: RecordChain, discrepancies: Sequence[Discrepancy], output: Output, text: str, *, is_good: bool
) -> int:
    """Print what the chain of records shows, and the text; return the exit status."""
    for each in discrepancies:
        output.say(f"{each.kind}: {each.path} {each.text}", is_problem=each.is_error)
    is_unchanged, chain_text = verdict(discrepancies)
    if len(chain):
        output.say(f"Chain of {len(chain)} records: {chain_text}.", is_problem=not is_unchanged)
    else:
        output.problem("No record is there: check the path.")
    output.say(text, is_problem=not is_good)
    return SUCCESS if is_good and is_unchanged and len(chain) else NOT_VERIFIED


@command
def watch(options: Namespace, output: Output) -> int:
    """List campaigns that are live although closed, and the ends of calling hours without a record."""
    path = read_records_path("--records-path", options.records_path)
    newest = options.newest_record and read_seconds("--newest-record", options.newest_record)
    if newest and not path:
        fix = "Give --records-path, too."
        raise argument_error("--newest-record", options.newest_record, "without a path to look for records", fix)
    rules = read_rules(options.calling_hours, options.conn_id)
    results, errors = Sweeps(options, rules).list_all(output)
    live = [{"found": "live while closed", **row} for row in rows_of(results, "live")]
    watched = rules if path else {}
    unproven = [each for conn_id in watched for each in _unproven(path or "", conn_id, rules[conn_id], newest)]
    output.rows([*live, *unproven], WATCH_COLUMNS)
    status = report(results, errors, output)
    for each in live:
        output.problem(f"{each['conn_id']}: {each['campaign_id']} ({each['name']}) is live although closed. Stop it.")
    for each in unproven:
        text = f"{each['conn_id']}: {each['found']}, {each['detail']}."
        output.problem(f"{text} Is the DAG paused, or the scheduler dead?")
    if live:
        return LIVE_WHILE_CLOSED
    return NO_RECORD if unproven else status


def _unproven(path: str, conn_id: str, rules: CallingRules, newest: float | None) -> Iterator[dict[str, Any]]:
    """Yield the ends of the last day that no record has verified, and whether the newest record is too old."""
    now = datetime.fromtimestamp(SYSTEM_CLOCK.time(), UTC)
    oldest = now - timedelta(seconds=newest or 0)
    since, until = now - GRACE - LOOK_BACK, now - GRACE
    closings = ExpectedClosings({conn_id: rules}, since, until, until)
    try:
        files = RecordStore(path).recent(conn_id, min(since, oldest) - LOOK_BACK, now)
        for file in files:
            closings.add(file)
    except Exception as error:  # noqa: BLE001 the records of one account hide nothing of the others
        problem = as_campaign_error(error, f"Records of connection {conn_id!r}")
        yield {"conn_id": conn_id, "found": "unreadable records", "detail": str(problem)}
        return
    for row in closings.rows():
        if row["outcome"] in UNVERIFIED:
            found = {"found": row["outcome"], "detail": f"rule {row['rule']} at {row['local_end']}"}
            yield {"conn_id": conn_id, **found, "rule": row["rule"], "end": row["end"]}
    ended = max((file.record["ended_at"] for file in files if file.record), default=None)
    if newest and (ended is None or datetime.fromisoformat(ended) < oldest):
        yield {"conn_id": conn_id, "found": "old records", "detail": f"the newest is of {ended or 'no day'}"}
