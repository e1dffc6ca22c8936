"""A client for one account on any platform; it needs no Airflow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Self

from airflow_provider_campaign.campaign import START_CONDITION, STOP_CONDITION, Campaign, validate_campaign_id
from airflow_provider_campaign.client.changes import Deletion, StatusChange
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK, Clock, Deadline
from airflow_provider_campaign.client.list_reader import ListReader
from airflow_provider_campaign.client.rate_limiter import RateLimiter
from airflow_provider_campaign.client.requester import Account, LookUp, Requester
from airflow_provider_campaign.client.transport import Transport
from airflow_provider_campaign.platforms.base import PAGE_SIZE, Action, ApiRequest, ListQuery, Platform

DEFAULT_REQUEST_TIMEOUT = 30.0  # seconds that one request may take, unless the connection says
MAX_SEARCHED_PAGES = 5  # pages of a list that a search for campaigns in undocumented statuses reads


class CampaignClient:
    """
    Stop, start, delete, read, and list the campaigns of one account.

    :param description: What messages call the account, for example ``connection 'campaign_default', Kore.ai``.
    :param timeout: Seconds that one request may take.
    :param retry_budget: Seconds that one method may take with its retries; None for the caller's deadline.
    :param look_up: Returns the account as it is configured now, where its credentials may change meanwhile.
    """

    def __init__(
        self,
        platform: Platform,
        transport: Transport,
        *,
        description: str,
        timeout: float = DEFAULT_REQUEST_TIMEOUT,
        retry_budget: float | None = None,
        clock: Clock = SYSTEM_CLOCK,
        look_up: LookUp | None = None,
    ) -> None:
        self.transport = transport
        self.clock = clock
        self.rate_limiter = limiter = RateLimiter(platform.rate_limit, platform.rate_window, clock)
        account = Account(platform, transport.base_url, look_up)
        self.requester = Requester(account, transport, limiter, clock, description, timeout, retry_budget)

    @property
    def platform(self) -> Platform:
        """The account, with the credentials that are known last."""
        return self.requester.platform

    @property
    def description(self) -> str:
        """What messages call the account."""
        return self.requester.description

    def observed_by(self, **callbacks: Callable[..., None]) -> Self:
        """Return the same client with some of the callbacks of :class:`.Requester`."""
        observed = copy(self)
        observed.requester = replace(self.requester, **callbacks)  # type: ignore[arg-type]
        return observed

    def deadline(self, seconds: float, *, retries: bool = True) -> Deadline:
        """Return the deadline that is this number of seconds ahead on this client's clock."""
        return Deadline(seconds, self.clock, retries=retries)

    def stop_campaign(
        self,
        campaign_id: str,
        campaign_type: str | None = None,
        *,
        check_first: bool = False,
        deadline: Deadline | None = None,
    ) -> Campaign:
        """
        Stop a campaign, or find that it is stopped or completed; it may still be stopping: look at its status.

        :param campaign_type: ``sms`` or ``voice`` if the platform has types.
        :param check_first: Read the status first: an earlier attempt may have reached the platform.
        :param deadline: When to time out.
        :raises CampaignConflictError: When the campaign has not started, so that there is nothing to stop.
        """
        request = self._validated(ApiRequest(Action.STOP, campaign_id, campaign_type))
        change = StatusChange(self.requester, request, STOP_CONDITION, check_first)
        return self.requester.retrying(deadline)(change.attempt)

    def start_campaign(
        self,
        campaign_id: str,
        campaign_type: str | None = None,
        *,
        check_first: bool = False,
        deadline: Deadline | None = None,
    ) -> Campaign:
        """
        Start a campaign, or find that it is running; the parameters are those of :meth:`stop_campaign`.

        :raises CampaignConflictError: When the campaign can't be started.
        """
        request = self._validated(ApiRequest(Action.START, campaign_id, campaign_type))
        change = StatusChange(self.requester, request, START_CONDITION, check_first)
        return self.requester.retrying(deadline)(change.attempt)

    def delete_campaign(
        self, campaign_id: str, campaign_type: str | None = None, *, deadline: Deadline | None = None
    ) -> Campaign | None:
        """
        Delete a campaign; the parameters are those of :meth:`stop_campaign`.

        :returns: The campaign as it was, or None if a request whose response is lost has deleted it.
        :raises CampaignNotFoundError: When there is no such campaign; an earlier call may have deleted it.
        """
        request = self._validated(ApiRequest(Action.DELETE, campaign_id, campaign_type))
        return self.requester.retrying(deadline)(Deletion(self.requester, request).attempt)

    def get_campaign(self, campaign_id: str, *, deadline: Deadline | None = None) -> Campaign:
        """Return a campaign with everything that the platform returns about it in ``raw``."""
        return self._read(ApiRequest(Action.GET, campaign_id), deadline)

    def get_campaign_status(self, campaign_id: str, *, deadline: Deadline | None = None) -> Campaign:
        """Return a campaign with its status, by the cheapest request there is."""
        return self._read(ApiRequest(Action.STATUS, campaign_id), deadline)

    def list_campaigns(
        self,
        campaign_types: Collection[str | None] | None = None,
        statuses: Collection[str] = (),
        *,
        deadline: Deadline | None = None,
    ) -> Iterator[Campaign]:
        """
        Yield each campaign once, or once in each status that it has rows in, page by page as it is asked for.

        :param campaign_types: Some of the platform's types; all where None.
        :param statuses: Only campaigns in one of these, without regard to case; all where empty.
        :raises CampaignUnavailableError: Once all others were yielded, if rows are unreadable or it contradicts itself.
        """
        known = self.platform.campaign_types or (None,)
        types = known if campaign_types is None or known == (None,) else campaign_types
        statuses = (statuses,) if isinstance(statuses, str) else statuses
        words = set(map(str.casefold, statuses))
        readers = [self.read_list(campaign_type, statuses) for campaign_type in types]
        for reader in readers:
            shown = reader.read_all(deadline)
            yield from (campaign for campaign in shown if not words or campaign.status.casefold() in words)
        for reader in readers:
            reader.check()

    def read_list(
        self,
        campaign_type: str | None,
        statuses: Collection[str] = (),
        *,
        newest_first: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> ListReader:
        """Return a reading of the list of one of the platform's types, which sends nothing yet."""
        request = ApiRequest(Action.LIST, None, campaign_type)
        self.requester.http_request(request)
        query = ListQuery(campaign_type, statuses, newest_first, page_size)
        return ListReader(self.requester, request, self.platform.pager(query))

    def find_undocumented(self, campaign_type: str | None, deadline: Deadline) -> Iterator[Campaign]:
        """
        Yield the campaigns of a type whose status the list can't be filtered by, so that no filtered list shows them.

        One request counts all campaigns, one those in all statuses of the filter. Only if these differ the list is
        read, those changed last first, up to :data:`MAX_SEARCHED_PAGES`.

        :raises CampaignUnavailableError: Once all that were found were yielded, if there are more, or unreadable rows.
        """
        listable = self.platform.listable_statuses
        if not listable:
            return
        missing = self._count(campaign_type, (), deadline) - self._count(campaign_type, listable, deadline)
        reader = self.read_list(campaign_type, newest_first=True)
        while missing > 0 and not reader.is_finished and reader.pages_read < MAX_SEARCHED_PAGES:
            for campaign in reader.read_page(deadline):
                if campaign.status not in listable:
                    missing -= 1
                    yield campaign
        reader.check()
        if missing > 0 and not reader.is_finished:
            raise reader.error(
                f"{missing} campaigns in a status that is not documented, which may be live, are not among those that "
                "changed last. Look for them in the platform's console."
            )

    def _count(self, campaign_type: str | None, statuses: Collection[str], deadline: Deadline) -> int:
        """Return how many campaigns a list has, by a page of a single row."""
        reader = self.read_list(campaign_type, statuses, page_size=1)
        reader.read_page(deadline)
        if reader.total is None:
            raise reader.error("the list does not say how many campaigns it has")
        return reader.total

    def switch_schedule_off(self, campaign_name: str, *, deadline: Deadline | None = None) -> Campaign:
        """
        Switch off the schedule of the campaign of this name, so that it does not start by itself (Kore.ai, API v2).

        :raises CampaignConfigError: When the name is empty, or the platform has no such action.
        """
        return self._read(ApiRequest(Action.SCHEDULE, campaign_name), deadline)

    def probe(self) -> str:
        """Make one cheap read, and say in a few words what was seen."""
        campaign_type = next(iter(self.platform.campaign_types), None)
        reader = self.read_list(campaign_type, page_size=1)
        campaigns = reader.read_page(self.deadline(self.requester.timeout, retries=False))
        count = f"{len(campaigns)}{'' if reader.is_finished else ' or more'}" if reader.total is None else reader.total
        kind = f" of type {campaign_type}" if campaign_type else ""
        return f"account {self.platform.account or ''} has {count} campaigns{kind}."

    def _read(self, request: ApiRequest, deadline: Deadline | None) -> Campaign:
        request = self._validated(request)
        return self.requester.retrying(deadline)(partial(self.requester.perform, request))

    def _validated(self, request: ApiRequest) -> ApiRequest:
        """Return the request if it can be made; raise before anything is sent if not."""
        if request.action is not Action.SCHEDULE:
            request = replace(request, campaign_id=validate_campaign_id(request.campaign_id))
        self.requester.http_request(request)
        return request
