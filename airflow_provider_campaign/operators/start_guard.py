"""Starts inside calling hours only."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_campaign.calling_hours import CallingHours, CallingRules
from airflow_provider_campaign.campaign import Campaign, may_be_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignConflictError

log = logging.getLogger(__name__)

NO_START_BEFORE_END = timedelta(minutes=5)
"""By then the sweep has begun to stop live campaigns; it would stop the campaign at once, or just miss it."""


@dataclass(frozen=True)
class StartGuard:
    """
    What keeps a task from starting a campaign outside its calling hours.

    :param client: The requests go through it, and its clock says what time it is.
    """

    rules: CallingRules
    client: CampaignClient

    def deadline(self, campaign: Campaign, deadline: Deadline, *, may_have_started: bool) -> Deadline:
        """
        Return the moment by which the start must have been sent, at the latest.

        :param may_have_started: Whether an earlier attempt may have started the campaign: outside calling hours its
            status is read, and it is an error if it may be live.
        :raises AirflowSkipException: If the campaign may not be started now.
        :raises CampaignConfigError: If no rule matches the campaign, so that it may never run.
        :raises CampaignConflictError: If it may be live although closed.
        """
        for warning in self.rules.warnings:
            log.warning("%s", warning)
        if self.rules.need_names:
            found = self.client.get_campaign_status(campaign.id, deadline=deadline)
            campaign = replace(found, campaign_type=campaign.campaign_type)
        rule = self._rule_for(campaign)
        now = datetime.fromtimestamp(self.client.clock.time(), UTC)
        end = rule.next_end(now)
        if not rule.is_open(now) or (end and end - now <= NO_START_BEFORE_END):
            if may_have_started:
                self._check_not_live(campaign.id, rule, deadline)
            raise AirflowSkipException(self._why_not(campaign, rule, now))
        seconds = (end - NO_START_BEFORE_END - now).total_seconds() if end else deadline.remaining
        return Deadline(
            min(seconds, deadline.remaining),
            deadline.clock,
            max_rate_wait=deadline.max_rate_wait,
            cancellation=deadline.cancellation,
        )

    def _rule_for(self, campaign: Campaign) -> CallingHours:
        rule = self.rules.rule_for(campaign)
        if rule is None:
            names = ", ".join(repr(rule.name) for rule in self.rules.rules)
            raise CampaignConfigError(
                f"No rule of the calling hours ({names}) matches campaign {campaign.id!r} ({self.client.description}), "
                f"whose name is {campaign.name!r} and whose type is {campaign.campaign_type!r}: it is closed at all "
                "times, and was not started. Give it a rule."
            )
        return rule

    def _check_not_live(self, campaign_id: str, rule: CallingHours, deadline: Deadline) -> None:
        status = self.client.get_campaign_status(campaign_id, deadline=deadline).status
        if may_be_live(status):
            raise CampaignConflictError(
                f"Campaign {campaign_id!r} ({self.client.description}) is {status} outside its calling hours (rule "
                f"{rule.name!r}): an earlier attempt of this task may have started it. Stop it, or look whether the "
                "sweep has."
            )

    def _why_not(self, campaign: Campaign, rule: CallingHours, now: datetime) -> str:
        end, start = rule.next_end(now), rule.next_start(now)
        state = f"close at {rule.local(end)}" if end and rule.is_open(now) else "are closed"
        opens = f"They open next at {rule.local(start)}." if start else "They do not open again within 400 days."
        return (
            f"Campaign {campaign.id!r} ({self.client.description}) was not started: its calling hours (rule "
            f"{rule.name!r}) {state}, and it is {rule.local(now)}. {opens}"
        )
