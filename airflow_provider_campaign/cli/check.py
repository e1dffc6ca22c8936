"""The command that compares a live account with the documented API."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from pathlib import Path

from airflow_provider_campaign.arguments import read_campaign_id, read_optional_text, read_seconds
from airflow_provider_campaign.check.contract import DIFFERS, SAME, UNKNOWN, ContractCheck, Row
from airflow_provider_campaign.check.report import check_report
from airflow_provider_campaign.cli.accounts import connect, read_conn_id, run_on_all
from airflow_provider_campaign.cli.output import NOT_VERIFIED, SUCCESS, Output, command
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignConfigError

_COLUMNS = ("subject", "verdict", "seen", "documented", "provider")


@command
def check(options: Namespace, output: Output) -> int:
    """Check an account, show each point, and save what was seen."""
    campaign_id = read_optional_text("--campaign-id", options.campaign_id)
    path = _writable(options.save)
    conn_id = read_conn_id(options.conn_id)
    client = connect([conn_id])[0][conn_id]
    cancellation = Cancellation()
    check = ContractCheck(
        client,
        Deadline(read_seconds("--timeout", options.timeout), client.clock, cancellation=cancellation),
        campaign_id and read_campaign_id("--campaign-id", campaign_id),
        allow_stop=options.allow_stop,
        campaign_type=read_optional_text("--campaign-type", options.campaign_type),
    )
    rows: list[Row] = []
    errors = run_on_all({conn_id: lambda: rows.extend(check.run())}, lambda: None, cancellation)
    output.rows(rows, _COLUMNS)
    verdicts = {row["subject"]: row["verdict"] for row in rows}
    if path is not None:
        report = check_report(client.platform, verdicts, check.exchanges)
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        output.say(f"Saved: {path}. Ids, names and texts are replaced, and so is all that is not documented.")
    for error in errors.values():
        raise error
    return _status(verdicts, output, is_strict=options.strict)


def _status(verdicts: dict[str, str], output: Output, *, is_strict: bool) -> int:
    """Name the points that differ, count all, and return the exit status."""
    for text, verdict in (("Differs", DIFFERS), ("Can't be determined", UNKNOWN)):
        if subjects := [subject for subject, found in verdicts.items() if found == verdict]:
            output.problem(f"{text}: {'; '.join(subjects)}.")
    count = Counter(verdicts.values())
    is_failed = bool(count[DIFFERS] or (is_strict and count[UNKNOWN]))
    (output.problem if is_failed else output.say)(
        f"Of {len(verdicts)} points {count[SAME]} are as documented, {count[DIFFERS]} differ, "
        f"{count[UNKNOWN]} can't be determined."
    )
    return NOT_VERIFIED if is_failed else SUCCESS


def _writable(name: str | None) -> Path | None:
    """Return the file to save to; that it can't be written is better said now than after a minute."""
    if name is None:
        return None
    try:
        with Path(name).open("a"):
            return Path(name)
    except OSError as error:
        raise CampaignConfigError(f"--save is {name!r}: {error.strerror}. Nothing was sent.") from error
