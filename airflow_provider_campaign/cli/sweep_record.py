"""The record of a sweep from the command line: one for each account, as soon as its sweep has ended."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation
from airflow_provider_campaign.exceptions import CampaignError, CampaignRecordError
from airflow_provider_campaign.operations.record import RecordDraft, canonical
from airflow_provider_campaign.operations.sweep import Sweep
from airflow_provider_campaign.operations.sweep_result import SweepResult
from airflow_provider_campaign.record_store import RecordStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepRecords:
    """
    The records of the sweeps of one command.

    :param records_path: Where they are written; None for nowhere.
    :param scope: What the campaigns are chosen by.
    :param cancellation: Tells whether somebody ended the command.
    """

    records_path: str | None
    scope: Mapping[str, Any]
    reason: str | None
    cancellation: Cancellation
    references: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Path and SHA-256 of what was written, by connection id."""
    problems: list[CampaignRecordError] = field(default_factory=list)
    """Why a record could not be written."""

    def run(self, conn_id: str, client: CampaignClient, sweep: Sweep) -> SweepResult:
        """Sweep, and write the record however that ends."""
        run = {"command": "stop-active", "user": _user()}
        draft = RecordDraft(
            "sweep", run, client.clock.time(), conn_id, client.platform, scope=self.scope, reason=self.reason
        )
        try:
            result = sweep.run()
        except Exception as error:
            self._write(draft, sweep.result(), client, error)
            raise
        self._write(draft, result, client, failure_of(result))
        return result

    def _write(self, draft: RecordDraft, result: SweepResult, client: CampaignClient, error: Exception | None) -> None:
        if self.records_path is None:
            return
        outcome = "success" if error is None else "killed" if self.cancellation.is_requested else "failed"
        record = draft.record(result.findings(), client.clock.time(), outcome, error)
        try:
            self.references[record["connection_id"]] = RecordStore(self.records_path).write(record)
        except CampaignRecordError as problem:
            self.problems.append(problem)
            log.error("The record that could not be written: %s", canonical(record).decode().strip())


def failure_of(result: SweepResult) -> CampaignError | None:
    """Return the error that names what is not verified stopped, None where all is."""
    try:
        result.raise_for_failure()
    except CampaignError as error:
        return error
    return None


def _user() -> str | None:
    """Return who runs the command; None where the machine has no name for them."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return None
