"""Holding a real account against the documented contract: what is documented, what is seen, and what that means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, CampaignStatus
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import MAX_CLOCK_DIFFERENCE, Deadline
from airflow_provider_campaign.client.list_reader import ListReader
from airflow_provider_campaign.client.response import sanitize
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError, CampaignNotFoundError
from airflow_provider_campaign.operations.check_row import DIFFERS, SAME, UNKNOWN, CheckRow, hours_row, objects_named
from airflow_provider_campaign.operations.exchanges import RecordingTransport
from airflow_provider_campaign.operations.wait import wait_for_effect
from airflow_provider_campaign.platforms.base import Action, ApiRequest

UNKNOWN_ID = "no-such-campaign-airflow-check"
"""An id that no account has."""

MAX_PAGES = 3
"""Pages of a list that are read, at the most."""

RATE_HEADER = re.compile(r"(^|-)(rate|ratelimit|retry-after|quota|limit)", re.IGNORECASE)
"""How the names of headers about a rate limit look; no platform documents one."""


class ContractCheck:
    """
    Hold an account against the documented contract. It only reads, unless a stop is allowed.

    :param campaign_id: The campaign to look at more closely; None for the first that is listed.
    :param allow_stop: Whether that campaign may be stopped.
    :param campaign_type: Its type, where it is not among those that are listed.
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
        self._deadline = deadline
        self._campaign_id = campaign_id
        self._campaign_type = campaign_type
        self._allow_stop = allow_stop
        self._listed: dict[str, Campaign] = {}
        self._listed_twice: set[str] = set()

    def run(self) -> Iterator[CheckRow]:
        """Yield each point as soon as it is known; raise if the account can't be read at all."""
        self._client.probe()
        for campaign_type in self._client.platform.campaign_types or (None,):
            yield from self._list_rows(campaign_type)
        if self._client.platform.campaign_types:
            yield self._types_row()
        yield self._words_row()
        yield from self._campaign_rows()
        yield self._unknown_id_row()
        yield self._rate_row()
        yield self._clock_row()
        if self._allow_stop and self._campaign_id:
            yield self._stop_row(self._campaign_id)

    def _part(self) -> Deadline:
        return self._deadline.sooner(retries=False)

    def _list_rows(self, campaign_type: str | None) -> Iterator[CheckRow]:
        subject = f"list of {campaign_type}" if campaign_type else "list"
        reader, campaigns, problem = self._list(campaign_type)
        self._listed_twice.update(campaign.id for campaign in campaigns if campaign.id in self._listed)
        self._listed.update({campaign.id: campaign for campaign in campaigns})
        total = "" if reader.total is None else f", of {reader.total} that it has"
        yield CheckRow(
            f"{subject}: rows and pages",
            "each row has an id and a status; pages and total agree",
            problem or f"{len(campaigns)} campaigns on {reader.pages_read} pages{total}",
            DIFFERS if problem else SAME if campaigns else UNKNOWN,
            "stops all that can be read, then fails and names the row or the contradiction",
        )
        if self._client.platform.sorts_lists:
            yield self._limit_row(subject, campaign_type, reader.total)
            yield self._filter_row(subject, campaign_type, campaigns)
            yield self._order_row(subject, campaign_type)

    def _list(
        self, campaign_type: str | None, statuses: Iterable[str] = (), *, newest_first: bool = False
    ) -> tuple[ListReader, list[Campaign], str | None]:
        """Return the reading of the beginning of a list, the campaigns in it, and what is wrong with it."""
        reader = self._client.read_list(campaign_type, tuple(statuses), newest_first=newest_first)
        campaigns: list[Campaign] = []
        problem = None
        try:
            while not reader.is_finished and reader.pages_read < MAX_PAGES:
                campaigns += reader.read_page(self._part())
            reader.check()
        except CampaignError as error:
            problem = str(error)
        return reader, campaigns, problem

    def _limit_row(self, subject: str, campaign_type: str | None, total: int | None) -> CheckRow:
        """Return what a page of a single row shows."""
        documented, provider = "limit 1: one row, and hasMore if there are others", "reads on until nothing new comes"
        request = ApiRequest(Action.LIST, None, campaign_type)
        try:
            data = self._client.requester.send(
                request, self._client.platform.probe(request), self._part(), lambda document: document["data"]
            )
            count, has_more = len(data["results"]), data.get("hasMore")
        except (CampaignError, KeyError, TypeError) as error:
            return CheckRow(f"{subject}: limit", documented, str(error), DIFFERS, provider)
        is_same = count == min(total or 0, 1) and has_more is ((total or 0) > 1)
        seen = f"{count} rows, hasMore {has_more}, of {total}"
        return CheckRow(f"{subject}: limit", documented, seen, SAME if is_same else DIFFERS, provider)

    def _filter_row(self, subject: str, campaign_type: str | None, listed: list[Campaign]) -> CheckRow:
        words = sorted({campaign.status for campaign in listed})
        documented = "filters.status: only campaigns in one of these statuses"
        provider = "filters once more by itself; a list that ignores the filter costs more pages"
        if len(words) < 2:
            return CheckRow(f"{subject}: filter", documented, "all listed are in one status", UNKNOWN, provider)
        _, campaigns, problem = self._list(campaign_type, words[:1])
        others = sorted({campaign.status for campaign in campaigns} - {words[0]})
        seen = problem or (f"with {words[0]} it lists {', '.join(others)}, too" if others else f"only {words[0]}")
        return CheckRow(f"{subject}: filter", documented, seen, DIFFERS if problem or others else SAME, provider)

    def _order_row(self, subject: str, campaign_type: str | None) -> CheckRow:
        _, campaigns, problem = self._list(campaign_type, newest_first=True)
        moments = [moment for each in campaigns if (moment := seconds_of(each.updated_at)) is not None]
        is_sorted = moments == sorted(moments, reverse=True)
        seen, verdict = "newest first" if is_sorted else "in another order", SAME if is_sorted else DIFFERS
        if len(set(moments)) < 2:
            seen, verdict = "too few campaigns", UNKNOWN
        provider = "notices, and reads the whole list where it would have read its top"
        documented = "sortBy updatedAt desc: those changed last come first"
        return CheckRow(f"{subject}: order", documented, problem or seen, DIFFERS if problem else verdict, provider)

    def _types_row(self) -> CheckRow:
        count = len(self._listed_twice)
        seen = f"{count} are in several lists" if count else "each is in one list"
        verdict = DIFFERS if count else SAME if self._listed else UNKNOWN
        provider = "a sweep stops each as the type that the platform knows it as"
        return CheckRow("types", "a campaign is in the list of its own type only", seen, verdict, provider)

    def _words_row(self) -> CheckRow:
        seen = sorted({campaign.status for campaign in self._listed.values()})
        unknown = [word for word in seen if word not in {status.value for status in CampaignStatus}]
        closed = self._client.platform.has_closed_status_set
        provider = "is not stopped, but told or a failure" if closed else "counts as live in a sweep"
        verdict = DIFFERS if unknown else SAME if seen else UNKNOWN
        text = f"not documented: {', '.join(unknown)}" if unknown else ", ".join(seen) or "no campaign is listed"
        return CheckRow(
            "status words", ", ".join(CampaignStatus), text, verdict, f"a word that is not documented {provider}"
        )

    def _campaign_rows(self) -> Iterator[CheckRow]:
        """Yield what the requests for a single campaign show."""
        sample = self._campaign_id or next(iter(self._listed), None)
        provider = "does not believe a response that it can't read, and says so"
        hours: Iterable[Mapping[str, Any]] = ()
        readings: dict[str, Callable[..., Campaign]] = {
            "status": self._client.get_campaign_status,
            "get": self._client.get_campaign,
        }
        for name, read in readings.items():
            subject, documented = f"{name} of one campaign", "the same id and status that the list shows"
            if sample is None:
                yield CheckRow(subject, documented, "no campaign is listed", UNKNOWN, provider)
                continue
            try:
                campaign = read(sample, deadline=self._part())
            except CampaignError as error:
                yield CheckRow(subject, documented, str(error), DIFFERS, provider)
                continue
            hours = list(objects_named("callingHours", campaign.raw))
            listed = self._listed.get(sample, campaign).status
            seen = f"{campaign.status}, and the list says {listed}"
            yield CheckRow(subject, documented, seen, SAME if listed == campaign.status else DIFFERS, provider)
        yield hours_row(hours)

    def _unknown_id_row(self) -> CheckRow:
        documented, provider = "HTTP 404, as JSON", "takes nothing but a 404 for a campaign that is not there"
        try:
            campaign = self._client.get_campaign_status(UNKNOWN_ID, deadline=self._part())
        except CampaignError as error:
            seen = f"{self._last_response()}; read as {type(error).__name__}"
            verdict = SAME if isinstance(error, CampaignNotFoundError) else DIFFERS
        else:
            seen, verdict = f"shown as {campaign.status}", DIFFERS
        return CheckRow("an unknown id", documented, seen, verdict, provider)

    def _last_response(self) -> str:
        response = self.transport.exchanges[-1].response
        content_type = self._quoted(response.headers.get("Content-Type")) or "no content type"
        return f"HTTP {response.status}, {content_type}, {len(response.body)} bytes"

    def _quoted(self, header: str | None) -> str | None:
        return sanitize(header, self._client.platform.secrets)

    def _rate_row(self) -> CheckRow:
        names = {
            name for each in self.transport.exchanges for name in each.response.headers if RATE_HEADER.search(name)
        }
        seen = self._quoted(", ".join(sorted(names, key=str.casefold))) or "none"
        provider = "honours Retry-After with a 429 or 503, else keeps to the documented limit"
        verdict = DIFFERS if names else SAME
        return CheckRow("rate-limit headers", "none", seen, verdict, provider)

    def _clock_row(self) -> CheckRow:
        differences = []
        for exchange in self.transport.exchanges:
            try:
                moment = parsedate_to_datetime(exchange.response.headers.get("Date", "")).timestamp()
            except (TypeError, ValueError):
                continue
            differences.append(moment - exchange.sent_at - exchange.seconds / 2)
        documented, provider = "the platform's clock is ours", "signs by it; a token is valid for 5 minutes"
        if not differences:
            return CheckRow("clock", documented, "no Date header", UNKNOWN, provider)
        least = min(differences, key=abs)
        verdict = SAME if abs(least) <= MAX_CLOCK_DIFFERENCE else DIFFERS
        return CheckRow("clock", documented, f"{least:+.0f} s against ours", verdict, provider)

    def _stop_row(self, campaign_id: str) -> CheckRow:
        documented = "the response to the stop says that it is stopped"
        provider = "polls until the platform says Stopped or Completed"
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
            return CheckRow("stop", documented, str(error), DIFFERS, provider)
        seconds = self._client.clock.monotonic() - began
        return CheckRow(
            "stop", documented, f"{seen}; stopped after {seconds:.1f} s", SAME if is_stopped else DIFFERS, provider
        )
