"""The commands about one campaign: its status, and its stop."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from airflow_provider_campaign.arguments import read_campaign_id, read_optional_text, read_seconds
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.cli.accounts import (
    Outcome,
    connect,
    exit_status,
    read_conn_id,
    record_opener,
    report_records,
    run_on_all,
)
from airflow_provider_campaign.cli.output import NOT_VERIFIED, Output, command
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.records.progress import ActionProgress
from airflow_provider_campaign.waiting.account_poller import wait_for_effect

COLUMNS = ("conn_id", "campaign_id", "name", "status", "message")

Work = Callable[[str, CampaignClient, Deadline], dict[str, Any]]


@command
def status(options: Namespace, output: Output) -> int:
    """Show the status of one campaign."""
    campaign_id = read_campaign_id("CAMPAIGN_ID", options.campaign_id)

    def read(_: str, client: CampaignClient, deadline: Deadline) -> dict[str, Any]:
        campaign = client.get_campaign_status(campaign_id, deadline=deadline)
        return {"name": campaign.name, **campaign.as_dict()}

    return exit_status([_on_one_campaign(options, output, "Reading", read, Cancellation())])


@command
def stop(options: Namespace, output: Output) -> int:
    """Stop one campaign, and wait until the platform says that it is stopped."""
    campaign_id = read_campaign_id("CAMPAIGN_ID", options.campaign_id)
    campaign_type = read_optional_text("--campaign-type", options.campaign_type)
    scope, cancellation = {"campaign_id": campaign_id, "campaign_type": campaign_type}, Cancellation()
    open_record = record_opener(options, "stop", "stop", scope, cancellation)
    records: dict[str, TaskRecord] = {}

    def stop_it(conn_id: str, client: CampaignClient, deadline: Deadline) -> dict[str, Any]:
        progress = ActionProgress(client, Campaign(campaign_id, "unknown", campaign_type=campaign_type), Action.STOP)
        records[conn_id] = record = open_record(conn_id, client)
        record.describe(progress.current)
        try:
            campaign = progress.client.stop_campaign(campaign_id, campaign_type, deadline=deadline)
            progress.note(campaign, is_confirmed=False)
            progress.note(campaign := wait_for_effect(progress.client, campaign, deadline), is_confirmed=True)
        except Exception as error:
            progress.note_failure(error)
            record.end(error)
            raise
        record.end(None)
        return campaign.as_dict()

    outcome = _on_one_campaign(options, output, "Stopping", stop_it, cancellation)
    return exit_status([outcome]) if report_records(records, output) else NOT_VERIFIED


def _on_one_campaign(
    options: Namespace, output: Output, doing: str, work: Work, cancellation: Cancellation
) -> Outcome[dict[str, Any]]:
    """Do the work on one campaign, and show its outcome."""
    seconds = read_seconds("--timeout", options.timeout)
    conn_id = read_conn_id(options.conn_id)
    client = connect([conn_id])[0][conn_id]
    deadline = Deadline(seconds, client.clock, cancellation=cancellation)

    def work_on_it() -> Outcome[dict[str, Any]]:
        try:
            return Outcome(work(conn_id, client, deadline))
        except Exception as error:  # noqa: BLE001 it is shown, with its traceback in the log
            subject = f"{doing} campaign {options.campaign_id!r} ({client.description})"
            return Outcome(error=as_campaign_error(error, subject))

    def refresh() -> None:
        output.progress(conn_id, f"{doing} {options.campaign_id}")

    outcome = run_on_all({conn_id: work_on_it}, refresh, cancellation)[conn_id]
    row = {key: value for key, value in (outcome.value or {}).items() if key != "raw"}
    output.rows([{"conn_id": conn_id, **row}] if row else [], COLUMNS)
    if outcome.error is not None:
        output.problem(str(outcome.error))
    return outcome
