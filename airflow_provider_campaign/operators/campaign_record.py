"""The record of an action on one campaign."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from airflow.providers.common.compat.sdk import BaseOperator, Context

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation
from airflow_provider_campaign.operations.record import Findings, campaign_entry
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.platforms.base import Action, ApiRequest


class CampaignRecord:
    """
    What is asked of one campaign, and what it shows; ``with`` writes it, if there is a records path.

    :param client: What is asked through :attr:`client` is counted.
    :param campaign: As far as it is known: its id and type.
    :param action: What is done to it.
    :param records_path: Where the record is written, None for nowhere.
    :param carried: What :meth:`carry` gave before the task was deferred.
    :param cancellation: Tells whether the task was told to end.
    """

    def __init__(
        self,
        task: BaseOperator,
        context: Context,
        client: CampaignClient,
        campaign: Campaign,
        action: Action,
        *,
        connection_id: str,
        reason: str | None,
        records_path: str | None,
        carried: Mapping[str, Any] | None,
        cancellation: Cancellation,
    ) -> None:
        self.client = client.observed_by(self._note_request, self._note_refusal)
        self._campaign = campaign
        self._action = action
        self._confirmed_at: float | None = None
        self._status_before: str | None = None
        self._lock = threading.Lock()
        before = carried or {}
        self._asked_at: float | None = before.get("asked_at")
        self._requests: int = before.get("requests", 0)
        self._refused: int = before.get("refused", 0)
        self._record = TaskRecord(task, context, action.value, records_path, cancellation)
        self._record.describe(
            self.findings,
            began_at=before.get("began_at", client.clock.time()),
            connection_id=connection_id,
            platform=client.platform,
            scope={"campaign_id": campaign.id, "campaign_type": campaign.campaign_type},
            reason=reason,
        )
        self._record.count_from(self._requests, self._refused)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._record.__exit__(kind, error, trace)

    def note(self, campaign: Campaign, *, is_confirmed: bool, status_before: str | None = None) -> None:
        """
        Note what the campaign shows.

        :param is_confirmed: Whether the action has taken effect.
        """
        self._campaign = campaign
        self._status_before = status_before
        self._confirmed_at = self.client.clock.time() if is_confirmed else None

    def carry(self) -> dict[str, Any]:
        """Return what has to be known when the task resumes, in plain JSON types."""
        return {
            "began_at": self._record.draft.began_at,
            "asked_at": self._asked_at,
            "requests": self._requests,
            "refused": self._refused,
        }

    def findings(self) -> Findings:
        """Return what is known by now."""
        entry = campaign_entry(
            self._campaign,
            asked_at=self._asked_at,
            confirmed_at=self._confirmed_at,
            status_before=self._status_before,
        )
        return Findings([entry], requests=self._requests, refused=self._refused)

    def _note_request(self, request: ApiRequest) -> None:
        with self._lock:
            self._requests += 1
            if request.action is self._action:
                self._asked_at = self.client.clock.time()

    def _note_refusal(self, _: ApiRequest) -> None:
        with self._lock:
            self._refused += 1
