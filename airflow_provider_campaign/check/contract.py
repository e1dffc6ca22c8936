"""Comparing an account with what is documented, point by point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, CampaignStatus
from airflow_provider_campaign.check.points import DIFFERS, RATE_HEADER, SAME, UNKNOWN, UNKNOWN_ID, CheckRow, check_row
from airflow_provider_campaign.check.report import RecordingTransport
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.client.list_reader import ListReader
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError, CampaignNotFoundError
from airflow_provider_campaign.text import sanitize
from airflow_provider_campaign.waiting.wait import wait_for_effect

MAX_CLOCK_DIFFERENCE = 60.0
"""Seconds by which a response's ``Date`` and our time may differ although the clocks agree."""

MAX_PAGES = 3
"""Pages of a list that are read, at the most."""


class ContractCheck:
    """
    Compare an account with the documented API. It only reads, unless a stop is allowed.

    :param campaign_id: The campaign to look at more closely; None for the first that is listed.
    :param allow_stop: Whether that campaign may be stopped; without one, an id that no account has is.
    :param campaign_type: Its type, if it is not among the listed ones.
    """

    def __init__(
        self,
        client: CampaignClient,
        deadline: Deadline,
        campaign_id: str | None = None,
        *,
        allow_stop: bool = False,
        campaign_type: str | None = None,
    ) -> None:
        self.transport = RecordingTransport(client.transport, client.clock)
        self._client = CampaignClient(
            client.platform,
            self.transport,
            description=client.description,
            timeout=client.requester.timeout,
            clock=client.clock,
            rate_limiter=client.rate_limiter,
        ).observed_by(self.transport.note_request)
        self._types = client.platform.campaign_types or (None,)
        self._deadline = deadline
        self._campaign_id = campaign_id
        self._campaign_type = campaign_type
        self._allow_stop = allow_stop
        self._listed: dict[str, Campaign] = {}
        self._listed_twice: set[str] = set()

    def run(self) -> Iterator[CheckRow]:
        """Yield each point as soon as it is known; raise if the account is unreadable."""
        self._client.probe()
        for campaign_type in self._types:
            yield from self._list_rows(campaign_type)
        yield from self._listed_rows()
        yield from self._campaign_rows()
        yield self._unknown_id_row()
        yield self._rate_row()
        yield self._clock_row()
        if self._allow_stop:
            yield self._stop_row(self._campaign_id) if self._campaign_id else self._permission_row()

    def _part(self) -> Deadline:
        return self._deadline.sooner(retries=False)

    def _list_rows(self, campaign_type: str | None) -> Iterator[CheckRow]:
        of = f"list of {campaign_type}" if campaign_type else "list"
        reader, campaigns, problem = self._list(campaign_type)
        self._listed_twice.update(campaign.id for campaign in campaigns if campaign.id in self._listed)
        self._listed.update({campaign.id: campaign for campaign in campaigns})
        total = "" if reader.total is None else f", of {reader.total} that it has"
        seen = f"{len(campaigns)} campaigns on {reader.pages_read} pages{total}"
        verdict = SAME if campaigns else UNKNOWN
        yield check_row("rows and pages", problem or seen, DIFFERS if problem else verdict, of)
        if self._client.platform.listable_statuses:
            yield self._limit_row(of, campaign_type, reader.total or 0)
            yield self._filter_row(of, campaign_type, sorted({campaign.status for campaign in campaigns}))
            yield self._order_row(of, campaign_type)

    def _list(
        self, campaign_type: str | None, statuses: Iterable[str] = (), *, newest_first: bool = False
    ) -> tuple[ListReader, list[Campaign], str | None]:
        """Return the reading of the beginning of a list, the campaigns in it, and what is wrong with it."""
        reader = self._client.read_list(campaign_type, tuple(statuses), newest_first=newest_first)
        campaigns: list[Campaign] = []
        try:
            while not reader.is_finished and reader.pages_read < MAX_PAGES:
                campaigns += reader.read_page(self._part())
            reader.check()
        except Exception as error:  # noqa: BLE001 one point that fails as nobody foresaw keeps no other from being checked
            return reader, campaigns, str(as_campaign_error(error, "The list"))
        return reader, campaigns, None

    def _limit_row(self, of: str, campaign_type: str | None, total: int) -> CheckRow:
        """Return what a page of a single row shows."""
        reader = self._client.read_list(campaign_type, page_size=1)
        try:
            count, has_more = len(reader.read_page(self._part())), not reader.is_finished
        except Exception as error:  # noqa: BLE001 one point that fails as nobody foresaw keeps no other from being checked
            return check_row("limit", str(as_campaign_error(error, "A page of one row")), DIFFERS, of)
        is_same = count == min(total, 1) and has_more is (total > 1)
        return check_row("limit", f"{count} rows, hasMore {has_more}, of {total}", SAME if is_same else DIFFERS, of)

    def _filter_row(self, of: str, campaign_type: str | None, words: list[str]) -> CheckRow:
        if len(words) < 2:
            return check_row("filter", "all listed are in one status", UNKNOWN, of)
        _, campaigns, problem = self._list(campaign_type, words[:1])
        others = sorted({campaign.status for campaign in campaigns} - {words[0]})
        seen = problem or (f"with {words[0]} it lists {', '.join(others)}, too" if others else f"only {words[0]}")
        return check_row("filter", seen, DIFFERS if problem or others else SAME, of)

    def _order_row(self, of: str, campaign_type: str | None) -> CheckRow:
        _, campaigns, problem = self._list(campaign_type, newest_first=True)
        moments = [moment for each in campaigns if (moment := seconds_of(each.updated_at)) is not None]
        if problem:
            return check_row("order", problem, DIFFERS, of)
        if len(set(moments)) < 2:
            return check_row("order", "too few campaigns", UNKNOWN, of)
        is_sorted = moments == sorted(moments, reverse=True)
        seen = "newest first" if is_sorted else "in another order"
        return check_row("order", seen, SAME if is_sorted else DIFFERS, of)

    def _listed_rows(self) -> Iterator[CheckRow]:
        """Yield what all lists together show."""
        if self._client.platform.campaign_types:
            count = len(self._listed_twice)
            seen = f"{count} are in several lists" if count else "each is in one list"
            yield check_row("types", seen, DIFFERS if count else SAME if self._listed else UNKNOWN)
        words = sorted({campaign.status for campaign in self._listed.values()})
        others = [word for word in words if word not in list(CampaignStatus)]
        seen = f"not documented: {', '.join(others)}" if others else ", ".join(words) or "no campaign is listed"
        yield check_row("status words", seen, DIFFERS if others else SAME if words else UNKNOWN)

    def _campaign_rows(self) -> Iterator[CheckRow]:
        """Yield what the requests for a single campaign show."""
        sample = self._campaign_id or next(iter(self._listed), None)
        hours: list[Mapping[str, Any]] = []
        readings = {"status": self._client.get_campaign_status, "get": self._client.get_campaign}
        for name, read in readings.items():
            point = f"{name} of one campaign"
            if sample is None:
                yield check_row(point, "no campaign is listed", UNKNOWN)
                continue
            try:
                campaign = read(sample, deadline=self._part())
            except Exception as error:  # noqa: BLE001 one point that fails as nobody foresaw keeps no other from being checked
                yield check_row(point, str(as_campaign_error(error, f"Campaign {sample!r}")), DIFFERS)
                continue
            hours = list(_objects_named("callingHours", campaign.raw))
            listed = self._listed.get(sample, campaign).status
            seen = f"{campaign.status}, and the list says {listed}"
            yield check_row(point, seen, SAME if listed == campaign.status else DIFFERS)
        problems = [problem for each in hours for problem in _problems_of(each)]
        seen = "; ".join(problems) or (f"{len(hours)} read" if hours else "none shown")
        yield check_row("calling hours", seen, DIFFERS if problems else SAME if hours else UNKNOWN)

    def _unknown_id_row(self) -> CheckRow:
        try:
            campaign = self._client.get_campaign_status(UNKNOWN_ID, deadline=self._part())
        except Exception as error:  # noqa: BLE001 one point that fails as nobody foresaw keeps no other from being checked
            seen = f"{self._last_response()}; read as {type(error).__name__}"
            return check_row("an unknown id", seen, SAME if isinstance(error, CampaignNotFoundError) else DIFFERS)
        return check_row("an unknown id", f"shown as {campaign.status}", DIFFERS)

    def _last_response(self) -> str:
        response = self.transport.exchanges[-1].response
        content_type = self._quoted(response.headers.get("Content-Type")) or "no content type"
        return f"HTTP {response.status}, {content_type}, {len(response.body)} bytes"

    def _quoted(self, header: str | None) -> str | None:
        return sanitize(header, self._client.platform.secrets)

    def _rate_row(self) -> CheckRow:
        headers = {name for each in self.transport.exchanges for name in each.response.headers}
        names = sorted(filter(RATE_HEADER.search, headers), key=str.casefold)
        return check_row("rate-limit headers", self._quoted(", ".join(names)) or "none", DIFFERS if names else SAME)

    def _clock_row(self) -> CheckRow:
        differences = []
        for exchange in self.transport.exchanges:
            try:
                moment = parsedate_to_datetime(exchange.response.headers.get("Date", "")).timestamp()
            except (TypeError, ValueError):
                continue
            differences.append(moment - exchange.sent_at - exchange.seconds / 2)
        if not differences:
            return check_row("clock", "no Date header", UNKNOWN)
        least = min(differences, key=abs)
        return check_row(
            "clock", f"{least:+.0f} s against ours", SAME if abs(least) <= MAX_CLOCK_DIFFERENCE else DIFFERS
        )

    def _stop_row(self, campaign_id: str) -> CheckRow:
        listed = self._listed.get(campaign_id)
        campaign_type = self._campaign_type or (listed.campaign_type if listed else None)
        began = self._client.clock.monotonic()
        try:
            campaign = self._client.stop_campaign(campaign_id, campaign_type, deadline=self._deadline)
            seen = f"{self._last_response()}: {campaign.status}, {campaign.message}"
            is_stopped = STOP_CONDITION.is_met_by(campaign.status)
            wait_for_effect(self._client, campaign, self._deadline)
        except CampaignConfigError:
            raise
        except CampaignError as error:
            return check_row("stop", str(error), DIFFERS)
        seconds = self._client.clock.monotonic() - began
        return check_row("stop", f"{seen}; stopped after {seconds:.1f} s", SAME if is_stopped else DIFFERS)

    def _permission_row(self) -> CheckRow:
        """Return what a stop of an id shows that no account has: it can stop nothing."""
        try:
            campaign = self._client.stop_campaign(
                UNKNOWN_ID, self._campaign_type or self._types[0], deadline=self._part()
            )
        except CampaignNotFoundError as error:
            return check_row("permission to stop", f"HTTP {error.http_status}", SAME)
        except CampaignError as error:
            return check_row("permission to stop", str(error), DIFFERS)
        return check_row("permission to stop", f"shown as {campaign.status}", DIFFERS)


def _problems_of(hours: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why calling hours are unreadable, or probably a mistake."""
    try:
        return tuple(CallingHours.read(hours).warnings)
    except CampaignConfigError as error:
        return (str(error),)


def _objects_named(name: str, value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects of a name, however deep they are."""
    if isinstance(value, list):
        for item in value:
            yield from _objects_named(name, item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key == name and item is not None:
                yield item
            else:
                yield from _objects_named(name, item)
