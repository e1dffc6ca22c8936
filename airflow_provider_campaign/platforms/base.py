"""What a platform is to everything above it: how to ask it for an action, read what it says, and read its lists."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.text import fitted, one_line

log = logging.getLogger(__name__)

PAGE_SIZE = 100  # rows that a list request asks for, if the platform lets it choose
MAX_PAGES_WITHOUT_PROGRESS = 3  # pages of a list that may show nothing new: rows move while the list is read
MAX_ROWS = 100_000  # campaigns of the longest list that is read to its end
MAX_MARK_LENGTH = 60  # characters of an id or name by which a message names an unreadable row


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
    """An action, and the campaign it is about: no id for a list, no type if the platform has none."""

    action: Action
    campaign_id: str | None = None
    campaign_type: str | None = None

    def __str__(self) -> str:
        kind = {None: "", "sms": "SMS "}.get(self.campaign_type, f"{self.campaign_type} ")
        about = f"campaign {self.campaign_id!r}" if self.campaign_id is not None else "campaigns"
        return f"{self.action.capitalize()} of {kind}{about}"


@dataclass(frozen=True)
class HttpRequest:
    """A request before it is signed: its path with the query, percent-encoded, and its JSON body, if it has one."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class HttpResponse:
    """What came back; headers are looked up without regard to case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class ApiStatus:
    """
    What a response's JSON says about the request itself, whatever the HTTP status.

    :param is_own: Whether it has the form of the platform's responses, and is not a gateway's.
    """

    failed: bool = False
    message: str | None = None
    code: str | None = None
    trace_id: str | None = None
    is_own: bool = True


class InvalidResponseError(Exception):
    """A response that is not what the platform's documentation promises."""


@dataclass(frozen=True)
class ListQuery:
    """A list to read: of one type, only campaigns in some statuses (all if empty), those changed last first."""

    campaign_type: str | None = None
    statuses: Collection[str] = ()
    newest_first: bool = False
    page_size: int = PAGE_SIZE


class Pager(ABC):
    """
    The reading of a list, page by page: it says what to request next, and is given the response.

    An unreadable row, or a page that contradicts itself, hides no others: a list that has ``problems`` is no proof.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.total: int | None = None  # how many campaigns the platform says that the list has, None if it does not say
        self._rows: set[tuple[str, str]] = set()
        self._pages_without_progress = 0

    @property
    @abstractmethod
    def next_request(self) -> HttpRequest | None:
        """The request for the next page, None when the list is read."""

    @abstractmethod
    def read_page(self, document: Mapping[str, Any]) -> list[Campaign]:
        """Take in a page, and return its campaigns that no page before it had; raise if it is no page at all."""

    def halve_page(self) -> bool:
        """Ask for half as many rows from now on, and return whether that is possible."""
        return False

    def read_rows(self, rows: Iterable[Any], read: Callable[[Mapping[str, Any]], Campaign]) -> list[Campaign]:
        """Return the campaigns of a page that no page before had; one with rows in several statuses once in each."""
        fresh: dict[tuple[str, str], Campaign] = {}
        for row in rows:
            fields = row if isinstance(row, Mapping) else {}
            try:
                campaign = replace(read(fields), raw=fitted(fields))
            except Exception as error:  # an unexpected error about one row must not hide the others
                is_expected = isinstance(error, InvalidResponseError)
                if not is_expected:
                    log.error("A row of a list can't be read", exc_info=error)
                reason = str(error) if is_expected else f"unexpected {error!r}"
                self.note_problem(f"a row ({_mark(fields)}) can't be read: {reason}")
                continue
            if (campaign.id, campaign.status) not in self._rows:
                fresh[campaign.id, campaign.status] = campaign
        self._rows.update(fresh)
        self._pages_without_progress = 0 if fresh else self._pages_without_progress + 1
        return list(fresh.values())

    def note_problem(self, problem: str) -> None:
        """Note why the list is no proof, once however often it is seen."""
        if problem not in self.problems:
            self.problems.append(problem)

    def makes_progress(self) -> bool:
        """Return whether it is worth reading on; a list that only repeats itself, or never ends, is a problem."""
        if self._pages_without_progress > MAX_PAGES_WITHOUT_PROGRESS:
            self.note_problem("the responses say that there is more, and show nothing new")
        elif len(self._rows) > MAX_ROWS:
            self.note_problem(f"it does not end after {MAX_ROWS} campaigns")
        else:
            return True
        return False


class Platform(ABC):
    """One account on one platform, as pure data: requests out, documents in, no I/O."""

    name: ClassVar[str]  # what messages call it
    campaign_types: ClassVar[tuple[str, ...]] = ()  # that its requests distinguish
    listable_statuses: ClassVar[Set[str]] = frozenset()  # words that its lists can be filtered by; empty if by none
    has_closed_status_set: ClassVar[bool] = True  # whether all its words are documented: no other one is live
    retries_unauthorized: ClassVar[bool] = False  # whether each token is another, so that a 401 is worth a second try
    rate_limit: ClassVar[int | None] = None  # requests that it accepts in a window, if its documentation says so
    rate_window: ClassVar[float | None] = None  # seconds of that window
    rate_limit_text: ClassVar[str | None] = None  # the text of a rate-limit error, if its HTTP status varies
    remediation: ClassVar[Mapping[int, str]] = {}  # what to do about an HTTP status

    @property
    def account(self) -> str | None:
        """What identifies the account on its platform, and is no secret: records contain it."""
        return None

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, even if the platform echoes it."""

    def check_type(self, campaign_type: str | None) -> None:
        """Raise a :class:`CampaignConfigError` if the platform has no campaigns of a type."""
        if campaign_type is not None and campaign_type not in self.campaign_types:
            use = f"Use {' or '.join(map(repr, self.campaign_types))}"
            fix = use if self.campaign_types else "Leave the type out, or use StopCampaignOperator"
            text = f"{self.name} has no campaigns of type {campaign_type!r}. Nothing was sent. {fix}."
            raise CampaignConfigError(text)

    @abstractmethod
    def signed_headers(self, now: float) -> Mapping[str, str]:
        """Return the headers that sign one request, with a token of its own if the platform takes tokens."""

    @abstractmethod
    def http_request(self, request: ApiRequest) -> HttpRequest:
        """Return a request; raise a :class:`CampaignConfigError` if there is no such action, or an argument lacks."""

    @abstractmethod
    def api_status(self, document: Mapping[str, Any]) -> ApiStatus:
        """Return what a response says about the request itself."""

    @abstractmethod
    def read_campaign(self, request: ApiRequest, document: Mapping[str, Any]) -> Campaign:
        """Return the campaign that a response shows; raise an :class:`InvalidResponseError` if it shows none."""

    @abstractmethod
    def pager(self, query: ListQuery) -> Pager:
        """Return the reading of a list, which the platform may be able to filter, to sort, and to page, or not."""


def _mark(row: Mapping[str, Any]) -> str:
    """Return how a message names an unreadable row."""
    found = (row.get(key) for key in ("id", "_id", "name"))
    marks = (one_line(str(mark), MAX_MARK_LENGTH) for mark in found if mark and isinstance(mark, str | int))
    return " ".join(dict.fromkeys(marks)) or "without id and name"
