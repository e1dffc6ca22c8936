"""What was done to campaigns so far, and seen of them: by a sweep, or by an action on one campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.exceptions import CampaignError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import Action, ApiRequest

JSON = dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """What was done, and seen, so far, by the names of the record's keys."""

    campaigns: Sequence[JSON] = field(default_factory=list)
    excluded: Sequence[JSON] = field(default_factory=list)
    may_start: Sequence[JSON] = field(default_factory=list)
    open_until: Sequence[JSON] = field(default_factory=list)
    closings: Sequence[JSON] = field(default_factory=list)
    requests: int = 0
    refused: int = 0


class ActionProgress:
    """The progress of an action on one campaign: all that goes through :attr:`client` is counted."""

    def __init__(
        self, client: CampaignClient, campaign: Campaign, action: Action, carried: Mapping[str, Any] | None = None
    ) -> None:
        self.client = client.observed_by(on_count=self._count)
        before = carried or {}
        self.began_at: float = before.get("began_at", client.clock.time())
        self.requests: int = before.get("requests", 0)
        self.refused: int = before.get("refused", 0)
        # When the last request for the action left, and whether one of them is without an answer.
        self._asked = self._asked_before = (before.get("asked_at"), before.get("unanswered", False))
        self._campaign = campaign
        self._action = action
        self._confirmed_at: float | None = None
        self._status_before: str | None = None

    def note(self, campaign: Campaign, *, is_confirmed: bool, status_before: str | None = None) -> None:
        """Note what the campaign shows, and whether the action has taken effect."""
        self._campaign = campaign
        self._status_before = status_before
        self._confirmed_at = self.client.clock.time() if is_confirmed else None
        self._asked = (self._asked[0], self._asked_before[1])

    def note_failure(self, error: Exception) -> None:
        """Note what an error shows of the campaign, and whether the platform may have acted on a request."""
        if not isinstance(error, CampaignError):
            return
        status = error.shown_status or self._campaign.status
        self._campaign = replace(self._campaign, status=status, message=error.platform_text or self._campaign.message)
        asked_at, is_unanswered = self._asked
        if isinstance(error, CampaignUnavailableError):
            is_unanswered = asked_at is not None and error.outcome_unknown
        elif error.http_status is not None:
            is_unanswered = self._asked_before[1]
        self._asked = (asked_at, is_unanswered)

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue, in plain JSON types."""
        counted = {"began_at": self.began_at, "requests": self.requests, "refused": self.refused}
        return {**counted, "asked_at": self._asked[0], "unanswered": self._asked[1]}

    def current(self) -> Progress:
        """Return what is known by now."""
        asked_at, unanswered = self._asked
        entry = campaign_entry(
            self._campaign,
            asked_at=asked_at,
            confirmed_at=self._confirmed_at,
            status_before=self._status_before,
            unanswered=unanswered,
        )
        return Progress([entry], requests=self.requests, refused=self.refused)

    def _count(self, request: ApiRequest, requests: int, refused: int) -> None:
        self.requests += requests
        self.refused += refused
        if request.action is self._action and requests > 0:
            self._asked_before, self._asked = self._asked, (self.client.clock.time(), True)
        elif request.action is self._action:
            self._asked = (self._asked[0], self._asked_before[1]) if refused else self._asked_before


def campaign_entry(
    campaign: Campaign,
    *,
    asked_at: float | None,
    confirmed_at: float | None,
    status_before: str | None = None,
    message: str | None = None,
    is_incident: bool = False,
    unanswered: bool = False,
    rule: str | None = None,
    end: float | None = None,
) -> JSON:
    """Return a campaign's entry in a record; a message replaces the platform's own text."""
    return {
        **campaign.summary(),
        "status_before": status_before,
        "asked_at": iso_utc(asked_at),
        "confirmed_at": iso_utc(confirmed_at),
        "message": message or campaign.message,
        "already_stopped": campaign.already_stopped,
        "is_incident": is_incident,
        "unanswered": unanswered,
        "rule": rule,
        "end": iso_utc(end),
    }


def iso_utc(seconds: float | None) -> str | None:
    """Return seconds since the epoch as an ISO 8601 text in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
