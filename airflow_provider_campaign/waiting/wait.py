"""The wait for one campaign on a worker."""

from __future__ import annotations

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, WaitCondition
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import CampaignAuthError
from airflow_provider_campaign.waiting.account_poller import AccountPoller
from airflow_provider_campaign.waiting.pending import PendingWait, Snapshot

STOP_POLL_INTERVAL = 5.0
"""Seconds between two polls of a campaign that was asked to stop, by default."""


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
    poller, now = AccountPoller(client), client.clock.time()
    wait = PendingWait(
        campaign.id,
        condition,
        deadline=now + deadline.remaining,
        acted_at=now,
        changed_at=seconds_of(campaign.updated_at),
        last_status=campaign.status,
    )
    shown, was_refused = Snapshot(), False
    while True:
        pause = max(poll_interval, shown.delay, wait.not_before - client.clock.time())
        deadline.sleep(min(pause, deadline.remaining))
        try:
            shown, was_refused = poller.poll([wait], deadline=deadline), False
        except CampaignAuthError as error:
            if was_refused:
                raise
            shown, was_refused = Snapshot(problem=str(error)), True
        if seen := wait.reached(shown, client.description):
            return seen.completing(campaign.as_dict())
        if deadline.remaining <= 0:
            raise wait.timed_out(deadline.seconds, client.description)
