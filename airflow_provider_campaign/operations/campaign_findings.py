"""What is asked of one campaign, and what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.operations.record import Findings, campaign_entry
from airflow_provider_campaign.platforms.base import Action, ApiRequest


class CampaignFindings:
    """
    The findings of an action on one campaign: all that goes through :attr:`client` is counted.

    :param campaign: As far as it is known: its id and type.
    :param carried: What :meth:`carry` gave, where the action is continued.
    """

    def __init__(
        self, client: CampaignClient, campaign: Campaign, action: Action, carried: Mapping[str, Any] | None = None
    ) -> None:
        self.client = client.observed_by(self._note_request, self._note_refusal, self._note_unsent)
        before = carried or {}
        self.began_at: float = before.get("began_at", client.clock.time())
        """Seconds since the epoch."""
        self.requests: int = before.get("requests", 0)
        self.refused: int = before.get("refused", 0)
        self._asked_at: float | None = before.get("asked_at")
        self._asked_before: float | None = None
        self._campaign = campaign
        self._action = action
        self._confirmed_at: float | None = None
        self._status_before: str | None = None

    def note(self, campaign: Campaign, *, is_confirmed: bool, status_before: str | None = None) -> None:
        """Note what the campaign shows, and whether the action has taken effect."""
        self._campaign = campaign
        self._status_before = status_before
        self._confirmed_at = self.client.clock.time() if is_confirmed else None

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue, in plain JSON types."""
        return {
            "began_at": self.began_at,
            "asked_at": self._asked_at,
            "requests": self.requests,
            "refused": self.refused,
        }

    def findings(self) -> Findings:
        """Return what is known by now."""
        entry = campaign_entry(
            self._campaign, asked_at=self._asked_at, confirmed_at=self._confirmed_at, status_before=self._status_before
        )
        return Findings([entry], requests=self.requests, refused=self.refused)

    def _note_request(self, request: ApiRequest) -> None:
        self.requests += 1
        if request.action is self._action:
            self._asked_before, self._asked_at = self._asked_at, self.client.clock.time()

    def _note_unsent(self, request: ApiRequest) -> None:
        self.requests -= 1
        if request.action is self._action:
            self._asked_at = self._asked_before

    def _note_refusal(self, _: ApiRequest) -> None:
        self.refused += 1
