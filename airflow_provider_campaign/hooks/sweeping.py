"""Stopping all that is live in an account, and proving that it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_campaign.campaign import STOP_GOAL, Campaign, Outlook
from airflow_provider_campaign.exceptions import (
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.budget import RequestBudget
from airflow_provider_campaign.hooks.retry import Deadline, asked_pause
from airflow_provider_campaign.hooks.watching import AccountWatch, Wait

log = logging.getLogger(__name__)

CONCURRENCY = 5
"""Stops under way at the same time; no more than these are refused when the budget turns out to be spent."""

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
    :param asked_at: When the platform was asked to stop it (UTC), None as long as it was not.
    :param confirmed_at: When it was seen stopped (UTC).
    :param heard: Whether the platform has answered the request, so that it must not be sent again.
    :param error: What kept it from being stopped.
    """

    campaign: Campaign
    asked_at: datetime | None = None
    confirmed_at: datetime | None = None
    heard: bool = False
    error: CampaignError | None = None

    @property
    def given_up(self) -> bool:
        """Whether another try can't mend what went wrong."""
        return self.error is not None and not isinstance(self.error, CampaignUnavailableError | CampaignTimeoutError)

    def confirm(self, campaign: Campaign) -> None:
        """Note that the campaign was seen stopped."""
        self.campaign, self.confirmed_at, self.heard, self.error = campaign, datetime.now(UTC), True, None

    def note(self, seen: Campaign) -> None:
        """Note what the platform answered, or what was read later."""
        self.campaign = replace(
            self.campaign,
            status=seen.status,
            message=seen.message or self.campaign.message,
            already_stopped=seen.already_stopped or self.campaign.already_stopped,
        )
        self.heard, self.error = True, None
        outlook = STOP_GOAL.outlook(seen.status)
        if outlook is Outlook.REACHED:
            self.confirm(self.campaign)
        elif outlook is Outlook.IMPOSSIBLE:
            self.error = CampaignConflictError(f"was asked to stop and is {seen.status}: it may start again")

    def wait(self) -> Wait:
        """Return what to look for until it is stopped."""
        asked_at = self.asked_at.timestamp() if self.asked_at else None
        return Wait(self.campaign.id, STOP_GOAL, self.campaign.campaign_type, asked_at)

    def why(self) -> str:
        """Say why the campaign is not verified stopped."""
        if self.error is not None:
            return str(self.error)
        return f"was asked to stop but is still {self.campaign.status}" if self.heard else "was not reached in time"

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
    :param statuses: The statuses that count as live.
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

    def live(self, campaign_types: Collection[str] | None = None) -> list[Campaign]:
        """Return what is live now, the most urgent first."""
        types = self.campaign_types if campaign_types is None else campaign_types
        found = self.hook.list_campaigns(types, self.statuses, deadline=self.deadline)
        pattern = self.name_pattern
        return sorted(
            (campaign for campaign in found if pattern is None or fnmatchcase(campaign.name or "", pattern)),
            key=_urgency,
        )

    def run(self) -> None:
        """
        Stop all that is live, until a listing shows none or the time is up; the outcome is in the entries.

        :raises CampaignError: When what is live can't be listed.
        """
        live = self.live()
        pause = PAUSE_FIRST
        while (to_stop := self._to_stop(live)) or self._open():
            self._stop_all(to_stop)
            if self._open():
                self.hook.clock.sleep(min(pause, self.deadline.remaining))
                pause = min(2 * pause, PAUSE_MAX)
                self._look_at_winding_down()
            if self.deadline.remaining <= 0:
                return
            live = self._list_again()

    def _open(self) -> list[Entry]:
        """Return the entries that are not at their end yet."""
        return [entry for entry in self.entries.values() if not entry.confirmed_at and not entry.given_up]

    def _list_again(self) -> list[Campaign]:
        """List what is live, unless all that is open is known to wind down; what has left the list was heard."""
        unheard = [entry for entry in self._open() if not entry.heard]
        if self._open() and not unheard:
            return []
        live = self.live({entry.campaign.campaign_type or "" for entry in self.entries.values()})
        ids = {campaign.id for campaign in live}
        for entry in unheard:
            entry.heard = entry.campaign.id not in ids
        return live

    def _to_stop(self, live: Iterable[Campaign]) -> list[Entry]:
        """Return the entries to ask; one that was heard is asked again only after somebody has started it."""
        to_stop = []
        for campaign in live:
            entry = self.entries.setdefault(campaign.id, Entry(campaign))
            if entry.confirmed_at and not _is_stopped(self._read(campaign)):
                log.warning("Campaign %s was stopped and has been started again", campaign.id)
                entry = self.entries[campaign.id] = Entry(campaign)
            if not entry.heard and not entry.given_up:
                to_stop.append(entry)
        return to_stop

    def _read(self, campaign: Campaign) -> Campaign:
        """Read a campaign that was seen stopped and is listed as live: the list may be behind."""
        return self.hook.get_campaign_status(campaign.id, deadline=self.deadline)

    def _stop_all(self, to_stop: Collection[Entry]) -> None:
        """Ask all to stop, each once."""
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="sweep") as pool:
            for _ in as_completed([pool.submit(self._stop, entry) for entry in to_stop]):
                self._report()
        if to_stop:
            self._report(at_once=True)

    def _stop(self, entry: Entry) -> None:
        """Ask one to stop, and note what comes of it."""
        once = Deadline.after(self.deadline.remaining, self.hook.clock, retries=False)
        if not once.remaining:
            return
        entry.asked_at = datetime.now(UTC)
        try:
            answer = self.hook.stop_campaign(entry.campaign.id, entry.campaign.campaign_type, deadline=once)
        except CampaignNotFoundError as error:
            entry.confirm(_deleted(entry.campaign, error))
        except CampaignError as error:
            log.debug("Campaign %s is not stopped yet: %s", entry.campaign.id, error)
            entry.error = error
            if isinstance(error, CampaignUnavailableError):
                self.budget.leave_alone(asked_pause(error, self.hook.rate_window) or 0.0)
        else:
            entry.note(answer)

    def _look_at_winding_down(self) -> None:
        """Look once at all that was heard and is not confirmed."""
        winding_down = {entry.campaign.id: entry for entry in self._open() if entry.heard}
        if not winding_down:
            return
        seen = self._watch.look([entry.wait() for entry in winding_down.values()])
        for campaign_id, campaign in seen.campaigns.items():
            winding_down[campaign_id].note(campaign)
        for campaign_id, error in seen.gone.items():
            entry = winding_down[campaign_id]
            entry.confirm(_deleted(entry.campaign, error))
        self.budget.leave_alone(seen.pause)
        self._report()

    def _report(self, at_once: bool = False) -> None:
        """Write a line about the progress, not more often than each second."""
        now = self.hook.clock.monotonic()
        if now - self._reported < PROGRESS_INTERVAL and not at_once:
            return
        self._reported = now
        entries = list(self.entries.values())
        stopped = sum(1 for entry in entries if entry.confirmed_at)
        winding_down = sum(1 for entry in entries if entry.heard and not entry.confirmed_at)
        problems = [entry.error for entry in entries if entry.error]
        text = f"Stopped {stopped} of {len(entries)}, {winding_down} winding down, {len(problems)} with a problem"
        log.info("%s", f"{text}, the last: {problems[-1]}" if problems else text)


def _is_stopped(campaign: Campaign) -> bool:
    return STOP_GOAL.outlook(campaign.status) is Outlook.REACHED


def _deleted(campaign: Campaign, error: CampaignNotFoundError) -> Campaign:
    """Return what is left of a campaign that somebody has deleted meanwhile: it sends nothing any more."""
    return replace(campaign, status="Deleted", already_stopped=True, message=error.platform_text or "deleted meanwhile")


def _urgency(campaign: Campaign) -> tuple[float, str]:
    """Return what campaigns are sorted by: the platform's priority, 1 first; those without one come last."""
    try:
        return float(campaign.priority or "inf"), campaign.id
    except ValueError:
        return float("inf"), campaign.id
