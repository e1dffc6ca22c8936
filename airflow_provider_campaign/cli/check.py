"""The command that holds a real account against the documented contract."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from airflow_provider_campaign.arguments import argument_error, read_campaign_id, read_optional_text, read_seconds
from airflow_provider_campaign.cli.accounts import (
    NOT_VERIFIED,
    SUCCESS,
    Outcome,
    connect,
    exit_status,
    read_conn_id,
    run_on_all,
)
from airflow_provider_campaign.cli.output import Output
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.operations.check import ContractCheck
from airflow_provider_campaign.operations.check_report import check_report
from airflow_provider_campaign.operations.check_row import DIFFERS, CheckRow

_COLUMNS = ("subject", "verdict", "seen", "documented", "provider")


def check_account(options: Namespace, output: Output) -> int:
    """Check an account, show each point, and save what was seen."""
    campaign_id = _campaign_id(options)
    path = _writable(options.save)
    conn_id = read_conn_id(options.conn_id)
    client = connect([conn_id])[0][conn_id]
    cancellation = Cancellation()
    check = ContractCheck(
        client,
        Deadline(read_seconds("--timeout", options.timeout), client.clock, cancellation=cancellation),
        campaign_id,
        allow_stop=options.allow_stop,
        campaign_type=read_optional_text("--campaign-type", options.campaign_type),
    )
    rows: list[CheckRow] = []

    def run() -> Outcome[None]:
        rows.extend(check.run())
        return Outcome()

    with output.progress() as show:

        def refresh() -> None:
            show(conn_id, f"{len(rows)} points checked", len(rows), None)

        outcome = run_on_all({conn_id: run}, refresh, cancellation)[conn_id]
    output.rows([asdict(row) for row in rows], _COLUMNS)
    if path is not None:
        output.say(_saved(path, client, rows, check))
    return _status(rows, outcome, output)


def _campaign_id(options: Namespace) -> str | None:
    campaign_id = read_optional_text("--campaign-id", options.campaign_id)
    if campaign_id is not None:
        return read_campaign_id("--campaign-id", campaign_id)
    if options.allow_stop:
        raise argument_error("--allow-stop", True, "without a campaign to stop", "Give --campaign-id, too.")
    return None


def _status(rows: list[CheckRow], outcome: Outcome[None], output: Output) -> int:
    if outcome.error is not None:
        output.problem(str(outcome.error))
        return exit_status([outcome])
    different = [row.subject for row in rows if row.verdict == DIFFERS]
    if different:
        output.problem(f"{len(different)} of {len(rows)} points differ: {'; '.join(different)}.")
        return NOT_VERIFIED
    output.say(f"None of {len(rows)} points differs from what is documented.")
    return SUCCESS


def _writable(name: str | None) -> Path | None:
    """Return the file to save to; that it can't be written is better said now than after a minute."""
    if name is None:
        return None
    try:
        with Path(name).open("a"):
            return Path(name)
    except OSError as error:
        raise CampaignConfigError(f"--save is {name!r}: {error.strerror}. Nothing was sent.") from error


def _saved(path: Path, client: CampaignClient, rows: list[CheckRow], check: ContractCheck) -> str:
    """Write the report, and return what to say of it."""
    report = check_report(client.platform, rows, check.transport.exchanges)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return f"Saved: {path}. Ids, names and texts are replaced, and so is all that is not documented."
