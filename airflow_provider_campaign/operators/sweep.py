"""The end of the window: an operator that stops everything that is live in an account."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, Context

from airflow_provider_campaign.arguments import (
    Reader,
    check_arguments,
    check_documented,
    read_arguments,
    read_bool,
    read_calling_hours,
    read_live_statuses,
    read_name_pattern,
    read_optional_text,
    read_records_path,
    read_seconds,
    read_text,
    read_words,
)
from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.campaign import LIVE_STATUSES, CampaignType
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.sweep import Sweep
from airflow_provider_campaign.operations.sweep_result import SweepResult
from airflow_provider_campaign.operations.sweep_scope import SweepScope
from airflow_provider_campaign.operators.dry_run import DryRunArgument
from airflow_provider_campaign.operators.task_record import TaskRecord, default_records_path

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
    :param calling_hours: The platform's ``callingHours`` object: a scheduled run that begins while they are open again
        (after an outage, or when the DAG is unpaused in the morning) is skipped. (templated)
    :param records_path: Where the record of each try is written: any path that Airflow's ``ObjectStoragePath`` takes,
        for instance ``s3://aws_default@bucket/records``. By default what ``[campaign] records_path`` of Airflow's
        configuration says, else there is no record but the result. (templated)
    :param reason: Why the campaigns are stopped, for the log, the record and the result. (templated)
    :param timeout: Seconds for the whole sweep.
    :returns: ``stopped``, ``already_stopped``, ``failed`` and, for a dry run, ``live``: lists with, per campaign,
        ``campaign_id``, ``name``, ``campaign_type``, ``status_before``, ``asked_at`` and ``confirmed_at`` (UTC,
        ISO 8601), ``status``, ``message`` and the ``try_number`` that did it; ``excluded`` (what is live but outside
        the scope, and by which argument), ``total`` (campaigns found); of this try ``requests``, ``refused`` (for the
        rate), ``seconds``, ``began_at``, ``ended_at``, ``outcome`` (``success``, ``failed``, ``killed``,
        ``skipped``); ``earlier_tries``, whose campaigns are in the lists; ``connection_id``, ``platform``,
        ``window_end``, ``reason``, ``error``, and ``record``: the ``path`` and ``sha256`` of the record, or None.
    :raises CampaignConfigError: When an argument is wrong, at parse time where it is no template.
    :raises CampaignSweepError: When a campaign is not verified stopped; its subclass
        :class:`.CampaignSweepFinalError` when no retry can mend it.
    :raises CampaignRecordError: When the record can't be written, after all campaigns were asked to stop.
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
        "reason": read_optional_text,
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
        self.timeout = timeout
        self._cancellation = Cancellation()
        check_arguments(self, self.readers)

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Sweep, and return the result; fail, with the result in XCom, if a campaign is not verified stopped."""
        records_path = read_records_path("records_path", self.records_path) or default_records_path()
        with TaskRecord(self, context, "sweep", records_path, self._cancellation) as record:
            arguments = read_arguments(self, self.readers)
            record.describe(
                connection_id=arguments["campaign_conn_id"],
                scope={name: arguments[name] for name in SCOPE_ARGUMENTS},
                reason=arguments["reason"],
                window_end=(end := self._window_end(arguments["calling_hours"], context)),
            )
            self._skip_if_open_again(arguments["calling_hours"], end)
            if arguments["reason"]:
                self.log.info("Reason: %s", arguments["reason"])
            sweep = self._sweep(arguments)
            record.describe(platform=self.hook.client.platform, findings=lambda: sweep.result().findings())
            outcome = self._run(sweep, record, is_dry_run=arguments["dry_run"])
            record.describe(findings=outcome.findings)
            outcome.log()
            outcome.raise_for_failure()
        return record.result

    def on_kill(self) -> None:
        """Send nothing more."""
        self._cancellation.request()

    def _run(self, sweep: Sweep, record: TaskRecord, *, is_dry_run: bool) -> SweepResult:
        """Sweep; then see to what an earlier try did not see stopped, and this one did not find live."""
        if is_dry_run:
            return sweep.list_only()
        outcome = sweep.run()
        if outcome.problem is None and sweep.take_over(record.load_earlier_tries().campaigns):
            return sweep.run()
        return outcome

    def _sweep(self, arguments: Mapping[str, Any]) -> Sweep:
        platform = self.hook.client.platform
        if platform.has_closed_status_set:
            check_documented("statuses", arguments["statuses"], platform.name)
        scope = SweepScope(arguments["campaign_types"], arguments["statuses"], arguments["name_pattern"])
        deadline = Deadline(arguments["timeout"], self.hook.clock, cancellation=self._cancellation)
        return Sweep(self.hook.client, scope, deadline)

    def _window_end(self, hours: CallingHours | None, context: Context) -> datetime | None:
        """Return the end of the window that a scheduled run is for; None where that is not known."""
        if hours is None:
            return None
        for warning in hours.warnings:
            self.log.warning("%s", warning)
        logical_date = context.get("logical_date") if context else None
        if logical_date is None or context["dag_run"].run_type == "manual":
            return None  # somebody wants it now
        return hours.next_end(logical_date) if hours.is_open(logical_date) else hours.last_end(logical_date)

    def _skip_if_open_again(self, hours: CallingHours | None, end: datetime | None) -> None:
        """
        Skip a run that begins in another window than the one whose end it is for.

        :raises AirflowSkipException: When the calling hours have begun again since.
        """
        now = datetime.fromtimestamp(self.hook.clock.time(), UTC)
        if hours and end and hours.is_open(now) and now >= end:
            raise AirflowSkipException(
                f"The calling hours that this run is for ended at {end.isoformat()}, and are open again now, at "
                f"{now.isoformat(timespec='seconds')}: nothing was stopped. Trigger the DAG by hand to stop anyway."
            )
