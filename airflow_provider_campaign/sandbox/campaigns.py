"""Campaigns, and their status over time."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_campaign.sandbox.statuses import (
    ACTIVE,
    COMPLETED,
    ENDED_STATUSES,
    LIVE_STATUSES,
    PREPARING,
    READY,
    RESCHEDULED,
    SCHEDULED,
    STOPPED,
)

if TYPE_CHECKING:
    from airflow_provider_campaign.sandbox.account import CampaignAccount, Transition

CampaignType = Literal["sms", "voice", "sonarly"]
CAMPAIGN_TYPES: tuple[str, ...] = get_args(CampaignType)
KORE_TYPES = ("sms", "voice")


def weekday_calling_hours() -> dict[str, Any]:
    """Return the platform's ``callingHours`` object for weekdays from 9 to 6."""
    return {
        "frequency": "WEEKLY",
        "timezone": "Asia/Kolkata",
        "days": [{"day": day, "start": "9:00 AM", "end": "6:00 PM"} for day in ("MO", "TU", "WE", "TH", "FR")],
    }


@dataclass(eq=False, repr=False)
class Campaign:
    """
    One campaign as the platform sees it; reading ``status`` applies the transitions whose time has come.

    :param stop_delay: Seconds from a stop to the end; None for the platform's delay.
    :param start_delay: Seconds from a start to Active; None for the platform's delay.
    :param stoppable: Whether stops have an effect.
    :param completes: Whether a stop makes it Completed instead of Stopped.
    :param restarts: How often it is started again once it is Stopped.
    :param restart_delay: Seconds from Stopped to that restart.
    """

    account: CampaignAccount
    id: str
    name: str
    campaign_type: str
    priority: str = "5"
    description: str = ""
    dialing_mode: str | None = None
    execution_type: str = "NORMAL"
    calling_hours: dict[str, Any] | None = None
    schedule: dict[str, Any] = field(default_factory=dict)
    contact_lists: list[str] = field(default_factory=list)
    lead_count: int = 25
    stop_delay: float | None = None
    start_delay: float | None = None
    stoppable: bool = True
    completes: bool = False
    restarts: int = 0
    restart_delay: float = 0.0
    instance_id: str = ""
    stop_requests: int = 0
    # Times on the platform's clock, unlike those of ``past``.
    created: float = 0.0
    changed: float = 0.0
    started: float | None = None
    settled_status: str = READY
    past: list[tuple[float, str]] = field(default_factory=list)
    pending: Transition | None = None

    def __repr__(self) -> str:
        """Show type, id, and status."""
        return f"<{self.campaign_type} campaign {self.id}: {self.status}>"

    @property
    def status(self) -> str:
        """The current status, in the platform's spelling."""
        self.account.apply_due_transitions()
        return self.settled_status

    @property
    def history(self) -> list[tuple[float, str]]:
        """Each status with the clock time at which it took effect, oldest first."""
        self.account.apply_due_transitions()
        return list(self.past)

    @property
    def created_at(self) -> str:
        """When the campaign was created, in the platform's format."""
        return self.account.timeline.iso(self.created)

    @property
    def updated_at(self) -> str:
        """When the campaign last changed, in the platform's format."""
        self.account.apply_due_transitions()
        return self.account.timeline.iso(self.changed)

    @property
    def started_at(self) -> str | None:
        """When the campaign last became Active, in the platform's format; None if it never was."""
        self.account.apply_due_transitions()
        return None if self.started is None else self.account.timeline.iso(self.started)

    @property
    def live(self) -> bool:
        """Whether the campaign contacts people now."""
        return self.status in LIVE_STATUSES

    def stop(self, default_delay: float) -> bool:
        """
        End after the stop delay, unless the campaign is ending already or cannot be stopped.

        :param default_delay: Seconds, for a campaign without a delay of its own.
        :returns: Whether the stop had an effect.
        """
        with self.account.changed:
            ending = self.pending is not None and self.pending.status in ENDED_STATUSES
            if ending or not self.stoppable:
                return False
            delay = default_delay if self.stop_delay is None else self.stop_delay
            self.account.set_status(self, COMPLETED if self.completes else STOPPED, delay)
            return True

    def start(self, default_delay: float) -> None:
        """
        Become Preparing at once and Active after the start delay.

        :param default_delay: Seconds, for a campaign without a delay of its own.
        """
        with self.account.changed:
            delay = default_delay if self.start_delay is None else self.start_delay
            self.account.set_status(self, PREPARING)
            self.account.set_status(self, ACTIVE, delay)

    def enable_schedule(self, enabled: bool) -> None:
        """Switch the campaign's own schedule on or off; a Scheduled campaign is Ready without it."""
        with self.account.changed:
            self.schedule = {**self.schedule, "isSchedulingEnabled": enabled}
            self.account.touch(self)
            if not enabled and self.status in (SCHEDULED, RESCHEDULED):
                self.account.set_status(self, READY)


def new_campaign_id(campaign_type: str) -> str:
    """Return a new campaign id in the platform's format."""
    return secrets.token_hex(12) if campaign_type == "sonarly" else f"cd-{uuid.uuid4()}"


def new_instance_id() -> str:
    """Return a new id of a campaign's run."""
    return f"cid-{uuid.uuid4()}"
