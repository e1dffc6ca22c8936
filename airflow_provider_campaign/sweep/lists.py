"""List an account's live campaigns and, if that costs nothing, those that may start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.sweep.scope import SweepScope
from airflow_provider_campaign.sweep.startable import STARTABLE_STATUSES, is_startable


class LiveLists:
    """
    The lists of an account.

    :raises CampaignConfigError: On construction, when a type is not one of the platform's.
    """

    def __init__(self, client: CampaignClient, scope: SweepScope, deadline: Deadline) -> None:
        self.types = scope.listed_types(client.platform)
        self.statuses = scope.listed_statuses(client.platform)
        for campaign_type in self.types:
            client.read_list(campaign_type)  # a type that the platform does not have is refused before anything is sent
        self._client = client
        self._scope = scope
        self._deadline = deadline
        self._startable: dict[str | None, list[Campaign]] = {}

    @property
    def startable(self) -> list[Campaign]:
        """Campaigns that are not live but may start; without types that have more than a page of them."""
        return [campaign for campaigns in self._startable.values() for campaign in campaigns]

    def read(
        self,
        campaign_type: str | None,
        *,
        with_startable: bool = False,
        after_page: Callable[[], None] = lambda: None,
    ) -> Iterator[Campaign]:
        """
        Yield live campaigns.

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
                self._note_startable_row(campaign)
            yield campaign

    def note_startable(self, campaign: Campaign) -> None:
        """Note a campaign that is not live, if it may start."""
        if is_startable(campaign.status):
            self._startable.setdefault(campaign.campaign_type, []).append(campaign)

    def note_seen(self, campaigns: Iterable[Campaign]) -> None:
        """Note campaigns that may start as they were read last."""
        for campaign in campaigns:
            listed = self._startable.setdefault(campaign.campaign_type, [])
            listed[:] = [each for each in listed if each.id != campaign.id]
            self.note_startable(campaign)

    def _read_one_page(self, campaign_type: str | None) -> list[Campaign] | None:
        """Return campaigns that are live or may start; None if that takes more than a page, or the page is no proof."""
        reader = self._client.read_list(campaign_type, (*self.statuses, *STARTABLE_STATUSES))
        page = reader.read_page(self._deadline.sooner(retries=False))
        self._startable.pop(campaign_type, None)
        try:
            reader.check()
        except UnreliableListError:
            return None  # an unreadable row need not be live
        return page if reader.is_finished else None

    def _read(self, campaign_type: str | None, after_page: Callable[[], None]) -> Iterator[Campaign]:
        reader = self._client.read_list(campaign_type, self.statuses)
        yield from reader.read_all(self._deadline.sooner(retries=False), after_page)
        reader.check()

    def _note_startable_row(self, campaign: Campaign) -> None:
        is_in_scope = self._scope.covers(campaign) and not self._scope.includes(campaign, self._client.platform)
        if is_in_scope:
            self.note_startable(campaign)
