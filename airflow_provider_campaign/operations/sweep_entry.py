"""What a sweep knows of one campaign, from the listing that showed it live to the moment it was seen stopped."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from airflow_provider_campaign.campaign import STOP_CONDITION, Campaign, WaitState
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.exceptions import (
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.operations.record import campaign_entry
from airflow_provider_campaign.operations.wait import PendingWait

log = logging.getLogger(__name__)

DELETED = "Deleted"
"""What stands for the status of a campaign that somebody has deleted meanwhile."""

RESTART_PATIENCE = 60.0
"""Seconds after the second request to stop a campaign, and each later one, before it is asked again."""

STOP_PATIENCE = 300.0
"""Seconds after a request to stop a campaign before it is asked again, although nothing has changed since."""


def is_retryable(error: CampaignError) -> bool:
    """Return whether another try may go well."""
    return isinstance(error, CampaignUnavailableError | CampaignTimeoutError)


@dataclass
class SweepEntry:
    """
    One campaign that was found live.

    :param campaign: The campaign as it was seen last.
    :param status_before: Its status when it was found.
    :param asked_at: When the request to stop it last left (seconds since the epoch), None as long as none did.
    :param confirmed_at: When it was seen stopped (seconds since the epoch).
    :param acknowledged: Whether the platform has answered the request, so that it must not be sent again.
    :param outcome_unknown: Whether an earlier request may have been heard, so that the status is read before another.
    :param changed_at: The campaign's last change, by the platform's clock, as of the acknowledgement.
    :param restarts: How often it was seen live again after it was asked to stop.
    :param may_be_stopped: Whether it was asked, and nothing shows that it is live but a list that may lag behind.
    :param error: What kept it from being stopped.
    :param is_incident: Whether it was live although its calling hours were over.
    :param types: Those under which it was listed, and whether the platform does not know it as one of these.
    """

    campaign: Campaign
    status_before: str | None = None
    asked_at: float | None = None
    confirmed_at: float | None = None
    acknowledged: bool = False
    outcome_unknown: bool = False
    changed_at: float | None = None
    restarts: int = 0
    may_be_stopped: bool = False
    error: CampaignError | None = None
    is_incident: bool = False
    types: dict[str | None, bool] = field(default_factory=dict)

    @classmethod
    def from_record(cls, entry: Mapping[str, Any]) -> Self:
        """Return the entry of a campaign that an earlier try did not see stopped, out of that try's record."""
        campaign = Campaign(entry["campaign_id"], entry["status"], entry["name"], entry["campaign_type"])
        asked_at = entry["asked_at"] and datetime.fromisoformat(entry["asked_at"]).timestamp()
        return cls(campaign, entry["status_before"], asked_at, is_incident=entry["is_incident"])

    @property
    def urgency(self) -> tuple[bool, float, str]:
        """
        What campaigns are sorted by: the highest priority first, those without one last; and before all of those that
        were asked already, and that only a list which may lag behind shows live.
        """
        try:
            rank = -float(self.campaign.priority or "-inf")
        except ValueError:
            rank = math.inf
        return self.may_be_stopped, rank, self.campaign.id

    @property
    def is_given_up(self) -> bool:
        """Whether another try can't mend what went wrong."""
        return self.error is not None and not is_retryable(self.error)

    @property
    def is_open(self) -> bool:
        """Whether there is still something to be done about it."""
        return self.confirmed_at is None and not self.is_given_up

    def note_stop(self, campaign: Campaign, now: float) -> None:
        """Note what the platform answered the request to stop."""
        self.note_status(campaign, now)
        self.acknowledged = True
        self.changed_at = seconds_of(campaign.updated_at) or seconds_of(self.campaign.updated_at)

    def note_status(self, seen: Campaign, now: float) -> None:
        """Note the campaign as it was read."""
        self.campaign = replace(
            self.campaign,
            status=seen.status,
            message=seen.message or self.campaign.message,
            already_stopped=self.asked_at is None or (seen.already_stopped and not self.outcome_unknown),
        )
        state = STOP_CONDITION.state_of(seen.status)
        self.error = None
        if state is WaitState.SUCCESS:
            self.confirmed_at = now
        elif state is WaitState.FAILURE:
            self.error = CampaignConflictError(f"is {seen.status}, neither live nor stopped: it may start again")

    def note_not_found(self, error: CampaignNotFoundError, now: float) -> None:
        """Note that the request to stop it was answered by a 404."""
        if error.shown_status is not None:
            self.note_status(replace(self.campaign, status=error.shown_status, message=None), now)
            self.error = None if self.confirmed_at or self._takes_other_type() else error
        elif error.is_confirmed:
            self.note_deleted(error, now)
        else:
            self.error = CampaignUnavailableError(str(error))  # whether it is there could not be read

    def note_deleted(self, error: CampaignError, now: float) -> None:
        """Note that the platform does not know it any more: it sends nothing."""
        message = error.platform_text or "deleted meanwhile"
        self.campaign = replace(self.campaign, status=DELETED, already_stopped=not self.acknowledged, message=message)
        self.error, self.confirmed_at = None, now

    def note_failure(self, error: CampaignError) -> None:
        """Note why it could not be asked."""
        self.error = error
        is_unknown = getattr(error, "outcome_unknown", False)
        self.outcome_unknown = self.outcome_unknown or is_unknown
        self.may_be_stopped = self.may_be_stopped or (is_unknown and (error.http_status or 0) < 500)

    def note_listed(self, listed: Campaign, now: float) -> None:
        """Note that a listing shows it live: it winds down, or somebody has started it again."""
        self.types.setdefault(listed.campaign_type, False)
        if self.confirmed_at is not None and self.campaign.status == DELETED:
            self.confirmed_at = None
            self.error = CampaignNotFoundError(
                f"is listed as {listed.status}, but neither a stop nor a status request finds it: "
                "check the connection's Endpoints, and stop it in the platform's console"
            )
        elif self.confirmed_at is not None:
            log.warning("Campaign %s was %s and is listed as %s", listed.id, self.campaign.status, listed.status)
            self._reopen(listed)
        elif self.acknowledged and self._is_due_again(listed, now):
            log.warning("Campaign %s is live although it was asked to stop: asking again", listed.id)
            self._reopen(listed)

    def _takes_other_type(self) -> bool:
        """Have it stopped as one of another type whose list shows it, too; tell whether there is such a type."""
        self.types[self.campaign.campaign_type] = True
        others = [campaign_type for campaign_type, is_unknown in self.types.items() if not is_unknown]
        if others:
            log.warning("Campaign %s is in several lists: stopping it as %s", self.campaign.id, others[0])
            self.campaign = replace(self.campaign, campaign_type=others[0])
        return bool(others)

    def _has_changed(self, listed: Campaign) -> bool:
        """Tell whether a listing is newer than the acknowledgement, as far as the platform tells."""
        return (seconds_of(listed.updated_at) or 0.0) > (self.changed_at or math.inf)

    def _is_due_again(self, listed: Campaign, now: float) -> bool:
        """Tell whether it changed after it was asked, or takes very long; what changes all the time is asked rarely."""
        waited = now - (self.asked_at or 0.0)
        if self._has_changed(listed):
            return not self.restarts or waited >= RESTART_PATIENCE
        return waited >= STOP_PATIENCE

    def _reopen(self, listed: Campaign) -> None:
        self.campaign = replace(self.campaign, status=listed.status)
        self.may_be_stopped = not self._has_changed(listed)
        self.restarts += 1
        self.confirmed_at, self.acknowledged, self.outcome_unknown = None, False, True

    def wait(self) -> PendingWait:
        """Return what to poll for until it is stopped."""
        return PendingWait(self.campaign.id, STOP_CONDITION, self.campaign.campaign_type, self.asked_at)

    def reason(self) -> str:
        """Say why the campaign is not verified stopped."""
        if self.error is not None:
            return str(self.error)
        if self.acknowledged or self.may_be_stopped:
            return f"was asked to stop, and was last seen {self.campaign.status}"
        if self.restarts:
            return f"is live again, {self.campaign.status}"
        return "was not reached: the time was up before the account's request budget allowed another request"

    def as_dict(self) -> dict[str, Any]:
        """Return the campaign's entry in the record."""
        return campaign_entry(
            self.campaign,
            status_before=self.status_before,
            asked_at=self.asked_at,
            confirmed_at=self.confirmed_at,
            message=None if self.confirmed_at else self.reason(),
            is_incident=self.is_incident,
        )


def progress_of(entries: Collection[SweepEntry]) -> str:
    """Return a line about how far a sweep is."""
    stopped = sum(1 for entry in entries if entry.confirmed_at)
    winding_down = sum(1 for entry in entries if entry.acknowledged and entry.is_open)
    problems = [entry.error for entry in entries if entry.error]
    text = f"Stopped {stopped} of {len(entries)}, {winding_down} winding down, {len(problems)} with a problem"
    return f"{text}, the last: {problems[-1]}" if problems else text
