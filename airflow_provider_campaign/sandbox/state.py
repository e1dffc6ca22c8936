"""Everything a sandbox knows, shared by both platforms, the control API and the Python interface."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_campaign.sandbox.account import CampaignAccount
from airflow_provider_campaign.sandbox.campaigns import (
    CAMPAIGN_TYPES,
    Campaign,
    new_campaign_id,
    new_instance_id,
    weekday_calling_hours,
)
from airflow_provider_campaign.sandbox.clock import Clock, RealClock, Timeline
from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.faults import FaultPlan
from airflow_provider_campaign.sandbox.rate_limiter import RateLimiter
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest, RequestLog
from airflow_provider_campaign.sandbox.statuses import ACTIVE, canonical_status

T = TypeVar("T")


class SandboxState:
    """The state of a sandbox; one lock guards all of it, and its condition is notified of every change."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.changed = threading.Condition()
        clock: Clock = config.clock or RealClock()
        self.timeline = Timeline(clock, lambda: config.clock_offset)
        self.account = CampaignAccount(self.timeline, self.changed)
        self.requests = RequestLog(self.changed)
        self.faults = FaultPlan(self.changed)
        self.kore_limiter = RateLimiter(self.timeline)
        self.sonarly_limiter = RateLimiter(self.timeline)
        self.seen_jtis: set[str] = set()
        self.listeners: list[Callable[[ReceivedRequest], object]] = []

    def add_campaign(
        self,
        campaign_id: str | None = None,
        campaign_type: str = "sms",
        status: str = ACTIVE,
        name: str | None = None,
        calling_hours: dict[str, Any] | None = None,
        **details: Any,
    ) -> Campaign:
        """
        Add a campaign.

        :param campaign_id: None generates one in the platform's format.
        :param status: In any case.
        :param name: None generates one.
        :param calling_hours: The platform's ``callingHours`` object; None for weekdays from 9 to 6.
        :param details: Further fields of ``Campaign``.
        :raises ValueError: For an unknown type or status, or an id that is taken.
        """
        if campaign_type not in CAMPAIGN_TYPES:
            raise ValueError(f"campaign type {campaign_type!r} is none of {', '.join(CAMPAIGN_TYPES)}")
        chosen_id = campaign_id or new_campaign_id(campaign_type)
        defaults = {
            "instance_id": new_instance_id(),
            "schedule": {"isSchedulingEnabled": False, "isRecurrenceEnabled": False},
            "dialing_mode": "progressive" if campaign_type == "voice" else None,
        }
        campaign = Campaign(
            account=self.account,
            id=chosen_id,
            name=name or f"{campaign_type.capitalize()} campaign {chosen_id[-4:]}",
            campaign_type=campaign_type,
            calling_hours=calling_hours or weekday_calling_hours(),
            **{**defaults, **details},
        )
        self.account.add(campaign, canonical_status(status))
        return campaign

    def reset(self) -> None:
        """Remove campaigns, faults, and requests, and reset the rate limits; keep the settings."""
        with self.changed:
            self.account.clear()
            self.faults.clear()
            self.requests.clear()
            self.kore_limiter.clear()
            self.sonarly_limiter.clear()
            self.seen_jtis.clear()

    def wait_until(self, predicate: Callable[[], T], timeout: float) -> T:
        """
        Block until a predicate holds, evaluated at every change and when the time of a transition has come.

        :param predicate: Called with the lock held.
        :param timeout: Seconds of real time.
        :raises TimeoutError: When it does not hold by then.
        """
        deadline = time.monotonic() + timeout
        with self.changed:
            while not (result := predicate()):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError(f"the predicate did not hold within {timeout:g} seconds")
                self.changed.wait(min(remaining, self._seconds_to_transition()))
            return result

    def _seconds_to_transition(self) -> float:
        due = self.account.next_due()
        if due is None:
            return threading.TIMEOUT_MAX
        # A clock of the caller's own may be advanced at any time without a notification.
        max_wait = threading.TIMEOUT_MAX if self.config.clock is None else 0.05
        return min(max_wait, max(due - self.timeline.now(), 0.001))
