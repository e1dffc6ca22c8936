"""Reading Kore.ai's list of campaigns, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_campaign.campaign import Campaign, CampaignStatus, canonical_status, is_live, may_be_live
from airflow_provider_campaign.platforms import reading
from airflow_provider_campaign.platforms.base import (
    MAX_PAGES_WITHOUT_PROGRESS,
    HttpRequest,
    InvalidResponseError,
    ListQuery,
    Pager,
)

LISTABLE_STATUSES = frozenset(word.value for word in CampaignStatus) - {CampaignStatus.DRAFT, CampaignStatus.RERUN}
"""The words that the list's filter accepts, by the API's documentation; another one may have it refuse the request."""

MIN_PAGE_SIZE = 10  # rows that a list request asks for at the least: a page that fails with so few has another problem
PRIORITIES = ("1", "2", "3", "4", "5")  # A campaign's priority is one of these; 1 is the lowest


class KorePager(Pager):
    """
    The reading of the list of one type.

    Rows that leave the filter between two pages move the later ones up: so each page begins with the last row of the
    one before, whether that can be read or not. Where it does not, the reading steps back until it does.

    :param request: The list request, without its body.
    """

    def __init__(self, request: HttpRequest, query: ListQuery) -> None:
        super().__init__()
        self._request = request
        self._campaign_type = query.campaign_type
        self._limit = query.page_size
        order = {"updatedAt": "desc"} if query.newest_first else {"createdAt": "asc"}
        self._body: dict[str, Any] = {"type": query.campaign_type, "limit": self._limit, "sortBy": order}
        if wanted := {canonical_status(status) for status in query.statuses} & LISTABLE_STATUSES:
            self._body["filters"] = {"status": sorted(wanted)}
        self._marks: set[str] = set()  # the keys of the rows that were shown
        self._skip = 0
        self._overlaps = False
        self._at_end = False

    @property
    def next_request(self) -> HttpRequest | None:
        body = {**self._body, "limit": self._limit, "skip": self._skip}
        return None if self._at_end else replace(self._request, json=body)

    def halve_page(self) -> bool:
        if self._limit <= MIN_PAGE_SIZE:
            return False
        self._limit = max(MIN_PAGE_SIZE, self._limit // 2)
        return True

    def read_page(self, document: Mapping[str, Any]) -> list[Campaign]:
        data = reading.required_object(document, "data")
        rows = reading.required_rows(data, "results")
        self.total = reading.optional_count(data, "totalResults")
        marks = [_mark(row) for row in rows]
        has_more = self._has_more(data, self._skip + len(rows), is_new=not self._marks.issuperset(marks))
        if has_more and not rows:
            raise InvalidResponseError("the response says that there is more but shows no rows")
        if self._steps_back(marks):
            return []
        self._marks.update(marks)
        fresh = self.read_rows(rows, lambda row: read_row(row, self._campaign_type))
        for campaign in fresh:  # the filter takes documented words only
            if "filters" in self._body and may_be_live(campaign.status) and not is_live(campaign.status):
                problem = f"it shows {campaign.id} as {campaign.status}, which is not documented and may be live"
                self.note_problem(problem)
        self._at_end = not self.makes_progress() or not has_more
        self._overlaps = len(rows) > 1
        self._skip += max(1, len(rows) - 1)
        return fresh

    def _has_more(self, data: Mapping[str, Any], seen: int, *, is_new: bool) -> bool:
        """
        Return whether there is another page, and note if the list ends before its own total.

        A response that says neither is followed by another request, until a page shows nothing new.
        """
        has_more = data.get("hasMore")
        if not isinstance(has_more, bool):
            if self.total is None and (has_more, data.get("totalResults")) != (None, None):
                raise InvalidResponseError("neither hasMore nor totalResults is readable")
            return is_new if self.total is None else seen < self.total
        if not has_more and self.total is not None and seen < self.total:
            problem = f"it ends after {seen} campaigns and says that it has {self.total}"
            self.note_problem(f"the list contradicts itself: {problem}")
        return has_more

    def _steps_back(self, marks: list[str]) -> bool:
        """Step back if a page does not begin with a row that was shown before, and return whether it does not."""
        if not self._overlaps or not self._marks.isdisjoint(marks[:1]):
            return False
        if self._pages_without_progress >= MAX_PAGES_WITHOUT_PROGRESS:
            self.note_problem("its rows differ each time that they are listed")
            return False
        self._skip = max(0, self._skip - self._limit)
        self._overlaps = bool(self._skip)
        return True


def _mark(row: Any) -> str:
    """Return the key of a row, readable or not."""
    return str((isinstance(row, Mapping) and (row.get("id") or row.get("_id"))) or row)


def read_row(row: Mapping[str, Any], campaign_type: str | None, campaign_id: str | None = None) -> Campaign:
    """
    Return the campaign of a row or record; its key is ``id``, or ``_id`` in v2's voice rows.

    :param campaign_id: The campaign that was asked for; None for a row of a list.
    :raises InvalidResponseError: When it lacks id or status, or is about another campaign.
    """
    found = reading.optional_word(row, "id", "_id")
    reading.check_id(found, campaign_id)
    priority = (reading.optional_text(row, "priority") or "").removesuffix(".0")
    return Campaign(
        id=found or campaign_id or reading.required_word(row, "id", "_id"),
        status=canonical_status(reading.required_text(row, "status")),
        name=reading.optional_text(row, "name"),
        campaign_type=campaign_type,
        priority=priority if priority in PRIORITIES else None,
        updated_at=reading.optional_text(row, "updatedAt"),
    )
