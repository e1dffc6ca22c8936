"""What a platform is to everything above it: how to ask it for an action, and how to read what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignConfigError

if TYPE_CHECKING:
    from airflow_provider_campaign.platforms.paging import ListQuery, Pager


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
    """
    What a platform's JSON says about the request itself, whatever the HTTP status.

    :param is_own: Whether it has the form of the platform's responses, and is none of a gateway's.
    """

    failed: bool = False
    message: str | None = None
    code: str | None = None
    trace_id: str | None = None
    is_own: bool = True


class InvalidResponseError(Exception):
    """A response that is not what the platform's documentation promises."""


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

    def check_type(self, campaign_type: str | None) -> None:
        """
        Raise if the platform has no campaigns of a type.

        :raises CampaignConfigError: The message says which types there are.
        """
        if campaign_type is None or campaign_type in self.campaign_types:
            return
        use = (
            f"Use {' or '.join(map(repr, self.campaign_types))}"
            if self.campaign_types
            else "Leave the type out, or use StopCampaignOperator"
        )
        raise CampaignConfigError(f"{self.name} has no campaigns of type {campaign_type!r}. Nothing was sent. {use}.")

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
