"""The commands about one campaign: its status, and its stop."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_campaign.arguments import read_campaign_id, read_optional_text, read_seconds
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.cli.accounts import (
    connect,
    read_conn_id,
    record_opener,
    report_records,
    signals_request,
)
from airflow_provider_campaign.cli.output import NOT_VERIFIED, SUCCESS, Output, command
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.records.progress import ActionProgress
from airflow_provider_campaign.waiting.account_poller import wait_for_effect

COLUMNS = ("conn_id", "campaign_id", "name", "status", "message")


@command
def status(options: Namespace, output: Output) -> int:
    """Show the status of one campaign."""
    campaign_id = read_campaign_id("CAMPAIGN_ID", options.campaign_id)
    with _on_campaign(options, output, "Reading", Cancellation()) as (conn_id, client, deadline):
        campaign = client.get_campaign_status(campaign_id, deadline=deadline)
    _show(conn_id, campaign, output)
    return SUCCESS


@command
def stop(options: Namespace, output: Output) -> int:
    """Stop one campaign, and wait until the platform says that it is stopped."""
    campaign_id = read_campaign_id("CAMPAIGN_ID", options.campaign_id)
    campaign_type = read_optional_text("--campaign-type", options.campaign_type)
    scope, cancellation = {"campaign_id": campaign_id, "campaign_type": campaign_type}, Cancellation()
    open_record = record_opener(options, "stop", "stop", scope, cancellation)
    with _on_campaign(options, output, "Stopping", cancellation) as (conn_id, client, deadline):
        progress = ActionProgress(client, Campaign(campaign_id, "unknown", campaign_type=campaign_type), Action.STOP)
        record = open_record(conn_id, client)
        record.describe(progress.current)
        try:
            campaign = progress.client.stop_campaign(campaign_id, campaign_type, deadline=deadline)
            progress.note(campaign, is_confirmed=False)
            progress.note(campaign := wait_for_effect(progress.client, campaign, deadline), is_confirmed=True)
        except Exception as error:
            progress.note_failure(error)
            record.end(error)
            report_records({conn_id: record}, output)
            raise
    record.end(None)
    _show(conn_id, campaign, output)
    return SUCCESS if report_records({conn_id: record}, output) else NOT_VERIFIED


@contextmanager
def _on_campaign(
    options: Namespace, output: Output, doing: str, cancellation: Cancellation
) -> Iterator[tuple[str, CampaignClient, Deadline]]:
    """Yield an account, and the deadline of the work on a campaign in it, which Ctrl-C ends."""
    conn_id = read_conn_id(options.conn_id)
    seconds = read_seconds("--timeout", options.timeout)
    client = connect([conn_id])[0][conn_id]
    try:
        with signals_request(cancellation):
            yield conn_id, client, Deadline(seconds, client.clock, cancellation=cancellation)
    except Exception as error:
        output.rows([], COLUMNS)
        subject = f"{doing} campaign {options.campaign_id!r} ({client.description})"
        raise as_campaign_error(error, subject) from None


def _show(conn_id: str, campaign: Campaign, output: Output) -> None:
    row = {"conn_id": conn_id, "name": campaign.name, **campaign.as_dict()}
    output.rows([{key: value for key, value in row.items() if key != "raw"}], COLUMNS)
