"""The end of the window: an operator that stops everything that is live in an account."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, Context, conf
from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

from airflow_provider_campaign.arguments import (
    Reader,
    argument_error,
    check_arguments,
    check_documented,
    read_arguments,
    read_bool,
    read_calling_hours,
    read_duration,
    read_live_statuses,
    read_name_pattern,
    read_reason,
    read_records_path,
    read_seconds,
    read_text,
    read_words,
)
from airflow_provider_campaign.campaign import LIVE_STATUSES, CampaignType
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignSweepError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.finish_in_time import FinishInTime
from airflow_provider_campaign.operations.startable import check_can_switch_off
from airflow_provider_campaign.operations.sweep import Sweep
from airflow_provider_campaign.operations.sweep_result import SweepResult
from airflow_provider_campaign.operations.sweep_scope import SweepScope
from airflow_provider_campaign.operations.swept_account import SweptAccount
from airflow_provider_campaign.operators.calling_window import CallingWindow
from airflow_provider_campaign.operators.dry_run import DryRunArgument
from airflow_provider_campaign.operators.incidents import (
    incident_alias,
    log_incidents,
    read_incident_outlet,
    send_incident_event,
)
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.triggers.deferral import RESUME_TIME

if TYPE_CHECKING:
    from airflow.sdk import Asset

MIN_DEFERRAL = 60.0
"""Seconds; a shorter wait is not worth a deferral, and resuming right after one can be failed by a stale event."""

SCOPE_ARGUMENTS = ("campaign_types", "statuses", "name_pattern", "dry_run")
"""What a sweep chooses its campaigns by."""


class StopActiveCampaignsOperator(BaseOperator):
    """
    Stop every live campaign of an account, and make sure that they are stopped.

    What is live is listed, stopped all at once with the highest priority first, and listed again until a listing shows
    none. Every campaign is attempted, whatever happens to the others. A retry sees only what is still live.

    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param campaign_types: The types to stop, where the platform tells types apart (Kore.ai). (templated)
    :param statuses: The statuses that count as live, compared without regard to case. Sonarly does not document its
        words: by default one that is not known counts as live there; name those that are to end that. (templated)
    :param name_pattern: Only campaigns whose name matches, with ``*``, ``?`` and ``[…]``. (templated)
    :param dry_run: Whether to list only, and stop nothing. (templated)
    :param calling_hours: The platform's ``callingHours`` object. A scheduled run that begins while they are open again
        (after an outage, or when the DAG is unpaused in the morning) is skipped; one that begins before they end stops
        each campaign as late as the account's request limit allows. (templated)
    :param records_path: Where the record of each try is written: any path that Airflow's ``ObjectStoragePath`` takes;
        by default what ``[campaign] records_path`` of Airflow's configuration says, else nowhere. (templated)
    :param reason: Why the campaigns are stopped, for the log, the record and the result. (templated)
    :param margin: Seconds before the end of the calling hours by which all is to be verified stopped, where a scheduled
        run begins before that end; more than the campaigns take to wind down.
    :param switch_schedules_off: Whether to switch off the schedules of campaigns that would start before the calling
        hours do again, and to read each back (Kore.ai, API v2).
    :param incident_outlet: An asset that gets an event when a campaign was live although the calling hours were over.
    :param deferrable: Whether a run that begins before the end waits for its first stop in the triggerer; by default
        what Airflow's option ``[operators] default_deferrable`` says.
    :param timeout: Seconds for the whole sweep, from the end of the calling hours on if it begins before that.
    :returns: ``stopped``, ``already_stopped``, ``failed`` and, for a dry run, ``live``: lists with an entry for each
        campaign, those of earlier tries included; ``excluded`` (what is live but outside the scope), ``may_start``
        (before the calling hours do), ``incidents`` (ids of campaigns that were live outside them), ``total``; of this
        try ``requests``, ``refused`` (for the rate), ``seconds``, ``began_at``, ``ended_at``, ``outcome``, ``error``;
        ``earlier_tries``, ``connection_id``, ``platform``, ``window_end``, ``reason``; and ``record``: the ``path``
        and ``sha256`` of the record, or None.
    :raises CampaignConfigError: When an argument is wrong, at parse time where it is no template.
    :raises CampaignSweepError: When a campaign is not verified stopped; its subclass
        :class:`.CampaignSweepFinalError` when no retry can mend it.
    :raises CampaignRecordError: When the record can't be written, after all stops.
    """

    template_fields: Sequence[str] = (
        "campaign_conn_id",
        "campaign_types",
        "statuses",
        "name_pattern",
        "dry_run",
        "calling_hours",
        "records_path",
        "reason",
    )
    ui_color = "#f6cdb4"

    dry_run = DryRunArgument()

    readers: ClassVar[Mapping[str, Reader]] = {
        "campaign_conn_id": read_text,
        "campaign_types": read_words,
        "statuses": read_live_statuses,
        "name_pattern": read_name_pattern,
        "dry_run": read_bool,
        "calling_hours": read_calling_hours,
        "records_path": read_records_path,
        "reason": read_reason,
        "margin": read_duration,
        "switch_schedules_off": read_bool,
        "deferrable": read_bool,
        "timeout": read_seconds,
    }
    """How each argument is read."""

    def __init__(
        self,
        *,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        campaign_types: Collection[str] = (CampaignType.SMS.value, CampaignType.VOICE.value),
        statuses: Collection[str] = LIVE_STATUSES,
        name_pattern: str | None = None,
        dry_run: bool | str = False,
        calling_hours: Mapping[str, Any] | str | None = None,
        records_path: str | None = None,
        reason: str | None = None,
        margin: float = 60.0,
        switch_schedules_off: bool = False,
        incident_outlet: Asset | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: float = 900.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_conn_id = campaign_conn_id
        self.campaign_types = campaign_types
        self.statuses = statuses
        self.name_pattern = name_pattern
        self.dry_run = dry_run
        self.calling_hours = calling_hours
        self.records_path = records_path
        self.reason = reason
        self.margin = margin
        self.switch_schedules_off = switch_schedules_off
        self.incident_outlet = incident_outlet
        self.deferrable = deferrable
        self.timeout = timeout
        self._cancellation = Cancellation()
        self._record: TaskRecord | None = None
        self._templates = check_arguments(self, self.readers)
        self._check_calling_hours()
        if incident_outlet is not None:
            self.outlets = [*self.outlets, incident_alias(incident_outlet)]

    def _check_calling_hours(self) -> None:
        """Refuse arguments that do nothing without calling hours."""
        switch = read_bool("switch_schedules_off", self.switch_schedules_off)
        outlet = read_incident_outlet("incident_outlet", self.incident_outlet)
        for name, value in (("switch_schedules_off", switch), ("incident_outlet", outlet)):
            if value and self.calling_hours is None:
                raise argument_error(name, value, "which needs calling_hours", "Give calling_hours, or leave it out.")

    @cached_property
    def hook(self) -> CampaignHook:
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Sweep, and return the result; fail, with the result in XCom, if a campaign is not verified stopped."""
        return self._execute(context, CampaignHook.clock.time(), 0)

    def resume(self, context: Context, event: Any = None, *, began_at: float, requests: int) -> dict[str, Any]:
        """
        Go on where the sweep was deferred, before it had stopped anything.

        :param began_at: When the try began (seconds since the epoch).
        :param requests: Requests that it has sent.
        """
        return self._execute(context, began_at, requests)

    def on_kill(self) -> None:
        """Send nothing more, and see to it that the record is written."""
        self._cancellation.request()
        if self._record is not None:
            self._record.end_soon()

    def _execute(self, context: Context, began_at: float, requests: int) -> dict[str, Any]:
        records_path = str(self.records_path) if "records_path" in self._templates else self.records_path
        self._record = TaskRecord(self, context, "sweep", records_path, self._cancellation)
        with self._record as record:
            record.describe(began_at=began_at)
            record.count_from(requests, 0)
            arguments = read_arguments(self, self.readers, self._templates)
            now = datetime.fromtimestamp(CampaignHook.clock.time(), UTC)
            window = CallingWindow.of_run(arguments["calling_hours"], context or {}, now)
            record.describe(
                connection_id=arguments["campaign_conn_id"],
                scope={name: arguments[name] for name in SCOPE_ARGUMENTS},
                reason=arguments["reason"],
                window_end=window.end if window else None,
            )
            if window:
                window.check_not_open_again(now)
            account = self._account(arguments, window, context or {}, requests)
            self._sweep(arguments, account, self._pacing(arguments, window, account), record)
        if self.incident_outlet is not None and record.result["incidents"]:
            send_incident_event(self.incident_outlet, context, record.result)
        return record.result

    def _sweep(
        self, arguments: Mapping[str, Any], account: SweptAccount, pacing: FinishInTime | None, record: TaskRecord
    ) -> None:
        """Sweep, in time where that is due, and raise if anything is not verified stopped."""
        sweep = Sweep(account, before=pacing.run if pacing else None)
        record.describe(platform=account.client.platform, findings=lambda: sweep.result().findings())
        if pacing and arguments["deferrable"]:
            self._defer_until(pacing.next_step_at(), record.draft.began_at, account.requests)
        outcome = self._run(sweep, record, is_dry_run=arguments["dry_run"])
        problems = account.lists.switch_schedules_off() if self._is_to_switch(arguments) else []
        outcome = replace(outcome, requests=account.requests, may_start=sweep.result().may_start)
        record.describe(findings=outcome.findings)
        outcome.log(pacing.end if pacing else None)
        log_incidents(outcome)
        outcome.raise_for_failure()
        if problems:
            raise CampaignSweepError("\n".join(problems))

    def _run(self, sweep: Sweep, record: TaskRecord, *, is_dry_run: bool) -> SweepResult:
        """Sweep; then see to what an earlier try did not see stopped, and this one did not find live."""
        if is_dry_run:
            return sweep.list_only()
        outcome = sweep.run()
        if outcome.problem is None and sweep.account.take_over(record.load_earlier_tries().campaigns):
            return Sweep(sweep.account).run()
        return outcome

    def _account(
        self, arguments: Mapping[str, Any], window: CallingWindow | None, context: Mapping[str, Any], requests: int
    ) -> SweptAccount:
        client = self.hook.client
        check_documented("statuses", arguments["statuses"], client.platform)
        if self._is_to_switch(arguments):
            check_can_switch_off(client)
        now = client.clock.time()
        before_end = max(0.0, window.end.timestamp() - now) if window else 0.0
        return SweptAccount(
            client,
            SweepScope(arguments["campaign_types"], arguments["statuses"], arguments["name_pattern"]),
            Deadline(before_end + arguments["timeout"], client.clock, cancellation=self._cancellation),
            is_closed=window is not None and window.is_closed(context, datetime.fromtimestamp(now, UTC)),
            open_again_at=window.hours.next_start(window.end) if window else None,
            requests=requests,
        )

    def _pacing(
        self, arguments: Mapping[str, Any], window: CallingWindow | None, account: SweptAccount
    ) -> FinishInTime | None:
        """Return how the sweep is paced, if it begins before the end of the window."""
        if window is None or arguments["dry_run"] or CampaignHook.clock.time() >= window.end.timestamp():
            return None
        return FinishInTime(account, window.end.timestamp(), arguments["margin"])

    def _is_to_switch(self, arguments: Mapping[str, Any]) -> bool:
        return arguments["switch_schedules_off"] and not arguments["dry_run"]

    def _defer_until(self, moment: float, began_at: float, requests: int) -> None:
        """Wait in the triggerer for the next step, if that is long enough."""
        seconds = moment - RESUME_TIME - CampaignHook.clock.time()
        if seconds >= MIN_DEFERRAL:
            self.defer(
                trigger=TimeDeltaTrigger(timedelta(seconds=seconds)),
                method_name="resume",
                kwargs={"began_at": began_at, "requests": requests},
                timeout=timedelta(seconds=seconds + 2 * RESUME_TIME),
            )
