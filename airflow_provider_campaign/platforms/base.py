"""What a platform is to everything above it: how to ask it for an action, and how to read what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from airflow_provider_campaign.campaign import Campaign

MAX_PAGES_WITHOUT_PROGRESS = 3
"""Pages of a list that may show nothing new before one that does: rows move while the list is read."""


PAGE_SIZE = 100
"""Rows that a list request asks for, where the platform lets it say so."""

MIN_PAGE_SIZE = 10
"""Rows that it asks for at the least: a page that can't be had with so few has another problem."""


class Action(StrEnum):
    """What a platform may be asked for."""

    STOP = "stop"
    START = "start"
    DELETE = "delete"
    STATUS = "status"
    GET = "get"
    LIST = "list"
    SCHEDULE = "schedule"


@dataclass(frozen=True)
class ApiRequest:
    """
    An action, and the campaign it is about.

    :param campaign_id: The campaign, or None for a list.
    :param campaign_type: ``sms`` or ``voice`` where the platform tells types apart.
    """

    action: Action
    campaign_id: str | None = None
    campaign_type: str | None = None

    def __str__(self) -> str:
        kind = {None: "", "sms": "SMS "}.get(self.campaign_type, f"{self.campaign_type} ")
        about = f"campaign {self.campaign_id!r}" if self.campaign_id is not None else "campaigns"
        return f"{self.action.capitalize()} of {kind}{about}"


@dataclass(frozen=True)
class HttpRequest:
    """
    A request as it goes over the wire, before it is signed.

    :param path: The path with its query, percent-encoded.
    :param json: The JSON body, or None for no body at all.
    """

    method: str
    path: str
    json: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class HttpResponse:
    """What came back; headers are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class ApiStatus:
    """What a platform's JSON says about the request itself, whatever the HTTP status."""

    failed: bool = False
    message: str | None = None
    code: str | None = None
    trace_id: str | None = None


class InvalidResponseError(Exception):
    """A response that is not what the platform's documentation promises."""


class PageSize:
    """
    The number of rows that list requests ask for, shared by all lists of an account.

    :param rows: How many at the most.
    """

    def __init__(self, rows: int = PAGE_SIZE) -> None:
        self.rows = self._most = self._initial = rows

    def shrink(self, *, is_final: bool) -> bool:
        """
        Ask for half as many rows, and return whether that is fewer.

        :param is_final: Whether the platform will never show as many as it was asked for.
        """
        if self.rows <= MIN_PAGE_SIZE:
            self._most = self._initial if is_final else self._most  # the number of rows was not what it refused
            return False
        self.rows = max(MIN_PAGE_SIZE, self.rows // 2)
        self._most = self.rows if is_final else self._most
        return True

    def grow(self) -> None:
        """Ask for twice as many rows, but not for more than the platform shows."""
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
        self.seen: set[str] = set()
        """The ids of all campaigns that were taken in."""
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

    def read_rows(
        self, rows: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Campaign]
    ) -> list[Campaign]:
        """Return the campaigns of a page; a row for which ``read`` raises InvalidResponseError is a problem."""
        campaigns = []
        for row in rows:
            try:
                campaigns.append(read(row))
            except InvalidResponseError as error:
                found = (row.get(key) for key in ("id", "_id", "name"))
                marks = dict.fromkeys(str(mark).strip() for mark in found if mark and isinstance(mark, str | int))
                self.problems.append(f"a row ({' '.join(marks) or 'without id and name'}) can't be read: {error}")
        return campaigns

    def take_in(self, campaigns: Iterable[Campaign]) -> list[Campaign]:
        """Return those that no page before had; one that has rows in several statuses once in each."""
        rows = {(campaign.id, campaign.status): campaign for campaign in campaigns}
        fresh = {key: campaign for key, campaign in rows.items() if key not in self._rows}
        self._rows.update(fresh)
        self.seen.update(campaign.id for campaign in fresh.values())
        self._pages_without_progress = 0 if fresh else self._pages_without_progress + 1
        return list(fresh.values())

    def makes_progress(self) -> bool:
        """Tell whether it is worth reading on; a list that only repeats itself is a problem."""
        if self._pages_without_progress <= MAX_PAGES_WITHOUT_PROGRESS:
            return True
        self.problems.append("the responses say that there is more, and show nothing new")
        return False


class Platform(ABC):
    """
    One account on one platform, as pure data: requests out, documents in, no I/O.

    The class says what is true of the platform, an instance holds the credentials.
    """

    name: ClassVar[str]
    """What messages call it."""

    campaign_types: ClassVar[tuple[str, ...]] = ()
    """The types that its requests tell apart; empty where there is but one."""

    sorts_lists: ClassVar[bool] = False
    """Whether its lists can be requested with the campaigns that changed last at the top."""

    listable_statuses: ClassVar[Set[str]] = frozenset()
    """The status words that its lists can be filtered by; empty where they always show all campaigns."""

    has_closed_status_set: ClassVar[bool] = True
    """Whether all its status words are documented, so that any other is none of a live campaign."""

    retries_unauthorized: ClassVar[bool] = False
    """Whether each request carries a fresh token, so that one 401 is worth a second try."""

    rate_limit: ClassVar[int | None] = None
    """Requests that it accepts in a window, where its documentation tells."""

    rate_window: ClassVar[float | None] = None
    """Seconds of that window."""

    rate_limit_text: ClassVar[str | None] = None
    """The text of a refusal for the rate, where it may come under any HTTP status."""

    remediation: ClassVar[Mapping[int, str]] = {}
    """What to do about an HTTP status."""

    @property
    def account(self) -> str | None:
        """What tells the account from the platform's others, where it is no secret: it stands in records."""
        return None

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, even where the platform echoes it."""

    @abstractmethod
    def signed_headers(self, now: float) -> Mapping[str, str]:
        """
        Return the headers that sign one request, with a token of its own where the platform takes tokens.

        :param now: Seconds since the epoch.
        """

    @abstractmethod
    def http_request(self, request: ApiRequest) -> HttpRequest:
        """
        Return a request as it goes over the wire.

        :raises CampaignConfigError: When the platform has no such action, or needs to be told more.
        """

    @abstractmethod
    def api_status(self, document: Mapping[str, Any]) -> ApiStatus:
        """Return what a response says about the request itself."""

    @abstractmethod
    def read_campaign(self, request: ApiRequest, document: Mapping[str, Any]) -> Campaign:
        """
        Return the campaign that a response shows.

        :raises InvalidResponseError: When it does not show one.
        """

    @abstractmethod
    def pager(self, query: ListQuery) -> Pager:
        """
        Return the reading of a list.

        :param query: What to ask for; the platform may be able to filter, to sort and to page, or not.
        """

    def probe(self, request: ApiRequest) -> HttpRequest:
        """Return the cheapest list request there is."""
        return self.http_request(request)

    def describe_list(self, document: Mapping[str, Any]) -> str:
        """
        Say in a few words what a response to the probe shows.

        :raises InvalidResponseError: When it is none of this platform.
        """
        return "the account answers."
