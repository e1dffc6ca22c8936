"""What the previous tries of a task have left: quoted with its hash, compared with this try, and never acted on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_campaign.campaign import DELETED, Campaign
from airflow_provider_campaign.records.chain import RecordFile
from airflow_provider_campaign.text import sanitize

JSON = dict[str, Any]

SUBJECT = ("action", "connection_id", "platform", "account", "scope")
"""What two tries have to agree on for one to be continued by the other."""

MAX_NAMED = 20
"""Campaigns that a message names, at the most."""

MAX_TEXT_LENGTH = 1000
"""Characters of a stored text, at the most."""


@dataclass(frozen=True)
class ForeignLeftovers:
    """Campaigns that a previous try has left unverified in another account or scope than this try's."""

    try_number: int
    account: str
    campaigns: Sequence[Campaign]
    is_same_account: bool

    def describe(self, verified: Collection[str]) -> str:
        """Return a line that names them; empty if there are none but those that this try has verified."""
        skipped = verified if self.is_same_account else ()
        left = [each for each in self.campaigns if each.id not in skipped]
        if not left:
            return ""
        names = ", ".join(f"{each.id} ({each.name})" for each in left[:MAX_NAMED])
        more = f" and {len(left) - MAX_NAMED} more" if len(left) > MAX_NAMED else ""
        return (
            f"Try {self.try_number} of this task, whose arguments or connection were others ({self.account}), has left "
            f"{len(left)} campaigns that are not verified stopped: {names}{more}. This try does not touch them: stop "
            "them in the platform's console."
        )


@dataclass(frozen=True)
class EarlierTries:
    """
    What previous tries have left to this one.

    It was stored, so it is data: it may be quoted, and a campaign in :attr:`leftovers` may be read on the platform. It
    must not be stopped unless this try's own listing shows it in scope.

    :param tries: Each with ``try_number``, ``outcome``, ``path``, and ``sha256``; all but the first are None if it left
        no record.
    :param campaigns: The entries of the newest record that has the same action, connection id, platform, account and
        scope as this try.
    :param foreign: What sweeps with another connection, account, or scope have left.
    """

    tries: Sequence[JSON] = ()
    campaigns: Sequence[JSON] = ()
    foreign: Sequence[ForeignLeftovers] = ()

    @classmethod
    def compare(cls, stored: Mapping[int, RecordFile], subject: JSON) -> Self:
        """
        Sort out what is about the same as this try.

        :param stored: One for each previous try, by its number, in order.
        :param subject: What this try is about, by the names in :data:`SUBJECT`.
        """
        newest = {
            _subject_of(file.record): (number, file.record)
            for number, file in stored.items()
            if file.record and file.record["campaigns"]
        }
        own = newest.pop(_subject_of(subject), None)
        return cls(
            tries=[_reference(number, file) for number, file in stored.items()],
            campaigns=list(map(_clean, own[1]["campaigns"])) if own else (),
            foreign=[_foreign(number, record, subject) for number, record in newest.values()],
        )

    @property
    def missing(self) -> list[int]:
        """The numbers of the tries that left no record."""
        return [each["try_number"] for each in self.tries if each["outcome"] is None]

    @property
    def leftovers(self) -> list[Campaign]:
        """The campaigns that previous tries of the same account and scope did not verify, with their last status."""
        return _unverified(self.campaigns)

    def describe_foreign(self, verified: Collection[str] = ()) -> str | None:
        """
        Return the text for the failure of this try, which can't do anything about them; None if there is nothing.

        :param verified: The ids of campaigns that this try has verified.
        """
        return "\n".join(filter(None, (each.describe(verified) for each in self.foreign))) or None


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
    if before["confirmed_at"] or not before["asked_at"] or campaign["asked_at"]:
        return campaign
    if campaign["status"] == DELETED:  # which is no evidence of any stop
        return campaign
    return {
        **campaign,
        "asked_at": before["asked_at"],
        "status_before": campaign["status_before"] or before["status_before"],
        "already_stopped": False,
    }


def _reference(number: int, file: RecordFile) -> JSON:
    outcome = file.record["outcome"] if file.record else None
    return {"try_number": number, "outcome": outcome, "path": file.path or None, "sha256": file.sha256 or None}


def _subject_of(record: Mapping[str, Any]) -> str:
    """Return what a try is about as a text that can be compared."""
    return json.dumps({name: record[name] for name in SUBJECT}, sort_keys=True)


def _foreign(number: int, record: Mapping[str, Any], subject: JSON) -> ForeignLeftovers:
    account = f"connection {record['connection_id']!r}, {record['platform']}, account {record['account']}"
    is_sweep = record["action"] == "sweep" and not record["scope"].get("dry_run")
    return ForeignLeftovers(
        number,
        _clean_text(account) or "",
        _unverified(map(_clean, record["campaigns"])) if is_sweep else (),
        all(record[name] == subject[name] for name in ("platform", "account")),
    )


def _unverified(campaigns: Iterable[JSON]) -> list[Campaign]:
    return [
        Campaign(each["campaign_id"], each["status"] or "unknown", each["name"], each["campaign_type"])
        for each in campaigns
        if not each["confirmed_at"]
    ]


def _clean(campaign: Mapping[str, Any]) -> JSON:
    """Return a stored entry with texts that do no harm where they are shown, or put into XCom."""
    cleaned = {name: _clean_text(value) if isinstance(value, str) else value for name, value in campaign.items()}
    return {**cleaned, "campaign_id": cleaned["campaign_id"] or "unreadable"}


def _clean_text(text: str) -> str | None:
    is_harmless = text.isprintable() and len(text) <= MAX_TEXT_LENGTH
    return text if is_harmless else sanitize(text, (), MAX_TEXT_LENGTH)
