"""A sweep's requests about single campaigns: several at the same time, as many as the rate limit allows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.client.rate_limiter import LOG_WAIT_THRESHOLD
from airflow_provider_campaign.exceptions import CampaignError, CampaignNotFoundError, CampaignRateLimitError
from airflow_provider_campaign.sweep.closing import Schedule
from airflow_provider_campaign.sweep.entry import SweepEntry
from airflow_provider_campaign.sweep.traffic import Traffic
from airflow_provider_campaign.sweep.workers import Workers
from airflow_provider_campaign.waiting.account_poller import AccountPoller

log = logging.getLogger(__name__)


class CampaignRequests:
    """
    Stop and read campaigns, and note each outcome; whatever goes wrong with one, the others are stopped and read.

    :param report: Called now and then, and after each campaign.
    """

    def __init__(self, traffic: Traffic, schedule: Schedule, deadline: Deadline, report: Callable[[], None]) -> None:
        self._traffic = traffic
        self._client = traffic.client
        self._clock = traffic.client.clock
        self._schedule = schedule
        self._deadline = deadline
        self._report = report
        self._workers = Workers(self._clock)
        self._poller = AccountPoller(self._client)

    def stop(self, entries: Sequence[SweepEntry]) -> int:
        """
        Stop as many campaigns as the rate limit allows now or in a moment.

        A window that is used up comes back as it was used, over a second or two: all of it is one burst.

        :returns: How many were attempted.
        """
        with self._traffic.burst():
            return self._in_parallel(self._stop, entries)

    def read(self, entries: Sequence[SweepEntry]) -> None:
        """Read the status of as many campaigns as the rate limit allows now or in a moment."""
        self._in_parallel(self._read, entries)

    def poll(self, entries: Mapping[str, SweepEntry]) -> None:
        """Read the status of campaigns that are not listed as live, and not seen stopped either; few requests do."""
        if not entries:
            return
        try:
            snapshot = self._poller.poll([entry.wait() for entry in entries.values()], lists_live=False)
        except CampaignError as error:
            log.warning("Status check failed, retrying at the next poll: %s", error)
            return
        now = self._clock.time()
        for campaign_id, campaign in snapshot.campaigns.items():
            if entries[campaign_id].wait().accepts(campaign, snapshot.began):
                entries[campaign_id].note_status(campaign, now)
        for campaign_id, failure in snapshot.failed.items():
            if isinstance(failure, CampaignNotFoundError):
                entries[campaign_id].note_deleted(failure, now)
            else:
                entries[campaign_id].note_failure(failure, now)

    def _in_parallel(self, work: Callable[[SweepEntry, Deadline], None], entries: Sequence[SweepEntry]) -> int:
        """Do something with as many campaigns as the rate limit allows requests for, and return how many that are."""
        allowed = entries[: self._client.rate_limiter.available_within(LOG_WAIT_THRESHOLD)]

        def attempt(entry: SweepEntry) -> None:
            try:
                work(entry, self._deadline.sooner(retries=False, max_rate_wait=LOG_WAIT_THRESHOLD))
            except Exception as error:  # noqa: BLE001 one campaign must not keep the others from being stopped
                failure = as_campaign_error(error, f"Campaign {entry.campaign.id!r} ({self._client.description})")
                log.debug("Campaign %s is not stopped yet: %s", entry.campaign.id, failure)
                if not isinstance(failure, CampaignRateLimitError) or failure.http_status is not None:
                    entry.note_failure(failure, self._clock.time())
                self._traffic.pause_after(failure)

        try:
            self._workers.run(attempt, allowed, self._report)
            return len(allowed)
        except BaseException:
            self._deadline.cancellation.request()  # the task is to end: nothing more is sent
            raise

    def _stop(self, entry: SweepEntry, deadline: Deadline) -> None:
        if self._schedule.closing_of(entry.campaign, self._clock.time()).stop_by is None:
            return  # its calling hours have started meanwhile
        try:
            campaign = self._client.stop_campaign(
                entry.campaign.id, entry.campaign.campaign_type, check_first=entry.outcome_unknown, deadline=deadline
            )
            self._traffic.note_accepted()
            entry.note_stop(campaign, self._clock.time())
        except CampaignNotFoundError as error:
            entry.note_not_found(error, self._clock.time())

    def _read(self, entry: SweepEntry, deadline: Deadline) -> None:
        try:
            seen = self._client.get_campaign_status(entry.campaign.id, deadline=deadline, retry=False)
            entry.note_status(seen, self._clock.time())
        except CampaignNotFoundError as error:
            entry.note_deleted(error, self._clock.time())
