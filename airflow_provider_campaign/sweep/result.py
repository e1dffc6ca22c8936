"""The outcome of a sweep: its campaigns, what is left, and the error that names it."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import (
    CampaignError,
    CampaignSweepError,
    CampaignSweepFinalError,
)
from airflow_provider_campaign.records.progress import Progress, campaign_entry, iso_utc
from airflow_provider_campaign.records.record import lists_of
from airflow_provider_campaign.sweep.closing import Closing
from airflow_provider_campaign.sweep.entry import SweepEntry, is_retryable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepResult:
    """
    The outcome of a sweep.

    :param excluded: Live campaigns outside the scope, with the argument that leaves them out, by id.
    :param left_open: Live campaigns whose calling hours go on, by id.
    :param verified: When the end of a rule was verified, by the rule's name and the end (seconds since the epoch).
    :param unverified: The ends that had to be verified and were not, by the rule's name and the end.
    :param problem: What keeps the last listing from proving that nothing is live, None if nothing does.
    :param description: The connection, as messages name it.
    :param refused: Requests with a 429 response.
    """

    entries: Sequence[SweepEntry]
    excluded: Mapping[str, tuple[Campaign, str]]
    problem: CampaignError | None
    description: str
    requests: int
    seconds: float
    refused: int = 0
    is_dry_run: bool = False
    may_start: Sequence[dict[str, Any]] = ()
    left_open: Mapping[str, tuple[Campaign, Closing]] = field(default_factory=dict)
    verified: Mapping[tuple[str | None, float], float] = field(default_factory=dict)
    unverified: Sequence[tuple[str | None, float]] = ()

    @property
    def left(self) -> list[SweepEntry]:
        """The campaigns that are not verified stopped."""
        return [] if self.is_dry_run else [entry for entry in self.entries if entry.confirmed_at is None]

    @property
    def is_failure(self) -> bool:
        """Whether anything is not proven to be stopped."""
        return self.problem is not None or bool(self.left) or bool(self.unverified and not self.is_dry_run)

    def progress(self) -> Progress:
        """Return the result as the record has it."""
        return Progress(
            campaigns=[_line_of(entry, is_dry_run=self.is_dry_run) for entry in self.entries],
            excluded=[{**campaign.summary(), "excluded_by": argument} for campaign, argument in self.excluded.values()],
            may_start=self.may_start,
            open_until=[
                {**campaign.summary(), "rule": closing.rule, "open_until": iso_utc(closing.end)}
                for campaign, closing in self.left_open.values()
            ],
            closings=self.closings(),
            requests=self.requests,
            refused=self.refused,
        )

    def closings(self) -> list[dict[str, Any]]:
        """Return each end of calling hours that campaigns were stopped for, and when a listing showed none live."""
        keys = {(entry.closing.rule, entry.closing.end) for entry in self.entries if entry.closing.end is not None}
        keys = set() if self.is_dry_run else {*keys, *self.verified, *self.unverified}
        known = sorted(keys, key=lambda key: (key[1] or 0.0, key[0] or ""))
        return [
            {
                "rule": rule,
                "end": iso_utc(end),
                "verified_at": iso_utc(self.verified.get((rule, end))),
                "live_at_end": [entry.campaign.id for entry in self.entries if entry.was_live_at_end(rule, end)],
            }
            for rule, end in known
            if end is not None
        ]

    def lists(self) -> dict[str, list[dict[str, Any]]]:
        """Return the campaigns by outcome, as XCom has them."""
        return lists_of(self.progress().campaigns, is_dry_run=self.is_dry_run)

    def log(self) -> None:
        """Log each campaign that was stopped, when, and with what message; and those that were left out."""
        if self.is_dry_run:
            log.info("Would stop %s campaigns: %s", len(self.entries), _titles(self.entries) or "none")
        for entry in self.entries:
            if entry.confirmed_at is not None:
                line = _line_of(entry)
                asked = f"asked {line['asked_at']}" if line["asked_at"] else "not asked by this task"
                status = f"{entry.campaign.status} {line['confirmed_at']}"
                log.info("%s: %s, %s: %s", _title(entry), asked, status, line["message"])
            if entry.is_incident:
                log.warning(
                    "Incident: campaign %s was live outside its calling hours; it is %s now",
                    *(_title(entry), entry.campaign.status),
                )
        log.info("%s", self.summary())
        self._log_late()
        if self.left_open:
            names = ", ".join(f"{campaign.id} until {iso_utc(to.end)}" for campaign, to in self.left_open.values())
            log.info("%s live and inside their calling hours: %s", len(self.left_open), names)
        for argument, count in Counter(argument for _, argument in self.excluded.values()).items():
            names = ", ".join(f"{each.id} ({each.name})" for each, by in self.excluded.values() if by == argument)
            level = logging.INFO if self.entries else logging.WARNING
            log.log(level, "%s live, left out by %s: %s", count, argument, names)

    def summary(self) -> str:
        """Return one line: how many were found, how many are stopped, how many were left out."""
        found = len(self.entries)
        text = f"{found} live" if self.is_dry_run else f"Stopped {found - len(self.left)} of {found} live campaigns"
        return f"{text}, {len(self.excluded)} left out" if self.excluded else text

    def raise_for_failure(self, *others: str | None) -> None:
        """
        Raise if not every campaign is verified stopped.

        :param others: What else has failed, in words.
        :raises CampaignSweepError: With each campaign that is left, and why; its subclass if no retry can fix it.
        :raises CampaignError: The problem itself, if nothing was to be stopped, or could be listed at all.
        """
        lines = [f"{_title(entry)}: {_reason_of(entry)}" for entry in self.left]
        others_given = list(filter(None, others))
        if self.problem is not None and (self.is_dry_run or not (self.entries or others_given)):
            raise self.problem
        if not (self.is_failure or others_given):
            return
        if lines:
            count = f"{len(self.left)} of {len(self.entries)} campaigns ({self.description}) are not verified stopped"
            lines.append(f"{count}. They may still be sending: try again, or stop them in the platform's console.")
        elif self.problem is not None:
            lines.append(f"All listed campaigns are stopped, but the list was incomplete ({self.description}).")
        elif not others_given:
            lines.append(f"The end of calling hours was not verified before they started again ({self.description}).")
        lines += [f"Not verified: the end of {rule} at {iso_utc(end)}" for rule, end in self.unverified]
        lines += [f"Live campaigns can't be listed: {self.problem}"] if self.problem else []
        may_succeed = self._may_succeed() or bool(others_given)
        raise (CampaignSweepError if may_succeed else CampaignSweepFinalError)("\n".join([*lines, *others_given]))

    def _may_succeed(self) -> bool:
        """Return whether another attempt may do what is left; only what the whole account says is final."""
        if self.entries and all(entry.is_refused for entry in self.entries):
            return False
        return self.problem is None or is_retryable(self.problem)

    def _log_late(self) -> None:
        """Log which campaigns were live when their calling hours ended, and for how long."""
        late = [entry for entry in self.entries if entry.was_live_at_end(entry.closing.rule, entry.closing.end)]
        if late and not self.is_dry_run:
            seconds = max((entry.confirmed_at or math.inf) - (entry.closing.end or 0.0) for entry in late)
            stopped = "" if math.isinf(seconds) else f". The last was verified stopped {seconds:.0f} s later"
            text = "%s campaigns were live when their calling hours ended: %s%s"
            log.warning(text, len(late), _titles(late), stopped)


def _titles(entries: Sequence[SweepEntry]) -> str:
    return ", ".join(map(_title, entries))


def _title(entry: SweepEntry) -> str:
    return f"{entry.campaign.id} ({entry.campaign.name})"


def _line_of(entry: SweepEntry, *, is_dry_run: bool = False) -> dict[str, Any]:
    """Return a campaign's entry in the record."""
    return campaign_entry(
        entry.campaign,
        status_before=entry.status_before,
        asked_at=entry.asked_at,
        confirmed_at=entry.confirmed_at,
        message=None if entry.confirmed_at or is_dry_run else _reason_of(entry),
        is_incident=entry.is_incident,
        unanswered=entry.outcome_unknown and entry.confirmed_at is None,
        rule=entry.closing.rule,
        end=entry.closing.end,
    )


def _reason_of(entry: SweepEntry) -> str:
    """Return the reason why a campaign is not verified stopped."""
    if entry.error is not None:
        return str(entry.error)
    if entry.confirmed_at is None and entry.closing.stop_by is None:
        return f"was last seen {entry.campaign.status}, and its calling hours started before it was verified stopped"
    if entry.is_only_read and not entry.was_read:
        return "not read: timed out waiting for the rate limit"
    if entry.acknowledged or entry.may_be_stopped:
        return f"was asked to stop, and was last seen {entry.campaign.status}"
    if entry.restarts:
        return f"is live again, {entry.campaign.status}"
    return "not attempted: timed out waiting for the rate limit"
