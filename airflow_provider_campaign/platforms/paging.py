"""Reading a list page by page: how many rows to ask for, what is new on a page, and when a list is no proof."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.platforms.base import HttpRequest, InvalidResponseError
from airflow_provider_campaign.text import fitted, one_line

log = logging.getLogger(__name__)

MAX_PAGES_WITHOUT_PROGRESS = 3
"""Pages of a list that may show nothing new before one that does: rows move while the list is read."""

MAX_ROWS = 100_000
"""Campaigns of the longest list that is read to its end."""

MAX_MARK_LENGTH = 60
"""Characters of an id or name by which a message names a row that can't be read."""

PAGE_SIZE = 100
"""Rows that a list request asks for, where the platform lets it say so."""

MIN_PAGE_SIZE = 10
"""Rows that it asks for at the least: a page that can't be had with so few has another problem."""


class PageSize:
    """
    The number of rows that list requests ask for, shared by all lists of an account.

    :param rows: How many at the most.
    """

    def __init__(self, rows: int = PAGE_SIZE) -> None:
        self.rows = self._most = self._initial = rows
        self._has_grown = False

    def shrink(self, *, is_refused: bool) -> bool:
        """
        Ask for half as many rows, and return whether that is fewer.

        :param is_refused: Whether the platform shows no such page; else it was too slow, and may be so once only.
        """
        if self.rows <= MIN_PAGE_SIZE:
            self._most = self._initial if is_refused else self._most  # what it refuses is not the number of rows
            return False
        self.rows = max(MIN_PAGE_SIZE, self.rows // 2)
        self._most = self.rows if is_refused or self._has_grown else self._most
        return True

    def grow(self) -> None:
        """Ask for twice as many rows, as long as that has not failed."""
        self._has_grown = self._has_grown or self.rows < self._most
        self.rows = min(2 * self.rows, self._most)


@dataclass(frozen=True)
class ListQuery:
    """
    A list to read.

    :param campaign_type: The type of its campaigns, where the platform tells types apart.
    :param statuses: Only campaigns in one of these; all of them where empty.
    :param newest_first: Those changed last come first.
    """

    campaign_type: str | None = None
    statuses: Collection[str] = ()
    newest_first: bool = False
    page_size: PageSize = field(default_factory=PageSize)


class Pager(ABC):
    """
    The reading of a list, page by page: it says what to request next, and is given the response.

    A row that can't be read, and a page that contradicts itself, do not hide the others: they are kept in
    ``problems``, and a list that has any is no proof of what is not in it.
    """

    page_size: PageSize | None = None
    """The number of rows that it asks for, where the platform lets it say so."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.total: int | None = None
        """How many campaigns the platform says that the list has, None where it does not say."""
        self._rows: set[tuple[str, str]] = set()
        self._pages_without_progress = 0

    @property
    @abstractmethod
    def next_request(self) -> HttpRequest | None:
        """The request for the next page, None when the list is read."""

    @abstractmethod
    def read_page(self, document: Mapping[str, Any]) -> list[Campaign]:
        """
        Take in the page that was requested, and return its campaigns that no page before it had.

        :raises InvalidResponseError: When it is no page at all; it may be requested again then.
        """

    def read_rows(self, rows: Iterable[Any], read: Callable[[Mapping[str, Any]], Campaign]) -> list[Campaign]:
        """
        Return the campaigns of a page.

        A row that is no JSON object, or for which ``read`` raises anything, is a problem.
        """
        campaigns = []
        for row in rows:
            fields = row if isinstance(row, Mapping) else {}
            try:
                campaigns.append(replace(read(fields), raw=fitted(fields)))
            except Exception as error:  # what nobody foresaw about one row hides no other
                reason = str(error)
                if not isinstance(error, InvalidResponseError):
                    reason = f"unexpected {error!r}"
                    log.error("A row of a list can't be read: %s", reason, exc_info=error)
                self.note_problem(f"a row ({_mark(fields)}) can't be read: {reason}")
        return campaigns

    def note_problem(self, problem: str) -> None:
        """Note why the list is no proof, once however often it is seen."""
        if problem not in self.problems:
            self.problems.append(problem)

    def take_in(self, campaigns: Iterable[Campaign]) -> list[Campaign]:
        """Return those that no page before had; one that has rows in several statuses once in each."""
        rows = {(campaign.id, campaign.status): campaign for campaign in campaigns}
        fresh = {key: campaign for key, campaign in rows.items() if key not in self._rows}
        self._rows.update(fresh)
        self._pages_without_progress = 0 if fresh else self._pages_without_progress + 1
        return list(fresh.values())

    def makes_progress(self) -> bool:
        """Return whether it is worth reading on; a list that only repeats itself, or never ends, is a problem."""
        if self._pages_without_progress > MAX_PAGES_WITHOUT_PROGRESS:
            self.note_problem("the responses say that there is more, and show nothing new")
        elif len(self._rows) > MAX_ROWS:
            self.note_problem(f"it does not end after {MAX_ROWS} campaigns")
        else:
            return True
        return False


def _mark(row: Mapping[str, Any]) -> str:
    """Return how a message names a row that can't be read."""
    found = (row.get(key) for key in ("id", "_id", "name"))
    marks = (one_line(str(mark), MAX_MARK_LENGTH) for mark in found if mark and isinstance(mark, str | int))
    return " ".join(dict.fromkeys(marks)) or "without id and name"
