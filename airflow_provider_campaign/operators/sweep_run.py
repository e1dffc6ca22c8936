"""One try of a sweep's task: the account, the dates of the run, what previous tries have left, and the outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_campaign.arguments import check_documented
from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignError, CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.operators.run_dates import End, RunDates
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.closing import Schedule
from airflow_provider_campaign.sweep.loop import MAX_DELAY, Sweep
from airflow_provider_campaign.sweep.scope import SweepScope
from airflow_provider_campaign.sweep.startable import check_can_switch_off

log = logging.getLogger(__name__)

MAX_DEFERRED_DELAY = 60.0
"""The longest delay, in seconds, between two polls of campaigns that are stopping if that takes no worker slot."""


@dataclass(frozen=True)
class SweepArguments:
    """What the arguments of a sweep's task mean."""

    campaign_conn_id: str
    campaign_types: Collection[str]
    statuses: Collection[str]
    name_pattern: Collection[str] | None
    campaign_ids: Collection[str] | None
    dry_run: bool
    calling_hours: CallingRules | None
    records_path: str | None
    reason: str | None
    margin: float
    look_ahead: float
    switch_schedules_off: bool
    deferrable: bool
    timeout: float

    def scope(self) -> SweepScope:
        return SweepScope(self.campaign_types, self.statuses, self.name_pattern, self.campaign_ids)

    def described_scope(self) -> dict[str, Any]:
        """Return the scope as records have it."""
        return {**self.scope().as_dict(), "dry_run": self.dry_run}


@contextmanager
def resuming(carried: Mapping[str, Any] | None) -> Iterator[None]:
    """Fail, for a retry, if another version of the provider has written what was carried over a deferral."""
    try:
        yield
    except Exception as error:
        if not carried or isinstance(error, CampaignError):
            raise
        raise CampaignSweepError(
            f"What this task did before it was deferred can't be read ({error!r}): was the provider upgraded "
            "meanwhile? Nothing more was sent. A retry lists all live campaigns anew."
        ) from error


class SweepRun:
    """
    One try of a sweep's task.

    :param carried: What :meth:`carry` has returned before a deferral, None if the try begins now.
    :raises CampaignConfigError: When the connection's platform does not support an argument.
    """

    def __init__(
        self,
        arguments: SweepArguments,
        context: Mapping[str, Any],
        record: TaskRecord,
        client: CampaignClient,
        cancellation: Cancellation,
        carried: Mapping[str, Any] | None,
    ) -> None:
        self._arguments = arguments
        self._context = context
        self._record = record
        self._is_resumed = bool(carried)
        check_documented("statuses", arguments.statuses, client.platform)
        if self._is_to_switch:
            check_can_switch_off(client)
        if carried:
            record.describe(began_at=float(carried["began_at"]), missed_closings=carried["missed_closings"])
        began_at = record.draft.began_at
        schedule = Schedule.of_run(arguments.calling_hours, arguments.margin, arguments.look_ahead, began_at)
        ends_at = (schedule.until or began_at) + arguments.timeout
        self._ends_at: float = max(ends_at, carried["ends_at"]) if carried else ends_at
        remaining = max(0.0, self._ends_at - client.clock.time())
        self.deadline = Deadline(remaining, client.clock, cancellation=cancellation)
        self._account = SweptAccount(client, arguments.scope(), self.deadline, schedule, self._was_verified, began_at)
        self._sweep = Sweep(self._account, max_delay=MAX_DEFERRED_DELAY if arguments.deferrable else MAX_DELAY)
        record.describe(
            platform=client.platform,
            **self._window(schedule, began_at),
            progress=lambda: self._sweep.result().progress(),
        )
        if carried:
            self._restore(carried)

    @cached_property
    def _dates(self) -> RunDates | None:
        rules = self._arguments.calling_hours
        return RunDates.of_run(rules, self._arguments.look_ahead, self._context) if rules else None

    def check_date(self) -> None:
        """
        End a run that begins late, and report the ends of calling hours that no run has verified.

        :raises AirflowSkipException: When all that the run was scheduled to close is open again, and was verified.
        :raises CampaignSweepFinalError: When it is open again, and was not.
        """
        if self._dates is None:
            return
        now = datetime.fromtimestamp(self._account.client.clock.time(), UTC)
        for warning in self._dates.rules.warnings:
            log.warning("%s", warning)
        if self._dates.is_late(now):
            self._end_late(self._dates)
        known = self._previous_closings or ()  # the last run may have begun long after its date
        ends = [] if self._arguments.dry_run else self._dates.missed_ends(now)
        missed = [(rule, end) for rule, end in ends if [rule.name, end.isoformat()] not in known]
        if missed:
            log.warning("No run has verified the end of calling hours %s, which are open again", _names(missed))
            self._record.describe(missed_closings=[_closing(rule.name, end) for rule, end in missed])

    def sweep(self, pause: Callable[[float], None] | None) -> None:
        """
        Sweep, and raise if anything is not verified stopped.

        :param pause: Lets time pass until a moment without a worker slot, None to sleep.
        """
        account, sweep = self._account, self._sweep
        if not (self._is_resumed or self._arguments.dry_run):
            given = [Campaign(campaign_id, "unknown") for campaign_id in self._arguments.campaign_ids or ()]
            account.add_unlisted(given, are_given=True)
        outcome = sweep.list_only() if self._arguments.dry_run else sweep.run(pause)
        earlier = self._record.load_earlier_tries()  # not before all is stopped: a store that hangs holds up no stop
        if not self._arguments.dry_run and account.add_unlisted(earlier.leftovers, are_given=False):
            outcome = sweep.result(outcome.problem) if outcome.problem else sweep.run(pause)
        problems = account.switch_schedules_off() if self._is_to_switch else []
        outcome = replace(outcome, requests=account.traffic.requests, may_start=sweep.result().may_start)
        is_first = not outcome.verified or not all(self._was_verified(*closing) for closing in outcome.verified)
        self._record.describe(
            progress=outcome.progress, is_repeat=not (outcome.entries or outcome.unverified or is_first)
        )
        outcome.log()
        verified = [entry.campaign.id for entry in outcome.entries if entry.confirmed_at is not None]
        outcome.raise_for_failure(*problems, earlier.describe_foreign(verified))

    def carry(self) -> dict[str, Any]:
        """Return what has to be known to continue after a deferral, in plain JSON types."""
        return {
            "began_at": self._record.draft.began_at,
            "ends_at": self._ends_at,
            "missed_closings": self._record.draft.missed_closings,
            "subject": self._subject,
            "sweep": self._sweep.carry(),
        }

    @property
    def _subject(self) -> list[Any]:
        platform = self._account.client.platform
        return [
            self._arguments.campaign_conn_id,
            platform.name,
            platform.account,
            self._arguments.described_scope(),
        ]

    @property
    def _is_to_switch(self) -> bool:
        return self._arguments.switch_schedules_off and not self._arguments.dry_run

    def _restore(self, carried: Mapping[str, Any]) -> None:
        if carried["subject"] != self._subject:
            raise CampaignSweepError(
                f"The connection, or which campaigns to stop, has changed from {carried['subject']} to {self._subject} "
                "while this task was deferred. Nothing more was sent. A retry takes them as they are now; look at the "
                "others in the platform's console."
            )
        self._sweep.restore(carried["sweep"])
        traffic = self._account.traffic
        self._record.count_from(traffic.requests, traffic.refused)

    def _window(self, schedule: Schedule, now: float) -> dict[str, Any]:
        """Return the last end that the run is for, and the time zone of its calling hours."""
        if schedule.rules is None:
            return {}
        zones: dict[str | None, str] = {rule.name: rule.zone.key for rule in schedule.rules.rules}
        ends = ((end, rule) for rule, end in schedule.required(now))
        last, name = max(ends, default=(None, schedule.rules.rules[0].name))
        return {"window_end": None if last is None else datetime.fromtimestamp(last, UTC), "timezone": zones[name]}

    def _end_late(self, dates: RunDates) -> None:
        """Skip a run whose ends were verified, or fail it for good; nothing is sent."""
        ends = dates.scheduled_ends()
        closings = [_closing(rule.name, end) | {"verified_at": None, "live_at_end": []} for rule, end in ends]
        self._record.describe(lambda: Progress(closings=closings))
        text = f"All that this run was scheduled to close ({_names(ends)}) is open again: nothing was sent."
        earlier = self._record.load_earlier_tries()
        left = ", ".join(f"{campaign.id} ({campaign.name})" for campaign in earlier.leftovers)
        if left:
            text += f" Previous tries left campaigns that are not verified stopped: {left}. They may have been sending."
        if foreign := earlier.describe_foreign():
            text += f" {foreign}"
        if not left and not foreign:
            is_verified = any(each["outcome"] == "success" for each in earlier.tries)
            is_first_run = dates.previous is None and dates.is_known and self._record.draft.run["try_number"] == 1
            if is_verified or is_first_run or all(dates.covers(end) for _, end in ends):
                raise AirflowSkipException(text)
            text += " No run has verified that end: look at the platform's console for what was sent after it."
        raise CampaignSweepFinalError(text)

    def _was_verified(self, rule: str | None, end: float | None) -> bool:
        """Return whether an earlier run has verified an end, so that a campaign which is live now was started since."""
        dates = self._dates
        if self._arguments.dry_run or dates is None or dates.previous is None:
            return False
        if end is None:
            return True
        moment = datetime.fromtimestamp(end, UTC)
        closings = self._previous_closings
        if closings is not None:
            return [rule, moment.isoformat()] in closings
        return dates.covers(moment)

    @cached_property
    def _previous_closings(self) -> list[list[Any]] | None:
        """
        Rule and end of each closing that the last run has verified, None if its result is unknown.

        The dates alone don't show that an override has been declared since.
        """
        ti = self._context.get("ti")
        try:
            result = ti.xcom_pull(  # type: ignore[union-attr]
                task_ids=ti.task_id,  # type: ignore[union-attr]
                key="return_value",
                include_prior_dates=True,
                map_indexes=ti.map_index if ti.map_index >= 0 else None,  # type: ignore[union-attr]
            )
            if result["outcome"] != "success":
                return None
            return [[each["rule"], each["end"]] for each in result["closings"] if each["verified_at"]]
        except Exception as error:  # noqa: BLE001 whatever an XCom backend raises, the dates say enough
            log.debug("The result of the last run is not known: %r", error)
            return None


def _closing(rule: str, end: datetime) -> dict[str, Any]:
    return {"rule": rule, "end": end.isoformat()}


def _names(ends: Collection[End]) -> str:
    return ", ".join(f"{rule.name} at {end.isoformat()}" for rule, end in ends)
