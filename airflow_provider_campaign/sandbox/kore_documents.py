"""Kore's JSON documents: a campaign's record, a row of the list, and the list itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from operator import attrgetter
from typing import Any

from airflow_provider_campaign.sandbox.campaigns import KORE_TYPES, Campaign
from airflow_provider_campaign.sandbox.clock import Timeline
from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.listing import Page, corrupt_row
from airflow_provider_campaign.sandbox.responses import ApiError
from airflow_provider_campaign.sandbox.routing import RouteMatch
from airflow_provider_campaign.sandbox.statuses import KORE_STATUSES

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
SORT_KEYS: dict[str, Callable[[Campaign], Any]] = {
    "name": attrgetter("name"),
    "createdAt": attrgetter("created"),
    "updatedAt": attrgetter("changed"),
}
FILTERS: dict[str, Callable[[Campaign], str | None]] = {
    "status": attrgetter("settled_status"),
    "priority": attrgetter("priority"),
    "dialingMode": attrgetter("dialing_mode"),
}


def campaign_record(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as ``get`` and ``delete`` show it."""
    return {
        "_id": campaign.id,
        "name": campaign.name,
        "lname": campaign.name.lower(),
        "description": campaign.description,
        "priority": campaign.priority,
        "format": "advanced",
        "dialingStrategy": {
            "callerId": {"phoneNumber": "+91987654321"},
            "callingHours": campaign.calling_hours,
        },
        "experienceFlow": "cf-67447605-115e-5dd2-a676-e158cf3b0000",
        "status": campaign.status,
        "createdAt": campaign.created_at,
        "updatedAt": campaign.updated_at,
        "schedule": campaign.schedule,
        "campaignInstanceId": campaign.instance_id,
        "contactLists": campaign.contact_lists,
    }


def campaign_row(campaign: Campaign, platform: str) -> dict[str, Any]:
    """
    Return a campaign as the list shows it.

    :param platform: ``kore-v1`` or ``kore-v2``, which differ in the key of a voice campaign's id.
    """
    id_key = "_id" if platform == "kore-v2" and campaign.campaign_type == "voice" else "id"
    row = {
        id_key: campaign.id,
        "name": campaign.name,
        "description": campaign.description,
        "status": campaign.status,
        "priority": campaign.priority,
        "createdAt": campaign.created_at,
        "updatedAt": campaign.updated_at,
        "schedule": campaign.schedule,
        "contactLists": campaign.contact_lists,
    }
    if campaign.dialing_mode is not None:
        row["dialingMode"] = campaign.dialing_mode
    return row


def parse_object(body: bytes, content_type: str | None) -> dict[str, Any]:
    """
    Return a request's JSON object.

    :raises ApiError: 400 if the body is anything else.
    """
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(400, "Content-Type must be application/json", "INVALID_CONTENT_TYPE")
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ApiError(400, "The request body must be a JSON object", "INVALID_BODY")
    return document


@dataclass(frozen=True)
class ListQuery:
    """The validated body of a list request."""

    campaign_type: str
    limit: int
    skip: int
    sort_by: str
    descending: bool
    filters: dict[str, frozenset[str]]
    start: datetime | None
    end: datetime | None

    @classmethod
    def parse(cls, document: dict[str, Any]) -> ListQuery:
        """
        Validate the body of a list request.

        :raises ApiError: 400 if something in it is not as documented.
        """
        campaign_type = document.get("type")
        if campaign_type not in KORE_TYPES:
            raise _invalid("type is required and must be sms or voice")
        limit = min(_whole_number(document, "limit", DEFAULT_LIMIT, minimum=1), MAX_LIMIT)
        page = _whole_number(document, "page", 1, minimum=1)
        sort_by, descending = _sort_order(document.get("sortBy"))
        return cls(
            campaign_type=campaign_type,
            limit=limit,
            skip=_whole_number(document, "skip", (page - 1) * limit, minimum=0),
            sort_by=sort_by,
            descending=descending,
            filters=_filters(document.get("filters")),
            start=_date(document, "startDate", time.min),
            end=_date(document, "endDate", time.max),
        )

    def select(self, campaigns: Iterable[Campaign], timeline: Timeline, config: SandboxConfig) -> list[Campaign]:
        """
        Filter and sort campaigns, unless Kore is configured to ignore filters or order.

        :param campaigns: Those of the types to list, transitions applied; ties stay in their order.
        """
        selected = list(campaigns)
        for name, values in {} if config.ignore_filters else self.filters.items():
            value_of = FILTERS[name]
            selected = [campaign for campaign in selected if value_of(campaign) in values]
        if self.start is not None:
            earliest = timeline.at(self.start)
            selected = [campaign for campaign in selected if campaign.created >= earliest]
        if self.end is not None:
            latest = timeline.at(self.end)
            selected = [campaign for campaign in selected if campaign.created <= latest]
        if not config.ignore_sort:
            selected.sort(key=SORT_KEYS[self.sort_by], reverse=self.descending)
        return selected

    def document(self, selected: list[Campaign], match: RouteMatch) -> dict[str, Any]:
        """
        Return the response's ``data``: one page of the selected campaigns.

        :param match: The request, whose API version and fault shape the page.
        """
        page = Page.of(selected, self.skip, self.limit, match.contradiction)
        rows = [campaign_row(campaign, match.platform) for campaign in page.campaigns]
        corrupt_row(rows, match.list_fault)
        return {
            "results": rows,
            "skip": self.skip,
            "limit": self.limit,
            "hasMore": page.has_more,
            "totalPages": -(-len(selected) // self.limit),
            "totalResults": len(selected),
        }


def _invalid(message: str) -> ApiError:
    return ApiError(400, message, "INVALID_REQUEST")


def _whole_number(document: dict[str, Any], name: str, default: int, minimum: int) -> int:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise _invalid(f"{name} must be a whole number of at least {minimum}")
    return value


def _sort_order(sort_by: Any) -> tuple[str, bool]:
    if sort_by is None:
        return "createdAt", True
    if not isinstance(sort_by, dict) or len(sort_by) != 1:
        raise _invalid("sortBy must be an object with one key")
    [(key, order)] = sort_by.items()
    if key not in SORT_KEYS or order not in ("asc", "desc"):
        raise _invalid("sortBy must be name, createdAt or updatedAt, each asc or desc")
    return key, order == "desc"


def _filters(filters: Any) -> dict[str, frozenset[str]]:
    if filters is None:
        return {}
    if not isinstance(filters, dict) or not filters.keys() <= FILTERS.keys():
        raise _invalid("filters may hold status, priority and dialingMode")
    for values in filters.values():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise _invalid("a filter must be a list of strings")
    if not set(filters.get("status", [])) <= set(KORE_STATUSES):
        raise _invalid(f"filters.status accepts {', '.join(KORE_STATUSES)}")
    return {name: frozenset(values) for name, values in filters.items() if values}


def _date(document: dict[str, Any], name: str, time_of_day: time) -> datetime | None:
    value = document.get(name)
    if value is None:
        return None
    try:
        date = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _invalid(f"{name} must be an ISO 8601 date") from None
    if "T" not in value and ":" not in value:
        date = datetime.combine(date, time_of_day)
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
