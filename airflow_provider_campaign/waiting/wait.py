"""What somebody waits for, what a poll shows, and the wait for one campaign on a worker."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, WaitCondition, WaitState
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
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
"""Seconds between two polls of a campaign that was asked to stop, by default."""

MAX_READ_LAG = 90.0
"""
Seconds by which a status without a date may lag behind: half as much again as the minute that lists were seen to lag.
Longer would hold up each stop on a platform that dates nothing.
"""

REFUSALS = (CampaignAuthError, CampaignNotFoundError, CampaignRequestError)
"""What ends the wait for an acknowledged stop or start only if two polls in a row meet it."""


@dataclass(frozen=True)
class PendingWait:
    """
    What somebody waits for.

    :param campaign_type: The campaign's type; None if unknown.
    :param deadline: When the wait ends (seconds since the epoch); None for never.
    :param acted_at: When the platform acknowledged the stop or start that is waited for (seconds since the epoch, by
        our clock): only what is newer counts. None for a sensor.
    :param changed_at: The campaign's last change by then, by the platform's clock; None if unknown.
    """

    campaign_id: str
    condition: WaitCondition
    campaign_type: str | None = None
    deadline: float | None = None
    acted_at: float | None = None
    changed_at: float | None = None

    def accepts(self, campaign: Campaign, read_at: float) -> bool:
        """
        Return whether a reading counts: one that would end the wait must be newer than the stop or start.

        The platform's own dates decide. One without a date, or with the same, counts once nothing lags any more.

        :param read_at: Seconds since the epoch, by our clock.
        """
        if self.acted_at is None or self.condition.state_of(campaign.status) is WaitState.RETRY:
            return True
        changed_at = seconds_of(campaign.updated_at)
        if changed_at is None or self.changed_at is None or changed_at == self.changed_at:
            return read_at >= self.acted_at + MAX_READ_LAG
        return changed_at > self.changed_at


@dataclass(frozen=True)
class Snapshot:
    """
    What one poll has shown, of one campaign or of many.

    :param began: When the poll began (seconds since the epoch).
    :param campaigns: The campaigns that were read, by id; nothing new is known of any other.
    :param failed: The error of each campaign that the platform refuses to show, by id.
    :param error: What keeps everybody from reading anything.
    :param problem: What kept something from being read this time.
    :param delay: Seconds for which the platform asks to be left alone, or before which a poll shows nothing newer.
    """

    began: float = 0.0
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    failed: dict[str, CampaignError] = field(default_factory=dict)
    error: CampaignError | None = None
    problem: str | None = None
    delay: float = 0.0

    def error_for(self, campaign_id: str) -> CampaignError | None:
        """Return what keeps a campaign from being read, now and later."""
        return self.error or self.failed.get(campaign_id)


def poll_once(client: CampaignClient, wait: PendingWait, deadline: Deadline, *, may_pass: bool = False) -> Snapshot:
    """
    Read the campaign of a wait once; a passing failure is logged and left to the next poll.

    :param may_pass: Whether a refusal, or an unexpected error, may pass as well.
    :raises CampaignError: For any other failure.
    """
    began = client.clock.time()
    try:
        campaign = read_status(client, wait.campaign_id, [wait], deadline)
    except CampaignUnavailableError as error:
        log.warning("Status check failed, retrying at the next poll: %s", error)
        return Snapshot(began, problem=str(error), delay=error.retry_after or 0.0)
    except Exception as error:
        if not may_pass or (isinstance(error, CampaignError) and not isinstance(error, REFUSALS)):
            raise
        failure = as_campaign_error(error, f"Status of campaign {wait.campaign_id!r} ({client.description})")
        log.warning("Status check failed, retrying once at the next poll: %s", failure)
        return Snapshot(began, failed={wait.campaign_id: failure}, problem=str(failure))
    if wait.acted_at is not None and not wait.accepts(campaign, began):
        log.info("Campaign %s: %s", campaign.id, old_news(campaign))
        return Snapshot(began, problem=old_news(campaign), delay=wait.acted_at + MAX_READ_LAG - began)
    log.debug("Campaign %s is %s", campaign.id, campaign.status)
    return Snapshot(began, {campaign.id: campaign})


def read_status(client: CampaignClient, campaign_id: str, waits: Iterable[PendingWait], deadline: Deadline) -> Campaign:
    """Read a campaign's status once, with the date of its last change if one of the waits can't do without."""
    read_at = client.clock.time()
    campaign = client.get_campaign_status(campaign_id, deadline=deadline, retry=False)
    if any(not wait.accepts(campaign, read_at) and wait.changed_at is not None for wait in waits):
        return client.requester.dated(campaign, deadline)
    return campaign


def old_news(campaign: Campaign) -> str:
    """Return the problem with a reading that a wait does not accept."""
    return f"it was read as {campaign.status}, which may be how it was before."


def is_met(campaign: Campaign, condition: WaitCondition, description: str) -> bool:
    """
    Return whether a campaign's status ends a wait.

    :param description: The connection, as messages name it.
    :raises CampaignStateError: When the condition can no longer be met.
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
    Return a campaign that was stopped, or started, once its status meets the condition; poll it at the deadline, too.

    :param campaign: As the response to the stop or start shows it.
    :param poll_interval: Seconds between two polls.
    :raises CampaignTimeoutError: When the deadline comes first.
    :raises CampaignStateError: When the condition can no longer be met.
    :raises CampaignError: When two polls in a row are refused.
    """
    if condition.is_met_by(campaign.status):
        return campaign
    acted_at, changed_at = client.clock.time(), seconds_of(campaign.updated_at)
    wait = PendingWait(campaign.id, condition, acted_at=acted_at, changed_at=changed_at)
    last_status, shown = campaign.status, Snapshot()
    while True:
        deadline.sleep(min(max(poll_interval, shown.delay), deadline.remaining))
        shown = poll_once(client, wait, deadline, may_pass=not shown.failed and deadline.remaining > 0)
        for seen in shown.campaigns.values():
            if is_met(seen, condition, client.description):
                return seen.completing(campaign.as_dict())
            last_status = seen.status
        if deadline.remaining <= 0:
            raise timeout_error(
                campaign.id, client.description, condition, last_status, deadline.seconds, shown.problem
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
