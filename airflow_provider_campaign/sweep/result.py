"""The outcome of a sweep: its campaigns, what is left, and the error that names it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow_provider_campaign.exceptions import CampaignError, CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.records.progress import Progress, campaign_entry, iso_utc
from airflow_provider_campaign.records.record import lists_of
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.entry import SweepEntry, is_retryable
from airflow_provider_campaign.sweep.startable import start_time

log = logging.getLogger(__name__)


class SweepResult:
    """
    The outcome of a sweep, as far as it is known by now.

    :param problem: What keeps the last listing from proving that nothing is live, None if nothing does.
    """

    def __init__(
        self, account: SweptAccount, problem: CampaignError | None = None, *, is_dry_run: bool = False
    ) -> None:
        self.account = account
        self.problem = problem
        self.is_dry_run = is_dry_run
        self.entries = account.entries
        self.unverified = [] if is_dry_run else account.unverified
        self.seconds = round(account.deadline.elapsed, 1)

    @property
    def left(self) -> list[SweepEntry]:
        """The campaigns that are not verified stopped."""
        return [] if self.is_dry_run else [entry for entry in self.entries if entry.confirmed_at is None]

    def progress(self) -> Progress:
        """Return the result as the record has it."""
        account = self.account
        may_start = filter(account.may_start, account.startable.values())
        return Progress(
            campaigns=[_line_of(entry, is_dry_run=self.is_dry_run) for entry in self.entries],
            excluded=[{**each.summary(), "excluded_by": argument} for each, argument in account.excluded.values()],
            may_start=[{**each.summary(), "starts_at": iso_utc(start_time(each))} for each in may_start],
            open_until=[
                {**campaign.summary(), "rule": closing.rule, "open_until": iso_utc(closing.end)}
                for campaign, closing in account.left_open.values()
            ],
            closings=[] if self.is_dry_run else self._closings(),
            requests=account.traffic.requests,
            refused=account.traffic.refused,
        )

    def _closings(self) -> list[dict[str, Any]]:
        """Return each end of calling hours that campaigns were stopped for, and when a listing showed none live."""
        ends = {(entry.closing.rule, entry.closing.end) for entry in self.entries}
        known = [(rule, end) for rule, end in {*ends, *self.account.verified, *self.unverified} if end is not None]
        return [
            {
                "rule": rule,
                "end": iso_utc(end),
                "verified_at": iso_utc(self.account.verified.get((rule, end))),
                "live_at_end": [entry.campaign.id for entry in self.entries if entry.was_live_at_end(rule, end)],
            }
            for rule, end in sorted(known, key=lambda each: (each[1], each[0] or ""))
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
                log.info("%s: %s, %s: %s", _titles([entry]), asked, status, line["message"])
            if entry.is_incident:
                log.warning("Incident: campaign %s was live outside its calling hours", _titles([entry]))
        log.info("%s", self.summary())
        late = [entry for entry in self.entries if entry.was_live_at_end(entry.closing.rule, entry.closing.end)]
        if late and not self.is_dry_run:
            delays = [each.confirmed_at - (each.closing.end or 0.0) for each in late if each.confirmed_at]
            last = f". The last was verified stopped {max(delays):.0f} s later" if delays else ""
            log.warning("%s campaigns were live when their calling hours ended: %s%s", len(late), _titles(late), last)
        if left_open := self.account.left_open.values():
            names = ", ".join(f"{campaign.id} until {iso_utc(closing.end)}" for campaign, closing in left_open)
            log.info("%s live and inside their calling hours: %s", len(left_open), names)
        if excluded := self.account.excluded.values():
            names = ", ".join(f"{campaign.id} ({campaign.name}) by {argument}" for campaign, argument in excluded)
            log.log(logging.INFO if self.entries else logging.WARNING, "%s live, left out: %s", len(excluded), names)

    def summary(self) -> str:
        """Return one line: how many were found, how many are stopped, how many were left out."""
        found, left_out = len(self.entries), len(self.account.excluded)
        text = f"{found} live" if self.is_dry_run else f"Stopped {found - len(self.left)} of {found} live campaigns"
        return f"{text}, {left_out} left out" if left_out else text

    def raise_for_failure(self, *others: str | None) -> None:
        """
        Raise a :class:`.CampaignSweepError` if not every campaign is verified stopped, or others have failed, in words.

        It is its subclass if no retry can fix it, and the problem itself if nothing was to be stopped, or listed.
        """
        others_given, left, problem = list(filter(None, others)), self.left, self.problem
        if problem is not None and (self.is_dry_run or not (self.entries or others_given)):
            raise problem
        if not (problem or left or self.unverified or others_given):
            return
        account = self.account.client.description
        lines = [f"{_titles([entry])}: {_reason_of(entry)}" for entry in left]
        if left:
            count = f"{len(left)} of {len(self.entries)} campaigns ({account}) are not verified stopped. "
            lines.append(count + "They may still be sending: try again, or stop them in the platform's console.")
        elif problem:
            lines.append(f"All listed campaigns are stopped, but the list was incomplete ({account}).")
        elif self.unverified:
            lines.append(f"The end of calling hours was not verified before they started again ({account}).")
        lines += [f"Not verified: the end of {rule} at {iso_utc(end)}" for rule, end in self.unverified]
        lines += [f"Live campaigns can't be listed: {problem}"] if problem else []
        is_final = self.account.is_all_refused or (problem is not None and not is_retryable(problem))
        kind = CampaignSweepFinalError if is_final and not others_given else CampaignSweepError
        raise kind("\n".join([*lines, *others_given]))


def _titles(entries: Sequence[SweepEntry]) -> str:
    return ", ".join(f"{entry.campaign.id} ({entry.campaign.name})" for entry in entries)


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
    if entry.acknowledged or (entry.outcome_unknown and not entry.restarts):
        return f"was asked to stop, and was last seen {entry.campaign.status}"
    if entry.restarts:
        return f"is live again, {entry.campaign.status}"
    return "not attempted: timed out waiting for the rate limit"
