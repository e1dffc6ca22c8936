"""Reading a list page by page, over one or several polls."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Container, Iterator

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import remediation
from airflow_provider_campaign.client.requester import Requester
from airflow_provider_campaign.client.transport import ResponseTooLong
from airflow_provider_campaign.exceptions import CampaignError, CampaignRequestError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import ApiRequest, Pager
from airflow_provider_campaign.text import sanitize

log = logging.getLogger(__name__)

MAX_SEARCHED_PAGES = 5
"""Pages of a list that a search for campaigns reads."""

SLOW_PART = 0.25
"""A page is slow if it takes more than this part of a request's time-out."""

ROWS_REFUSED = (400, 413, 422)
"""The HTTP statuses of a refusal that may be about the number of rows; no platform documents any."""


class UnreliableListError(CampaignUnavailableError):
    """A list could be read, but is no proof of what is not in it."""


class ListReader:
    """One reading of the list of one type. A page that can't be had leaves it where it is, to be resumed."""

    def __init__(self, requester: Requester, request: ApiRequest, pager: Pager) -> None:
        self._requester = requester
        self._request = request
        self._pager = pager
        self._is_quick = True
        self.pages_read = 0

    @property
    def is_finished(self) -> bool:
        """Whether there is no further page."""
        return self._pager.next_request is None

    @property
    def total(self) -> int | None:
        """How many campaigns the platform says that the list has, None if it does not say."""
        return self._pager.total

    def read_page(self, deadline: Deadline) -> list[Campaign]:
        """
        Return the campaigns of the next page that no page before it had; a page that can't be had is next again.

        One with more rows than the platform takes, or than a response may have, is requested again at once with half as
        many, one that fails otherwise by the next attempt.
        """
        if self.is_finished:
            return []
        campaigns = self._requester.retrying(deadline)(self._request_page)
        self.pages_read += 1
        return campaigns

    def _request_page(self, deadline: Deadline) -> list[Campaign]:
        http_request, size, began = self._pager.next_request, self._pager.page_size, self._seconds
        assert http_request is not None, "there is another page"  # noqa: S101
        try:
            page = self._requester.send(self._request, http_request, deadline, self._pager.read_page)
        except (CampaignRequestError, CampaignUnavailableError) as error:
            is_refused = _has_too_many_rows(error)
            if size is None or not (is_refused or self._is_slow(began)) or not size.shrink(is_refused=is_refused):
                raise
            log.warning("The next page is requested with %d rows: %s", size.rows, error)
            if not is_refused:
                raise
            return self._request_page(deadline)
        self._is_quick = self._is_quick and not self._is_slow(began)
        if size is not None and self.is_finished and self._is_quick:
            size.grow()
        return page

    @property
    def _seconds(self) -> float:
        """Seconds that go by, without those that requests are held back for."""
        return self._requester.clock.monotonic() - self._requester.rate_limiter.waited

    def _is_slow(self, began: float) -> bool:
        return self._seconds - began > self._requester.timeout * SLOW_PART

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
        """Raise if the list is incomplete: a row is unreadable, or it contradicts itself."""
        if self._pager.problems:
            raise UnreliableListError(
                f"{self._requester.subject(self._request)}: {sanitize('; '.join(self._pager.problems), ())}. "
                f"{remediation(self._requester.platform, 500)}",
                outcome_unknown=True,
            )


def _has_too_many_rows(error: CampaignError) -> bool:
    """Return whether a page may have had more rows than the platform takes, or than a response may have."""
    if isinstance(error, CampaignRequestError):
        return error.http_status in ROWS_REFUSED
    return isinstance(error.__cause__, ResponseTooLong)
