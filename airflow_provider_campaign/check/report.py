"""What a check has seen, as a file that may be shown to anybody: what the documentation names, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from zoneinfo import available_timezones

from airflow_provider_campaign import __version__
from airflow_provider_campaign.campaign import CampaignStatus, CampaignType
from airflow_provider_campaign.check.points import RATE_HEADER, UNKNOWN_ID, CheckRow
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.clock import Clock
from airflow_provider_campaign.client.transport import Transport
from airflow_provider_campaign.platforms.base import Action, ApiRequest, HttpRequest, HttpResponse, Platform
from airflow_provider_campaign.text import parse_json

SCHEMA = "campaign-check/2"

MAX_NUMBER = 99_999
"""The largest number that is kept: a longer one may be a telephone's."""

KEPT_KEYS = frozenset(
    (
        *("data", "results", "items", "campaign", "errors", "error", "success", "message", "msg", "details"),
        *("callingHours", "dialingStrategy", "days", "schedule", "pagination", "sortBy", "filters"),
        *("hasMore", "limit", "skip", "page", "totalPages", "total", "totalCount", "totalItems", "totalResults"),
        *("isSchedulingEnabled", "isRecurrenceEnabled", "instancesStopped", "instancesCreated", "triggered"),
    )
)
"""Documented fields whose numbers are kept, and whose texts are not."""

STAND_INS = {"id": "campaign", "_id": "campaign", "name": "name", "code": "code", "nextCursor": "cursor"}
"""Documented fields whose texts are replaced by numbered ones: ``campaign-1``, ``campaign-2``."""

_WORDS = frozenset(word.casefold() for word in (*CampaignStatus, "success", "failure", "failed", "error"))
_CLOCK_TIME = re.compile(r"\d{1,2}:\d\d( ?[AP]M)?")
_NUMBER = re.compile(r"[0-9]{1,5}")
_MEDIA_TYPE = re.compile(r"(application/(problem\+)?json|text/(html|plain|xml))(; ?charset=utf-8)?", re.IGNORECASE)
_RATE_LIMIT = re.compile(r"(x-)?rate-?limit-(limit|remaining|reset)")


def _is_one_of(*words: str) -> Callable[[str], bool]:
    return frozenset(words).__contains__


def _is_moment(text: str) -> bool:
    return text in ("asc", "desc") or seconds_of(text) is not None  # or how a list is sorted by it


HARMLESS: Mapping[str, Callable[[str], bool]] = {
    "status": lambda text: text.casefold() in _WORDS,
    "type": _is_one_of(*CampaignType),
    "priority": _is_one_of(*"12345"),
    "campaignExecutionType": _is_one_of("NORMAL"),
    "frequency": _is_one_of("DAILY", "WEEKLY", "CUSTOM"),
    "timezone": lambda text: text in available_timezones(),
    "day": _is_one_of("MO", "TU", "WE", "TH", "FR", "SA", "SU"),
    **dict.fromkeys(("start", "end"), lambda text: _CLOCK_TIME.fullmatch(text) is not None),
    **dict.fromkeys(("createdAt", "updatedAt", "startedAt", "startDate", "endDate"), _is_moment),
}
"""Documented fields, and which of their texts are documented: only these are kept."""


@dataclass(frozen=True)
class Exchange:
    """
    One request and its response.

    :param about: What was asked for.
    :param sent_at: Seconds since the epoch.
    :param seconds: From the request to the end of the response.
    """

    about: ApiRequest
    request: HttpRequest
    response: HttpResponse
    sent_at: float
    seconds: float


class RecordingTransport:
    """A transport that keeps every exchange; what signs a request is not kept."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self.base_url = transport.base_url
        self.exchanges: list[Exchange] = []
        self._transport = transport
        self._clock = clock
        self._about = ApiRequest(Action.LIST)

    def note_request(self, request: ApiRequest) -> None:
        """Note what the next request asks for."""
        self._about = request

    def send_request(self, request: HttpRequest, headers: Mapping[str, str], seconds: float) -> HttpResponse:
        """Send a request once, and keep it with its response."""
        sent_at, began = self._clock.time(), self._clock.monotonic()
        response = self._transport.send_request(request, headers, seconds)
        self.exchanges.append(Exchange(self._about, request, response, sent_at, self._clock.monotonic() - began))
        return response


def check_report(platform: Platform, rows: Iterable[CheckRow], exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """Return what a check has seen, as far as it says nothing of whose account it is."""
    seen = Seen()
    return {
        "schema": SCHEMA,
        "provider_version": __version__,
        "platform": platform.name,
        "api_version": getattr(platform, "api_version", None),
        "rows": [{"subject": row.subject, "verdict": row.verdict} for row in rows],
        "exchanges": [_exchange(seen, exchange) for exchange in exchanges],
    }


class Seen:
    """What stands for the texts of one account; the same text is the same everywhere."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def stand_in(self, kind: str, text: str) -> str:
        """Return what stands for a text, for example ``campaign-2``."""
        if not text or text == UNKNOWN_ID:
            return text
        count = sum(known == kind for known, _ in self._known)
        return self._known.setdefault((kind, text), f"{kind}-{count + 1}")

    def document(self, value: Any, key: str = "") -> Any:
        """Return a JSON value without the fields, and the texts and numbers in them, that are not documented."""
        if isinstance(value, Mapping):
            return {name: self.document(item, name) for name, item in value.items() if _is_documented(name)}
        if isinstance(value, list):
            return [self.document(item, key) for item in value]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, str) or key in STAND_INS:
            is_harmless = key in HARMLESS and HARMLESS[key](value)
            return value if is_harmless else self.stand_in(STAND_INS.get(key, "text"), str(value))
        return value if isinstance(value, int) and abs(value) <= MAX_NUMBER else 0


def _is_documented(key: str) -> bool:
    return key in KEPT_KEYS or key in HARMLESS or key in STAND_INS


def _exchange(seen: Seen, exchange: Exchange) -> dict[str, Any]:
    about, response = exchange.about, exchange.response
    document = parse_json(response.body)
    return {
        "sent_at": datetime.fromtimestamp(exchange.sent_at, UTC).isoformat(),
        "seconds": round(exchange.seconds, 3),
        "action": about.action,
        "campaign": about.campaign_id and seen.stand_in("campaign", about.campaign_id),
        "type": about.campaign_type,
        "request": seen.document(exchange.request.json),
        "status": response.status,
        "headers": dict(_headers(response)),
        **({"text": _shape(response.body)} if document is None else {"json": seen.document(document)}),
    }


def _headers(response: HttpResponse) -> Iterator[tuple[str, str]]:
    """Yield the headers that are documented somewhere, if their values are as documented."""
    for name, value in response.headers.items():
        known = name.casefold()
        if (known == "content-type" and _MEDIA_TYPE.fullmatch(value)) or (known == "date" and _is_date(value)):
            yield known, value
        elif RATE_HEADER.search(known):
            is_known = known == "retry-after" or _RATE_LIMIT.fullmatch(known)
            yield known if is_known else "x-ratelimit", value if _NUMBER.fullmatch(value) else ""


def _is_date(value: str) -> bool:
    try:
        return format_datetime(parsedate_to_datetime(value).astimezone(UTC), usegmt=True) == value
    except ValueError:
        return False


def _shape(body: bytes) -> str:
    """Return what a body that is no JSON object looks like: what stands in it may be anything."""
    beginning = body.lstrip()[:1].decode(errors="replace")
    return f"{beginning if beginning in '<{[' else '?'}… ({len(body)} bytes that are no JSON object)" if body else ""
