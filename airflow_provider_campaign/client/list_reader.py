"""Reading a list page by page, over one or several polls."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import remediation
from airflow_provider_campaign.client.requester import Requester
from airflow_provider_campaign.client.response import sanitize
from airflow_provider_campaign.exceptions import CampaignUnavailableError
from airflow_provider_campaign.platforms.base import ApiRequest, Pager

MAX_SEARCHED_PAGES = 5
"""Pages of a list that a search for campaigns reads."""


class UnreliableListError(CampaignUnavailableError):
    """A list could be read, but is no proof of what is not in it."""


class ListReader:
    """One reading of the list of one type. A page that can't be had leaves it where it is, to be resumed."""

    def __init__(self, requester: Requester, request: ApiRequest, pager: Pager) -> None:
        self._requester = requester
        self._request = request
        self._pager = pager
        self.pages_read = 0

    @property
    def is_finished(self) -> bool:
        """Whether there is no further page."""
        return self._pager.next_request is None

    @property
    def total(self) -> int | None:
        """How many campaigns the platform says that the list has, None where it does not say."""
        return self._pager.total

    def read_page(self, deadline: Deadline) -> list[Campaign]:
        """Return the campaigns of the next page that no page before it had; a page that can't be had is next again."""
        http_request = self._pager.next_request
        if http_request is None:
            return []
        campaigns = self._requester.retry(
            lambda part: self._requester.send_and_read(self._request, http_request, part, self._pager.read_page),
            deadline,
        )
        self.pages_read += 1
        return campaigns

    def read_all(self, deadline: Deadline, after_page: Callable[[], None] = lambda: None) -> Iterator[Campaign]:
        """
        Yield the campaigns of all pages that are left, each page as it is asked for.

        :param after_page: Called once all of a page was taken.
        """
        while not self.is_finished:
            yield from self.read_page(deadline)
            after_page()

    def search_others(self, statuses: Container[str], count: int | None, deadline: Deadline) -> Iterator[Campaign]:
        """
        Yield the campaigns in none of these statuses, for as many pages as a search may take.

        :param count: How many there are, None if unknown.
        :raises UnreliableListError: In the end, if there are more.
        """
        left = math.inf if count is None else count
        while not self.is_finished and self.pages_read < MAX_SEARCHED_PAGES and left > 0:
            others = [campaign for campaign in self.read_page(deadline) if campaign.status not in statuses]
            left -= len(others)
            yield from others
        self.check()
        if left > 0 and count is not None and not self.is_finished:
            raise UnreliableListError(
                f"{self._requester.subject(self._request)}: {count} campaigns are in a status that is not documented, "
                f"and {left} of them, which may be live, are not among those that changed last. "
                "Look for them in the platform's console.",
                outcome_unknown=True,
            )

    def check(self) -> None:
        """Raise if the list is no proof of what is not in it: a row can't be read, or it contradicts itself."""
        if self._pager.problems:
            raise UnreliableListError(
                f"{self._requester.subject(self._request)}: {sanitize('; '.join(self._pager.problems), ())}. "
                f"{remediation(self._requester.platform, 500)}",
                outcome_unknown=True,
            )
