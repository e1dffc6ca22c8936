"""Comparing an account with what is documented, point by point."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, CampaignStatus
from airflow_provider_campaign.check.report import UNKNOWN_ID, Exchange
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.client.list_reader import ListReader
from airflow_provider_campaign.client.requester import read_date
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignNotFoundError
from airflow_provider_campaign.text import sanitize
from airflow_provider_campaign.waiting.account_poller import wait_for_effect

SAME, DIFFERS, UNKNOWN = "as documented", "differs", "unknown"

MAX_PAGES = 3  # pages of a list that are read, at the most
MAX_CLOCK_DIFFERENCE = 60.0  # seconds by which a response's ``Date`` and our time may differ although the clocks agree

RATE_HEADER = re.compile("rate-?limit|retry-after|quota")
"""How the names of headers about a rate limit look; no platform documents one."""

POINTS: Mapping[str, tuple[str, str]] = {
    "rows and pages": (
        "each row has an id and a status; pages and total agree",
        "stops all that can be read, then fails and names the row or the contradiction",
    ),
    "filter": (
        "filters.status: only campaigns in one of these statuses",
        "filters once more by itself; a list that ignores the filter costs more pages",
    ),
    "order": (
        "sortBy updatedAt desc: those changed last come first",
        "notices, and reads the whole list where it would have read its top",
    ),
    "status words": (
        ", ".join(CampaignStatus),
        "another word is reported, and a failure; on Sonarly, which documents none, it counts as live in a sweep",
    ),
    **dict.fromkeys(
        ("status of one campaign", "get of one campaign"),
        ("the same id and status that the list shows", "does not believe a response that it can't read, and says so"),
    ),
    "calling hours": (
        "data.dialingStrategy.callingHours with frequency, timezone, and start and end of each day",
        "an operator that is given them refuses what it can't read, and warns of what is hardly meant",
    ),
    "an unknown id": ("HTTP 404, as JSON", "takes nothing but a 404 for a campaign that is not there"),
    "rate-limit headers": ("none", "honors Retry-After with a 429 or 503, else keeps to the documented limit"),
    "clock": ("the platform's clock is ours", "signs by ours; a token is valid for 5 minutes"),
    "stop": ("the response to the stop says that it is stopped", "polls until it says Stopped or Completed"),
    "permission to stop": (
        "a stop of an unknown id is HTTP 404, and not 403",
        "a stop that is not permitted fails at once, and names the permission",
    ),
}
"""Each point: what is documented, and what the provider does if an account differs."""

Row = Mapping[str, str]  # subject, documented, seen, verdict; and provider: what it does if the account differs
Seen = tuple[str, str]  # what an account showed of a point, and the verdict


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
        self.exchanges: list[Exchange] = []
        self._client = client.observed_by(on_response=lambda *exchange: self.exchanges.append(exchange))
        self._types = client.platform.campaign_types or (None,)
        self._deadline, self._once = deadline, deadline.sooner(retries=False)
        self._campaign_id = campaign_id
        self._campaign_type = campaign_type
        self._allow_stop = allow_stop
        self._listed: list[Campaign] = []
        self._document: Mapping[str, Any] = {}

    def run(self) -> Iterator[Row]:
        """Yield each point as soon as it is known; raise if the account is unreadable."""
        self._client.probe()
        for campaign_type in self._types:
            of = f"list of {campaign_type}: " if campaign_type else "list: "
            yield _row("rows and pages", partial(self._pages, campaign_type), of)
            if self._client.platform.listable_statuses:
                yield _row("filter", partial(self._filter, campaign_type), of)
                yield _row("order", partial(self._order, campaign_type), of)
        yield _row("status words", self._words)
        yield _row("status of one campaign", partial(self._campaign, self._client.get_campaign_status))
        yield _row("get of one campaign", partial(self._campaign, self._client.get_campaign))
        yield _row("calling hours", self._calling_hours)
        yield _row("an unknown id", partial(self._unknown_id, self._client.get_campaign_status))
        yield _row("rate-limit headers", self._rate_headers)
        yield _row("clock", self._clock)
        if self._allow_stop and self._campaign_id:
            yield _row("stop", partial(self._stop, self._campaign_id))
        elif self._allow_stop:
            stop = partial(self._client.stop_campaign, campaign_type=self._campaign_type or self._types[0])
            yield _row("permission to stop", partial(self._unknown_id, stop))  # it can stop nothing

    def _read(self, reader: ListReader, campaigns: list[Campaign]) -> list[Campaign]:
        """Read the beginning of a list; raise what is wrong with it once the campaigns in it are known."""
        while not reader.is_finished and reader.pages_read < MAX_PAGES:
            campaigns += reader.read_page(self._once)
        reader.check()
        return campaigns

    def _pages(self, campaign_type: str | None) -> Seen:
        reader, before = self._client.read_list(campaign_type), len(self._listed)
        self._read(reader, self._listed)
        total = "" if reader.total is None else f", of {reader.total} that it has"
        count = len(self._listed) - before
        return f"{count} campaigns on {reader.pages_read} pages{total}", SAME if count else UNKNOWN

    def _filter(self, campaign_type: str | None) -> Seen:
        words = sorted({each.status for each in self._listed if each.campaign_type == campaign_type})
        if len(words) < 2:
            return "all listed are in one status", UNKNOWN
        campaigns = self._read(self._client.read_list(campaign_type, words[:1]), [])
        others = sorted({campaign.status for campaign in campaigns} - {words[0]})
        if others:
            return f"with {words[0]} it lists {', '.join(others)}, too", DIFFERS
        return f"only {words[0]}", SAME

    def _order(self, campaign_type: str | None) -> Seen:
        campaigns = self._read(self._client.read_list(campaign_type, newest_first=True), [])
        moments = [moment for each in campaigns if (moment := seconds_of(each.updated_at)) is not None]
        if len(set(moments)) < 2:
            return "too few campaigns", UNKNOWN
        is_sorted = moments == sorted(moments, reverse=True)
        return ("newest first", SAME) if is_sorted else ("in another order", DIFFERS)

    def _words(self) -> Seen:
        words = sorted({campaign.status for campaign in self._listed})
        if others := [word for word in words if word not in list(CampaignStatus)]:
            return f"not documented: {', '.join(others)}", DIFFERS
        return ", ".join(words) or "no campaign is listed", SAME if words else UNKNOWN

    def _campaign(self, read: Callable[..., Campaign]) -> Seen:
        sample = self._campaign_id or next((campaign.id for campaign in self._listed), None)
        if sample is None:
            return "no campaign is listed", UNKNOWN
        shown = read(sample, deadline=self._once)
        self._document = shown.raw
        listed = next((each.status for each in self._listed if each.id == sample), shown.status)
        return f"{shown.status}, and the list says {listed}", SAME if listed == shown.status else DIFFERS

    def _calling_hours(self) -> Seen:
        """Return whether the calling hours of the campaign that was read last can be read, and are hardly a mistake."""
        hours: Any = self._document
        for key in ("data", "dialingStrategy", "callingHours"):
            hours = hours.get(key) if isinstance(hours, Mapping) else None
        if hours is None:
            return "none shown", UNKNOWN
        try:
            warnings = CallingHours.read(hours).warnings
        except CampaignConfigError as error:
            return str(error), DIFFERS
        return "; ".join(warnings) or "they can be read", DIFFERS if warnings else SAME

    def _unknown_id(self, act: Callable[..., Campaign]) -> Seen:
        try:
            campaign = act(UNKNOWN_ID, deadline=self._once)
        except CampaignConfigError:
            raise
        except Exception as error:  # noqa: BLE001 how it was read is the point
            seen = f"{self._last_response()}; read as {type(error).__name__}"
            return seen, SAME if isinstance(error, CampaignNotFoundError) else DIFFERS
        return f"shown as {campaign.status}", DIFFERS

    def _last_response(self) -> str:
        response = self.exchanges[-1][2]
        content_type = sanitize(response.headers.get("Content-Type"), self._client.platform.secrets)
        return f"HTTP {response.status}, {content_type or 'no content type'}, {len(response.body)} bytes"

    def _rate_headers(self) -> Seen:
        names = {name.casefold() for _, _, response, _ in self.exchanges for name in response.headers}
        found = ", ".join(sorted(filter(RATE_HEADER.search, names)))
        return sanitize(found, self._client.platform.secrets) or "none", DIFFERS if found else SAME

    def _clock(self) -> Seen:
        differences = []
        for _, _, response, sent_at in self.exchanges:
            if (moment := read_date(response.headers.get("Date"))) is not None:
                differences.append(moment - sent_at)
        if not differences:
            return "no Date header", UNKNOWN
        least = min(differences, key=abs)
        return f"{least:+.0f} s against ours", SAME if abs(least) <= MAX_CLOCK_DIFFERENCE else DIFFERS

    def _stop(self, campaign_id: str) -> Seen:
        types = (each.campaign_type for each in self._listed if each.id == campaign_id)
        began = self._client.clock.monotonic()
        campaign_type = self._campaign_type or next(types, None)
        campaign = self._client.stop_campaign(campaign_id, campaign_type, deadline=self._deadline)
        seen = f"{self._last_response()}: {campaign.status}, {campaign.message}"
        wait_for_effect(self._client, campaign, self._deadline)
        seconds = self._client.clock.monotonic() - began
        return f"{seen}; stopped after {seconds:.1f} s", SAME if STOP_CONDITION.is_met_by(campaign.status) else DIFFERS


def _row(point: str, look: Callable[[], Seen], of: str = "") -> Row:
    """Return what an account shows of a point; one that fails keeps no other from being checked."""
    try:
        seen, verdict = look()
    except CampaignConfigError:  # an argument is wrong
        raise
    except Exception as error:  # noqa: BLE001 whatever it is, it is what was seen of this point
        seen, verdict = str(as_campaign_error(error, point)), DIFFERS
    documented, provider = POINTS[point]
    row = {"subject": f"{of}{point}", "documented": documented, "seen": seen}
    return {**row, "verdict": verdict, "provider": provider}
