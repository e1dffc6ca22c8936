"""Waiting for a campaign's status: sensor, operators and trigger all wait by what is here."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, WaitCondition, WaitState
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.retry import requested_delay
from airflow_provider_campaign.exceptions import CampaignStateError, CampaignTimeoutError, CampaignUnavailableError

log = logging.getLogger(__name__)

STOP_POLL_INTERVAL = 5.0
"""Seconds between two polls of a campaign that was asked to stop, unless somebody says."""


@dataclass(frozen=True)
class PendingWait:
    """
    What somebody waits for.

    :param campaign_type: The campaign's type where it is known.
    :param since: When the campaign was last seen short of the condition (seconds since the epoch), None if never.
    :param deadline: When the wait is over (seconds since the epoch), None for never.
    :param waiter: What tells this wait from another one for the same.
    """

    campaign_id: str
    condition: WaitCondition
    campaign_type: str | None = None
    since: float | None = None
    deadline: float | None = None
    waiter: object = None


@dataclass(frozen=True)
class PollResult:
    """
    What one poll showed.

    :param campaign: The campaign, or None where the poll failed for a passing reason.
    :param is_done: Whether the wait is over.
    :param delay: Seconds that the platform wants to be left alone for.
    """

    campaign: Campaign | None = None
    is_done: bool = False
    delay: float = 0.0


def poll_once(
    client: CampaignClient, campaign_id: str, condition: WaitCondition, deadline: Deadline | None = None
) -> PollResult:
    """
    Read a campaign's status once; a passing failure is logged and left to the next poll.

    :raises CampaignStateError: When the condition can't be met any more.
    :raises CampaignError: For any failure that another poll can't mend.
    """
    try:
        campaign = client.get_campaign_status(campaign_id, deadline=deadline, retry=False)
    except CampaignUnavailableError as error:
        log.warning("Status check failed, retrying at the next poll: %s", error)
        return PollResult(delay=requested_delay(error, client.platform.rate_window) or 0.0)
    log.debug("Campaign %s is %s", campaign.id, campaign.status)
    return PollResult(campaign, is_met(campaign, condition, client.description))


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


def wait_for_status(
    client: CampaignClient, campaign_id: str, condition: WaitCondition, poll_interval: float, deadline: Deadline
) -> Campaign:
    """
    Poll until the condition is met; the last poll is at the deadline.

    :param poll_interval: Seconds between two polls.
    :raises CampaignTimeoutError: When the deadline comes first.
    :raises CampaignStateError: When the condition can't be met any more.
    """
    last_status, delay = "unknown", 0.0
    while True:
        deadline.sleep(min(max(poll_interval, delay), deadline.remaining))
        result = poll_once(client, campaign_id, condition, deadline)
        if result.campaign is not None:
            if result.is_done:
                return result.campaign
            last_status = result.campaign.status
        if deadline.remaining <= 0:
            raise timeout_error(campaign_id, client.description, condition, last_status, deadline.seconds)
        delay = result.delay


def wait_for_effect(
    client: CampaignClient,
    campaign: Campaign,
    deadline: Deadline,
    condition: WaitCondition = STOP_CONDITION,
    poll_interval: float = STOP_POLL_INTERVAL,
) -> Campaign:
    """
    Return a campaign that was stopped, or started, once its status meets the condition; the errors are those of a wait.

    :param campaign: As the response to the stop or start has it, which may say so already.
    :param poll_interval: Seconds between two polls.
    """
    if condition.is_met_by(campaign.status):
        return campaign
    final = wait_for_status(client, campaign.id, condition, poll_interval, deadline)
    return final.completing(campaign.as_dict())


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
