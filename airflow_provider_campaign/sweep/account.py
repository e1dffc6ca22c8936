"""The account that a sweep sees: its live campaigns, and the outcome for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_campaign.campaign import Campaign, is_live, may_be_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.client.list_reader import UnreliableListError
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.sweep.entry import SweepEntry
from airflow_provider_campaign.sweep.plan import NOW, Closing, End, Schedule, SweepScope, moment_of
from airflow_provider_campaign.sweep.startable import STARTABLE_STATUSES, start_time, switch_schedules_off
from airflow_provider_campaign.sweep.traffic import Traffic

log = logging.getLogger(__name__)


class SweptAccount:
    """
    The live campaigns of an account, and the outcome for each.

    :param schedule: By when each campaign has to be stopped.
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
        was_verified: Callable[[str | None, float | None], bool] = lambda rule, end: False,
    ) -> None:
        self.scope = scope
        self.deadline = deadline
        self.schedule = schedule or Schedule()
        self.traffic = Traffic(client, self.schedule, deadline)
        self.client = self.traffic.client
        self.types: Collection[str | None] = scope.campaign_types if client.platform.campaign_types else (None,)
        for campaign_type in self.types:
            client.read_list(campaign_type)  # refuses a type that the platform does not have; nothing is sent
        self.excluded: dict[str, tuple[Campaign, str]] = {}  # live ones outside the scope, with the argument, by id
        self.left_open: dict[str, tuple[Campaign, Closing]] = {}  # live ones whose calling hours go on, by id
        self.startable: dict[str, Campaign] = {}  # those that are not live, and that may start, by id
        self.verified: dict[End, float] = {}  # when this run has verified an end of calling hours
        self._statuses = scope.listed_statuses(client.platform)
        self._was_verified = was_verified
        self._entries: dict[str, SweepEntry] = {}

    @property
    def entries(self) -> list[SweepEntry]:
        """All campaigns that were found live and have to be stopped, the most urgent first."""
        return sorted(self._entries.values(), key=lambda entry: entry.urgency)

    @property
    def open_entries(self) -> list[SweepEntry]:
        """Those about which there is still something to be done, the most urgent first."""
        return [entry for entry in self.entries if entry.is_open]

    @property
    def unverified(self) -> list[End]:
        """The ends that this run has to verify and has not."""
        return sorted(self.schedule.required - self.verified.keys(), key=lambda end: end[1])

    @property
    def is_all_refused(self) -> bool:
        """Whether the platform has refused the credentials for every stop."""
        return bool(self._entries) and all(entry.is_refused for entry in self._entries.values())

    @property
    def has_closed_anything(self) -> bool:
        """Whether there was something to stop, or this run is the first to verify an end of calling hours."""
        is_first = any(not self._was_verified(rule, end) for rule, end in self.verified)
        return self.schedule.rules is None or bool(self._entries) or is_first

    def list_live(self, after_page: Callable[[], None] = lambda: None) -> CampaignError | None:
        """Note the live campaigns; return what keeps the listing from being a proof, one type not hiding another."""
        problem, listed, unreadable = None, set[str](), set[str | None]()
        self.left_open.clear()
        for campaign_type in self.types:
            try:
                reader = self.client.read_list(campaign_type, self._statuses)
                while not reader.is_finished:
                    page = reader.read_page(self.deadline.sooner(retries=False))
                    listed.update(campaign.id for campaign in page if self._take_in(campaign))
                    after_page()
                reader.check()
            except Exception as error:  # noqa: BLE001 whatever goes wrong with one list, the others are read
                problem = self._noted(error)
                if not isinstance(problem, UnreliableListError):  # which shows all the rows that it has
                    unreadable.add(campaign_type)
        unlisted = {
            entry.campaign.id: entry
            for entry in self.open_entries
            if not (entry.is_only_read or entry.campaign.id in listed or entry.campaign.campaign_type in unreadable)
        }
        for entry in unlisted.values():
            entry.is_listed = False
        self.traffic.poll(unlisted)
        return problem

    def list_excluded_types(self) -> None:
        """Note a page of live campaigns of each type that is left out; nothing depends on them."""
        for campaign_type in self.client.platform.campaign_types:
            shown = () if campaign_type in self.types else self._page(campaign_type, self._statuses)
            self.excluded |= {each.id: (each, "campaign_types") for each in shown if is_live(each.status)}

    def list_startable(self) -> None:
        """Note a page of campaigns of each type that are not live, but may start; nothing depends on them."""
        for campaign_type in self.types:
            self.startable |= {campaign.id: campaign for campaign in self._page(campaign_type, STARTABLE_STATUSES)}

    def find_others(self) -> CampaignError | None:
        """
        Note live campaigns in statuses that no list can be filtered by; return why there may be others.

        That is an :class:`.UnreliableListError` if it does not change by itself.
        """
        unknown, problem = list[str](), None
        for campaign_type in self.types:
            try:
                for each in self.client.find_undocumented(campaign_type, self.deadline.sooner(retries=False)):
                    is_unknown = (
                        may_be_live(each.status) and self.scope.exclusion(each, self.client.platform) == "statuses"
                    )
                    if not self._take_in(each) and is_unknown:
                        unknown.append(f"{each.id} ({each.name}) is {each.status}")
            except Exception as error:  # noqa: BLE001 whatever goes wrong with one list, the others are read
                problem = self._noted(error)
        if unknown:
            return UnreliableListError(
                f"Campaigns in a status that is not documented may be sending ({self.client.description}): "
                f"{', '.join(unknown)}. Look at them in the platform's console."
            )
        return problem

    def add_unlisted(self, campaigns: Iterable[Campaign], *, are_given: bool) -> bool:
        """Take in campaigns that are read, and stopped only if a listing shows them live; return whether any is new."""
        new = [campaign for campaign in campaigns if campaign.id not in self._entries]
        for each in new:
            self._entries[each.id] = SweepEntry(each, is_given=are_given, is_only_read=True, is_listed=False)
        return bool(new)

    def read_unlisted(self) -> None:
        """Read campaigns that were taken in by their ids and that no listing has shown, as the rate limit allows."""
        unread = [entry for entry in self._entries.values() if entry.is_only_read and entry.is_open]
        self.traffic.send(unread)
        for entry in unread:
            campaign = entry.campaign
            if entry.is_given and entry.confirmed_at is None and not may_be_live(campaign.status):
                self.startable[campaign.id] = campaign
                del self._entries[campaign.id]

    def note_verified(self, began: float) -> None:
        """Note which ends a listing has verified that began at a moment, and has ended before they are open again."""
        now = self.client.clock.time()
        left = {(entry.closing.rule, entry.closing.end) for entry in self._entries.values() if not entry.confirmed_at}
        for end in self.schedule.closed(began) & self.schedule.closed(now) - left:
            self.verified.setdefault(end, now)

    def may_start(self, campaign: Campaign) -> bool:
        """Return whether a campaign that is not live may start before its calling hours do."""
        now, argument = self.client.clock.time(), self.scope.exclusion(campaign, self.client.platform)
        if campaign.status not in STARTABLE_STATUSES or argument != "statuses":
            return False
        if self.schedule.closing_of(campaign, now).stop_by is None:
            return False
        opening = self.schedule.rules.next_start(campaign, moment_of(now)) if self.schedule.rules else None
        starts_at = start_time(campaign) or now
        return now <= starts_at and (opening is None or starts_at < opening.timestamp())

    def switch_schedules_off(self) -> list[str]:
        """Switch off the schedules of campaigns that may start, and return the reasons for those not verified off."""
        seen, problems = switch_schedules_off(self.client, self.types, self.deadline, self.may_start)
        self.startable |= {campaign.id: campaign for campaign in seen}
        return problems

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

    def _page(self, campaign_type: str | None, statuses: Collection[str]) -> list[Campaign]:
        """Return the first page of a list that nothing depends on."""
        try:
            return self.client.read_list(campaign_type, statuses).read_page(self.deadline.sooner(retries=False))
        except Exception as error:  # noqa: BLE001 this is for information only
            log.warning("Campaigns (%s) can't be listed, which are not to be stopped: %s", ", ".join(statuses), error)
            return []

    def _take_in(self, campaign: Campaign) -> bool:
        """Note a campaign that is listed; return whether it is one to stop."""
        now, known = self.client.clock.time(), self._entries.get(campaign.id)
        self.excluded.pop(campaign.id, None)
        if argument := self.scope.exclusion(campaign, self.client.platform):
            if may_be_live(campaign.status):
                self.excluded[campaign.id] = (campaign, argument)
                if known and known.needs_stop and known.asked_at is None:  # it was renamed
                    del self._entries[campaign.id]
            return False
        closing = self.schedule.closing_of(campaign, now)
        if closing.stop_by is None and (known is None or known.is_settled_when_open(now)):
            if known and known.confirmed_at is None:
                del self._entries[campaign.id]
            self.left_open[campaign.id] = (campaign, closing)
            return False
        entry = self._entries.setdefault(campaign.id, SweepEntry(campaign, closing, campaign.status))
        is_new = entry.asked_at is None or entry.confirmed_at is not None
        entry.note_listed(campaign, now)
        entry.is_incident = entry.is_incident or (is_new and self._is_incident(closing))
        return True

    def _is_incident(self, closing: Closing) -> bool:
        """Return whether a campaign that is live now was seen stopped after its calling hours had ended."""
        if self.schedule.rules is None or closing.stop_by != NOW:
            return False
        if closing.end is not None and (closing.rule, closing.end) in self.verified:
            return True
        is_before_run = closing.end is None or closing.end <= self.schedule.began_at
        return is_before_run and self._was_verified(closing.rule, closing.end)

    def _noted(self, error: Exception) -> CampaignError:
        problem = as_campaign_error(error, f"List of campaigns ({self.client.description})")
        log.warning("Live campaigns can't be listed: %s", problem)
        self.traffic.pause_after(problem)
        return problem
