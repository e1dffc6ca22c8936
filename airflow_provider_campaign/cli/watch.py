"""The command for a cron on another machine: is a campaign live although closed, and is every end on record?"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_campaign.arguments import argument_error, read_records_path, read_seconds
from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.cli.accounts import exit_status, read_rules
from airflow_provider_campaign.cli.output import Output, command
from airflow_provider_campaign.cli.sweeps import Sweeps, live_rows, report
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.records.closings import DRY_RUN, NO_EVIDENCE, NOT_CLOSED, SKIPPED, ExpectedClosings
from airflow_provider_campaign.records.store import RecordStore

LIVE_WHILE_CLOSED, NO_RECORD = 3, 4  # the exit statuses of findings
GRACE = timedelta(minutes=10)  # how long after an end its record is waited for: a run writes it once it has ended
LOOK_BACK = timedelta(days=1)  # for how long an end without a record is reported

UNVERIFIED = (NO_EVIDENCE, NOT_CLOSED, DRY_RUN, SKIPPED)

COLUMNS = ("conn_id", "found", "campaign_id", "name", "status", "rule", "end")


@command
def watch(options: Namespace, output: Output) -> int:
    """List campaigns that are live although closed, and the ends of calling hours without a record."""
    path = read_records_path("--records-path", options.records_path)
    newest = options.newest_record and read_seconds("--newest-record", options.newest_record)
    if newest and not path:
        fix = "Give --records-path, too."
        raise argument_error("--newest-record", options.newest_record, "without a path to look for records", fix)
    rules = read_rules(options.calling_hours, options.conn_id)
    outcomes = Sweeps.read(options, rules).list_all(output)
    live = [{"found": "live while closed", **row} for row in live_rows(outcomes)]
    unproven = [each for conn_id in rules for each in _unproven(path, conn_id, rules[conn_id], newest)]
    output.rows([*live, *unproven], COLUMNS)
    report(outcomes, output)
    for each in live:
        output.problem(f"{each['conn_id']}: {each['campaign_id']} ({each['name']}) is live although closed. Stop it.")
    for each in unproven:
        text = f"{each['conn_id']}: {each['found']}, {each['detail']}."
        output.problem(f"{text} Is the DAG paused, or the scheduler dead?")
    if live:
        return LIVE_WHILE_CLOSED
    return NO_RECORD if unproven else exit_status(outcomes.values())


def _unproven(path: str | None, conn_id: str, rules: CallingRules, newest: float | None) -> list[dict[str, Any]]:
    """Return what the records of an account do not prove; nothing without a path."""
    try:
        return list(_missing_records(RecordStore(path), conn_id, rules, newest)) if path else []
    except Exception as error:  # noqa: BLE001 the records of one account hide nothing of the others
        problem = as_campaign_error(error, f"Records of connection {conn_id!r}")
        return [{"conn_id": conn_id, "found": "unreadable records", "detail": str(problem)}]


def _missing_records(
    store: RecordStore, conn_id: str, rules: CallingRules, newest: float | None
) -> Iterator[dict[str, Any]]:
    """Yield the ends of the last day that no record has verified, and whether the newest record is too old."""
    now = datetime.fromtimestamp(SYSTEM_CLOCK.time(), UTC)
    oldest = now - timedelta(seconds=newest or 0)
    since, until = now - GRACE - LOOK_BACK, now - GRACE
    closings = ExpectedClosings({conn_id: rules}, since, until, until)
    files = store.recent(conn_id, min(since, oldest) - LOOK_BACK, now)
    for file in files:
        closings.add(file)
    for row in closings.rows():
        if row["outcome"] in UNVERIFIED:
            detail = f"rule {row['rule']} at {row['local_end']}"
            end = {"rule": row["rule"], "end": row["end"]}
            yield {"conn_id": conn_id, "found": row["outcome"], "detail": detail, **end}
    ended = max((file.record["ended_at"] for file in files if file.record), default=None)
    if newest and (ended is None or datetime.fromisoformat(ended) < oldest):
        yield {"conn_id": conn_id, "found": "old records", "detail": f"the newest is of {ended or 'no day'}"}
