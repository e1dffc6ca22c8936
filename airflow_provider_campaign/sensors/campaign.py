"""A sensor that waits for a campaign's status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_campaign.campaign import CampaignStatus, status_goal
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.waiting import look_once
from airflow_provider_campaign.version_compat import AirflowRescheduleException


class CampaignStatusSensor(BaseSensorOperator):
    """
    Wait until a campaign's status is one of the targets; return the status.

    A passing failure is logged and polled again; a status from which no target can come any more, and a campaign
    that is gone, fail the task at once.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param target_statuses: The statuses to wait for, compared without regard to case. (templated)
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
        target_statuses: Iterable[str] = (CampaignStatus.STOPPED.value,),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.target_statuses = target_statuses

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def poke(self, context: Any) -> PokeReturnValue:
        """Look once."""
        look = look_once(self.hook, self.campaign_id, status_goal(self.target_statuses))
        status = look.campaign.status if look.campaign else None
        self.log.info("Campaign %s is %s", self.campaign_id, status or "not known at the moment")
        if not look.reached and look.pause > self.poke_interval:
            self._leave_alone(look.pause)
        return PokeReturnValue(look.reached, status if look.reached else None)

    def _leave_alone(self, seconds: float) -> None:
        """Wait out a refusal for the rate in the way that the mode allows."""
        if self.reschedule:
            raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=seconds))  # type: ignore[no-untyped-call]
        self.hook.clock.sleep(seconds - self.poke_interval)
