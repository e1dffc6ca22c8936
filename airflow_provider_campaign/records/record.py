"""The one place that builds a record: what one try of a task, or one command, did to which campaigns, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_campaign import __version__
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.records.earlier_tries import EarlierTries, merge_campaigns
from airflow_provider_campaign.records.progress import JSON, Progress, iso_utc
from airflow_provider_campaign.records.shape import DEFAULTS, SCHEMA
from airflow_provider_campaign.text import sanitize

Titles = dict[str, str]
"""Ids and names of campaigns, by id."""

MAX_LINE_LENGTH = 1000
"""Characters of a line of error or reason; a message is longer only if it quotes a long argument."""


@dataclass(frozen=True)
class RecordDraft:
    """
    What is known of one try, or one command, while it runs.

    :param action: ``sweep``, ``stop``, ``start``, or ``delete``.
    :param run: For a task ``dag_id``, ``run_id``, ``task_id``, ``map_index``, ``try_number``, and ``logical_date``; for
        the command line ``command`` and, if known, ``user``.
    :param began_at: Seconds since the epoch.
    :param window_end: When the calling hours ended, or end, that this is for.
    :param timezone: Of those calling hours.
    :param is_repeat: Whether it has found nothing, and an earlier run has verified all ends that this one has: its
        record does not name them again.
    """

    action: str
    run: Mapping[str, Any]
    began_at: float
    connection_id: str | None = None
    platform: Platform | None = None
    scope: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    window_end: datetime | None = None
    timezone: str | None = None
    is_repeat: bool = False
    missed_closings: Sequence[JSON] = ()
    earlier: EarlierTries = field(default_factory=EarlierTries)

    def record(self, progress: Progress, ended_at: float, outcome: str, error: BaseException | None = None) -> JSON:
        """
        Return the record, which has no predecessor yet.

        :param ended_at: Seconds since the epoch.
        :param outcome: ``success``, ``failed``, ``killed``, or ``skipped``.
        """
        campaigns = merge_campaigns(self.earlier.campaigns, progress.campaigns, self.run.get("try_number"))
        return {
            **DEFAULTS,
            **self.header(),
            **vars(progress),
            "ended_at": iso_utc(ended_at),
            "outcome": outcome,
            "error": None if error is None else self._without_secrets(str(error)) or type(error).__name__,
            "campaigns": campaigns,
            "missed_closings": list(self.missed_closings),
            "incidents": [campaign["campaign_id"] for campaign in campaigns if campaign["is_incident"]],
            "seconds": round(ended_at - self.began_at, 1),
            "earlier_tries": list(self.earlier.tries),
        }

    def header(self) -> JSON:
        """Return what is known before the first request: which task, on which account, with which scope."""
        return {
            "schema": SCHEMA,
            "provider_version": __version__,
            "action": self.action,
            "run": dict(self.run),
            "connection_id": self.connection_id,
            "platform": self.platform.name if self.platform else None,
            "account": self.platform.account if self.platform else None,
            "scope": {name: value for name, value in self.scope.items() if value not in (None, False)},
            "reason": self._without_secrets(self.reason or ""),
            "window_end": self.window_end.astimezone(UTC).isoformat() if self.window_end else None,
            "timezone": self.timezone,
            "began_at": iso_utc(self.began_at),
        }

    def _without_secrets(self, text: str) -> str | None:
        """Return the lines of a text, without what must not be shown; None if nothing is left."""
        secrets = self.platform.secrets if self.platform else ()
        lines = (sanitize(line, secrets, MAX_LINE_LENGTH) for line in text.splitlines())
        return "\n".join(line for line in lines if line) or None


def sweep_result(record: Mapping[str, Any], reference: Mapping[str, str] | None) -> JSON:
    """
    Return what a sweep's task puts into XCom.

    :param reference: The ``path`` and ``sha256`` of the record's file, None if none was written.
    """
    same = ("outcome", "connection_id", "platform", "window_end", "began_at", "ended_at", "reason", "error")
    found = ("excluded", "incidents", "may_start", "open_until", "closings", "missed_closings")
    numbers = ("requests", "refused", "seconds")
    return {
        **lists_of(record["campaigns"], is_dry_run=bool(record["scope"].get("dry_run"))),
        "total": len(record["campaigns"]),
        **{key: record[key] for key in (*same, *found, *numbers, "earlier_tries")},
        "record": dict(reference) if reference else None,
    }


def lists_of(campaigns: Sequence[JSON], *, is_dry_run: bool = False) -> dict[str, list[JSON]]:
    """Return campaigns by outcome: ``stopped``, ``already_stopped``, ``failed``; ``live`` in a dry run."""
    confirmed = [campaign for campaign in campaigns if campaign["confirmed_at"]]
    left = [campaign for campaign in campaigns if not campaign["confirmed_at"]]
    return {
        "stopped": [campaign for campaign in confirmed if not campaign["already_stopped"]],
        "already_stopped": [campaign for campaign in confirmed if campaign["already_stopped"]],
        "failed": [] if is_dry_run else left,
        **({"live": left} if is_dry_run else {}),
    }


def run_name(record: Mapping[str, Any]) -> str:
    """Return the run of a record as people call it."""
    run = record["run"]
    if "command" in run:
        return f"{run['command']} ({run.get('user') or 'unknown'})"
    return f"{run.get('dag_id')}.{run.get('task_id')} {run.get('run_id')} try {run.get('try_number')}"


def titles(campaigns: Iterable[Mapping[str, Any]]) -> Titles:
    """Return the ids and names of campaigns in a record, by id."""
    return {each["campaign_id"]: title(each) for each in campaigns}


def title(campaign: Mapping[str, Any]) -> str:
    return f"{campaign['campaign_id']} ({campaign['name']})" if campaign["name"] else str(campaign["campaign_id"])
