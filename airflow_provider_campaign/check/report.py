"""What a check has seen, as a file that may be shown to anybody: what the documentation names, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from zoneinfo import available_timezones

from airflow_provider_campaign import __version__
from airflow_provider_campaign.calling_hours.reading import FREQUENCIES
from airflow_provider_campaign.campaign import CampaignStatus, CampaignType
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.requester import read_date
from airflow_provider_campaign.platforms.base import ApiRequest, HttpRequest, HttpResponse, Platform
from airflow_provider_campaign.text import parse_json

SCHEMA = "campaign-check/2"

UNKNOWN_ID = "no-such-campaign-airflow-check"  # an id that no account has
MAX_NUMBER = 99_999  # the largest number that is kept: a longer one may be a telephone's

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


def _is_moment(text: str) -> bool:
    return text in ("asc", "desc") or seconds_of(text) is not None  # or how a list is sorted by it


def _is_date(value: str) -> bool:
    moment = read_date(value)
    return moment is not None and formatdate(moment, usegmt=True) == value


HARMLESS: Mapping[str, Callable[[str], bool]] = {
    "status": lambda text: text.casefold() in _WORDS,
    "type": frozenset(CampaignType).__contains__,
    "priority": frozenset("12345").__contains__,
    "campaignExecutionType": frozenset(("NORMAL",)).__contains__,
    "frequency": frozenset(FREQUENCIES).__contains__,
    "timezone": lambda text: text in available_timezones(),
    "day": frozenset(("MO", "TU", "WE", "TH", "FR", "SA", "SU")).__contains__,
    **dict.fromkeys(("start", "end"), lambda text: _CLOCK_TIME.fullmatch(text) is not None),
    **dict.fromkeys(("createdAt", "updatedAt", "startedAt", "startDate", "endDate"), _is_moment),
}
"""Documented fields, and which of their texts are documented: only these are kept."""

HEADERS: Mapping[str, Callable[[str], object]] = {
    "content-type": _MEDIA_TYPE.fullmatch,
    "date": _is_date,
    **dict.fromkeys(("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining"), _NUMBER.fullmatch),
}
"""Headers that are documented somewhere, and which of their values are kept."""

Exchange = tuple[ApiRequest, HttpRequest, HttpResponse, float]
"""What was asked for, the request, the response, and when it was sent (seconds since the epoch)."""


def check_report(platform: Platform, verdicts: Mapping[str, str], exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """Return what a check has seen, as far as it says nothing of whose account it is."""
    stand_ins: dict[tuple[str, str], str] = {}
    return {
        "schema": SCHEMA,
        "provider_version": __version__,
        "platform": platform.name,
        "api_version": getattr(platform, "api_version", None),
        "rows": [{"subject": subject, "verdict": verdict} for subject, verdict in verdicts.items()],
        "exchanges": [_exchange(exchange, stand_ins) for exchange in exchanges],
    }


def _stand_in(kind: str, text: str, stand_ins: dict[tuple[str, str], str]) -> str:
    """Return what stands for a text, for example ``campaign-2``: the same everywhere."""
    if not text or text == UNKNOWN_ID:
        return text
    count = sum(known == kind for known, _ in stand_ins)
    return stand_ins.setdefault((kind, text), f"{kind}-{count + 1}")


def _documented(value: Any, stand_ins: dict[tuple[str, str], str], key: str = "") -> Any:
    """Return a JSON value without the fields, and the texts and numbers in them, that are not documented."""
    if isinstance(value, Mapping):
        kept = (name for name in value if name in KEPT_KEYS or name in HARMLESS or name in STAND_INS)
        return {name: _documented(value[name], stand_ins, name) for name in kept}
    if isinstance(value, list):
        return [_documented(item, stand_ins, key) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str) or key in STAND_INS:
        is_harmless = key in HARMLESS and HARMLESS[key](value)
        return value if is_harmless else _stand_in(STAND_INS.get(key, "text"), str(value), stand_ins)
    return value if isinstance(value, int) and abs(value) <= MAX_NUMBER else 0


def _exchange(exchange: Exchange, stand_ins: dict[tuple[str, str], str]) -> dict[str, Any]:
    about, request, response, sent_at = exchange
    campaign = about.campaign_id and _stand_in("campaign", about.campaign_id, stand_ins)
    document = parse_json(response.body)
    text = f"({len(response.body)} bytes that are no JSON object)" if response.body else ""
    body = {"text": text} if document is None else {"json": _documented(document, stand_ins)}
    headers = {name.casefold(): value for name, value in response.headers.items()}
    return {
        "sent_at": datetime.fromtimestamp(sent_at, UTC).isoformat(),
        "action": about.action,
        "campaign": campaign,
        "type": about.campaign_type,
        "request": _documented(request.json, stand_ins),
        "status": response.status,
        "headers": {name: value for name, value in headers.items() if name in HEADERS and HEADERS[name](value)},
        **body,
    }
