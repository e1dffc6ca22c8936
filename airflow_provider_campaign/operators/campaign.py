"""Operators that stop, start and delete campaigns, and make sure of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, Context, conf

from airflow_provider_campaign.arguments import (
    Reader,
    argument_error,
    check_arguments,
    read_arguments,
    read_bool,
    read_campaign_id,
    read_optional_text,
    read_poll_interval,
    read_seconds,
    read_text,
)
from airflow_provider_campaign.campaign import (
    STARTED_CONDITION,
    STOP_CONDITION,
    Campaign,
    CampaignType,
    WaitCondition,
    may_be_live,
    merge_final_status,
)
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignNotFoundError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.wait import wait_for_status
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.triggers.deferral import defer_wait
from airflow_provider_campaign.triggers.wait_outcome import WaitOutcome

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

DEFAULT_POLL_INTERVAL = 30.0
"""Seconds between two polls of a campaign that is winding down."""

STOP_POLL_INTERVAL = 5.0
"""Seconds between two polls of a campaign that is to be deleted once it is stopped."""

DEFAULT_TIMEOUT = 900.0
"""Seconds for a whole operation: requests, retries and waiting."""


class CampaignOperator(BaseOperator):
    """
    What every operator on one campaign has.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param campaign_type: ``sms`` or ``voice`` where the platform tells types apart (Kore.ai). (templated)
    :param timeout: Seconds for the whole operation: requests, retries and waiting.
    :raises CampaignConfigError: When an argument is wrong, at parse time where it is no template.
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_conn_id", "campaign_type")
    ui_color = "#fbe3d6"

    fixed_campaign_type: ClassVar[CampaignType | None] = None
    """The type that a subclass is for."""

    readers: ClassVar[Mapping[str, Reader]] = {
        "campaign_id": read_campaign_id,
        "campaign_conn_id": read_text,
        "campaign_type": read_optional_text,
        "timeout": read_seconds,
    }
    """How each argument is read."""

    def __init__(
        self,
        *,
        campaign_id: str,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        campaign_type: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.fixed_campaign_type and campaign_type not in (None, self.fixed_campaign_type.value):
            problem = f"but {type(self).__name__} is for {self.fixed_campaign_type.value!r}"
            raise argument_error("campaign_type", campaign_type, problem, "Leave it out, or use another operator.")
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.campaign_type = self.fixed_campaign_type.value if self.fixed_campaign_type else campaign_type
        self.timeout = timeout
        self._cancellation = Cancellation()
        self.check_arguments()

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def on_kill(self) -> None:
        """Send nothing more."""
        self._cancellation.request()

    def check_arguments(self) -> None:
        """
        Read what is no template; a subclass does so once it has all its arguments.

        :raises CampaignConfigError: When an argument is wrong.
        """
        check_arguments(self, {name: read for name, read in self.readers.items() if name in vars(self)})

    def _read_arguments(self) -> Deadline:
        """
        Replace the arguments by what they mean, and return the deadline of the operation.

        :raises CampaignConfigError: When an argument is wrong; nothing was sent.
        """
        for name, value in read_arguments(self, self.readers).items():
            setattr(self, name, value)
        return Deadline(self.timeout, self.hook.clock, cancellation=self._cancellation)


class _StatusChangeOperator(CampaignOperator):
    """
    Bring a campaign to a status, and wait until the platform says that it is there.

    :param wait_for_completion: Whether to wait where the platform's response does not say so.
    :param poll_interval: Seconds between two polls while waiting.
    :param deferrable: Whether to wait in the triggerer, without a worker slot.
    """

    condition: ClassVar[WaitCondition]
    """What ends the wait for the action's effect."""

    readers = {
        **CampaignOperator.readers,
        "wait_for_completion": read_bool,
        "poll_interval": read_poll_interval,
        "deferrable": read_bool,
    }

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.deferrable = deferrable
        self.check_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Act, wait, and return what became of the campaign."""
        deadline = self._read_arguments()
        campaign = self.act(check_first=_is_retry(context), deadline=deadline)
        result = campaign.as_dict()
        self.log.info("Campaign %s is %s: %s", campaign.id, campaign.status, campaign.message or "no message")
        if not self.wait_for_completion or self.condition.is_met_by(campaign.status):
            return result
        self.log.info("Waiting for campaign %s to be %s", campaign.id, self.condition)
        if self.deferrable:
            self._defer(result, deadline)
        final = wait_for_status(self.hook.client, self.campaign_id, self.condition, self.poll_interval, deadline)
        self.log.info("Campaign %s is %s", campaign.id, final.status)
        return merge_final_status(result, final)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Return the result that the trigger completed, or raise what ended its wait."""
        return dict(WaitOutcome.from_event(event).value_or_raise())

    def act(self, *, check_first: bool, deadline: Deadline) -> Campaign:
        """Send what is to be done."""
        raise NotImplementedError

    def _defer(self, result: dict[str, Any], deadline: Deadline) -> None:
        defer_wait(
            self,
            deadline.remaining,
            is_seen=True,
            campaign_id=self.campaign_id,
            campaign_conn_id=self.campaign_conn_id,
            campaign_type=self.campaign_type,
            target_statuses=self.condition.success,
            failure_statuses=self.condition.failure,
            poll_interval=self.poll_interval,
            result=result,
        )


class StopCampaignOperator(_StatusChangeOperator):
    """
    Stop a campaign on any platform, and make sure that it is stopped.

    A campaign that is stopped or completed already is a success.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param campaign_type: ``sms`` or ``voice`` on Kore.ai; none on Sonarly. (templated)
    :param wait_for_completion: Whether to wait until it is stopped where the platform's response does not say so.
    :param poll_interval: Seconds between two polls while waiting.
    :param deferrable: Whether to wait in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param timeout: Seconds for the whole operation: requests, retries and waiting.
    :returns: The keys ``campaign_id``, ``status``, ``message``, ``updated_at``, ``already_stopped`` and ``raw``
        (the platform's own response).
    :raises CampaignConflictError: When the campaign has not started, so that there is nothing to stop.
    :raises CampaignTimeoutError: When it is not stopped in time.
    """

    condition = STOP_CONDITION

    def act(self, *, check_first: bool, deadline: Deadline) -> Campaign:
        """Stop the campaign."""
        return self.hook.stop_campaign(self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline)


class StopSmsCampaignOperator(StopCampaignOperator):
    """Stop an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class StopVoiceCampaignOperator(StopCampaignOperator):
    """Stop a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE


class StartCampaignOperator(_StatusChangeOperator):
    """
    Start a campaign on any platform, and make sure that it is active: the morning counterpart of a stop.

    A campaign that is active already is a success, and so is one that was started and is through. Parameters, result
    and errors are those of :class:`StopCampaignOperator`.
    """

    condition = STARTED_CONDITION

    def act(self, *, check_first: bool, deadline: Deadline) -> Campaign:
        """Start the campaign."""
        return self.hook.start_campaign(
            self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline
        )


class StartSmsCampaignOperator(StartCampaignOperator):
    """Start an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class StartVoiceCampaignOperator(StartCampaignOperator):
    """Start a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE


class DeleteCampaignOperator(CampaignOperator):
    """
    Delete a campaign on a platform that can (Kore.ai).

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id. (templated)
    :param campaign_type: ``sms`` or ``voice``. (templated)
    :param ignore_missing: Whether a campaign that is not there is a success. (templated)
    :param stop_first: Whether a campaign that is live is stopped before.
    :param timeout: Seconds for the whole operation: requests and retries.
    :returns: The same keys as a stop; ``status`` is what the campaign was in, ``Deleted`` where the platform no
        longer tells.
    :raises CampaignNotFoundError: When there is no such campaign.
    """

    template_fields: Sequence[str] = (*CampaignOperator.template_fields, "ignore_missing")
    readers = {**CampaignOperator.readers, "ignore_missing": read_bool, "stop_first": read_bool}

    def __init__(self, *, ignore_missing: bool | str = False, stop_first: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_missing = ignore_missing
        self.stop_first = stop_first
        self.check_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the campaign and return what it was."""
        deadline, is_retry = self._read_arguments(), _is_retry(context)
        try:
            if self.stop_first:
                self._stop(deadline)
            campaign = self.hook.delete_campaign(
                self.campaign_id, self.campaign_type, check_first=is_retry, deadline=deadline
            )
        except CampaignNotFoundError as error:
            if not self.ignore_missing or error.shown_status is not None:
                raise
            self.log.info("There is nothing to delete: %s", error)
            campaign = None
        if campaign is None:
            campaign = Campaign(self.campaign_id, "Deleted", message="The campaign is not there any more")
        self.log.info("Campaign %s is deleted; it was %s", campaign.id, campaign.status)
        return campaign.as_dict()

    def _stop(self, deadline: Deadline) -> None:
        """Stop the campaign if it is live, and wait until it is stopped."""
        client = self.hook.client
        if not may_be_live(client.get_campaign_status(self.campaign_id, deadline=deadline).status):
            return
        campaign = client.stop_campaign(self.campaign_id, self.campaign_type, deadline=deadline)
        if not STOP_CONDITION.is_met_by(campaign.status):
            wait_for_status(client, self.campaign_id, STOP_CONDITION, STOP_POLL_INTERVAL, deadline)
        self.log.info("Campaign %s is stopped, and will be deleted", self.campaign_id)


class DeleteSmsCampaignOperator(DeleteCampaignOperator):
    """Delete an SMS campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class DeleteVoiceCampaignOperator(DeleteCampaignOperator):
    """Delete a voice campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE


def _is_retry(context: Context) -> bool:
    """Tell whether an earlier try of this task may have been heard by the platform."""
    task_instance = context.get("ti") if context else None
    return (getattr(task_instance, "try_number", None) or 1) > 1
