"""What became of a sweep: the campaigns, what is left, and the error that says so."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignError, CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.operations.record import Findings, lists_of
from airflow_provider_campaign.operations.sweep_entry import SweepEntry, is_retryable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepResult:
    """
    The outcome of a sweep.

    :param excluded: What is live but outside the scope, with the argument that leaves it out, by id.
    :param problem: What keeps the last listing from proving that nothing is live, None where nothing does.
    :param description: The connection, as messages name it.
    :param refused: Requests that the platform refused for the rate.
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

    @property
    def left(self) -> list[SweepEntry]:
        """The campaigns that are not verified stopped."""
        return [] if self.is_dry_run else [entry for entry in self.entries if entry.confirmed_at is None]

    @property
    def is_failure(self) -> bool:
        """Whether anything is not proven to be stopped."""
        return self.problem is not None or bool(self.left)

    def findings(self) -> Findings:
        """Return the result as the record has it."""
        return Findings(
            campaigns=[entry.as_dict() | ({"message": None} if self.is_dry_run else {}) for entry in self.entries],
            excluded=[{**campaign.summary(), "excluded_by": argument} for campaign, argument in self.excluded.values()],
            may_start=self.may_start,
            requests=self.requests,
            refused=self.refused,
        )

    def lists(self) -> dict[str, list[dict[str, Any]]]:
        """Return the campaigns by what became of them, as XCom has them."""
        return lists_of(self.findings().campaigns, is_dry_run=self.is_dry_run)

    def log(self, due: float | None = None) -> None:
        """
        Log every campaign that was stopped, when, and with what message; and what was left out.

        :param due: When all was to be stopped (seconds since the epoch), None if there was no such moment.
        """
        if self.is_dry_run:
            log.info("Would stop %s campaigns: %s", len(self.entries), ", ".join(map(_title, self.entries)) or "none")
        for entry in self.entries:
            if entry.confirmed_at is not None:
                line = entry.as_dict()
                asked = f"asked {line['asked_at']}" if line["asked_at"] else "not asked by this task"
                status = f"{entry.campaign.status} {line['confirmed_at']}"
                log.info("%s: %s, %s: %s", _title(entry), asked, status, line["message"])
        log.info("%s", self.summary())
        late = [entry for entry in self.entries if due is not None and (entry.confirmed_at or math.inf) > due]
        if due is not None and late:
            stopped = [entry.confirmed_at - due for entry in late if entry.confirmed_at is not None]
            text = f"{len(late)} campaigns were live when the calling hours ended: {', '.join(map(_title, late))}"
            log.warning("%s", f"{text}. The last was seen stopped {max(stopped):.0f} s later" if stopped else text)
        for argument, count in Counter(argument for _, argument in self.excluded.values()).items():
            names = ", ".join(f"{each.id} ({each.name})" for each, by in self.excluded.values() if by == argument)
            level = logging.INFO if self.entries else logging.WARNING
            log.log(level, "%s live, left out by %s: %s", count, argument, names)

    def summary(self) -> str:
        """Return one line: how many were found, how many are stopped, how many were left out."""
        found = len(self.entries)
        text = f"{found} live" if self.is_dry_run else f"{found - len(self.left)} of {found} live campaigns are stopped"
        return f"{text}, {len(self.excluded)} left out" if self.excluded else text

    def raise_for_failure(self) -> None:
        """
        Raise if not every campaign is verified stopped.

        :raises CampaignSweepError: With each campaign that is left, and why; its subclass where no retry can mend it.
        :raises CampaignError: The problem itself, where nothing was to be stopped, or could be listed at all.
        """
        if self.problem is not None and (self.is_dry_run or not self.entries):
            raise self.problem
        if not self.is_failure:
            return
        lines = [f"{_title(entry)}: {entry.reason()}" for entry in self.left]
        count = f"{len(self.left)} of {len(self.entries)} campaigns ({self.description}) are not verified stopped"
        advice = "They may still be sending: try again, or stop them in the platform's console."
        lines.append(f"{count}. {advice}" if lines else f"{count}: each was seen stopped, but others may be live.")
        lines += [f"What is live can't be listed: {self.problem}"] if self.problem else []
        raise (CampaignSweepError if self._may_go_well() else CampaignSweepFinalError)("\n".join(lines))

    def _may_go_well(self) -> bool:
        """Tell whether another try may do what is left."""
        if self.problem is not None:
            return is_retryable(self.problem)
        return not all(entry.is_given_up for entry in self.left)


def _title(entry: SweepEntry) -> str:
    return f"{entry.campaign.id} ({entry.campaign.name})"
