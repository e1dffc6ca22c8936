"""The command that compares records with calling hours: every closing of a span, and what is known of it."""

from __future__ import annotations

from argparse import Namespace
from calendar import monthrange
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from typing import Any

from airflow_provider_campaign.arguments import argument_error, read_records_path
from airflow_provider_campaign.cli.accounts import NOT_VERIFIED, SUCCESS
from airflow_provider_campaign.cli.calling_hours import read_rules
from airflow_provider_campaign.cli.closings_page import closings_page
from airflow_provider_campaign.cli.output import Output
from airflow_provider_campaign.cli.records import check_styles, read_moment, show_verdict, write_csv, write_page
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK
from airflow_provider_campaign.records.chain import RecordChain
from airflow_provider_campaign.records.closings import IN_TIME, ClosingRow, ExpectedClosings
from airflow_provider_campaign.records.store import RecordStore

_COLUMNS = ("connection_id", "rule", "local_end", "outcome", "campaigns", "live_again", "run")
_CSV_COLUMNS = tuple(each.name for each in fields(ClosingRow))


def show_closings(options: Namespace, output: Output) -> int:
    """List every end of calling hours in a span, and verify the records that it is known from."""
    check_styles(options)
    path = read_records_path("RECORDS_PATH", options.records_path) or ""
    rules = read_rules(options.calling_hours, options.conn_id)
    since, until = _span(options)
    now = datetime.fromtimestamp(SYSTEM_CLOCK.time(), UTC)
    closings, chain = ExpectedClosings(rules, since, until, now), RecordChain()
    for file in RecordStore(path).read():
        chain.add(file)
        closings.add(file)
    discrepancies = chain.discrepancies()
    rows = closings.rows()
    if options.html:
        write_page(closings_page(path, rows, discrepancies))
    elif options.csv:
        write_csv(_CSV_COLUMNS, map(_shown, rows))
    else:
        output.rows([asdict(row) if output.is_for_machines else _shown(row) for row in rows], _COLUMNS)
    for conn_id in sorted(closings.unexpected):
        output.say(f"{conn_id} has records, and no calling hours were given: its closings are not listed.")
    is_unchanged = show_verdict(chain, discrepancies, output)
    good = sum(row.outcome == IN_TIME for row in rows)
    text = f"{good} of {len(rows)} closings in time."
    is_good = bool(rows) and good == len(rows)
    output.say(text) if is_good else output.problem(text)
    return SUCCESS if is_good and is_unchanged else NOT_VERIFIED


def _span(options: Namespace) -> tuple[date, date]:
    """Return the first and the last day, or moment."""
    since, until = read_moment("--from", options.since), read_moment("--to", options.until)
    if options.month is not None and since is None and until is None:
        try:
            first = date.fromisoformat(f"{options.month}-01")
        except ValueError:
            raise argument_error("--month", options.month, "which is no month", "Give, for example, 2026-11.") from None
        return first, first.replace(day=monthrange(first.year, first.month)[1])
    if options.month is not None or since is None or until is None:
        raise argument_error("--month", options.month, "beside --from and --to", "Give --month, or --from and --to.")
    return since, until


def _shown(row: ClosingRow) -> dict[str, Any]:
    """Return a row for people: the outcome in words, and names as one text."""
    lists = {"campaigns": ", ".join(row.campaigns), "live_again": ", ".join(row.live_again)}
    return {**asdict(row), **lists, "outcome": row.description}
