"""The commands that list, read and stop campaigns: all live ones of several accounts, or one."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from airflow_provider_campaign import arguments
from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.cli import accounts
from airflow_provider_campaign.cli.output import NOT_VERIFIED, NOTHING_SENT, SUCCESS, Output, command
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.records.progress import ActionProgress
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.loop import Sweep
from airflow_provider_campaign.sweep.plan import Schedule, SweepScope
from airflow_provider_campaign.sweep.result import SweepResult
from airflow_provider_campaign.text import sanitize
from airflow_provider_campaign.waiting.account_poller import wait_for_effect

LIST_TIMEOUT = 60.0  # seconds after which a listing times out

LIVE_COLUMNS = ("conn_id", "campaign_id", "name", "campaign_type", "status")
STOPPED_COLUMNS = ("conn_id", "campaign_id", "name", "status", "confirmed_at")
ONE_COLUMNS = ("conn_id", "campaign_id", "name", "status", "message")

Results = Mapping[str, SweepResult]
Errors = Mapping[str, CampaignError]


class Sweeps:
    """The same sweep of the accounts that the options name, or that rules are given for; nothing is sent yet."""

    def __init__(self, options: Namespace, rules: Mapping[str, CallingRules] | None = None) -> None:
        self.scope = SweepScope(
            arguments.read_words("--campaign-types", options.campaign_types),
            arguments.read_live_statuses("--statuses", options.statuses),
            arguments.read_name_patterns("--name-pattern", options.name_pattern),
        )
        self.seconds = arguments.read_seconds("--timeout", options.timeout)
        self.cancellation = Cancellation()
        self.clients, self._failures = accounts.connect(rules or accounts.read_conn_ids(options.conn_id))
        self._rules = rules or {}  # inside which campaigns are left alone

    def list_all(self, output: Output) -> tuple[Results, Errors]:
        """List the live campaigns of all accounts."""
        seconds = min(self.seconds, LIST_TIMEOUT)
        return self.on_all(output, lambda _, sweep: sweep.list_only().raise_for_failure(), seconds, is_dry_run=True)

    def on_all(
        self, output: Output, run: Callable[[str, Sweep], None], seconds: float, *, is_dry_run: bool = False
    ) -> tuple[Results, Errors]:
        """Run a sweep of each account; return results and errors by connection id, of some accounts both."""
        sweeps: dict[str, Sweep] = {}

        def work(conn_id: str) -> None:
            sweeps[conn_id] = self._create(conn_id, seconds)
            run(conn_id, sweeps[conn_id])

        def results() -> Results:
            return {key: SweepResult(each.account, is_dry_run=is_dry_run) for key, each in dict(sweeps).items()}

        def refresh() -> None:
            for conn_id, result in results().items():
                output.progress(conn_id, result.summary() if result.entries else "listing")

        tasks = {conn_id: partial(work, conn_id) for conn_id in self.clients}
        errors = {**self._failures, **accounts.run_on_all(tasks, refresh, self.cancellation)}
        return {key: each for key, each in results().items() if each.entries or key not in errors}, errors

    def _create(self, conn_id: str, seconds: float) -> Sweep:
        client = self.clients[conn_id]
        arguments.check_documented("--statuses", self.scope.statuses, client.platform)
        deadline = Deadline(seconds, client.clock, cancellation=self.cancellation)
        schedule = Schedule.of_run(self._rules.get(conn_id), 0.0, 0.0, client.clock.time())
        return Sweep(SweptAccount(client, self.scope, deadline, schedule))


@command
def live(options: Namespace, output: Output) -> int:
    """List live campaigns."""
    return _show_live(Sweeps(options), output, fail_if_any=options.fail_if_any)


@command
def stop_active(options: Namespace, output: Output) -> int:
    """Stop live campaigns, once the user has seen them and said yes."""
    if not (options.yes or options.dry_run or sys.stdin.isatty()):
        raise CampaignConfigError(
            "stop-active asks before it stops, and there is no terminal to ask on. Nothing was sent. Give --yes."
        )
    sweeps = Sweeps(options)
    if options.dry_run:
        return _show_live(sweeps, output)
    if not (options.yes or _is_confirmed(sweeps, output)):
        output.problem("Nothing was stopped.")
        return NOT_VERIFIED
    return _stop_all(sweeps, options, output)


def _stop_all(sweeps: Sweeps, options: Namespace, output: Output) -> int:
    scope = {**sweeps.scope.as_dict(), "dry_run": False}
    secrets = [secret for client in sweeps.clients.values() for secret in client.platform.secrets]
    reason = sanitize(options.reason, secrets)  # it is in the record of each account

    def run(conn_id: str, sweep: Sweep) -> None:
        known = {"action": "sweep", "connection_id": conn_id, "scope": scope, "reason": reason}
        client, progress = sweep.account.client, lambda: SweepResult(sweep.account).progress()
        with accounts.recorded(options, output, client, sweeps.cancellation, progress, **known) as record:
            sweep.run().raise_for_failure()
        if record.problem:
            raise record.problem

    results, errors = sweeps.on_all(output, run, sweeps.seconds)
    if sweeps.cancellation.is_requested:
        output.problem("Interrupted: nothing more is sent.")
    output.rows(rows_of(results, "stopped", "already_stopped", "failed"), STOPPED_COLUMNS)
    return report(results, errors, output)


def _show_live(sweeps: Sweeps, output: Output, *, fail_if_any: bool = False) -> int:
    results, errors = sweeps.list_all(output)
    rows = rows_of(results, "live")
    output.rows(rows, LIVE_COLUMNS)
    return report(results, errors, output) or (NOT_VERIFIED if fail_if_any and rows else SUCCESS)


def _is_confirmed(sweeps: Sweeps, output: Output) -> bool:
    """Show what would be stopped, and ask; nothing to stop needs no question."""
    results, errors = sweeps.list_all(output)
    rows = rows_of(results, "live")
    output.rows(rows, LIVE_COLUMNS, is_preview=True)
    report(results, errors, output)
    if sweeps.cancellation.is_requested:
        return False
    is_asked = bool(rows or errors)
    return not is_asked or output.ask(f"Stop these {len(rows)} campaigns, and what else goes live meanwhile?")


def rows_of(results: Results, *names: str) -> list[dict[str, Any]]:
    """Return a row for each campaign with one of these results, such as ``live``, which is that of a listing."""
    rows = []
    for conn_id, result in results.items():
        lists = result.lists()
        rows += [{"conn_id": conn_id, "result": name, **row} for name in names for row in lists[name]]
    return rows


def report(results: Results, errors: Errors, output: Output) -> int:
    """Say how it ended for each account, name what is not verified stopped, and return the exit status."""
    for conn_id, result in results.items():
        requests = result.account.traffic.requests
        output.say(f"{conn_id}: {result.summary()} ({requests} requests, {result.seconds} s)")
    for conn_id, error in errors.items():
        output.problem(f"{conn_id}: {error}")
    if not errors:
        return SUCCESS
    nothing_sent = not results and all(isinstance(error, CampaignConfigError) for error in errors.values())
    return NOTHING_SENT if nothing_sent else NOT_VERIFIED


@command
def status(options: Namespace, output: Output) -> int:
    """Show the status of one campaign."""
    campaign_id = arguments.read_campaign_id("CAMPAIGN_ID", options.campaign_id)
    with _on_campaign(options, output, "Reading", Cancellation()) as (conn_id, client, deadline):
        campaign = client.get_campaign_status(campaign_id, deadline=deadline)
    _show(conn_id, campaign, output)
    return SUCCESS


@command
def stop(options: Namespace, output: Output) -> int:
    """Stop one campaign, and wait until the platform says that it is stopped."""
    campaign_id = arguments.read_campaign_id("CAMPAIGN_ID", options.campaign_id)
    campaign_type = arguments.read_optional_text("--campaign-type", options.campaign_type)
    reason = arguments.read_reason("--reason", options.reason)
    scope, cancellation = {"campaign_id": campaign_id, "campaign_type": campaign_type}, Cancellation()
    with _on_campaign(options, output, "Stopping", cancellation) as (conn_id, client, deadline):
        progress = ActionProgress(client, Campaign(campaign_id, "unknown", campaign_type=campaign_type), Action.STOP)
        known = {"action": "stop", "connection_id": conn_id, "scope": scope, "reason": reason}
        with accounts.recorded(options, output, client, cancellation, progress.current, **known) as record:
            try:
                campaign = progress.client.stop_campaign(campaign_id, campaign_type, deadline=deadline)
                progress.note(campaign, is_confirmed=False)
                progress.note(campaign := wait_for_effect(progress.client, campaign, deadline), is_confirmed=True)
            except Exception as error:
                progress.note_failure(error)
                raise
    _show(conn_id, campaign, output)
    if record.problem:
        raise record.problem
    return SUCCESS


@contextmanager
def _on_campaign(
    options: Namespace, output: Output, doing: str, cancellation: Cancellation
) -> Iterator[tuple[str, CampaignClient, Deadline]]:
    """Yield an account, and the deadline of the work on a campaign in it, which Ctrl-C ends."""
    conn_id = accounts.read_conn_id(options.conn_id)
    seconds = arguments.read_seconds("--timeout", options.timeout)
    client = accounts.connect([conn_id])[0][conn_id]
    try:
        with accounts.signals_request(cancellation):
            yield conn_id, client, Deadline(seconds, client.clock, cancellation=cancellation)
    except Exception as error:  # noqa: BLE001 it is raised as one of ours
        output.rows([], ONE_COLUMNS)
        subject = f"{doing} campaign {options.campaign_id!r} ({client.description})"
        raise as_campaign_error(error, subject) from None


def _show(conn_id: str, campaign: Campaign, output: Output) -> None:
    row = {"conn_id": conn_id, "name": campaign.name, **campaign.as_dict()}
    output.rows([{key: value for key, value in row.items() if key != "raw"}], ONE_COLUMNS)
