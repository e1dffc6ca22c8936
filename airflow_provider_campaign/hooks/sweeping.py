"""Stopping all that is live in an account, and proving that it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_campaign.campaign import LIVE_STATUSES, STOP_GOAL, Campaign, Outlook, may_be_live
from airflow_provider_campaign.exceptions import (
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.budget import RequestBudget
from airflow_provider_campaign.hooks.calls import Call, Target
from airflow_provider_campaign.hooks.retry import Deadline, asked_pause
from airflow_provider_campaign.hooks.watching import AccountWatch, Wait

log = logging.getLogger(__name__)

CONCURRENCY = 5
"""Stops under way at the same time; no more than these are refused when the budget turns out to be spent."""

DELETED = "Deleted"
"""What stands for the status of a campaign that somebody has deleted meanwhile."""

PAUSE_FIRST = 1.0
"""Seconds before the first look at what winds down, or the second try of what failed; they double each time."""

PAUSE_MAX = 15.0
"""The longest of these pauses, in seconds."""

PROGRESS_INTERVAL = 1.0
"""Seconds between two lines about the progress."""


@dataclass
class Entry:
    """
    What is known of a campaign that was found live.

    :param campaign: The campaign as it was seen last.
    :param asked_at: When the request to stop it last left (UTC), None as long as none did.
    :param confirmed_at: When it was seen stopped (UTC).
    :param heard: Whether the platform has answered the request, so that it must not be sent again.
    :param unsure: Whether an earlier request may have been heard, so that the status is read before another one.
    :param error: What kept it from being stopped.
    """

    campaign: Campaign
    asked_at: datetime | None = None
    confirmed_at: datetime | None = None
    heard: bool = False
    unsure: bool = False
    error: CampaignError | None = None

    @property
    def given_up(self) -> bool:
        """Whether another try can't mend what went wrong."""
        return self.error is not None and not mendable(self.error)

    @property
    def open(self) -> bool:
        """Whether there is still something to be done about it."""
        return not self.confirmed_at and not self.given_up

    def note(self, seen: Campaign) -> None:
        """Note what the platform answered, or what was read later."""
        self.campaign = replace(
            self.campaign,
            status=seen.status,
            message=seen.message or self.campaign.message,
            already_stopped=seen.already_stopped and not self.unsure,
        )
        outlook = STOP_GOAL.outlook(seen.status)
        self.error = None
        if outlook is Outlook.REACHED:
            self.confirmed_at = datetime.now(UTC)
        elif outlook is Outlook.IMPOSSIBLE:
            self.error = CampaignConflictError(f"is {seen.status}, neither live nor stopped: it may start again")

    def note_deleted(self, error: CampaignNotFoundError) -> None:
        """Note that the platform does not know it any more: it sends nothing."""
        message = error.platform_text or "deleted meanwhile"
        self.campaign = replace(self.campaign, status=DELETED, already_stopped=not self.heard, message=message)
        self.error, self.confirmed_at = None, datetime.now(UTC)

    def note_failure(self, error: CampaignError) -> None:
        """Note why it could not be asked."""
        self.error = error
        self.unsure = self.unsure or getattr(error, "maybe_heard", False)

    def reopen(self, listed: Campaign) -> None:
        """Note that it is listed as live after all: somebody has started it again, or the list is behind."""
        log.warning("Campaign %s was %s and is listed as %s", listed.id, self.campaign.status, listed.status)
        self.campaign = replace(self.campaign, status=listed.status)
        self.confirmed_at, self.heard, self.unsure = None, False, True

    def wait(self) -> Wait:
        """Return what to look for until it is stopped."""
        asked_at = self.asked_at.timestamp() if self.asked_at else None
        return Wait(self.campaign.id, STOP_GOAL, self.campaign.campaign_type, asked_at)

    def why(self) -> str:
        """Say why the campaign is not verified stopped."""
        if self.error is not None:
            return str(self.error)
        if self.heard:
            return f"was asked to stop, and was last seen {self.campaign.status}"
        return f"is live again, {self.campaign.status}" if self.unsure else "was not reached in time"

    def as_dict(self) -> dict[str, Any]:
        """Return the campaign's line in the record."""
        return {
            "campaign_id": self.campaign.id,
            "name": self.campaign.name,
            "campaign_type": self.campaign.campaign_type,
            "asked_at": self.asked_at.isoformat() if self.asked_at else None,
            "confirmed_at": self.confirmed_at.isoformat() if self.confirmed_at else None,
            "status": self.campaign.status,
            "message": self.campaign.message if self.confirmed_at else self.why(),
        }


@dataclass
class Sweep:
    """
    List what is live, stop it all at once, list again until a listing shows none.

    :param hook: The account's hook.
    :param deadline: When to give up.
    :param campaign_types: The types to sweep; a platform without types has no use for them.
    :param statuses: The statuses that count as live; left as they are by default, a word that the platform does
        not document counts too.
    :param name_pattern: Only campaigns whose name matches (glob).
    """

    hook: CampaignHook
    deadline: Deadline
    campaign_types: Collection[str]
    statuses: Collection[str]
    name_pattern: str | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    budget: RequestBudget = field(init=False)
    _watch: AccountWatch = field(init=False)
    _reported: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self.budget = RequestBudget(self.hook, self.deadline)
        self._watch = AccountWatch(self.hook)

    def live(self) -> list[Campaign]:
        """Return what is live now, the highest priority first."""
        guessing = set(self.statuses) == set(LIVE_STATUSES) and not self.hook.documents_statuses
        statuses = () if guessing else self.statuses
        found = self.hook.list_campaigns(self.campaign_types, statuses, deadline=self.deadline)
        return sorted(
            (
                campaign
                for campaign in found
                if self._is_meant(campaign) and (not guessing or may_be_live(campaign.status))
            ),
            key=_urgency,
        )

    def _is_meant(self, campaign: Campaign) -> bool:
        """Tell whether the campaign's name is one of those asked for."""
        return self.name_pattern is None or fnmatchcase(campaign.name or "", self.name_pattern)

    def run(self) -> None:
        """
        Stop all that is live, until a listing shows none or the time is up; the outcome is in the entries.

        :raises CampaignError: When what is live can't be listed.
        """
        pause = 0.0
        self._take_in(self.live())
        while self._open() and self.deadline.remaining:
            self._stop_all([entry for entry in self._open() if not entry.heard])
            if self._open():
                pause = pause or PAUSE_FIRST
            self.hook.clock.sleep(min(pause, self.deadline.remaining))
            pause = min(2 * pause or PAUSE_FIRST, PAUSE_MAX)
            live = self.live()
            self._look_at_those_that_left(live)
            self._take_in(live)
            self._report()

    def _open(self) -> list[Entry]:
        """Return the entries that are not at their end yet."""
        return [entry for entry in self.entries.values() if entry.open]

    def _take_in(self, live: Iterable[Campaign]) -> None:
        """Note what a listing shows as live."""
        for campaign in live:
            entry = self.entries.setdefault(campaign.id, Entry(campaign))
            if entry.confirmed_at:
                entry.reopen(campaign)

    def _stop_all(self, to_stop: Collection[Entry]) -> None:
        """Ask all to stop, each once."""
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="sweep") as pool:
            asked = [pool.submit(self._stop, entry) for entry in to_stop]
            try:
                for _ in as_completed(asked):
                    self._report()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # on the way out when the task is to end
        for future in asked:
            future.result()

    def _stop(self, entry: Entry) -> None:
        """Ask one to stop, and note what comes of it."""
        if not self.deadline.remaining:
            return
        target = Target(Call.STOP, entry.campaign.id, entry.campaign.campaign_type)
        once = replace(self.deadline, retries=False)
        try:
            answer = self.hook.stop_campaign(
                entry.campaign.id, entry.campaign.campaign_type, check_first=entry.unsure, deadline=once
            )
        except CampaignNotFoundError as error:
            entry.note_deleted(error)
        except CampaignError as error:
            log.debug("Campaign %s is not stopped yet: %s", entry.campaign.id, error)
            entry.note_failure(error)
            self.budget.leave_alone(asked_pause(error, self.hook.rate_window) or 0.0)
        else:
            entry.note(answer)
            entry.heard = True
        finally:
            entry.asked_at = self.budget.left_at.get(target)

    def _look_at_those_that_left(self, live: Iterable[Campaign]) -> None:
        """Look once at all that is not listed as live any more and not confirmed either."""
        listed = {campaign.id for campaign in live}
        left = {entry.campaign.id: entry for entry in self._open() if entry.campaign.id not in listed}
        if not left:
            return
        try:
            seen = self._watch.look([entry.wait() for entry in left.values()])
        except CampaignError as error:
            log.warning("Will look again: %s", error)
            return
        for campaign_id, campaign in seen.campaigns.items():
            left[campaign_id].note(campaign)
        for campaign_id, failure in seen.failed.items():
            entry = left[campaign_id]
            if isinstance(failure, CampaignNotFoundError):
                entry.note_deleted(failure)
            else:
                entry.note_failure(failure)
        self.budget.leave_alone(seen.pause)

    def _report(self) -> None:
        """Write a line about the progress, not more often than each second."""
        now = self.hook.clock.monotonic()
        if now - self._reported < PROGRESS_INTERVAL:
            return
        self._reported = now
        entries = list(self.entries.values())
        stopped = sum(1 for entry in entries if entry.confirmed_at)
        winding_down = sum(1 for entry in entries if entry.heard and entry.open)
        problems = [entry.error for entry in entries if entry.error]
        text = f"Stopped {stopped} of {len(entries)}, {winding_down} winding down, {len(problems)} with a problem"
        log.info("%s", f"{text}, the last: {problems[-1]}" if problems else text)


def mendable(error: CampaignError) -> bool:
    """Return whether another try may go well."""
    return isinstance(error, CampaignUnavailableError | CampaignTimeoutError)


def _urgency(campaign: Campaign) -> tuple[float, str]:
    """Return what campaigns are sorted by: the highest priority first; those without one come last."""
    try:
        return -float(campaign.priority or "-inf"), campaign.id
    except ValueError:
        return float("inf"), campaign.id
