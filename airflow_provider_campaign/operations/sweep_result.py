"""What became of a sweep: the campaigns, what is left, and the error that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_campaign.exceptions import CampaignError, CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.operations.sweep_entry import SweepEntry, is_retryable


@dataclass(frozen=True)
class SweepResult:
    """
    The outcome of a sweep.

    :param problem: What keeps the last listing from proving that nothing is live, None where nothing does.
    :param description: The connection, as messages name it.
    :param seconds: How long it took.
    """

    entries: Sequence[SweepEntry]
    problem: CampaignError | None
    description: str
    requests: int
    seconds: float

    @property
    def left(self) -> list[SweepEntry]:
        """The campaigns that are not verified stopped."""
        return [entry for entry in self.entries if entry.confirmed_at is None]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as an auditor wants it, in plain JSON types."""
        confirmed = [entry for entry in self.entries if entry.confirmed_at is not None]
        return {
            "stopped": [entry.as_dict() for entry in confirmed if not entry.campaign.already_stopped],
            "already_stopped": [entry.as_dict() for entry in confirmed if entry.campaign.already_stopped],
            "failed": [entry.as_dict() for entry in self.left],
            "total": len(self.entries),
            "requests": self.requests,
            "seconds": self.seconds,
        }

    def raise_for_failure(self) -> None:
        """
        Raise if not every campaign is verified stopped.

        :raises CampaignSweepError: With each campaign that is left, and why; its subclass where no retry can mend it.
        :raises CampaignError: The problem itself, where nothing could be listed at all.
        """
        if self.problem is not None and not self.entries:
            raise self.problem
        if self.problem is None and not self.left:
            return
        names = "; ".join(f"{entry.campaign.id} ({entry.campaign.name}): {entry.reason()}" for entry in self.left)
        text = f"{len(self.left)} of {len(self.entries)} campaigns ({self.description}) are not verified stopped: "
        text += names or "each was seen stopped, but others may be live"
        text += f". What is live can't be listed: {self.problem}" if self.problem else ""
        raise (CampaignSweepError if self._may_go_well() else CampaignSweepFinalError)(text)

    def _may_go_well(self) -> bool:
        """Tell whether another try may do what is left."""
        if self.problem is not None:
            return is_retryable(self.problem)
        return not all(entry.is_given_up for entry in self.left)
