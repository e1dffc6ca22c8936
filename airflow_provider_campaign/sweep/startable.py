"""Campaigns that are not live, but may start while closed; and switching their own schedules off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from airflow_provider_campaign.campaign import Campaign, CampaignStatus
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignStateError
from airflow_provider_campaign.platforms.base import Action, ApiRequest, InvalidResponseError
from airflow_provider_campaign.platforms.reading import required_word

log = logging.getLogger(__name__)

# A campaign in one of these starts by itself; in one of the others, when a user starts it.
SCHEDULED_STATUSES = (CampaignStatus.SCHEDULED.value, CampaignStatus.RESCHEDULED.value)
STARTABLE_STATUSES = (*SCHEDULED_STATUSES, CampaignStatus.READY.value, CampaignStatus.PAUSED.value)


def start_time(campaign: Campaign) -> float | None:
    """Return when a campaign's own schedule starts it, if its list row shows one time; its name is not documented."""
    schedule = campaign.raw.get("schedule")
    if campaign.status not in SCHEDULED_STATUSES or not isinstance(schedule, Mapping):
        return None
    moments = [seconds_of(str(value)) for key, value in schedule.items() if str(key).casefold().startswith("start")]
    known = [moment for moment in moments if moment is not None]
    return known[0] if len(known) == 1 else None


def check_can_switch_off(client: CampaignClient) -> None:
    """Refuse a platform, or an API version, that can't switch schedules off; nothing is sent."""
    try:
        client.platform.http_request(ApiRequest(Action.SCHEDULE, "any"))
    except CampaignConfigError as error:
        raise CampaignConfigError(f"switch_schedules_off can't be used ({client.description}): {error}") from None


def switch_schedules_off(
    client: CampaignClient,
    campaign_types: Iterable[str | None],
    deadline: Deadline,
    may_start: Callable[[Campaign], bool],
) -> tuple[list[Campaign], list[str]]:
    """Switch schedules off; return the campaigns as they read back, and what is not verified off."""
    scheduled, seen, problems = list[Campaign](), list[Campaign](), list[str]()
    for campaign_type in campaign_types:
        reader = client.read_list(campaign_type, SCHEDULED_STATUSES)
        try:  # all of it, before anything is changed: a campaign that leaves the list moves others to earlier pages
            scheduled.extend(reader.read_all(deadline))
            reader.check()
        except Exception as error:  # noqa: BLE001 what is known of is switched off all the same
            failure = as_campaign_error(error, f"List of scheduled campaigns ({client.description})")
            problems.append(f"Other campaigns may start by themselves: {failure}")
    for campaign in scheduled:
        try:
            if campaign.status in SCHEDULED_STATUSES and may_start(campaign):
                seen.append(_switch_off(client, campaign, deadline))
        except Exception as error:  # noqa: BLE001 an error with one must not stop the others
            failure = as_campaign_error(error, f"Schedule of campaign {campaign.id!r} ({client.description})")
            problems.append(f"{campaign.id} ({campaign.name}): its schedule is not verified switched off: {failure}")
    return seen, problems


def _switch_off(client: CampaignClient, campaign: Campaign, deadline: Deadline) -> Campaign:
    """Switch a campaign's schedule off; return it as it is read back, or raise if it is on still."""
    try:
        name = required_word(campaign.raw, "name")  # as the platform has it: what is shown may be another campaign's
    except InvalidResponseError as error:
        raise CampaignStateError(
            f"nothing was sent: the request goes by the campaign's name, and {error}. "
            "Switch it off in the platform's console."
        ) from None
    client.switch_schedule_off(name, deadline=deadline)
    seen = client.get_campaign(campaign.id, deadline=deadline)
    if not is_off(seen):
        raise CampaignStateError(
            f"it is still enabled (the campaign is {seen.status}). The request goes by the campaign's name: "
            "give each campaign a name of its own, or switch it off in the platform's console."
        )
    log.info("%s (%s): its schedule is switched off, it is %s", campaign.id, campaign.name, seen.status)
    return replace(campaign, status=seen.status, raw=seen.raw)


def is_off(campaign: Campaign) -> bool:
    """Return whether a campaign's own record shows that its schedule is off."""
    data = campaign.raw.get("data")
    schedule = data.get("schedule") if isinstance(data, Mapping) else None
    enabled = schedule.get("isSchedulingEnabled") if isinstance(schedule, Mapping) else None
    return enabled is False or (enabled is None and campaign.status not in SCHEDULED_STATUSES)
