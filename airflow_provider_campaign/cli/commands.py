"""What each command does; its result is the exit status of the process."""

from __future__ import annotations

import functools
import io
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from airflow_provider_campaign.arguments import read_campaign_id, read_optional_text, read_seconds
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.cli.accounts import (
    NOT_VERIFIED,
    NOTHING_SENT,
    Outcome,
    connect,
    exit_status,
    read_conn_id,
    run_on_all,
)
from airflow_provider_campaign.cli.check import check_account
from airflow_provider_campaign.cli.closings import show_closings
from airflow_provider_campaign.cli.command_record import CommandRecords
from airflow_provider_campaign.cli.output import Output
from airflow_provider_campaign.cli.records import show_records
from airflow_provider_campaign.cli.sweeps import live_campaigns, stop_all
from airflow_provider_campaign.cli.watch import watch_accounts
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.records.progress import ActionProgress
from airflow_provider_campaign.waiting.wait import wait_for_effect

_COLUMNS = ("conn_id", "campaign_id", "name", "status", "message")

Command = Callable[[Namespace, Output], int]
Work = Callable[[str, CampaignClient, Deadline], dict[str, Any]]


def command(run: Command) -> Callable[[Namespace], None]:
    """Make of a function that returns an exit status what Airflow's command line runs."""

    @functools.wraps(run)
    def main(options: Namespace) -> None:
        output = Output(options.output, is_verbose=options.verbose)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal can't show ends nothing
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
    scope = {"campaign_id": campaign_id, "campaign_type": campaign_type}
    command_records = CommandRecords.read(options, "stop", "stop", scope, Cancellation())

    def stop_and_record(conn_id: str, client: CampaignClient, deadline: Deadline) -> dict[str, Any]:
        progress = ActionProgress(client, Campaign(campaign_id, "unknown", campaign_type=campaign_type), Action.STOP)
        draft, error = command_records.begin(conn_id, client), None
        try:
            campaign = progress.client.stop_campaign(campaign_id, campaign_type, deadline=deadline)
            progress.note(campaign, is_confirmed=False)
            campaign = wait_for_effect(progress.client, campaign, deadline)
            progress.note(campaign, is_confirmed=True)
            return campaign.as_dict()
        except Exception as failure:
            error = failure
            progress.note_failure(failure)
            raise
        finally:
            command_records.write(draft, progress.current(), client.clock.time(), error)

    outcome = _on_one_campaign(options, output, "Stopping", stop_and_record, command_records.cancellation)
    command_records.report(output)
    return NOT_VERIFIED if command_records.problems else exit_status([outcome])


live = command(live_campaigns)
watch = command(watch_accounts)
stop_active = command(stop_all)
check = command(check_account)
records = command(show_records)
closings = command(show_closings)


def _on_one_campaign(
    options: Namespace, output: Output, doing: str, work: Work, cancellation: Cancellation
) -> Outcome[dict[str, Any]]:
    """Do something about one campaign, show it, and return what came of it."""
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

    with output.progress() as show:
        refresh = functools.partial(show, conn_id, f"{doing} {options.campaign_id}", 0, None)
        outcome = run_on_all({conn_id: work_on_it}, refresh, cancellation)[conn_id]
    row = {key: value for key, value in (outcome.value or {}).items() if key != "raw"}
    output.rows([{"conn_id": conn_id, **row}] if row else [], _COLUMNS)
    if outcome.error is not None:
        output.problem(str(outcome.error))
    return outcome
