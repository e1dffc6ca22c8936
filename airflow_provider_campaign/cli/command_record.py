"""The records of a command: one for each account, as soon as the work on it has ended."""

from __future__ import annotations

import getpass
import logging
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_campaign.arguments import read_reason
from airflow_provider_campaign.cli.output import Output
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation
from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.operators.task_record import open_store
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.records.record import RecordDraft
from airflow_provider_campaign.records.shape import canonical
from airflow_provider_campaign.records.store import RecordStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CommandRecords:
    """
    The records of one command.

    :param action: What it does to campaigns, as records name it.
    :param store: Where they are written; None for nowhere.
    """

    command: str
    action: str
    store: RecordStore | None
    scope: Mapping[str, Any]
    reason: str | None
    cancellation: Cancellation
    references: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Path and SHA-256 of what was written, by connection id."""
    problems: dict[str, CampaignRecordError] = field(default_factory=dict)
    """Why a record could not be written, by connection id."""

    @classmethod
    def read(
        cls, options: Namespace, command: str, action: str, scope: Mapping[str, Any], cancellation: Cancellation
    ) -> CommandRecords:
        """Return what the options ask for."""
        store = open_store("--records-path", options.records_path, has_default=True)
        return cls(command, action, store, scope, read_reason("--reason", options.reason), cancellation)

    def begin(self, conn_id: str, client: CampaignClient) -> RecordDraft:
        """Return what is known of the work on an account before it begins."""
        run = {"command": self.command, "user": _user()}
        return RecordDraft(
            self.action, run, client.clock.time(), conn_id, client.platform, scope=self.scope, reason=self.reason
        )

    def write(self, draft: RecordDraft, progress: Progress, ended_at: float, error: Exception | None) -> None:
        """
        Write the record of an account; what keeps it from being written is noted.

        :param ended_at: Seconds since the epoch.
        :param error: What names all that is not verified, None if all is.
        """
        if self.store is None:
            return
        outcome = "success" if error is None else "killed" if self.cancellation.is_requested else "failed"
        record = draft.record(progress, ended_at, outcome, error)
        try:
            self.references[record["connection_id"]] = self.store.write(record)
        except CampaignRecordError as problem:
            self.problems[record["connection_id"]] = problem
            log.error("The record that could not be written: %s", canonical(record).decode().strip())

    def report(self, output: Output) -> None:
        """Say where the records are, or why they are not."""
        for conn_id, reference in self.references.items():
            output.say(f"{conn_id}: record {reference['path']}, SHA-256 {reference['sha256']}")
        for conn_id, problem in self.problems.items():
            output.problem(f"{conn_id}: {problem}")


def _user() -> str | None:
    """Return who runs the command; None if the machine has no name for them."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return None
