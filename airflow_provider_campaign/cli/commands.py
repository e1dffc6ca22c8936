"""What each command does; its result is the exit status of the process."""

from __future__ import annotations

import functools
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from airflow_provider_campaign.arguments import read_campaign_id, read_optional_text, read_seconds
from airflow_provider_campaign.campaign import STOP_CONDITION, merge_final_status
from airflow_provider_campaign.cli.accounts import (
    NOT_VERIFIED,
    NOTHING_SENT,
    connect,
    exit_status,
    read_conn_id,
    run_on_all,
)
from airflow_provider_campaign.cli.check import check_account
from airflow_provider_campaign.cli.output import Output
from airflow_provider_campaign.cli.records import show_records
from airflow_provider_campaign.cli.sweeps import live_campaigns, stop_all
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.operations.wait import wait_for_status

POLL_INTERVAL = 5.0
"""Seconds between two polls of a campaign that winds down."""

_COLUMNS = ("conn_id", "campaign_id", "name", "status", "message")

Command = Callable[[Namespace, Output], int]


def command(run: Command) -> Callable[[Namespace], None]:
    """Make of a function that returns an exit status what Airflow's command line runs."""

    @functools.wraps(run)
    def main(options: Namespace) -> None:
        output = Output(options.output, is_verbose=options.verbose)
        with output.logging():
            try:
                status = run(options, output)
            except CampaignConfigError as error:
                output.problem(str(error))
                status = NOTHING_SENT
            except CampaignError as error:
                output.problem(str(error))
                status = NOT_VERIFIED
            except KeyboardInterrupt:
                output.problem("Interrupted before anything was stopped.")
                status = NOT_VERIFIED
        sys.exit(status)

    return main


@command
def status(options: Namespace, output: Output) -> int:
    """Show one campaign."""
    campaign_id = read_campaign_id("CAMPAIGN_ID", options.campaign_id)

    def read(client: CampaignClient, deadline: Deadline) -> dict[str, Any]:
        campaign = client.get_campaign_status(campaign_id, deadline=deadline)
        return {"name": campaign.name, **campaign.as_dict()}

    return _on_one_campaign(options, output, "Reading", read)


@command
def stop(options: Namespace, output: Output) -> int:
    """Stop one campaign, and wait until the platform says that it is stopped."""
    campaign_id = read_campaign_id("CAMPAIGN_ID", options.campaign_id)
    campaign_type = read_optional_text("--campaign-type", options.campaign_type)

    def stop_and_wait(client: CampaignClient, deadline: Deadline) -> dict[str, Any]:
        campaign = client.stop_campaign(campaign_id, campaign_type, deadline=deadline)
        if STOP_CONDITION.is_met_by(campaign.status):
            return campaign.as_dict()
        final = wait_for_status(client, campaign_id, STOP_CONDITION, POLL_INTERVAL, deadline)
        return merge_final_status(campaign.as_dict(), final)

    return _on_one_campaign(options, output, "Stopping", stop_and_wait)


live = command(live_campaigns)
stop_active = command(stop_all)
check = command(check_account)
records = command(show_records)


def _on_one_campaign(
    options: Namespace, output: Output, doing: str, work: Callable[[CampaignClient, Deadline], dict[str, Any]]
) -> int:
    """Do something about one campaign and show it."""
    seconds = read_seconds("--timeout", options.timeout)
    conn_id = read_conn_id(options.conn_id)
    [client] = connect([conn_id]).values()
    cancellation = Cancellation()
    deadline = Deadline(seconds, client.clock, cancellation=cancellation)
    with output.progress() as progress:
        refresh = functools.partial(progress.update, conn_id, f"{doing} {options.campaign_id}", 0, None)
        outcome = run_on_all({conn_id: lambda: work(client, deadline)}, refresh, cancellation)[conn_id]
    if outcome.value is None:
        output.problem(str(outcome.error))
    else:
        row = {key: value for key, value in outcome.value.items() if key != "raw"}
        output.rows([{"conn_id": conn_id, **row}], _COLUMNS)
    return exit_status([outcome])
