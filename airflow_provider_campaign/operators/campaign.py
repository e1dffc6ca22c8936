"""Operators that stop and start campaigns, and make sure of it; and the import path of all operators."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context, conf
from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

from airflow_provider_campaign.arguments import read_bool, read_calling_rules, read_poll_interval
from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, CampaignStatus, CampaignType, WaitCondition
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import CampaignRateLimitError, CampaignTimeoutError
from airflow_provider_campaign.operators.base import CampaignOperator, is_retry
from airflow_provider_campaign.operators.delete import (
    DeleteCampaignOperator,
    DeleteSmsCampaignOperator,
    DeleteVoiceCampaignOperator,
)
from airflow_provider_campaign.operators.start_guard import StartGuard
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.records.progress import ActionProgress
from airflow_provider_campaign.triggers.wait import TRIGGERER_GRACE, defer_wait, value_of
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

DEFAULT_POLL_INTERVAL = 30.0
"""Seconds between two polls of a campaign that is stopping."""

MAX_RATE_WAIT = 5.0
"""Seconds that a deferrable task waits on its worker for the account's rate limit."""

DEFAULT_RATE_WINDOW = 60.0
"""Seconds that a rate-limited task leaves the platform alone for, where neither response nor documentation says."""

MIN_RATE_DEFERRAL = 10.0
"""Seconds for which a rate-limited task stays deferred: resuming sooner, it can be failed by a stale event."""

RESUME_TIME = 30.0
"""Seconds that a deferred task is given to get a worker, before its next step or its last attempt."""

RATE_JITTER = 30.0
"""Seconds over which the tasks that were rate-limited at once are spread when they return."""


class _StatusChangeOperator(CampaignOperator):
    """Bring a campaign to a status, and wait until the platform says that it is there."""

    action: ClassVar[Action]
    """The action to request."""

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
        """Act, wait, and return the campaign's result."""
        deadline = self.begin()
        with self.record(context, self.action) as progress:
            return self._act_and_wait(progress, deadline, outcome_unknown=is_retry(context))

    def execute_again(
        self,
        context: Context,
        event: object = None,
        *,
        ends_at: float | None = None,
        refusals: int = 1,
        outcome_unknown: bool = True,
        carried: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Act again, after a wait for the account's rate limit; ``dags test`` drops all that was carried over it.

        :param event: The time that the trigger has waited for.
        :param ends_at: The deadline (seconds since the epoch).
        :param refusals: How often the task was rate-limited so far.
        :param outcome_unknown: Whether an earlier request may have reached the platform.
        :param carried: What :meth:`.ActionProgress.carry` gave.
        """
        deadline = self.begin(ends_at)
        with self.record(context, self.action, carried) as progress:
            if not deadline.remaining:
                raise self._refused_until_the_end(refusals, outcome_unknown=outcome_unknown)
            return self._act_and_wait(progress, deadline, outcome_unknown=outcome_unknown, refusals=refusals)

    def _act_and_wait(
        self, progress: ActionProgress, deadline: Deadline, *, outcome_unknown: bool, refusals: int = 0
    ) -> dict[str, Any]:
        if self.deferrable and self.timeout > 2 * RESUME_TIME:
            campaign = self._act_or_defer(progress, deadline, outcome_unknown=outcome_unknown, refusals=refusals)
        else:
            campaign = self.act(progress.client, check_first=outcome_unknown, deadline=deadline)
        progress.note(campaign, is_confirmed=self.condition.is_met_by(campaign.status))
        self.log.info("Campaign %s is %s: %s", campaign.id, campaign.status, campaign.message or "no message")
        if not self.wait_for_completion or self.condition.is_met_by(campaign.status):
            return campaign.as_dict()
        self.log.info("Waiting for campaign %s to be %s", campaign.id, self.condition)
        if self.deferrable:
            self._defer(campaign.as_dict(), deadline, progress)
        final = wait_for_effect(progress.client, campaign, deadline, self.condition, self.poll_interval)
        progress.note(final, is_confirmed=True)
        self.log.info("Campaign %s is %s", campaign.id, final.status)
        return final.as_dict()

    def _act_or_defer(
        self, progress: ActionProgress, deadline: Deadline, *, outcome_unknown: bool, refusals: int
    ) -> Campaign:
        """Act, or leave the worker while the account is rate-limited."""
        part = deadline.sooner(max_rate_wait=MAX_RATE_WAIT)
        try:
            campaign = self.act(progress.client, check_first=outcome_unknown, deadline=part)
        except CampaignRateLimitError as refusal:
            if deadline.remaining > RESUME_TIME + MIN_RATE_DEFERRAL:
                self._defer_refused(refusal, refusals + 1, deadline, progress)
            raise self._refused_until_the_end(refusals + 1, outcome_unknown=refusal.outcome_unknown) from refusal
        acted_before = bool(refusals) and outcome_unknown
        return replace(campaign, already_stopped=campaign.already_stopped and not acted_before)

    def _defer_refused(
        self, refusal: CampaignRateLimitError, refusals: int, deadline: Deadline, progress: ActionProgress
    ) -> None:
        """Leave the worker for the platform's window; those who were refused together return one after the other."""
        self.log.warning("Waiting for the account's rate limit, without a worker slot: %s", refusal)
        delay = DEFAULT_RATE_WINDOW if refusal.retry_after is None else refusal.retry_after
        delay = max(MIN_RATE_DEFERRAL, delay) + random.uniform(0, RATE_JITTER)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=min(delay, deadline.remaining - RESUME_TIME))),
            method_name="execute_again",
            kwargs={
                "ends_at": self.hook.clock.time() + deadline.remaining,
                "refusals": refusals,
                "outcome_unknown": refusal.outcome_unknown,
                "carried": progress.carry(),
            },
            timeout=timedelta(seconds=deadline.remaining + TRIGGERER_GRACE),
        )

    def _refused_until_the_end(self, refusals: int, *, outcome_unknown: bool) -> CampaignTimeoutError:
        processed = "an earlier one may have been processed" if outcome_unknown else "none were processed"
        return CampaignTimeoutError(
            f"Campaign {self.campaign_id!r} ({self.hook.client.description}) is not {self.condition} after "
            f"{self.timeout:g} s: the platform rate-limited {refusals} requests (429); {processed}. "
            "Look at the campaign in the platform's console, find the account's other clients, and give "
            "the task retries or a longer timeout."
        )

    def execute_complete(
        self, context: Context, event: Any, carried: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        Return the result that the trigger completed, or raise what ended its wait.

        :param carried: What was carried over the deferral; ``dags test`` drops it.
        """
        if self.records_path is None:
            return value_of(event, dict)
        self.begin()
        with self.record(context, self.action, carried) as progress:
            result = value_of(event, dict)
            seen = {key: result[key] for key in ("status", "message", "already_stopped")}
            progress.note(Campaign(self.campaign_id, campaign_type=self.campaign_type, **seen), is_confirmed=True)
        return result

    def act(self, client: CampaignClient, *, check_first: bool, deadline: Deadline) -> Campaign:
        """Send what is to be done."""
        raise NotImplementedError

    def _defer(self, result: dict[str, Any], deadline: Deadline, progress: ActionProgress) -> None:
        defer_wait(
            self,
            deadline.remaining,
            timeout=self.timeout,
            resume_with={"carried": progress.carry()} if self.records_path is not None else None,
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


class StartCampaignOperator(_StatusChangeOperator):
    """
    Start a campaign on any platform, and make sure that it is active: the morning counterpart of a stop.

    A campaign that is active already is a success, and so is one that was started and has completed. Parameters, result
    and errors are those of :class:`StopCampaignOperator`, and this.

    :param calling_hours: The campaign's calling hours, or rules. Outside of them, and in the last five minutes of a
        window, nothing is started, however late the run, and the task is skipped. (templated)
    :raises CampaignConflictError: When the campaign can't be started; or when a retry outside the calling hours finds
        it live.
    """

    template_fields: Sequence[str] = (*_StatusChangeOperator.template_fields, "calling_hours")
    action = Action.START
    # A short campaign may have completed before it is read.
    condition = WaitCondition((CampaignStatus.ACTIVE.value, CampaignStatus.COMPLETED.value))
    readers = {**_StatusChangeOperator.readers, "calling_hours": read_calling_rules}

    def __init__(
        self, *, calling_hours: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.calling_hours = calling_hours
        self.check_arguments()

    def act(self, client: CampaignClient, *, check_first: bool, deadline: Deadline) -> Campaign:
        rules = read_calling_rules("calling_hours", self.calling_hours)
        if rules:
            campaign = Campaign(self.campaign_id, "unknown", campaign_type=self.campaign_type)
            deadline = StartGuard(rules, client).deadline(campaign, deadline, may_have_started=check_first)
        return client.start_campaign(self.campaign_id, self.campaign_type, check_first=check_first, deadline=deadline)


class StartSmsCampaignOperator(StartCampaignOperator):
    """Start an SMS campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class StartVoiceCampaignOperator(StartCampaignOperator):
    """Start a voice campaign on Kore.ai; the parameters are those of :class:`StopCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE
