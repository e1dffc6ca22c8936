"""Waiting for a campaign's status: sensor, operators and trigger all wait by what is here."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_campaign.campaign import Campaign, Goal, Outlook
from airflow_provider_campaign.exceptions import (
    CampaignStateError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.retry import Deadline, asked_pause


@dataclass(frozen=True)
class Look:
    """
    One look at a campaign.

    :param campaign: What was seen, or None where the look failed for a passing reason.
    :param reached: Whether the wait is over.
    :param pause: Seconds that the platform wants to be left alone for.
    """

    campaign: Campaign | None = None
    reached: bool = False
    pause: float = 0.0


def look_once(hook: CampaignHook, campaign_id: str, goal: Goal, deadline: Deadline | None = None) -> Look:
    """
    Read a campaign's status once; a passing failure is logged and left to the next look.

    :raises CampaignStateError: When the goal can't be reached any more.
    :raises CampaignError: For any failure that another look can't mend.
    """
    try:
        campaign = hook.glance(campaign_id, deadline=deadline)
    except CampaignUnavailableError as error:
        hook.log.warning("Will look again: %s", error)
        return Look(pause=asked_pause(error, hook.rate_window) or 0.0)
    hook.log.debug("Campaign %s is %s", campaign.id, campaign.status)
    return Look(campaign, is_reached(campaign, goal, hook.where))


def is_reached(campaign: Campaign, goal: Goal, where: str) -> bool:
    """
    Tell whether a campaign's status ends a wait.

    :param where: The connection, as messages name it.
    :raises CampaignStateError: When the goal can't be reached any more.
    """
    outlook = goal.outlook(campaign.status)
    if outlook is Outlook.IMPOSSIBLE:
        raise CampaignStateError(
            f"Campaign {campaign.id!r} ({where}) is {campaign.status}: it will not become {goal} any more. "
            "Look at it in the platform's console; somebody may have changed it."
        )
    return outlook is Outlook.REACHED


def wait_for(hook: CampaignHook, campaign_id: str, goal: Goal, poll_interval: float, deadline: Deadline) -> Campaign:
    """
    Look again and again until the goal is reached; the last look is at the deadline.

    :param poll_interval: Seconds between two looks.
    :raises CampaignTimeoutError: When the deadline comes first.
    :raises CampaignStateError: When the goal can't be reached any more.
    """
    last, pause = "unknown", 0.0
    while True:
        hook.clock.sleep(min(max(poll_interval, pause), deadline.remaining))
        look = look_once(hook, campaign_id, goal, deadline)
        if look.campaign is not None:
            if look.reached:
                return look.campaign
            last = look.campaign.status
        if deadline.remaining <= 0:
            raise timed_out(campaign_id, hook.where, goal, last, deadline.seconds)
        pause = look.pause


def timed_out(campaign_id: str, where: str, goal: Goal, last: str, seconds: float) -> CampaignTimeoutError:
    """
    Return the error for a wait that ran out of time.

    :param where: The connection, as messages name it.
    :param last: The status seen last.
    """
    return CampaignTimeoutError(
        f"Campaign {campaign_id!r} ({where}) is not {goal} after {seconds:g} s; last seen: {last}. "
        "It may still be sending: look at it in the platform's console, and give the task a longer timeout "
        "if campaigns take longer to wind down."
    )
