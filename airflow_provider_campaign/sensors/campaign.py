"""A sensor that waits for a campaign's status."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    conf,
)
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_campaign.arguments import (
    Reader,
    check_arguments,
    check_documented,
    read_arguments,
    read_bool,
    read_campaign_id,
    read_poll_interval,
    read_statuses,
    read_text,
)
from airflow_provider_campaign.campaign import CampaignStatus, WaitCondition, status_condition
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignError, CampaignTimeoutError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.triggers.wait import (
    TRIGGERER_GRACE,
    CampaignWaitTrigger,
    can_finish_in_triggerer,
    defer_wait,
    value_of,
)
from airflow_provider_campaign.version_compat import SHARED_STREAMS
from airflow_provider_campaign.waiting.account_poller import AccountPoller
from airflow_provider_campaign.waiting.pending import PendingWait


class CampaignStatusSensor(BaseSensorOperator):
    """
    Wait until a campaign's status is one of the targets; return the status.

    A passing failure is logged and polled again; a status from which no target can come any more, and a campaign
    that is gone, fail the task at once.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type selects the platform. (templated)
    :param target_statuses: The statuses to wait for, compared without regard to case. (templated)
    :param deferrable: Whether to wait in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param start_from_trigger: Whether to begin in the triggerer, too, so that no worker is needed at all. It
        takes ``deferrable=True`` and Airflow 3.3; otherwise, and if the sensor is mapped, it begins on a worker.
    :raises CampaignConfigError: When an argument is wrong, at parse time unless it is a template.
    :raises CampaignStateError: When no target can come any more.
    :raises CampaignNotFoundError: When the campaign is gone.
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_conn_id", "target_statuses")
    ui_color = "#fbe3d6"

    readers: ClassVar[Mapping[str, Reader]] = {
        "campaign_id": read_campaign_id,
        "campaign_conn_id": read_text,
        "target_statuses": read_statuses,
        "deferrable": read_bool,
        "start_from_trigger": read_bool,
    }
    """How each argument is read."""

    def __init__(
        self,
        *,
        campaign_id: str,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        target_statuses: Collection[str] = (CampaignStatus.STOPPED.value,),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.target_statuses = target_statuses
        self.deferrable = deferrable
        wanted = read_bool("start_from_trigger", start_from_trigger) and read_bool("deferrable", deferrable)
        self.start_from_trigger = wanted and SHARED_STREAMS
        self._cancellation = Cancellation()
        self._templates = check_arguments(self, self.readers)
        read_poll_interval("poke_interval", self.poke_interval)
        if self.start_from_trigger:
            self.start_trigger_args = self._start_trigger_args()

    @cached_property
    def hook(self) -> CampaignHook:
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    @cached_property
    def _poller(self) -> AccountPoller:
        return AccountPoller(self.hook.client)

    @cached_property
    def _condition(self) -> WaitCondition:
        """What is waited for, now that the arguments are read."""
        check_documented("target_statuses", self.target_statuses, self.hook.client.platform)
        return status_condition(self.target_statuses)

    def execute(self, context: Context) -> Any:
        """Poll until a target is reached; if deferrable, poll once and leave the rest to the triggerer."""
        vars(self).update(read_arguments(self, self.readers, self._templates))
        if not self.deferrable:
            return super().execute(context)
        first = self._first_poll(context)
        if first.is_done:
            return first.xcom_value
        return defer_wait(
            self,
            self.hook.clock.time(),
            self.timeout,
            timeout=self.timeout,
            is_seen=first.xcom_value is not None,
            **self._wait(self._condition.success),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the status once, and return it with whether it ends the wait; a passing failure is logged."""
        wait, client = PendingWait(self.campaign_id, self._condition), self.hook.client
        shown = self._poller.poll([wait], deadline=self._deadline())
        is_reached = wait.reached(shown, client.description) is not None
        self.log.info("Campaign %s is %s", self.campaign_id, wait.last_status or "not known at the moment")
        if not self.reschedule and not self.deferrable:  # leave a platform that is rate-limited alone for as long
            self._deadline().sleep(shown.delay - self.poke_interval)
        return PokeReturnValue(is_reached, wait.last_status)

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Return the status that the trigger saw, or raise what ended its wait."""
        try:
            return value_of(event, str)
        except CampaignTimeoutError as error:
            raise AirflowSensorTimeout(str(error)) from error
        except CampaignError as error:
            if self.never_fail:  # Airflow 2.11 does not look at it for a task that was deferred
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    def on_kill(self) -> None:
        self._cancellation.request()

    def _first_poll(self, context: Context) -> PokeReturnValue:
        """Poll as Airflow's own loop would: a failure skips the task if the arguments say so."""
        try:
            return self.poke(context)
        except CampaignError as error:
            for setting in ("soft_fail", "never_fail"):
                if getattr(self, setting):
                    raise AirflowSkipException(f"Skipping due to {setting} is set to True.") from error
            raise

    def _deadline(self) -> Deadline:
        return Deadline(self.timeout, self.hook.clock, cancellation=self._cancellation)

    def _wait(self, target_statuses: Collection[str]) -> dict[str, Any]:
        """Return what the trigger waits for, and how often it polls."""
        longest = self.max_wait.total_seconds() if self.max_wait else self.timeout
        return {
            "campaign_id": self.campaign_id,
            "campaign_conn_id": self.campaign_conn_id,
            "target_statuses": target_statuses,
            "poll_interval": self.poke_interval,
            "max_interval": longest if self.exponential_backoff else None,
        }

    def _start_trigger_args(self) -> StartTriggerArgs:
        """Return what Airflow starts the trigger with; templates in it are rendered in the triggerer."""
        return StartTriggerArgs(
            trigger_cls=f"{CampaignWaitTrigger.__module__}.{CampaignWaitTrigger.__qualname__}",
            trigger_kwargs={
                **self._wait(self.target_statuses),
                "timeout": self.timeout,
                "end_task": can_finish_in_triggerer(self),
            },
            next_method="execute_complete",
            timeout=timedelta(seconds=self.timeout + TRIGGERER_GRACE),
        )
