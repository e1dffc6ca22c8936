"""A sensor that waits for a campaign's status."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, BaseSensorOperator, Context, PokeReturnValue, conf
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_campaign import arguments
from airflow_provider_campaign.campaign import CampaignStatus, status_condition
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignTimeoutError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.triggers import wait as waits
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

    readers: ClassVar[Mapping[str, arguments.Reader]] = {
        "campaign_id": arguments.read_campaign_id,
        "campaign_conn_id": arguments.read_text,
        "target_statuses": arguments.read_statuses,
        "deferrable": arguments.read_bool,
        "start_from_trigger": arguments.read_bool,
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
        flags = {"start_from_trigger": start_from_trigger, "deferrable": deferrable}
        wanted = [arguments.read_bool(*flag) for flag in flags.items()]
        self.start_from_trigger = all(wanted) and SHARED_STREAMS
        self._cancellation = Cancellation()
        self._templates = arguments.check_arguments(self, self.readers)
        arguments.read_poll_interval("poke_interval", self.poke_interval)
        if self.start_from_trigger:
            trigger = waits.CampaignWaitTrigger
            self.start_trigger_args = StartTriggerArgs(
                trigger_cls=f"{trigger.__module__}.{trigger.__qualname__}",
                trigger_kwargs={**self._wait(), "end_task": waits.can_finish_in_triggerer(self)},
                next_method="execute_complete",
                timeout=timedelta(seconds=self.timeout + waits.TRIGGERER_GRACE),
            )

    @cached_property
    def hook(self) -> CampaignHook:
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def execute(self, context: Context) -> Any:
        """Poll until a target is reached; if deferrable, poll once and leave the rest to the triggerer."""
        vars(self).update(arguments.read_arguments(self, self.readers, self._templates))
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the status once, and return it with whether it ends the wait; a passing failure is logged."""
        client = self.hook.client
        arguments.check_documented("target_statuses", self.target_statuses, client.platform)
        wait = PendingWait(self.campaign_id, status_condition(self.target_statuses))
        deadline = Deadline(self.timeout, self.hook.clock, cancellation=self._cancellation)
        shown = AccountPoller(client).poll([wait], deadline=deadline)
        is_reached = wait.reached(shown, client.description) is not None
        self.log.info("Campaign %s is %s", self.campaign_id, wait.last_status or "not known at the moment")
        if self.deferrable and not is_reached:
            waits.defer_wait(self, self.timeout, **self._wait())
        if not self.reschedule:  # leave a platform that is rate-limited alone for as long
            deadline.sleep(shown.delay - self.poke_interval)
        return PokeReturnValue(is_reached, wait.last_status)

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Return the status that the trigger saw, or raise what ended its wait."""
        try:
            return waits.value_of(event, str)
        except CampaignTimeoutError as error:
            raise AirflowSensorTimeout(str(error)) from error

    def on_kill(self) -> None:
        self._cancellation.request()

    def _wait(self) -> dict[str, Any]:
        """Return what the trigger waits for, and how often it polls."""
        return {
            "campaign_id": self.campaign_id,
            "campaign_conn_id": self.campaign_conn_id,
            "target_statuses": self.target_statuses,
            "timeout": self.timeout,
            "poll_interval": self.poke_interval,
        }
