"""What stopping and starting a campaign have in common: act, defer while the account is rate-limited, wait."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context, conf
from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

from airflow_provider_campaign.arguments import read_bool, read_poll_interval
from airflow_provider_campaign.campaign import Campaign, WaitCondition
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import CampaignRateLimitError, CampaignTimeoutError
from airflow_provider_campaign.operators.base import CampaignOperator, is_retry
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.records.progress import ActionProgress
from airflow_provider_campaign.triggers.wait import TRIGGERER_GRACE, defer_wait, value_of
from airflow_provider_campaign.waiting.account_poller import wait_for_effect

DEFAULT_POLL_INTERVAL = 30.0  # seconds between two polls of a campaign that is stopping
MAX_RATE_WAIT = 5.0  # seconds that a deferrable task waits on its worker for the account's rate limit
DEFAULT_RATE_WINDOW = 60.0  # seconds without requests after a 429, where neither response nor documentation says
MIN_RATE_DEFERRAL = 10.0  # seconds: a task that resumes sooner can be failed by a stale event
RESUME_TIME = 30.0  # seconds that a deferred task is given to get a worker, before its next step or its last attempt
RATE_JITTER = 30.0  # seconds over which the tasks that were rate-limited at once are spread when they return


class StatusChangeOperator(CampaignOperator):
    """Bring a campaign to a status, and wait until the platform says that it is there."""

    action: ClassVar[Action]  # the action to request
    condition: ClassVar[WaitCondition]  # what ends the wait for the action's effect

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
        return self._act_and_wait(context, {}, outcome_unknown=is_retry(context))

    def execute_again(
        self, context: Context, event: object = None, carried: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Act again, after a wait for the account's rate limit; ``dags test`` drops what was carried over it."""
        carried = carried or {"outcome_unknown": True}
        return self._act_and_wait(context, carried, outcome_unknown=carried["outcome_unknown"])

    def execute_complete(
        self, context: Context, event: Any, carried: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the result that the trigger completed, or raise what ended its wait."""
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

    def _act_and_wait(self, context: Context, carried: Mapping[str, Any], *, outcome_unknown: bool) -> dict[str, Any]:
        deadline = self.begin(carried.get("ends_at"))
        with self.record(context, self.action, carried) as progress:
            may_defer = self.deferrable and self.timeout > 2 * RESUME_TIME
            part = deadline.sooner(max_rate_wait=MAX_RATE_WAIT) if may_defer else deadline
            if carried and not deadline.remaining:
                raise self._rate_limited_until_the_end(progress, outcome_unknown=outcome_unknown)
            try:
                campaign = self.act(progress.client, check_first=outcome_unknown, deadline=part)
            except CampaignRateLimitError as refusal:
                if may_defer:
                    self._defer_rate_limited(refusal, deadline, progress)
                raise
            if carried and outcome_unknown:  # an attempt before the deferral may have done it
                campaign = replace(campaign, already_stopped=False)
            return self._wait(campaign, deadline, progress)

    def _wait(self, campaign: Campaign, deadline: Deadline, progress: ActionProgress) -> dict[str, Any]:
        """Wait, if that is asked for, until the action has taken effect; return the campaign's result."""
        is_there = self.condition.is_met_by(campaign.status)
        progress.note(campaign, is_confirmed=is_there)
        self.log.info("Campaign %s is %s: %s", campaign.id, campaign.status, campaign.message or "no message")
        if is_there or not self.wait_for_completion:
            return campaign.as_dict()
        if self.deferrable:
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
                result=campaign.as_dict(),
            )
        final = wait_for_effect(progress.client, campaign, deadline, self.condition, self.poll_interval)
        progress.note(final, is_confirmed=True)
        self.log.info("Campaign %s is %s", campaign.id, final.status)
        return final.as_dict()

    def _defer_rate_limited(
        self, refusal: CampaignRateLimitError, deadline: Deadline, progress: ActionProgress
    ) -> None:
        """Leave the worker for the platform's window; those who were refused together return one after the other."""
        if deadline.remaining <= RESUME_TIME + MIN_RATE_DEFERRAL:
            raise self._rate_limited_until_the_end(progress, outcome_unknown=refusal.outcome_unknown) from refusal
        self.log.warning("Waiting for the account's rate limit, without a worker slot: %s", refusal)
        delay = DEFAULT_RATE_WINDOW if refusal.retry_after is None else refusal.retry_after
        delay = max(MIN_RATE_DEFERRAL, delay) + random.uniform(0, RATE_JITTER)
        ends_at = self.hook.clock.time() + deadline.remaining
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=min(delay, deadline.remaining - RESUME_TIME))),
            method_name="execute_again",
            kwargs={
                "carried": {**progress.carry(), "ends_at": ends_at, "outcome_unknown": refusal.outcome_unknown},
            },
            timeout=timedelta(seconds=deadline.remaining + TRIGGERER_GRACE),
        )

    def _rate_limited_until_the_end(self, progress: ActionProgress, *, outcome_unknown: bool) -> CampaignTimeoutError:
        processed = "an earlier one may have been processed" if outcome_unknown else "none were processed"
        return CampaignTimeoutError(
            f"Campaign {self.campaign_id!r} ({self.hook.client.description}) is not {self.condition} after "
            f"{self.timeout:g} s: the platform rate-limited {progress.refused} requests (429); {processed}. "
            "Look at the campaign in the platform's console, find the account's other clients, and give "
            "the task retries or a longer timeout."
        )
