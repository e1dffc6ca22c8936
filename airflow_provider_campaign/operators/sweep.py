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
    read_seconds,
    read_text,
    read_words,
)
from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.campaign import LIVE_STATUSES, CampaignType
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.sweep import Sweep
from airflow_provider_campaign.operations.sweep_scope import SweepScope
from airflow_provider_campaign.operators.dry_run import DryRunArgument


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
    :param reason: Why the campaigns are stopped, for the log and the result. (templated)
    :param timeout: Seconds for the whole sweep.
    :returns: ``stopped``, ``already_stopped``, ``failed`` and, for a dry run, ``live``: lists with, per campaign,
        ``campaign_id``, ``name``, ``campaign_type``, ``asked_at`` and ``confirmed_at`` (UTC, ISO 8601), ``status``
        and ``message``; ``excluded`` (what is live but outside the scope, and by which argument), ``total`` (campaigns
        found), ``requests``, ``seconds`` and ``reason``.
    :raises CampaignConfigError: When an argument is wrong, at parse time where it is no template.
    :raises CampaignSweepError: When a campaign is not verified stopped; its subclass
        :class:`.CampaignSweepFinalError` when no retry can mend it.
    """

    template_fields: Sequence[str] = (
        "campaign_conn_id",
        "campaign_types",
        "statuses",
        "name_pattern",
        "dry_run",
        "calling_hours",
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
        arguments = read_arguments(self, self.readers)
        self._skip_if_open_again(arguments["calling_hours"], context)
        if arguments["reason"]:
            self.log.info("Reason: %s", arguments["reason"])
        sweep = self._sweep(arguments)
        outcome = sweep.list_only() if arguments["dry_run"] else sweep.run()
        outcome.log()
        result = {**outcome.as_dict(), "reason": arguments["reason"]}
        if context and outcome.is_failure:
            context["ti"].xcom_push(key="return_value", value=result)
        outcome.raise_for_failure()
        return result

    def on_kill(self) -> None:
        """Send nothing more."""
        self._cancellation.request()

    def _sweep(self, arguments: Mapping[str, Any]) -> Sweep:
        platform = self.hook.client.platform
        if platform.has_closed_status_set:
            check_documented("statuses", arguments["statuses"], platform.name)
        scope = SweepScope(arguments["campaign_types"], arguments["statuses"], arguments["name_pattern"])
        deadline = Deadline(arguments["timeout"], self.hook.clock, cancellation=self._cancellation)
        return Sweep(self.hook.client, scope, deadline)

    def _skip_if_open_again(self, hours: CallingHours | None, context: Context) -> None:
        """
        Skip a scheduled run that begins in another window than the one whose end it is for.

        :raises AirflowSkipException: When the calling hours have begun again since.
        """
        if hours is None:
            return
        for warning in hours.warnings:
            self.log.warning("%s", warning)
        logical_date = context.get("logical_date") if context else None
        if logical_date is None or context["dag_run"].run_type == "manual":
            return  # somebody wants it now
        end = hours.next_end(logical_date) if hours.is_open(logical_date) else hours.last_end(logical_date)
        now = datetime.fromtimestamp(self.hook.clock.time(), UTC)
        if hours.is_open(now) and now >= end:
            raise AirflowSkipException(
                f"The calling hours that this run is for ended at {end.isoformat()}, and are open again now, at "
                f"{now.isoformat(timespec='seconds')}: nothing was stopped. Trigger the DAG by hand to stop anyway."
            )
