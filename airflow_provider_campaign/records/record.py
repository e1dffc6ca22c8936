"""The one place that builds a record: what one try of a task, or one command, did to which campaigns, and when."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from airflow_provider_campaign import __version__
from airflow_provider_campaign.campaign import DELETED, Campaign
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.records.progress import JSON, Progress, iso_utc
from airflow_provider_campaign.records.shape import DEFAULTS, SCHEMA, RecordFile
from airflow_provider_campaign.text import sanitize

Titles = dict[str, str]
"""Ids and names of campaigns, by id."""

MAX_LINE_LENGTH = 1000  # characters of a line of error or reason, and of a stored text that is quoted

# What two tries have to agree on for one to be continued by the other.
SUBJECT = ("action", "connection_id", "platform", "account", "scope")

# What a sweep's result has of its record as it is.
RESULT_KEYS = (
    *("outcome", "connection_id", "platform", "window_end", "began_at", "ended_at", "reason", "error", "excluded"),
    *("incidents", "may_start", "open_until", "closings", "missed_closings", "requests", "refused", "seconds"),
    "earlier_tries",
)


@dataclass(frozen=True)
class EarlierTries:
    """
    What previous tries have left to this one.

    It was stored, so it is data: it may be quoted, and a campaign in :attr:`leftovers` may be read on the platform. It
    must not be stopped unless this try's own listing shows it in scope.
    """

    tries: Sequence[JSON] = ()  # as the record's earlier_tries
    campaigns: Sequence[JSON] = ()  # of the newest record with the same SUBJECT as this try's
    foreign: Sequence[JSON] = ()  # the newest record of each sweep with another one
    account: tuple[str | None, str | None] = (None, None)  # the platform and the account of this try

    @classmethod
    def compare(cls, stored: Mapping[int, RecordFile], subject: JSON) -> Self:
        """Sort out, of the records of previous tries by their numbers, what is about the same as this try."""
        records = {number: file.record or {} for number, file in stored.items()}
        newest = {_subject_of(record): _clean(record) for record in records.values() if record.get("campaigns")}
        own = newest.pop(_subject_of(subject), {})
        sweeps = [each for each in newest.values() if each["action"] == "sweep"]
        tries = [
            {"try_number": number, "outcome": record.get("outcome")}
            | {"path": stored[number].path or None, "sha256": stored[number].sha256 or None}
            for number, record in records.items()
        ]
        foreign = [each for each in sweeps if not each["scope"].get("dry_run")]
        return cls(tries, own.get("campaigns", ()), foreign, (subject["platform"], subject["account"]))

    @property
    def missing(self) -> list[int]:
        """The numbers of the tries that left no record."""
        return [each["try_number"] for each in self.tries if each["outcome"] is None]

    @property
    def leftovers(self) -> list[Campaign]:
        """The campaigns that previous tries of the same account and scope did not verify, with their last status."""
        return [
            Campaign(each["campaign_id"], each["status"] or "unknown", each["name"], each["campaign_type"])
            for each in self.campaigns
            if not each["confirmed_at"]
        ]

    def describe_foreign(self, verified: Collection[str] = ()) -> str | None:
        """Return the text for the failure of this try about others' campaigns, but for those that it has verified."""
        lines = []
        for each in self.foreign:
            skipped = verified if (each["platform"], each["account"]) == self.account else ()
            unverified = titles(campaign for campaign in each["campaigns"] if not campaign["confirmed_at"])
            if left := [text for campaign_id, text in unverified.items() if campaign_id not in skipped]:
                lines.append(
                    f"Try {each['run'].get('try_number')} of this task, whose arguments or connection were others "
                    f"(connection {each['connection_id']!r}, {each['platform']}, account {each['account']}), has left "
                    f"{len(left)} campaigns that are not verified stopped: {', '.join(left)}. This try does "
                    "not touch them: stop them in the platform's console."
                )
        return "\n".join(lines) or None


@dataclass(frozen=True)
class RecordDraft:
    """What is known of one try, or one command, while it runs; the names are those of the record's keys."""

    action: str
    run: Mapping[str, Any]
    began_at: float  # seconds since the epoch
    connection_id: str | None = None
    platform: Platform | None = None
    scope: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    window_end: datetime | None = None
    timezone: str | None = None
    is_repeat: bool = False  # it found nothing, and an earlier run has verified its ends: they are not named again
    missed_closings: Sequence[JSON] = ()
    earlier: EarlierTries = field(default_factory=EarlierTries)

    def record(self, progress: Progress, ended_at: float, outcome: str, error: BaseException | None = None) -> JSON:
        """Return the record, which has no predecessor yet."""
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
        secrets = self.platform.secrets if self.platform else ()
        lines = (sanitize(line, secrets, MAX_LINE_LENGTH) for line in text.splitlines())
        return "\n".join(line for line in lines if line) or None


def merge_campaigns(earlier: Iterable[JSON], campaigns: Iterable[JSON], try_number: int | None) -> list[JSON]:
    """Return what all tries did; what this one saw of a campaign replaces what an earlier one did."""
    before = {campaign["campaign_id"]: campaign for campaign in earlier}
    own = [_continued(campaign, before.pop(campaign["campaign_id"], None)) for campaign in campaigns]
    return [*before.values(), *({**campaign, "try_number": try_number} for campaign in own)]


def _continued(campaign: JSON, before: JSON | None) -> JSON:
    """Return what this try saw of a campaign, with what only a previous try knows: that it has requested it."""
    if before is None:
        return campaign
    campaign = {**campaign, "unanswered": campaign["unanswered"] or before["unanswered"]}
    is_new = before["confirmed_at"] or not before["asked_at"] or campaign["asked_at"]
    if is_new or campaign["status"] == DELETED:  # which is no evidence of any stop
        return campaign
    status_before = campaign["status_before"] or before["status_before"]
    return {**campaign, "asked_at": before["asked_at"], "status_before": status_before, "already_stopped": False}


def sweep_result(record: Mapping[str, Any], reference: Mapping[str, str] | None) -> JSON:
    """Return what a sweep's task puts into XCom; the reference is to the record's file, if one was written."""
    return {
        **lists_of(record["campaigns"], is_dry_run=bool(record["scope"].get("dry_run"))),
        "total": len(record["campaigns"]),
        **{key: record[key] for key in RESULT_KEYS},
        "record": dict(reference) if reference else None,
    }


def lists_of(campaigns: Sequence[JSON], *, is_dry_run: bool = False) -> dict[str, list[JSON]]:
    """Return campaigns by outcome: ``stopped``, ``already_stopped``, ``failed``; ``live`` in a dry run."""
    confirmed = [campaign for campaign in campaigns if campaign["confirmed_at"]]
    left = [campaign for campaign in campaigns if not campaign["confirmed_at"]]
    return {
        "stopped": [campaign for campaign in confirmed if not campaign["already_stopped"]],
        "already_stopped": [campaign for campaign in confirmed if campaign["already_stopped"]],
        **({"failed": [], "live": left} if is_dry_run else {"failed": left}),
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


def _subject_of(record: Mapping[str, Any]) -> str:
    return json.dumps({name: record[name] for name in SUBJECT}, sort_keys=True)


def _clean(stored: Any) -> Any:
    """Return a stored value with texts that do no harm where they are shown, or put into XCom."""
    if isinstance(stored, Mapping):
        return {name: _clean(value) for name, value in stored.items()}
    if isinstance(stored, list):
        return list(map(_clean, stored))
    if not isinstance(stored, str) or (stored.isprintable() and len(stored) <= MAX_LINE_LENGTH):
        return stored
    return sanitize(stored, (), MAX_LINE_LENGTH) or "unreadable"
