"""A sensor that waits for a campaign's status."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_campaign.campaign import CampaignStatus, status_goal
from airflow_provider_campaign.exceptions import CampaignError, CampaignTimeoutError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.waiting import look_once
from airflow_provider_campaign.triggers.campaign import TRIGGERER_GRACE, CampaignStatusTrigger
from airflow_provider_campaign.triggers.deferral import defer_wait, ends_in_trigger
from airflow_provider_campaign.triggers.outcome import WaitOutcome
from airflow_provider_campaign.version_compat import SHARED_STREAMS


class CampaignStatusSensor(BaseSensorOperator):
    """
    Wait until a campaign's status is one of the targets; return the status.

    A passing failure is logged and polled again; a status from which no target can come any more, and a campaign
    that is gone, fail the task at once.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param target_statuses: The statuses to wait for, compared without regard to case. (templated)
    :param deferrable: Whether to wait in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param start_from_trigger: Whether to begin in the triggerer as well, so that no worker is needed at all. It
        takes ``deferrable=True`` and Airflow 3.3; elsewhere, and where the sensor is mapped, it begins on a worker.
    :raises CampaignStateError: When no target can come any more.
    :raises CampaignNotFoundError: When the campaign is gone.
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_conn_id", "target_statuses")
    ui_color = "#fbe3d6"

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
        self._pause = 0.0
        self.deferrable = deferrable
        self.start_from_trigger = start_from_trigger and deferrable and SHARED_STREAMS
        if self.start_from_trigger:
            self.start_trigger_args = self._start_trigger_args()

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def poke(self, context: Any) -> PokeReturnValue:
        """Look once, and leave the rest to the triggerer if the sensor is deferrable."""
        look = look_once(self.hook, self.campaign_id, status_goal(self.target_statuses))
        status = look.campaign.status if look.campaign else None
        self.log.info("Campaign %s is %s", self.campaign_id, status or "not known at the moment")
        if look.reached:
            return PokeReturnValue(True, status)
        if self.deferrable:
            defer_wait(self, self.timeout, seen=look.campaign is not None, **self._wait())
        self._pause = look.pause
        return PokeReturnValue(False)

    def execute_complete(self, context: Any, event: Any) -> Any:
        """Return the status that the trigger saw, or raise what ended its wait."""
        try:
            return WaitOutcome.from_event(event).result()
        except CampaignTimeoutError as error:
            raise AirflowSensorTimeout(str(error)) from error
        except CampaignError as error:
            if self.never_fail:  # Airflow 2.11 does not look at it for a task that was deferred
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    def _wait(self) -> dict[str, Any]:
        """Return what the trigger looks for, and how often."""
        longest = self.max_wait.total_seconds() if self.max_wait else self.timeout
        return {
            "campaign_id": self.campaign_id,
            "campaign_conn_id": self.campaign_conn_id,
            "target_statuses": self.target_statuses,
            "poll_interval": self.poke_interval,
            "max_interval": longest if self.exponential_backoff else None,
        }

    def _start_trigger_args(self) -> StartTriggerArgs:
        """Return what Airflow starts the trigger with; templates in it are rendered in the triggerer."""
        return StartTriggerArgs(
            trigger_cls=f"{CampaignStatusTrigger.__module__}.{CampaignStatusTrigger.__qualname__}",
            trigger_kwargs={
                **self._wait(),
                "for_task": True,
                "timeout": self.timeout,
                "end_task": ends_in_trigger(self),
            },
            next_method="execute_complete",
            timeout=timedelta(seconds=self.timeout + TRIGGERER_GRACE),
        )

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Leave a platform that refuses for the rate alone for as long as it wants."""
        interval = float(super()._get_next_poke_interval(*args, **kwargs))
        if self.reschedule:
            return max(interval, self._pause)
        self.hook.clock.sleep(max(0.0, self._pause - interval))
        return interval
