"""Reading a list page by page, over one or several polls."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import remediation
from airflow_provider_campaign.client.requester import Requester
from airflow_provider_campaign.client.transport import OutcomeUnknown
from airflow_provider_campaign.exceptions import CampaignRequestError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import ApiRequest, Pager
from airflow_provider_campaign.text import sanitize

log = logging.getLogger(__name__)

TOO_MANY_ROWS = (400, 413, 422, 504)  # of a page that has too many rows, or is too slow; no platform documents any


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
        """How many campaigns the platform says that the list has, None if it does not say."""
        return self._pager.total

    def read_page(self, deadline: Deadline | None) -> list[Campaign]:
        """
        Return the campaigns of the next page that no page before it had; a page that can't be had is next again.

        One that may have too many rows for the platform is requested again with half as many.
        """
        campaigns = self._requester.retrying(deadline)(self._request_page)
        self.pages_read += 1
        return campaigns

    def _request_page(self, deadline: Deadline) -> list[Campaign]:
        http_request = self._pager.next_request
        assert http_request is not None, "there is a page"  # noqa: S101
        try:
            return self._requester.send(self._request, http_request, deadline, self._pager.read_page)
        except (CampaignRequestError, CampaignUnavailableError) as error:
            is_too_long = error.http_status in TOO_MANY_ROWS or isinstance(error.__cause__, OutcomeUnknown)
            if not is_too_long or not self._pager.halve_page():
                raise
            log.warning("The next page is requested with fewer rows: %s", error)
        return self._request_page(deadline)

    def read_all(self, deadline: Deadline | None) -> Iterator[Campaign]:
        """Yield the campaigns of all pages that are left, each page as it is asked for."""
        while not self.is_finished:
            yield from self.read_page(deadline)

    def check(self) -> None:
        """Raise if the list is incomplete: a row is unreadable, or it contradicts itself."""
        if self._pager.problems:
            raise self.error(f"{'; '.join(self._pager.problems)}. {remediation(self._requester.platform, 500)}")

    def error(self, problem: str) -> UnreliableListError:
        """Return the error that names the list."""
        text = f"{self._requester.subject(self._request)}: {sanitize(problem, (), 4096)}"
        return UnreliableListError(text, outcome_unknown=True)
