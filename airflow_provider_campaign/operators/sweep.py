"""The operator that keeps an account's campaigns inside their calling hours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, Context, conf
from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

from airflow_provider_campaign import arguments
from airflow_provider_campaign.campaign import LIVE_STATUSES, CampaignType
from airflow_provider_campaign.client.clock import Cancellation
from airflow_provider_campaign.exceptions import CampaignError, CampaignSweepError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.dry_run import DryRun
from airflow_provider_campaign.operators.sweep_run import SweepRun
from airflow_provider_campaign.operators.task_record import TaskRecord

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias

MIN_DEFERRAL = 30.0  # seconds; resuming right after a deferral can be failed by a stale event
RESUME_LEAD = 2.0  # seconds that a deferred sweep is given to get a worker; it holds a slot for what is left
RESUME_TIMEOUT = 600.0  # seconds after which Airflow fails a deferred sweep that the triggerer has not resumed
EVENT_KEYS = ("incidents", "missed_closings", "window_end", "connection_id", "record")  # of the result, in an event


class StopActiveCampaignsOperator(BaseOperator):
    """
    Keep the campaigns of an account inside their calling hours, and verify that they are.

    Without ``calling_hours`` every live campaign in scope is stopped now. With them a run stops those that are live
    although closed, and those whose calling hours end within ``look_ahead``: each as late as the account's
    rate limit allows, and verified ``margin`` before its end. Campaigns that stay open longer are left alone. The run
    ends once the last end within ``look_ahead`` is verified. Every campaign is attempted, whatever happens to others.

    :param campaign_conn_id: The connection id; its type selects the platform. (templated)
    :param campaign_types: The types to stop, if the platform has types (Kore.ai). (templated)
    :param statuses: The statuses that count as live; on Sonarly, by default, so does an unknown one. (templated)
    :param name_pattern: Only campaigns whose name matches, with ``*``, ``?``, and ``[…]``; one, or a list. (templated)
    :param campaign_ids: Only these campaigns, of any type; one that the platform does not know fails the task, after
        all others are stopped. (templated)
    :param dry_run: Whether to list only, and stop nothing. (templated)
    :param calling_hours: The platform's ``callingHours`` object, or a list of rules. (templated)
    :param records_path: Where the record of each try is written; by default ``[campaign] records_path`` of Airflow's
        configuration, else nowhere. (templated)
    :param reason: Why the campaigns are stopped, for the log, the record, and the result. (templated)
    :param margin: Seconds, or a ``timedelta``, before an end by which campaigns are verified stopped.
    :param look_ahead: A run also stops campaigns whose hours end within this time: seconds, or a ``timedelta``.
    :param switch_schedules_off: Whether to switch off the schedules of campaigns that would start before their calling
        hours do, and to read each back (Kore.ai, API v2).
    :param incident_outlet: An asset that gets an event when a campaign was live although a run had verified the end of
        its calling hours, and when no run has verified an end.
    :param deferrable: Whether each wait of half a minute or more is in the triggerer, without a worker slot.
    :param timeout: Seconds for the whole sweep, counted from the last end that it waits for.
    :returns: The campaigns by outcome, and what else docs/sweep.md lists.
    :raises CampaignConfigError: When an argument is wrong, at parse time unless it is a template.
    :raises CampaignSweepError: When a campaign is not verified stopped; its subclass
        :class:`.CampaignSweepFinalError` when no retry can fix it.
    :raises CampaignRecordError: When the record can't be written, after all stops.
    """

    template_fields: Sequence[str] = (
        "campaign_conn_id",
        "campaign_types",
        "statuses",
        "name_pattern",
        "campaign_ids",
        "dry_run",
        "calling_hours",
        "records_path",
        "reason",
    )
    ui_color = "#f6cdb4"

    readers: ClassVar[Mapping[str, arguments.Reader]] = {
        "campaign_conn_id": arguments.read_text,
        "campaign_types": arguments.read_words,
        "statuses": arguments.read_live_statuses,
        "name_pattern": arguments.read_name_patterns,
        "campaign_ids": arguments.read_campaign_ids,
        "dry_run": arguments.read_bool,
        "calling_hours": arguments.read_calling_rules,
        "records_path": arguments.read_records_path,
        "reason": arguments.read_reason,
        "margin": arguments.read_duration,
        "look_ahead": arguments.read_duration,
        "switch_schedules_off": arguments.read_bool,
        "deferrable": arguments.read_bool,
        "timeout": arguments.read_seconds,
    }

    def __init__(
        self,
        *,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        campaign_types: Collection[str] = (CampaignType.SMS.value, CampaignType.VOICE.value),
        statuses: Collection[str] = LIVE_STATUSES,
        name_pattern: str | Collection[str] | None = None,
        campaign_ids: Collection[str] | str | None = None,
        dry_run: bool | str = False,
        calling_hours: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = None,
        records_path: str | None = None,
        reason: str | None = None,
        margin: float | timedelta = 60.0,
        look_ahead: float | timedelta = timedelta(hours=1),
        switch_schedules_off: bool = False,
        incident_outlet: Asset | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: float | timedelta = 900.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_conn_id = campaign_conn_id
        self.campaign_types = campaign_types
        self.statuses = statuses
        self.name_pattern = name_pattern
        self.campaign_ids = campaign_ids
        self.dry_run = dry_run
        self.calling_hours = calling_hours
        self.records_path = records_path
        self.reason = reason
        self.margin = margin
        self.look_ahead = look_ahead
        self.switch_schedules_off = switch_schedules_off
        self.incident_outlet = incident_outlet
        self.deferrable = deferrable
        self.timeout = timeout
        self._cancellation = Cancellation()
        self._record: TaskRecord | None = None
        self._templates = arguments.check_arguments(self, self.readers)
        if incident_outlet is not None:
            self.outlets = [*self.outlets, _incident_alias(incident_outlet)]
        is_to_switch = arguments.read_bool("switch_schedules_off", switch_schedules_off)
        for name, value in (("switch_schedules_off", is_to_switch), ("incident_outlet", incident_outlet)):
            if value and calling_hours is None:
                fix = "Give calling_hours, or leave it out."
                raise arguments.argument_error(name, value, "which needs calling_hours", fix)

    @property
    def dry_run(self) -> Any:
        """The argument; ``airflow tasks test --dry-run`` calls it, as a method of every operator has its name."""
        value = vars(self)["dry_run"]
        return DryRun(self, value) if isinstance(value, str | bool) else value

    @dry_run.setter
    def dry_run(self, value: Any) -> None:
        vars(self)["dry_run"] = value

    @cached_property
    def hook(self) -> CampaignHook:
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Sweep, and return the result; fail, with the result in XCom, if a campaign is not verified stopped."""
        return self.resume(context)

    def resume(self, context: Context, event: Any = None, carried: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Continue after a deferral; ``dags test`` drops what was carried over it, and the sweep begins anew."""
        records_path = str(self.records_path) if "records_path" in self._templates else self.records_path
        self._record = TaskRecord.of_task(self, context, "sweep", records_path, self._cancellation)
        with self._record as record:
            given = SimpleNamespace(**arguments.read_arguments(self, self.readers, self._templates))
            try:
                run = SweepRun(given, context or {}, record, self.hook, self._cancellation, carried)
            except Exception as error:
                if not carried or isinstance(error, CampaignError):
                    raise
                raise CampaignSweepError(
                    f"What this task did before it was deferred can't be read ({error!r}): was the provider upgraded "
                    "meanwhile? Nothing more was sent. A retry lists all live campaigns anew."
                ) from error
            if not carried:
                run.check_date()
            run.sweep(partial(self._pause, run) if given.deferrable else None)
        result = record.result
        if self.incident_outlet is not None and (result["incidents"] or result["missed_closings"]):
            event = {name: result[name] for name in EVENT_KEYS}
            context["outlet_events"][_incident_alias(self.incident_outlet)].add(self.incident_outlet, extra=event)
        return result

    def on_kill(self) -> None:
        """Send nothing more, and see to it that the record is written."""
        self._cancellation.request()
        if self._record is not None:
            self._record.end_soon()

    def _pause(self, run: SweepRun, moment: float) -> None:
        """Let the time until a moment pass, in the triggerer if that is worth a deferral."""
        left = moment - self.hook.clock.time()
        if left - RESUME_LEAD < MIN_DEFERRAL:
            run.deadline.sleep(left)
            return
        seconds = left - RESUME_LEAD
        self.log.info("Waiting %.0f s in the triggerer", seconds)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=seconds)),
            method_name="resume",
            kwargs={"carried": run.carry()},
            timeout=timedelta(seconds=seconds + RESUME_TIMEOUT),
        )


def _incident_alias(asset: Any) -> AssetAlias:
    """Return the outlet through which an event of an asset is sent only if there is an incident."""
    from airflow.providers.common.compat.sdk import Asset, AssetAlias  # only those who give one need it

    if not isinstance(asset, Asset):
        fix = "Give, for example, Asset('campaign_incidents')."
        raise arguments.argument_error("incident_outlet", asset, "which is not an asset", fix)
    return AssetAlias(f"{getattr(asset, 'name', asset.uri)}_from_sweeps")
