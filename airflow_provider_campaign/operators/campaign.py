"""Operators that stop, start, and delete campaigns, and make sure of it; and the import path of all operators."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException, Context

from airflow_provider_campaign.arguments import read_bool, read_calling_rules
from airflow_provider_campaign.calling_hours import CallingHours, CallingRules
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
from airflow_provider_campaign.client.errors import refusal_details
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignConflictError, CampaignNotFoundError
from airflow_provider_campaign.operators.base import CampaignOperator, is_retry
from airflow_provider_campaign.operators.status_change import StatusChangeOperator
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.waiting.account_poller import wait_for_effect

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

NO_START_BEFORE_END = timedelta(minutes=5)  # the sweep would stop the campaign at once, or just miss it


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
            rule = self._rule_of_campaign(rules, client, deadline)
            deadline = self._deadline_inside(rule, client, deadline, may_have_started=check_first)
        return client.start_campaign(self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline)

    def _rule_of_campaign(self, rules: CallingRules, client: CampaignClient, deadline: Deadline) -> CallingHours:
        for warning in rules.warnings:
            log.warning("%s", warning)
        campaign = Campaign(self.campaign_id, "unknown", campaign_type=self.campaign_type)
        if rules.need_names:
            found = client.get_campaign_status(self.campaign_id, deadline=deadline)
            campaign = replace(found, campaign_type=self.campaign_type)
        rule = rules.rule_for(campaign)
        if rule is None:
            raise CampaignConfigError(
                f"No rule of the calling hours ({', '.join(repr(each.name) for each in rules.rules)}) matches campaign "
                f"{campaign.id!r} ({client.description}), whose name is {campaign.name!r} and whose type is "
                f"{campaign.campaign_type!r}: it is closed at all times, and was not started. Give it a rule."
            )
        return rule

    def _deadline_inside(
        self, rule: CallingHours, client: CampaignClient, deadline: Deadline, *, may_have_started: bool
    ) -> Deadline:
        """Return by when the start must have been sent; skip the task if the hours are closed, or about to close."""
        now = datetime.fromtimestamp(client.clock.time(), UTC)
        end, start, is_open = rule.next_end(now), rule.next_start(now), rule.is_open(now)
        left = (end - NO_START_BEFORE_END - now).total_seconds() if end else deadline.remaining
        if is_open and left > 0:
            seconds, cancellation = min(left, deadline.remaining), deadline.cancellation
            return Deadline(seconds, deadline.clock, max_rate_wait=deadline.max_rate_wait, cancellation=cancellation)
        subject = f"Campaign {self.campaign_id!r} ({client.description})"
        hours = f"its calling hours (rule {rule.name!r})"
        status = client.get_campaign_status(self.campaign_id, deadline=deadline).status if may_have_started else None
        if status and may_be_live(status):
            raise CampaignConflictError(
                f"{subject} is {status} outside {hours}: an earlier attempt of this task may have started it. Stop it, "
                "unless the sweep has done so already."
            )
        state = f"close at {rule.local(end)}" if end and is_open else "are closed"
        opens = f"They open next at {rule.local(start)}." if start else "They do not open again within 400 days."
        raise AirflowSkipException(f"{subject} was not started: {hours} {state}, and it is {rule.local(now)}. {opens}")


class StartSmsCampaignOperator(StartCampaignOperator):
    """Start an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class StartVoiceCampaignOperator(StartCampaignOperator):
    """Start a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE


class DeleteCampaignOperator(CampaignOperator):
    """
    Delete a campaign on a platform that can (Kore.ai).

    The parameters are those of :class:`.CampaignOperator`, and these.

    :param ignore_missing: Whether a campaign that is not there is a success. (templated)
    :param stop_first: Whether a campaign that is live is stopped before.
    :returns: The same keys as a stop; ``status`` is what the campaign was in, ``Deleted`` if the platform no
        longer shows it.
    :raises CampaignNotFoundError: When there is no such campaign; a previous try of this task may have deleted it.
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
        deadline = self.begin()
        with self.record(context, Action.DELETE) as progress:
            try:
                campaign = self._delete(progress.client, deadline)
            except CampaignNotFoundError as error:
                if not is_retry(context) or error.shown_status is not None:
                    raise
                advice = "A previous try of this task may have deleted it: if that is fine, set ignore_missing=True."
                raise CampaignNotFoundError(f"{error} {advice}", **refusal_details(error)) from error
            gone = replace(campaign, status="Deleted", campaign_type=campaign.campaign_type or self.campaign_type)
            progress.note(gone, is_confirmed=True, status_before=campaign.status)
        self.log.info("Campaign %s is deleted; it was %s", campaign.id, campaign.status)
        return campaign.as_dict()

    def _delete(self, client: CampaignClient, deadline: Deadline) -> Campaign:
        """Delete the campaign and return it as it was, as far as the platform shows it."""
        gone = Campaign(self.campaign_id, "Deleted", message="The campaign is not there any more")
        try:
            if self.stop_first:
                self._stop(client, deadline)
            return client.delete_campaign(self.campaign_id, self.campaign_type, deadline=deadline) or gone
        except CampaignNotFoundError as error:
            if not self.ignore_missing or error.shown_status is not None:
                raise
            self.log.info("It is not there any more: %s", error)
            return gone

    def _stop(self, client: CampaignClient, deadline: Deadline) -> None:
        """Stop the campaign if it is live, and wait until it is stopped."""
        try:
            status = client.get_campaign_status(self.campaign_id, deadline=deadline).status
        except CampaignNotFoundError:
            return  # the delete itself has to say so
        if may_be_live(status):
            campaign = client.stop_campaign(self.campaign_id, self.campaign_type, deadline=deadline)
            wait_for_effect(client, campaign, deadline)
            self.log.info("Campaign %s is stopped, and will be deleted", self.campaign_id)


class DeleteSmsCampaignOperator(DeleteCampaignOperator):
    """Delete an SMS campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class DeleteVoiceCampaignOperator(DeleteCampaignOperator):
    """Delete a voice campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE
