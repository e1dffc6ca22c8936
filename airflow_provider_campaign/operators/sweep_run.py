"""
One try of a sweep's task: the account, the dates of the run, what previous tries have left, and the outcome.

A sweep acts on what time it is. The dates of runs decide about alarms alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_campaign.arguments import check_documented
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.records.progress import Progress, iso_utc
from airflow_provider_campaign.records.record import SUBJECT
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.loop import MAX_DELAY, Sweep
from airflow_provider_campaign.sweep.plan import End, Schedule, SweepScope, ends_of, moment_of
from airflow_provider_campaign.sweep.result import SweepResult
from airflow_provider_campaign.sweep.startable import check_can_switch_off

log = logging.getLogger(__name__)

MAX_DEFERRED_DELAY = 60.0  # the longest delay, in seconds, between two polls if that takes no worker slot
MAX_MISSED_AGE = 31 * 24 * 60 * 60.0  # seconds: how far back missed ends are reported


class SweepRun:
    """One try of a sweep's task, begun now, or continued with what :meth:`carry` has returned before a deferral."""

    def __init__(
        self,
        arguments: SimpleNamespace,
        context: Mapping[str, Any],
        record: TaskRecord,
        hook: CampaignHook,
        cancellation: Cancellation,
        carried: Mapping[str, Any] | None,
    ) -> None:
        self._arguments = arguments
        self._context = context
        self._record = record
        self._is_resumed = bool(carried)
        self._is_to_switch = arguments.switch_schedules_off and not arguments.dry_run
        self._look_ahead: float = arguments.look_ahead
        scope = SweepScope(arguments.campaign_types, arguments.statuses, arguments.name_pattern, arguments.campaign_ids)
        described = {**scope.as_dict(), "dry_run": arguments.dry_run}
        record.describe(connection_id=arguments.campaign_conn_id, scope=described, reason=arguments.reason)
        client = hook.client
        check_documented("statuses", arguments.statuses, client.platform)
        if self._is_to_switch:
            check_can_switch_off(client)
        record.describe(platform=client.platform)
        header = record.draft.header()
        self._subject = [header[name] for name in SUBJECT]
        if carried:
            if carried["subject"] != self._subject:
                raise CampaignSweepError(
                    f"The connection, or which campaigns to stop, has changed from {carried['subject']} to "
                    f"{self._subject} while this task was deferred. Nothing more was sent. A retry takes them as they "
                    "are now; look at the others in the platform's console."
                )
            record.describe(began_at=float(carried["began_at"]), missed_closings=carried["missed_closings"])
        began_at = record.draft.began_at
        schedule = Schedule.of_run(arguments.calling_hours, arguments.margin, arguments.look_ahead, began_at)
        ends_at = (schedule.until or began_at) + arguments.timeout
        self._ends_at: float = max(ends_at, carried["ends_at"]) if carried else ends_at
        remaining = max(0.0, self._ends_at - client.clock.time())
        self.deadline = Deadline(remaining, client.clock, cancellation=cancellation)
        self._account = SweptAccount(client, scope, self.deadline, schedule, self._was_verified)
        self._sweep = Sweep(self._account, max_delay=MAX_DEFERRED_DELAY if arguments.deferrable else MAX_DELAY)
        record.describe(lambda: SweepResult(self._account).progress(), **_window(schedule))
        if carried:
            self._sweep.restore(carried["sweep"])
            record.count_from(self._account.traffic.requests, self._account.traffic.refused)

    def check_date(self) -> None:
        """End a run that begins when all that it was for is open again; report ends that no run has verified."""
        rules = self._arguments.calling_hours
        for warning in rules.warnings if rules else ():
            log.warning("%s", warning)
        now = self._account.client.clock.time()
        ends = self._scheduled_ends()
        if ends and self._passed(ends, now) == ends:
            self._end_late(ends)
        if missed := self._missed_ends(now):
            log.warning("No run has verified the end of calling hours %s, which are open again", _names(missed))
            self._record.describe(missed_closings=list(map(_closing, missed)))

    def sweep(self, pause: Callable[[float], None] | None) -> None:
        """Sweep, and raise if anything is not verified stopped; `pause` lets time pass without a worker slot."""
        account, is_dry_run = self._account, self._arguments.dry_run
        if not (self._is_resumed or is_dry_run):
            given = [Campaign(campaign_id, "unknown") for campaign_id in self._arguments.campaign_ids or ()]
            account.add_unlisted(given, are_given=True)
        outcome = self._sweep.list_only() if is_dry_run else self._sweep.run(pause)
        earlier = self._record.load_earlier_tries()  # not before all is stopped: a store that hangs holds up no stop
        if not is_dry_run and account.add_unlisted(earlier.leftovers, are_given=False):
            outcome = SweepResult(account, outcome.problem) if outcome.problem else self._sweep.run(pause)
        problems = account.switch_schedules_off() if self._is_to_switch else []
        is_repeat = not (account.has_closed_anything or outcome.unverified)
        self._record.describe(outcome.progress, is_repeat=is_repeat)
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

    def _scheduled_ends(self) -> list[End]:
        """Return the ends that the run was scheduled for, in order; none if it was triggered manually."""
        # A run is for the end of its data interval; on Airflow 2 a cron expression's logical date is an interval older
        moment = self._context.get("data_interval_end")
        if moment is None or self._context["dag_run"].run_type not in ("scheduled", "backfill"):
            return []
        scheduled = Schedule.of_run(self._arguments.calling_hours, 0.0, self._look_ahead, moment.timestamp())
        return sorted(scheduled.required, key=itemgetter(1))

    def _passed(self, ends: Iterable[End], now: float) -> list[End]:
        """Return those of the ends that have passed, and whose calling hours are open again."""
        closed = {rule for rule, _ in self._account.schedule.closed(now)}
        return [(rule, end) for rule, end in ends if end <= now and rule not in closed]

    def _end_late(self, ends: list[End]) -> None:
        """Skip a run whose ends were verified, or fail it for good; nothing is sent."""
        closings = [{**_closing(each), "verified_at": None, "live_at_end": []} for each in ends]
        self._record.describe(lambda: Progress(closings=closings))
        text = f"All that this run was scheduled to close ({_names(ends)}) is open again: nothing was sent."
        earlier = self._record.load_earlier_tries()
        left = ", ".join(f"{campaign.id} ({campaign.name})" for campaign in earlier.leftovers)
        if left:
            text += f" Previous tries left campaigns that are not verified stopped: {left}. They may have been sending."
        if foreign := earlier.describe_foreign():
            text += f" {foreign}"
        if not left and not foreign:
            previous, is_first = self._last_success
            is_verified = any(each["outcome"] == "success" for each in earlier.tries)
            is_covered = previous is not None and previous + self._look_ahead >= ends[-1][1]
            if is_verified or is_covered or (is_first and self._record.draft.run["try_number"] == 1):
                raise AirflowSkipException(text)
            text += " No run has verified that end: look at the platform's console for what was sent after it."
        raise CampaignSweepFinalError(text)

    def _was_verified(self, rule: str | None, end: float | None) -> bool:
        """Return whether an earlier run has verified an end, so that a campaign which is live now was started since."""
        previous, _ = self._last_success
        if previous is None or self._arguments.dry_run:
            return False
        if end is not None and self._previous_closings is not None:
            return (rule, iso_utc(end)) in self._previous_closings
        return end is None or end <= previous + self._look_ahead

    def _missed_ends(self, now: float) -> list[End]:
        """Return the ends that have passed since the last successful run, of calling hours that are open again."""
        previous, _ = self._last_success
        if previous is None or self._arguments.dry_run:
            return []
        since = max(previous + self._look_ahead, now - MAX_MISSED_AGE)
        known = self._previous_closings or ()  # the last run may have begun long after its date
        passed = self._passed(ends_of(self._arguments.calling_hours, since, now), now)
        return [(rule, end) for rule, end in passed if (rule, iso_utc(end)) not in known]

    @cached_property
    def _last_success(self) -> tuple[float | None, bool]:
        """When the last successful run was scheduled for, and whether it is known that there was none."""
        try:  # Airflow looks it up when it is asked for
            found = self._context.get("prev_data_interval_end_success")
            return (found.timestamp(), False) if found else (None, True)
        except Exception as error:  # noqa: BLE001 whatever Airflow raises, it keeps nothing from being stopped
            text = "When this DAG last ran can't be read, so that incidents and missed ends are not seen: %r"
            log.warning(text, error)
            return None, False

    @cached_property
    def _previous_closings(self) -> list[tuple[str | None, str]] | None:
        """Rule and end of each closing that the last run has verified, None if its result is unknown."""
        ti: Any = self._context.get("ti")
        try:
            index = ti.map_index if ti.map_index >= 0 else None
            result = ti.xcom_pull(task_ids=ti.task_id, key="return_value", include_prior_dates=True, map_indexes=index)
            if result["outcome"] != "success":
                return None
            return [(each["rule"], each["end"]) for each in result["closings"] if each["verified_at"]]
        except Exception as error:  # noqa: BLE001 whatever an XCom backend raises, the dates say enough
            log.debug("The result of the last run is not known: %r", error)
            return None


def _window(schedule: Schedule) -> dict[str, Any]:
    """Return the last end that a run is for, and the time zone of its calling hours."""
    if schedule.rules is None:
        return {}
    zones: dict[str | None, str] = {rule.name: rule.zone.key for rule in schedule.rules.rules}
    name, last = max(schedule.required, key=itemgetter(1), default=(next(iter(zones)), None))
    return {"window_end": None if last is None else moment_of(last), "timezone": zones[name]}


def _closing(end: End) -> dict[str, Any]:
    return {"rule": end[0], "end": iso_utc(end[1])}


def _names(ends: Iterable[End]) -> str:
    return ", ".join(f"{rule} at {iso_utc(end)}" for rule, end in ends)
