"""The account that a sweep sees: its live campaigns, the outcome for each, and how to stop them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_campaign.campaign import Campaign, is_live, may_be_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.sweep.campaign_requests import CampaignRequests
from airflow_provider_campaign.sweep.closing import Closing, Schedule
from airflow_provider_campaign.sweep.entry import SweepEntry
from airflow_provider_campaign.sweep.lists import LiveLists
from airflow_provider_campaign.sweep.plan import NOW
from airflow_provider_campaign.sweep.scope import SweepScope
from airflow_provider_campaign.sweep.startable import may_start_before, switch_schedules_off
from airflow_provider_campaign.sweep.traffic import Traffic
from airflow_provider_campaign.sweep.workers import PROGRESS_INTERVAL

log = logging.getLogger(__name__)

WasVerified = Callable[[str | None, float | None], bool]


class SweptAccount:
    """
    The live campaigns of an account, and the outcome for each.

    :param schedule: By when each campaign has to be stopped.
    :param began_at: When the run began (seconds since the epoch), None for now.
    :param was_verified: Returns whether an earlier run has verified the end (seconds since the epoch) of a rule, so
        that a campaign which is live after it is an incident.
    :raises CampaignConfigError: On construction, when a type is not one of the platform's.
    """

    def __init__(
        self,
        client: CampaignClient,
        scope: SweepScope,
        deadline: Deadline,
        schedule: Schedule | None = None,
        was_verified: WasVerified = lambda rule, end: False,
        began_at: float | None = None,
    ) -> None:
        self.traffic = Traffic(client, self._note_stop_sent)
        self.client = self.traffic.client
        self.scope = scope
        self.deadline = deadline
        self.schedule = schedule or Schedule()
        self.excluded: dict[str, tuple[Campaign, str]] = {}
        """Live campaigns outside the scope, with the argument that leaves them out, by id."""
        self.left_open: dict[str, tuple[Campaign, Closing]] = {}
        """Live campaigns whose calling hours go on, by id."""
        self.verified: dict[tuple[str | None, float], float] = {}
        """When this run has verified the end of a rule, by the rule's name and the end."""
        self._began_at = client.clock.time() if began_at is None else began_at
        self._was_verified = was_verified
        self._entries: dict[str, SweepEntry] = {}
        self.requests = CampaignRequests(self.traffic, self.schedule, deadline, self._report)
        self.lists = LiveLists(self.client, scope, deadline)
        self._reported_at = float("-inf")

    @property
    def entries(self) -> list[SweepEntry]:
        """All campaigns that were found live and have to be stopped, the most urgent first."""
        return _by_urgency(self._entries.values())

    @property
    def open_entries(self) -> list[SweepEntry]:
        """Those about which there is still something to be done, the most urgent first."""
        return _by_urgency(entry for entry in self._entries.values() if entry.is_open)

    @property
    def unsent_entries(self) -> list[SweepEntry]:
        """Those whose stop still has to be requested, the most urgent first."""
        return _by_urgency(entry for entry in self._entries.values() if entry.needs_stop)

    @property
    def requests_of_listing(self) -> int:
        """How many requests a listing takes where little has changed; campaigns that are stopping are in more lists."""
        is_stopping = any(entry.acknowledged for entry in self._entries.values() if entry.is_open)
        return len(self.lists.types) * (2 if is_stopping else 1)

    def list_only(self) -> None:
        """Note the live campaigns."""
        for campaign in self.client.list_campaigns(self.lists.types, self.lists.statuses, deadline=self.deadline):
            self._take_in(campaign)

    def list_live(self, after_page: Callable[[], None] = lambda: None) -> CampaignError | None:
        """Note the live campaigns; return what keeps the listing from being a proof, one type not hiding another."""
        problem, listed, unreadable = None, set[str](), set[str | None]()
        may_close = self.schedule.rules is None or bool(self.schedule.required(self.client.clock.time()))
        with_startable = may_close and not self.open_entries
        self.left_open.clear()
        for campaign_type in self.lists.types:
            try:
                for campaign in self.lists.read(campaign_type, with_startable=with_startable, after_page=after_page):
                    if self._take_in(campaign):
                        listed.add(campaign.id)
            except Exception as error:  # noqa: BLE001 whatever goes wrong with one list, the others show what has to be stopped
                problem = as_campaign_error(error, f"List of campaigns ({self.client.description})")
                self._note_problem(problem)
                if not isinstance(problem, UnreliableListError):  # which shows all the rows that it has
                    unreadable.add(campaign_type)
        unlisted = {
            entry.campaign.id: entry
            for entry in self.open_entries
            if not (entry.is_unread or entry.campaign.id in listed or entry.campaign.campaign_type in unreadable)
        }
        for entry in unlisted.values():
            entry.is_listed = False
        self.requests.poll(unlisted)
        self._report()
        return problem

    def list_excluded_types(self) -> None:
        """Note the live campaigns of the types that are left out; they are of interest, but nothing depends on them."""
        for campaign_type in self.scope.excluded_types(self.client.platform):
            try:
                live = [each for each in self.lists.read(campaign_type) if is_live(each.status)]
                self.excluded.update({campaign.id: (campaign, "campaign_types") for campaign in live})
            except Exception as error:  # noqa: BLE001 this is for information only
                log.warning("Live campaigns of type %s, which is left out, can't be listed: %s", campaign_type, error)

    @property
    def has_closed_anything(self) -> bool:
        """Whether there was something to stop, or this run is the first to verify an end of calling hours."""
        is_first = any(not self._was_verified(rule, end) for rule, end in self.verified)
        return self.schedule.rules is None or bool(self._entries) or is_first

    def find_others(self, *, retries: bool = True) -> CampaignError | None:
        """
        Note live campaigns in statuses that no list can be filtered by.

        :returns: What keeps it from being certain that there are no others: an :class:`.UnreliableListError` if that
            does not change by itself.
        """
        deadline, unknown = self.deadline.sooner(retries=retries), list[Campaign]()
        problem: CampaignError | None = None
        for campaign_type in self.lists.types:
            try:
                for campaign in self.client.find_undocumented(campaign_type, deadline):
                    if not self._take_in(campaign) and may_be_live(campaign.status) and self.scope.covers(campaign):
                        unknown.append(campaign)
            except Exception as error:  # noqa: BLE001 whatever goes wrong with one list, the others may show more
                problem = as_campaign_error(error, f"List of campaigns ({self.client.description})")
                self._note_problem(problem)
        if unknown:
            names = ", ".join(f"{each.id} ({each.name}) is {each.status}" for each in unknown)
            problem = UnreliableListError(
                f"Campaigns in a status that is not documented may be sending ({self.client.description}): {names}. "
                "Look at them in the platform's console."
            )
        return problem

    def add_unlisted(self, campaigns: Iterable[Campaign], *, are_given: bool) -> bool:
        """
        Take in campaigns by their ids. Until a listing shows one as live it is read, and never stopped.

        :param are_given: Whether the user has named them, so that one that the platform does not know is an error.
        :returns: Whether any of them is new.
        """
        new = {
            campaign.id: SweepEntry(campaign, is_given=are_given, is_only_read=True, is_listed=False)
            for campaign in campaigns
            if campaign.id not in self._entries
        }
        self._entries.update(new)
        return bool(new)

    def read_unlisted(self) -> None:
        """Read campaigns that were taken in by their ids and that no listing has shown, as the rate limit allows."""
        unread = [entry for entry in self._entries.values() if entry.is_unread]
        self.requests.read(unread)
        for entry in unread:
            if not entry.was_read or entry.confirmed_at is not None:
                continue
            is_idle = not may_be_live(entry.campaign.status)
            if entry.is_given and is_idle:  # neither live nor stopped: it may start
                self.lists.note_startable(entry.campaign)
                del self._entries[entry.campaign.id]
            elif not entry.is_given and entry.error is None:
                entry.note_left_alone(self.client.clock.time())

    def note_verified(self, began: float) -> None:
        """Note which ends a listing has verified that began at a moment, and has ended before they are open again."""
        now = self.client.clock.time()
        left = {(entry.closing.rule, entry.closing.end) for entry in self._entries.values() if not entry.confirmed_at}
        for closing in self.schedule.closed(began) & self.schedule.closed(now) - left:
            self.verified.setdefault(closing, now)

    @property
    def unverified(self) -> list[tuple[str | None, float]]:
        """The ends that this run has to verify and has not, by the rule's name and the end."""
        return sorted(self.schedule.required(self._began_at) - self.verified.keys(), key=lambda closing: closing[1])

    def may_start(self) -> list[Campaign]:
        """Return the campaigns that are not live, but may start before their calling hours do."""
        return list(filter(self._may_start, self.lists.startable))

    def switch_schedules_off(self) -> list[str]:
        """Switch off the schedules of campaigns that may start, and return the reasons for those not verified off."""
        seen, problems = switch_schedules_off(self.client, self.lists.types, self.deadline, self._may_start)
        self.lists.note_seen(seen)
        return problems

    def _may_start(self, campaign: Campaign) -> bool:
        now = self.client.clock.time()
        if not self.scope.covers(campaign) or self.schedule.closing_of(campaign, now).stop_by is None:
            return False
        return may_start_before(campaign, now, self.schedule.next_start(campaign, now))

    def update_closings(self) -> None:
        """Note by when each campaign has to be stopped, as of now; one whose calling hours are open again is let be."""
        now = self.client.clock.time()
        for entry in list(self._entries.values()):
            if entry.confirmed_at is None and not entry.is_only_read:
                closing = self.schedule.closing_of(entry.campaign, now)
                if closing.stop_by is None and entry.is_settled_when_open(now):
                    del self._entries[entry.campaign.id]
                entry.closing = replace(entry.closing, stop_by=None) if closing.stop_by is None else closing

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue after a deferral, in plain JSON types."""
        return {
            "entries": [entry.carry() for entry in self._entries.values()],
            "verified": [[rule, end, at] for (rule, end), at in self.verified.items()],
            "traffic": self.traffic.carry(),
        }

    def restore(self, carried: Mapping[str, Any]) -> None:
        """Take in what :meth:`carry` has returned before a deferral."""
        self._entries = {each["campaign"]["id"]: SweepEntry.carried(each) for each in carried["entries"]}
        self.verified = {(rule, end): at for rule, end, at in carried["verified"]}
        self.traffic.restore(carried["traffic"])

    def _take_in(self, campaign: Campaign) -> bool:
        """Note a campaign that is listed; return whether it is one to stop."""
        platform, now = self.client.platform, self.client.clock.time()
        known = self._entries.get(campaign.id)
        self.excluded.pop(campaign.id, None)
        if argument := self.scope.exclusion(campaign, platform):
            self.excluded[campaign.id] = (campaign, argument)
            if known is not None and known.is_only_listed:  # it was renamed, for example
                del self._entries[campaign.id]
        if not self.scope.includes(campaign, platform):
            return False
        closing = self.schedule.closing_of(campaign, now)
        if closing.stop_by is None and (known is None or known.is_settled_when_open(now)):
            if known is not None and known.confirmed_at is None:
                del self._entries[campaign.id]
            self.left_open[campaign.id] = (campaign, closing)
            return False
        entry = self._entries.setdefault(campaign.id, SweepEntry(campaign, closing, campaign.status))
        is_live_again = entry.confirmed_at is not None
        entry.note_listed(campaign, now)
        if (is_live_again or not entry.is_open or entry.asked_at is None) and self._is_incident(closing):
            entry.is_incident = True
        return True

    def _is_incident(self, closing: Closing) -> bool:
        """Return whether a campaign that is live now was seen stopped after its calling hours had ended."""
        if self.schedule.rules is None or closing.stop_by != NOW:
            return False
        if closing.end is not None and (closing.rule, closing.end) in self.verified:
            return True
        is_before_run = closing.end is None or closing.end <= self._began_at
        return is_before_run and self._was_verified(closing.rule, closing.end)

    def _note_problem(self, error: CampaignError) -> None:
        log.warning("Live campaigns can't be listed: %s", error)
        self.traffic.pause_after(error)

    def _note_stop_sent(self, campaign_id: str, was_sent: bool) -> None:
        if campaign_id in self._entries:
            self._entries[campaign_id].note_asked(self.client.clock.time(), was_sent=was_sent)

    def _report(self) -> None:
        """Write a line about the progress, not more often than each second."""
        now = self.client.clock.monotonic()
        entries = list(self._entries.values())
        if now - self._reported_at >= PROGRESS_INTERVAL and any(entry.asked_at is not None for entry in entries):
            self._reported_at = now
            stopped = sum(1 for entry in entries if entry.confirmed_at)
            stopping = sum(1 for entry in entries if entry.acknowledged and entry.is_open)
            problems = [entry.error for entry in entries if entry.error]
            last = f", the last: {problems[-1]}" if problems else ""
            text = "Stopped %s of %s, %s stopping, %s with a problem%s"
            log.info(text, stopped, len(entries), stopping, len(problems), last)


def _by_urgency(entries: Iterable[SweepEntry]) -> list[SweepEntry]:
    return sorted(entries, key=lambda entry: entry.urgency)
