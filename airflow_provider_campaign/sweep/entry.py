"""What a sweep knows of one campaign, from the listing that showed it live to the moment it was seen stopped."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.campaign import DELETED, STOP_CONDITION, Campaign
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.sweep.plan import Closing
from airflow_provider_campaign.waiting.pending import PendingWait

log = logging.getLogger(__name__)

RESTART_PATIENCE = 60.0  # seconds after a stop before it is sent again to a campaign that has changed since
STOP_PATIENCE = 300.0  # seconds after a stop before it is sent again to a campaign that has not
REFUSAL_DELAY = 30.0  # seconds after a final refusal before a stop is sent again, if a list shows the campaign live
MAX_REFUSALS = 5  # final refusals after which it is not


def is_retryable(error: CampaignError) -> bool:
    """Return whether another attempt may succeed."""
    return isinstance(error, CampaignUnavailableError | CampaignTimeoutError)


@dataclass
class SweepEntry:
    """One campaign that was found live, or that was named by its id. Times are in seconds since the epoch."""

    campaign: Campaign  # as it was seen last
    closing: Closing = field(default_factory=Closing)
    status_before: str | None = None
    is_incident: bool = False  # it was live although an earlier listing had shown its calling hours closed
    asked_at: float | None = None  # when the last stop left
    asked_before: float | None = None  # when the one before did
    confirmed_at: float | None = None  # when it was seen stopped
    acknowledged: bool = False  # the platform has accepted the stop: it must not be sent again
    outcome_unknown: bool = False  # a stop may have reached the platform: the status is read first
    may_have_acted: bool = False  # a request of this sweep may have stopped it
    changed_at: float | None = None  # its last change as of the acknowledgment, by the platform's clock
    restarts: int = 0  # how often it was seen live again after its stop
    refusals: int = 0  # errors that another request does not change
    not_before: float = 0.0  # when the stop may be sent again
    is_listed: bool = True  # the last listing showed it live
    is_given: bool = False  # the user has named it: it is an error if the platform does not know it
    is_only_read: bool = False  # no listing of this sweep has shown it live: it is read, and never stopped
    error: CampaignError | None = None  # what kept it from being stopped

    @property
    def urgency(self) -> tuple[bool, float, float, str]:
        """What campaigns are sorted by: those that may be stopped last, else by the moment, then by the priority."""
        try:
            rank = -float(self.campaign.priority or "-inf")
        except ValueError:
            rank = math.inf
        stop_by = math.inf if self.closing.stop_by is None else self.closing.stop_by
        return self.outcome_unknown, stop_by, rank, self.campaign.id

    @property
    def is_open(self) -> bool:
        """Whether there is still something to be done about it."""
        is_abandoned = self.error is not None and not is_retryable(self.error)
        is_abandoned = is_abandoned and not (self.is_listed and self.refusals < MAX_REFUSALS)
        return self.confirmed_at is None and self.closing.stop_by is not None and not is_abandoned

    @property
    def needs_stop(self) -> bool:
        return self.is_open and not self.acknowledged and not self.is_only_read

    @property
    def is_refused(self) -> bool:
        """Whether the platform has refused the credentials for every request to stop it."""
        return isinstance(self.error, CampaignAuthError | CampaignConfigError) and not self.may_have_acted

    def is_settled_when_open(self, now: float) -> bool:
        """Return whether nothing is left to be done, or to be said, about it if its calling hours go on."""
        is_waiting = self.asked_at is None and now < (self.closing.end or 0.0)
        return self.confirmed_at is not None or is_waiting or (self.is_given and self.is_only_read)

    def was_live_at_end(self, rule: str | None, end: float | None) -> bool:
        """Return whether it was live when the calling hours of a rule ended, as far as is known."""
        if end is None or self.is_incident or (self.closing.rule, self.closing.end) != (rule, end):
            return False
        return self.confirmed_at is None or self.confirmed_at > end or (self.asked_at or 0.0) >= end

    def note_asked(self, now: float, *, was_sent: bool) -> None:
        """Note that a stop leaves; or that it was not sent after all, or not carried out (429)."""
        if was_sent:
            self.asked_before, self.asked_at = self.asked_at, now
        else:
            self.asked_at = self.asked_before

    def note_stop(self, campaign: Campaign, now: float) -> None:
        """Note the platform's response to the stop."""
        self.may_have_acted = self.may_have_acted or not campaign.already_stopped
        self.note_status(campaign, now)
        self.acknowledged = True
        self.changed_at = seconds_of(campaign.updated_at) or seconds_of(self.campaign.updated_at)

    def note_status(self, seen: Campaign, now: float) -> None:
        """Note the campaign as it was read."""
        message = seen.message or self.campaign.message
        already_stopped = not self.may_have_acted
        self.campaign = replace(self.campaign, status=seen.status, message=message, already_stopped=already_stopped)
        self.error = None
        if STOP_CONDITION.is_met_by(seen.status):
            self.confirmed_at = now
        elif STOP_CONDITION.is_ruled_out_by(seen.status):
            self._note_refusal(f"is {seen.status}, neither live nor stopped: it may start", now)
        elif self.is_only_read:
            self._note_refusal(f"is {seen.status}, and no listing shows it in scope: look at it in the console", now)

    def note_failure(self, error: CampaignError, now: float, *, was_read: bool) -> None:
        """Note why it could not be stopped, or read; one that the platform does not know any more sends nothing."""
        is_gone = isinstance(error, CampaignNotFoundError) and (was_read or error.is_confirmed)
        if is_gone and not (self.is_given and self.is_only_read):  # which may be mistyped
            text, is_ours = error.platform_text or "deleted meanwhile", self.acknowledged
            self.campaign = replace(self.campaign, status=DELETED, already_stopped=not is_ours, message=text)
            self.error, self.confirmed_at = None, now
            return
        is_unknown = bool(getattr(error, "outcome_unknown", False))
        self.outcome_unknown = self.outcome_unknown or is_unknown
        self.may_have_acted = self.may_have_acted or is_unknown
        if is_retryable(error):
            self.error = error
        else:
            self._note_refusal(error, now)

    def note_listed(self, listed: Campaign, now: float) -> None:
        """Note that a listing shows it live: it is stopping, was started again, or could not be stopped."""
        self.campaign = replace(self.campaign, name=listed.name, priority=listed.priority)
        if self.is_only_read:
            self.campaign, self.status_before = listed, listed.status
        self.is_listed, self.is_only_read = True, False
        if self.confirmed_at is not None and self.campaign.status == DELETED:
            self.confirmed_at = None
            text = (
                f"is listed as {listed.status}, but neither a stop nor a status request finds it: "
                "check the connection's Endpoints, and stop it in the platform's console"
            )
            self._note_refusal(CampaignNotFoundError(text), now)
        elif self.confirmed_at is not None or (self.acknowledged and self._is_live_again(listed, now)):
            before = self.campaign.status if self.confirmed_at else "asked to stop"
            log.warning("Campaign %s was %s and is listed as %s", listed.id, before, listed.status)
            self.campaign = replace(self.campaign, status=listed.status)
            self.restarts += 1
            self.confirmed_at, self.acknowledged, self.outcome_unknown = None, False, True

    def wait(self) -> PendingWait:
        """Return what to poll for until it is stopped."""
        changed_at = self.changed_at or seconds_of(self.campaign.updated_at)
        kind = self.campaign.campaign_type
        return PendingWait(self.campaign.id, STOP_CONDITION, kind, acted_at=self.asked_at, changed_at=changed_at)

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue after a deferral, in plain JSON types."""
        known = (kind.__name__ for kind in type(self.error).__mro__ if kind.__name__ in exceptions.__all__)
        error = None if self.error is None else [next(known), str(self.error)]
        campaign = {**asdict(replace(self.campaign, raw={})), "raw": {}}
        return {**vars(self), "campaign": campaign, "closing": asdict(self.closing), "error": error}

    @classmethod
    def carried(cls, state: Mapping[str, Any]) -> Self:
        """Return the entry that :meth:`carry` has returned before a deferral."""
        error = state["error"] and getattr(exceptions, state["error"][0])(state["error"][1])
        closing = Closing(**state["closing"])
        return cls(**{**state, "campaign": Campaign(**state["campaign"]), "closing": closing, "error": error})

    def _note_refusal(self, error: CampaignError | str, now: float) -> None:
        """Note an error that another request does not change by itself; the campaign may change, though."""
        self.error = CampaignConflictError(error) if isinstance(error, str) else error
        self.not_before = now + REFUSAL_DELAY
        self.refusals += 1

    def _is_live_again(self, listed: Campaign, now: float) -> bool:
        """Return whether its stop is to be sent again: it has changed since, as the platform says, or takes long."""
        has_changed = (seconds_of(listed.updated_at) or 0.0) > (self.changed_at or math.inf)
        return now - (self.asked_at or 0.0) >= (RESTART_PATIENCE if has_changed else STOP_PATIENCE)
