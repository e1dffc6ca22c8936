"""The record of an action on one campaign."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from airflow.providers.common.compat.sdk import BaseOperator, Context

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation
from airflow_provider_campaign.operations.campaign_findings import CampaignFindings
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.platforms.base import Action


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
        self._findings = CampaignFindings(client, campaign, action, carried)
        self._record = TaskRecord(task, context, action.value, records_path, cancellation)
        self._record.describe(
            self._findings.findings,
            began_at=(carried or {}).get("began_at", client.clock.time()),
            connection_id=connection_id,
            platform=client.platform,
            scope={"campaign_id": campaign.id, "campaign_type": campaign.campaign_type},
            reason=reason,
        )
        self._record.count_from(self._findings.requests, self._findings.refused)

    @property
    def client(self) -> CampaignClient:
        """What the campaign is to be asked through."""
        return self._findings.client

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
        self._findings.note(campaign, is_confirmed=is_confirmed, status_before=status_before)

    def carry(self) -> dict[str, Any]:
        """Return what has to be known when the task resumes, in plain JSON types."""
        return {"began_at": self._record.draft.began_at, **self._findings.carry()}
