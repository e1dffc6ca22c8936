"""Operators that stop, start and delete campaigns, and make sure of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_campaign.campaign import (
    START_GOAL,
    STOP_GOAL,
    Campaign,
    CampaignType,
    Goal,
    Outlook,
    confirmed,
)
from airflow_provider_campaign.exceptions import CampaignNotFoundError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.retry import Deadline
from airflow_provider_campaign.hooks.waiting import wait_for
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.triggers.deferral import defer_wait
from airflow_provider_campaign.triggers.outcome import WaitOutcome

__all__ = [
    "CampaignOperator",
    "DeleteCampaignOperator",
    "DeleteSmsCampaignOperator",
    "DeleteVoiceCampaignOperator",
    "StartCampaignOperator",
    "StartSmsCampaignOperator",
    "StartVoiceCampaignOperator",
    "StopActiveCampaignsOperator",
    "StopCampaignOperator",
    "StopSmsCampaignOperator",
    "StopVoiceCampaignOperator",
]

POLL_INTERVAL = 30.0
"""Seconds between two looks at a campaign that is winding down."""

OPERATION_TIMEOUT = 900.0
"""Seconds for a whole operation: requests, retries and waiting."""


class CampaignOperator(BaseOperator):
    """
    What every operator on one campaign has.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param campaign_type: ``sms`` or ``voice`` where the platform tells types apart (Kore.ai).
    :param timeout: Seconds for the whole operation: requests, retries and waiting.
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_conn_id")
    ui_color = "#fbe3d6"

    def __init__(
        self,
        *,
        campaign_id: str,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        campaign_type: str | None = None,
        timeout: float = OPERATION_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.campaign_type = campaign_type
        self.timeout = timeout

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)


class _WaitingOperator(CampaignOperator):
    """
    What stop and start have in common: act, then wait for the status.

    :param wait_for_completion: Whether to wait until the status is reached where the platform's answer does not
        say so.
    :param poll_interval: Seconds between two looks while waiting.
    :param deferrable: Whether to wait in the triggerer, without a worker slot.
    """

    goal: ClassVar[Goal]

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        poll_interval: float = POLL_INTERVAL,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.deferrable = deferrable

    def execute(self, context: Any) -> dict[str, Any]:
        """Act, wait, and return the campaign's record."""
        deadline = Deadline.after(self.timeout, self.hook.clock)
        campaign = self.act(check_first=_is_retry(context), deadline=deadline)
        record = campaign.as_dict()
        self.log.info("Campaign %s is %s: %s", campaign.id, campaign.status, campaign.message or "no message")
        if not self.wait_for_completion or self.goal.outlook(campaign.status) is Outlook.REACHED:
            return record
        self.log.info("Waiting for campaign %s to be %s", campaign.id, self.goal)
        if self.deferrable:
            self._defer(record, deadline)
        seen = wait_for(self.hook, self.campaign_id, self.goal, self.poll_interval, deadline)
        self.log.info("Campaign %s is %s", campaign.id, seen.status)
        return confirmed(record, seen)

    def execute_complete(self, context: Any, event: Any) -> dict[str, Any]:
        """Return the record that the trigger completed, or raise what ended its wait."""
        return dict(WaitOutcome.from_event(event).result())

    def act(self, *, check_first: bool, deadline: Deadline) -> Campaign:
        """Send what is to be done."""
        raise NotImplementedError

    def _defer(self, record: dict[str, Any], deadline: Deadline) -> None:
        defer_wait(
            self,
            deadline.remaining,
            seen=True,
            campaign_id=self.campaign_id,
            campaign_conn_id=self.campaign_conn_id,
            campaign_type=self.campaign_type,
            target_statuses=self.goal.reached,
            impossible_statuses=self.goal.impossible,
            poll_interval=self.poll_interval,
            record=record,
        )


class StopCampaignOperator(_WaitingOperator):
    """
    Stop a campaign on any platform, and make sure that it is stopped.

    A campaign that is stopped or completed already is a success.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param campaign_type: ``sms`` or ``voice`` on Kore.ai; none on Sonarly.
    :param wait_for_completion: Whether to wait until it is stopped where the platform's answer does not say so.
    :param poll_interval: Seconds between two looks while waiting.
    :param deferrable: Whether to wait in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param timeout: Seconds for the whole operation: requests, retries and waiting.
    :returns: The keys ``campaign_id``, ``status``, ``message``, ``updated_at``, ``already_stopped`` and ``raw``
        (the platform's own answer).
    :raises CampaignConflictError: When the campaign has not started, so that there is nothing to stop.
    :raises CampaignTimeoutError: When it is not stopped in time.
    """

    goal = STOP_GOAL

    def act(self, *, check_first: bool, deadline: Deadline) -> Campaign:
        """Stop the campaign."""
        return self.hook.stop_campaign(self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline)


class StopSmsCampaignOperator(StopCampaignOperator):
    """Stop an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(campaign_type=CampaignType.SMS.value, **kwargs)


class StopVoiceCampaignOperator(StopCampaignOperator):
    """Stop a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(campaign_type=CampaignType.VOICE.value, **kwargs)


class StartCampaignOperator(_WaitingOperator):
    """
    Start a campaign on any platform, and make sure that it is active: the morning counterpart of a stop.

    A campaign that is active already is a success. Parameters, result and errors are those of
    :class:`StopCampaignOperator`.
    """

    goal = START_GOAL

    def act(self, *, check_first: bool, deadline: Deadline) -> Campaign:
        """Start the campaign."""
        return self.hook.start_campaign(
            self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline
        )


class StartSmsCampaignOperator(StartCampaignOperator):
    """Start an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(campaign_type=CampaignType.SMS.value, **kwargs)


class StartVoiceCampaignOperator(StartCampaignOperator):
    """Start a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(campaign_type=CampaignType.VOICE.value, **kwargs)


class DeleteCampaignOperator(CampaignOperator):
    """
    Delete a campaign on a platform that can (Kore.ai).

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id. (templated)
    :param campaign_type: ``sms`` or ``voice``.
    :param ignore_missing: Whether a campaign that is not there is a success.
    :param timeout: Seconds for the whole operation: requests and retries.
    :returns: The same keys as a stop; ``status`` is what the campaign was in, ``Deleted`` where the platform no
        longer tells.
    :raises CampaignNotFoundError: When there is no such campaign.
    """

    def __init__(self, *, ignore_missing: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_missing = ignore_missing

    def execute(self, context: Any) -> dict[str, Any]:
        """Delete the campaign and return its record."""
        deadline = Deadline.after(self.timeout, self.hook.clock)
        try:
            campaign = self.hook.delete_campaign(
                self.campaign_id, self.campaign_type, check_first=_is_retry(context), deadline=deadline
            )
        except CampaignNotFoundError as error:
            if not self.ignore_missing:
                raise
            self.log.info("There is nothing to delete: %s", error)
            campaign = None
        if campaign is None:
            campaign = Campaign(self.campaign_id, "Deleted", message="The campaign is not there any more")
        self.log.info("Campaign %s is deleted; it was %s", campaign.id, campaign.status)
        return campaign.as_dict()


class DeleteSmsCampaignOperator(DeleteCampaignOperator):
    """Delete an SMS campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(campaign_type=CampaignType.SMS.value, **kwargs)


class DeleteVoiceCampaignOperator(DeleteCampaignOperator):
    """Delete a voice campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(campaign_type=CampaignType.VOICE.value, **kwargs)


def _is_retry(context: Any) -> bool:
    """Tell whether an earlier try of this task may have been heard by the platform."""
    task_instance = context.get("ti") if context else None
    return (getattr(task_instance, "try_number", None) or 1) > 1
