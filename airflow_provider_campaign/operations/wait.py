"""Waiting for a campaign's status: sensor, operators and trigger all wait by what is here."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, WaitCondition, WaitState
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.client.retry import requested_delay
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRequestError,
    CampaignStateError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)

log = logging.getLogger(__name__)

STOP_POLL_INTERVAL = 5.0
"""Seconds between two polls of a campaign that was asked to stop, unless somebody says."""


MAX_READ_LAG = 90.0
"""
Seconds by which a status without a date may lag behind: half as much again as the minute that lists were seen to lag.
Longer would hold up each stop on a platform that dates nothing.
"""

REFUSALS = (CampaignAuthError, CampaignNotFoundError, CampaignRequestError)
"""What ends the wait for a stop or start that was acknowledged only if two polls in a row meet it."""


@dataclass(frozen=True)
class LastSeen:
    """
    What was known of a campaign when it was acted on: only what is newer is news.

    :param at: Seconds since the epoch, by our clock.
    :param changed_at: The campaign's last change by then, by the platform's clock; None if unknown.
    """

    at: float
    changed_at: float | None = None

    @classmethod
    def in_response(cls, updated_at: str | None, at: float) -> Self:
        """Return what the response to an action shows."""
        return cls(at, seconds_of(updated_at))

    @property
    def is_past_lag_at(self) -> float:
        """From when on a status without a date is believed (seconds since the epoch)."""
        return self.at + MAX_READ_LAG

    def is_older_than(self, campaign: Campaign, read_at: float) -> bool:
        """
        Return whether a reading is newer. The platform's own dates decide; an equal one does not tell.

        :param read_at: Seconds since the epoch, by our clock.
        """
        changed_at = seconds_of(campaign.updated_at)
        if changed_at is None or self.changed_at is None or changed_at == self.changed_at:
            return read_at >= self.is_past_lag_at
        return changed_at > self.changed_at


@dataclass(frozen=True)
class PendingWait:
    """
    What somebody waits for.

    :param campaign_type: The campaign's type where it is known.
    :param since: When the campaign was last seen short of the condition (seconds since the epoch), None if never.
    :param deadline: When the wait is over (seconds since the epoch), None for never.
    :param waiter: What tells this wait from another one for the same.
    :param last_seen: What was known when the campaign was acted on; None where nobody has.
    """

    campaign_id: str
    condition: WaitCondition
    campaign_type: str | None = None
    since: float | None = None
    deadline: float | None = None
    waiter: object = None
    last_seen: LastSeen | None = None

    def accepts(self, campaign: Campaign, read_at: float) -> bool:
        """
        Return whether a reading counts: one that would end the wait must be newer than what was seen.

        :param read_at: Seconds since the epoch, by our clock.
        """
        if self.last_seen is None or self.condition.state_of(campaign.status) is WaitState.RETRY:
            return True
        return self.last_seen.is_older_than(campaign, read_at)


@dataclass(frozen=True)
class PollResult:
    """
    What one poll showed.

    :param campaign: The campaign, or None where the poll failed for a passing reason, or showed what may be old.
    :param is_done: Whether the wait is over.
    :param delay: Seconds before another poll may show more.
    :param problem: What was wrong with it.
    :param has_failed: Whether the platform has refused it, or it has failed as nobody foresaw.
    """

    campaign: Campaign | None = None
    is_done: bool = False
    delay: float = 0.0
    problem: str | None = None
    has_failed: bool = False


def poll_once(client: CampaignClient, wait: PendingWait, deadline: Deadline, *, may_pass: bool = False) -> PollResult:
    """
    Read a campaign's status once; a passing failure is logged and left to the next poll.

    :param may_pass: Whether a refusal may pass, too, and what nobody foresaw.
    :raises CampaignStateError: When the condition can't be met any more.
    :raises CampaignError: For any failure that another poll can't mend.
    """
    read_at = client.clock.time()
    try:
        campaign = read_status(client, wait.campaign_id, [wait], deadline)
    except CampaignUnavailableError as error:
        log.warning("Status check failed, retrying at the next poll: %s", error)
        return PollResult(delay=requested_delay(error, client.platform.rate_window) or 0.0, problem=str(error))
    except Exception as error:
        if not may_pass or (isinstance(error, CampaignError) and not isinstance(error, REFUSALS)):
            raise
        problem = str(as_campaign_error(error, f"Status of campaign {wait.campaign_id!r} ({client.description})"))
        log.warning("Status check failed, retrying once at the next poll: %s", problem)
        return PollResult(problem=problem, has_failed=True)
    if wait.last_seen and not wait.accepts(campaign, read_at):
        problem = old_news(campaign)
        log.info("Campaign %s: %s", campaign.id, problem)
        return PollResult(delay=wait.last_seen.is_past_lag_at - read_at, problem=problem)
    log.debug("Campaign %s is %s", campaign.id, campaign.status)
    return PollResult(campaign, is_met(campaign, wait.condition, client.description))


def read_status(client: CampaignClient, campaign_id: str, waits: Iterable[PendingWait], deadline: Deadline) -> Campaign:
    """Read a campaign's status once, with the date of its last change if one of those who wait can't do without."""
    read_at = client.clock.time()
    campaign = client.get_campaign_status(campaign_id, deadline=deadline, retry=False)
    for wait in waits:
        if not wait.accepts(campaign, read_at) and wait.last_seen and wait.last_seen.changed_at is not None:
            return client.dated(campaign, deadline)
    return campaign


def old_news(campaign: Campaign) -> str:
    """Return the problem with a reading that no wait accepts."""
    return f"it was read as {campaign.status}, which may be how it was before."


def is_met(campaign: Campaign, condition: WaitCondition, description: str) -> bool:
    """
    Tell whether a campaign's status ends a wait.

    :param description: The connection, as messages name it.
    :raises CampaignStateError: When the condition can't be met any more.
    """
    state = condition.state_of(campaign.status)
    if state is WaitState.FAILURE:
        raise CampaignStateError(
            f"Campaign {campaign.id!r} ({description}) is {campaign.status}: it will not become {condition} any more. "
            "Look at it in the platform's console; somebody may have changed it."
        )
    return state is WaitState.SUCCESS


def wait_for_effect(
    client: CampaignClient,
    campaign: Campaign,
    deadline: Deadline,
    condition: WaitCondition = STOP_CONDITION,
    poll_interval: float = STOP_POLL_INTERVAL,
) -> Campaign:
    """
    Return a campaign that was stopped, or started, once its status meets the condition; it is polled at the deadline.

    :param campaign: As the response to the stop or start has it, which may say so already.
    :param poll_interval: Seconds between two polls.
    :raises CampaignTimeoutError: When the deadline comes first.
    :raises CampaignStateError: When the condition can't be met any more.
    :raises CampaignError: When two polls in a row are refused.
    """
    if condition.is_met_by(campaign.status):
        return campaign
    seen = LastSeen.in_response(campaign.updated_at, client.clock.time())
    wait = PendingWait(campaign.id, condition, last_seen=seen)
    last_status, result = campaign.status, PollResult()
    while True:
        deadline.sleep(min(max(poll_interval, result.delay), deadline.remaining))
        result = poll_once(client, wait, deadline, may_pass=not result.has_failed and deadline.remaining > 0)
        if result.campaign is not None:
            if result.is_done:
                return result.campaign.completing(campaign.as_dict())
            last_status = result.campaign.status
        if deadline.remaining <= 0:
            raise timeout_error(
                campaign.id, client.description, condition, last_status, deadline.seconds, result.problem
            )


def timeout_error(
    campaign_id: str,
    description: str,
    condition: WaitCondition,
    last_status: str,
    seconds: float,
    problem: str | None = None,
) -> CampaignTimeoutError:
    """
    Return the error for a wait that ran out of time.

    :param description: The connection, as messages name it.
    :param problem: What kept the campaign from being read last.
    """
    return CampaignTimeoutError(
        f"Campaign {campaign_id!r} ({description}) is not {condition} after {seconds:g} s; last seen: {last_status}. "
        + (f"The last problem: {problem} " if problem else "")
        + "It may still be sending: look at it in the platform's console, and give the task a longer timeout "
        "if campaigns take longer to wind down."
    )
