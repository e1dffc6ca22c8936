"""Listing what is live in an account and, where it costs nothing, what may start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.operations.startable import (
    STARTABLE_STATUSES,
    is_startable,
    may_start,
    switch_schedule_off,
)
from airflow_provider_campaign.operations.sweep_scope import SweepScope


class LiveLists:
    """
    The lists of an account.

    :param open_again_at: When its calling hours start again, None where that is not known.
    :raises CampaignConfigError: On construction, when a type is not one of the platform's.
    """

    def __init__(
        self, client: CampaignClient, scope: SweepScope, deadline: Deadline, open_again_at: datetime | None
    ) -> None:
        self.types = scope.listed_types(client.platform)
        self.statuses = scope.listed_statuses(client.platform)
        for campaign_type in self.types:
            client.read_list(campaign_type)  # a type that the platform does not have is refused before anything is sent
        self._client = client
        self._scope = scope
        self._deadline = deadline
        self._open_again_at = open_again_at
        self._startable: dict[str | None, list[Campaign]] = {}

    @property
    def startable(self) -> list[Campaign]:
        """What is not live, but may start before the calling hours do; without types that have more than a page."""
        now = datetime.fromtimestamp(self._client.clock.time(), UTC)
        listed = (campaign for campaigns in self._startable.values() for campaign in campaigns)
        return list(may_start(listed, now, self._open_again_at))

    def read(
        self,
        campaign_type: str | None,
        *,
        with_startable: bool = False,
        after_page: Callable[[], None] = lambda: None,
    ) -> Iterator[Campaign]:
        """
        Yield what is live.

        :param with_startable: Whether to note what may start, too, if one page has all of it: there may be many.
        :param after_page: Called once all of a page was taken.
        :raises CampaignError: When it can't be listed, or the list is no proof.
        """
        lists_all = not self.statuses
        page = self._read_one_page(campaign_type) if with_startable and not lists_all else None
        shows_startable = lists_all or page is not None
        if shows_startable:
            self._startable[campaign_type] = []
        for campaign in self._read(campaign_type, after_page) if page is None else page:
            if shows_startable:
                self._note_startable(campaign_type, campaign)
            yield campaign

    def switch_schedules_off(self) -> list[str]:
        """Switch off the schedules of what may start, read each back, and return what is not verified, in words."""
        problems = []
        for campaign in self.startable:
            try:
                seen = switch_schedule_off(self._client, campaign, self._deadline)
            except CampaignError as error:
                problems.append(f"{campaign.id} ({campaign.name}): its schedule is not verified switched off: {error}")
            else:
                listed = self._startable[campaign.campaign_type]
                listed[listed.index(campaign)] = seen
        return problems

    def _read_one_page(self, campaign_type: str | None) -> list[Campaign] | None:
        """Return what is live or may start; None where that takes more than a page, or the page is no proof."""
        reader = self._client.read_list(campaign_type, (*self.statuses, *STARTABLE_STATUSES))
        page = reader.read_page(self._deadline.sooner(retries=False))
        self._startable.pop(campaign_type, None)
        try:
            reader.check()
        except UnreliableListError:
            return None  # what can't be read need not be live
        return page if reader.is_finished else None

    def _read(self, campaign_type: str | None, after_page: Callable[[], None]) -> Iterator[Campaign]:
        reader = self._client.read_list(campaign_type, self.statuses)
        yield from reader.read_all(self._deadline.sooner(retries=False), after_page)
        reader.check()

    def _note_startable(self, campaign_type: str | None, campaign: Campaign) -> None:
        is_in_scope = self._scope.matches_name(campaign) and not self._scope.includes(campaign, self._client.platform)
        if is_startable(campaign.status) and is_in_scope:
            self._startable[campaign_type].append(campaign)
