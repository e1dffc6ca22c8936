"""Operators that stop and start campaigns, and make sure of it; and the import path of all operators."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_campaign.arguments import read_calling_rules
from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import (
    STOP_CONDITION,
    Campaign,
    CampaignStatus,
    CampaignType,
    WaitCondition,
    may_be_live,
)
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignConflictError
from airflow_provider_campaign.operators.base import CampaignOperator
from airflow_provider_campaign.operators.delete import (
    DeleteCampaignOperator,
    DeleteSmsCampaignOperator,
    DeleteVoiceCampaignOperator,
)
from airflow_provider_campaign.operators.status_change import StatusChangeOperator
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.platforms.base import Action

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

log = logging.getLogger(__name__)

NO_START_BEFORE_END = timedelta(minutes=5)
"""By then the sweep has begun to stop live campaigns; it would stop the campaign at once, or just miss it."""


class StopCampaignOperator(StatusChangeOperator):
    """
    Stop a campaign on any platform, and make sure that it is stopped.

    A campaign that is stopped or completed already is a success. The parameters are those of
    :class:`CampaignOperator`, and these.

    :param wait_for_completion: Whether to wait until it is stopped if the platform's response does not say so.
    :param poll_interval: Seconds between two polls while waiting.
    :param deferrable: Whether to wait in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :returns: The keys ``campaign_id``, ``status``, ``message``, ``updated_at``, ``already_stopped``, and ``raw``
        (the platform's own response).
    :raises CampaignConflictError: When the campaign has not started, so that there is nothing to stop.
    :raises CampaignTimeoutError: When it is not stopped in time.
    """

    action = Action.STOP
    condition = STOP_CONDITION

    def act(self, client: CampaignClient, *, check_first: bool, deadline: Deadline) -> Campaign:
        return client.stop_campaign(self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline)


class StopSmsCampaignOperator(StopCampaignOperator):
    """Stop an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class StopVoiceCampaignOperator(StopCampaignOperator):
    """Stop a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE


class StartCampaignOperator(StatusChangeOperator):
    """
    Start a campaign on any platform, and make sure that it is active: the morning counterpart of a stop.

    A campaign that is active already is a success, and so is one that was started and has completed. Parameters, result
    and errors are those of :class:`StopCampaignOperator`, and this.

    :param calling_hours: The campaign's calling hours, or rules. Outside of them, and in the last five minutes of a
        window, nothing is started, however late the run, and the task is skipped. (templated)
    :raises CampaignConflictError: When the campaign can't be started; or when a retry outside the calling hours finds
        it live.
    """

    template_fields: Sequence[str] = (*StatusChangeOperator.template_fields, "calling_hours")
    action = Action.START
    # A short campaign may have completed before it is read.
    condition = WaitCondition((CampaignStatus.ACTIVE.value, CampaignStatus.COMPLETED.value))
    readers = {**StatusChangeOperator.readers, "calling_hours": read_calling_rules}

    def __init__(
        self, *, calling_hours: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.calling_hours = calling_hours
        self.check_arguments()

    def act(self, client: CampaignClient, *, check_first: bool, deadline: Deadline) -> Campaign:
        if rules := read_calling_rules("calling_hours", self.calling_hours):
            campaign = Campaign(self.campaign_id, "unknown", campaign_type=self.campaign_type)
            deadline = start_deadline(rules, client, campaign, deadline, may_have_started=check_first)
        return client.start_campaign(self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline)


class StartSmsCampaignOperator(StartCampaignOperator):
    """Start an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class StartVoiceCampaignOperator(StartCampaignOperator):
    """Start a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE


def start_deadline(
    rules: CallingRules, client: CampaignClient, campaign: Campaign, deadline: Deadline, *, may_have_started: bool
) -> Deadline:
    """
    Return the moment by which a start must have been sent, at the latest.

    :param campaign: Its id and type; where rules go by names, its name is read.
    :param may_have_started: Whether an earlier attempt may have started the campaign: outside calling hours its
        status is read, and it is an error if it may be live.
    :raises AirflowSkipException: If the campaign may not be started now.
    :raises CampaignConfigError: If no rule matches the campaign, so that it may never run.
    :raises CampaignConflictError: If it may be live although closed.
    """
    for warning in rules.warnings:
        log.warning("%s", warning)
    if rules.need_names:
        found = client.get_campaign_status(campaign.id, deadline=deadline)
        campaign = replace(found, campaign_type=campaign.campaign_type)
    subject, rule = f"{campaign.id!r} ({client.description})", rules.rule_for(campaign)
    if rule is None:
        raise CampaignConfigError(
            f"No rule of the calling hours ({', '.join(repr(each.name) for each in rules.rules)}) matches campaign "
            f"{subject}, whose name is {campaign.name!r} and whose type is {campaign.campaign_type!r}: it is closed at "
            "all times, and was not started. Give it a rule."
        )
    now = datetime.fromtimestamp(client.clock.time(), UTC)
    end, is_open = rule.next_end(now), rule.is_open(now)
    left = (end - now).total_seconds() - NO_START_BEFORE_END.total_seconds() if end else deadline.remaining
    if is_open and left > 0:
        seconds, cancellation = min(left, deadline.remaining), deadline.cancellation
        return Deadline(seconds, deadline.clock, max_rate_wait=deadline.max_rate_wait, cancellation=cancellation)
    status = client.get_campaign_status(campaign.id, deadline=deadline).status if may_have_started else None
    if status and may_be_live(status):
        raise CampaignConflictError(
            f"Campaign {subject} is {status} outside its calling hours (rule {rule.name!r}): an earlier attempt of "
            "this task may have started it. Stop it, or look whether the sweep has."
        )
    start, state = rule.next_start(now), f"close at {rule.local(end)}" if end and is_open else "are closed"
    opens = f"They open next at {rule.local(start)}." if start else "They do not open again within 400 days."
    raise AirflowSkipException(
        f"Campaign {subject} was not started: its calling hours (rule {rule.name!r}) {state}, and it is "
        f"{rule.local(now)}. {opens}"
    )
