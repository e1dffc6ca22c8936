"""
One try of a sweep's task: the account, the dates of the run, what previous tries have left, and the outcome.

A sweep acts on what time it is. The dates of runs decide about alarms alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_campaign.arguments import check_documented
from airflow_provider_campaign.calling_hours import CallingHours, CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignSweepError, CampaignSweepFinalError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.loop import MAX_DELAY, Sweep
from airflow_provider_campaign.sweep.plan import Schedule, SweepScope, moment_of
from airflow_provider_campaign.sweep.result import SweepResult
from airflow_provider_campaign.sweep.startable import check_can_switch_off

log = logging.getLogger(__name__)

MAX_DEFERRED_DELAY = 60.0  # the longest delay, in seconds, between two polls if that takes no worker slot
MAX_MISSED_AGE = timedelta(days=31)  # how far back missed ends are reported

RuleEnd = tuple[CallingHours, datetime]


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
        self._look_ahead = timedelta(seconds=arguments.look_ahead)
        types, statuses, conn_id = arguments.campaign_types, arguments.statuses, arguments.campaign_conn_id
        scope = SweepScope(types, statuses, arguments.name_pattern, arguments.campaign_ids)
        described = {**scope.as_dict(), "dry_run": arguments.dry_run}
        record.describe(connection_id=conn_id, scope=described, reason=arguments.reason)
        client = hook.client
        self._subject = [conn_id, client.platform.name, client.platform.account, described]
        check_documented("statuses", statuses, client.platform)
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
        self._account = SweptAccount(client, scope, self.deadline, schedule, self._was_verified)
        self._sweep = Sweep(self._account, max_delay=MAX_DEFERRED_DELAY if arguments.deferrable else MAX_DELAY)
        window = self._window(schedule)
        record.describe(lambda: SweepResult(self._account).progress(), platform=client.platform, **window)
        if carried:
            self._restore(carried)

    def check_date(self) -> None:
        """End a run that begins when all that it was for is open again; report ends that no run has verified."""
        rules = self._arguments.calling_hours
        if rules is None:
            return
        for warning in rules.warnings:
            log.warning("%s", warning)
        now = moment_of(self._account.client.clock.time())
        ends = _scheduled_ends(rules, self._look_ahead, self._context)
        if ends and all(end <= now and rule.is_open(now) for rule, end in ends):
            self._end_late(ends)
        if missed := self._missed_ends(rules, now):
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

    def _restore(self, carried: Mapping[str, Any]) -> None:
        if carried["subject"] != self._subject:
            raise CampaignSweepError(
                f"The connection, or which campaigns to stop, has changed from {carried['subject']} to {self._subject} "
                "while this task was deferred. Nothing more was sent. A retry takes them as they are now; look at the "
                "others in the platform's console."
            )
        self._sweep.restore(carried["sweep"])
        self._record.count_from(self._account.traffic.requests, self._account.traffic.refused)

    def _window(self, schedule: Schedule) -> dict[str, Any]:
        """Return the last end that the run is for, and the time zone of its calling hours."""
        if schedule.rules is None:
            return {}
        zones: dict[str | None, str] = {rule.name: rule.zone.key for rule in schedule.rules.rules}
        name, last = max(
            schedule.required(schedule.began_at), key=lambda end: end[1], default=(next(iter(zones)), None)
        )
        return {"window_end": None if last is None else moment_of(last), "timezone": zones[name]}

    def _end_late(self, ends: Collection[RuleEnd]) -> None:
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
            is_covered = previous is not None and all(previous + self._look_ahead >= end for _, end in ends)
            if is_verified or is_covered or (is_first and self._record.draft.run["try_number"] == 1):
                raise AirflowSkipException(text)
            text += " No run has verified that end: look at the platform's console for what was sent after it."
        raise CampaignSweepFinalError(text)

    def _was_verified(self, rule: str | None, end: float | None) -> bool:
        """Return whether an earlier run has verified an end, so that a campaign which is live now was started since."""
        if self._arguments.dry_run or self._arguments.calling_hours is None:
            return False
        previous, _ = self._last_success
        if previous is None or end is None:
            return previous is not None
        moment, closings = moment_of(end), self._previous_closings
        if closings is not None:
            return (rule, moment.isoformat()) in closings
        return previous + self._look_ahead >= moment

    def _missed_ends(self, rules: CallingRules, now: datetime) -> list[RuleEnd]:
        """Return the ends that have passed since the last successful run, of calling hours that are open again."""
        previous, _ = self._last_success
        if previous is None or self._arguments.dry_run:
            return []
        since = max(previous + self._look_ahead, now - MAX_MISSED_AGE)
        known = self._previous_closings or ()  # the last run may have begun long after its date
        ends = [(rule, end) for rule, end in (rules.ends(since, now) if since < now else ()) if rule.is_open(now)]
        return [(rule, end) for rule, end in ends if (rule.name, end.isoformat()) not in known]

    @cached_property
    def _last_success(self) -> tuple[datetime | None, bool]:
        """When the last successful run was scheduled for, and whether it is known that there was none."""
        try:  # Airflow looks it up when it is asked for
            found = self._context.get("prev_data_interval_end_success")
            return (datetime.fromisoformat(found.isoformat()), False) if found else (None, True)
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


def _closing(end: RuleEnd) -> dict[str, Any]:
    return {"rule": end[0].name, "end": end[1].isoformat()}


def _names(ends: Collection[RuleEnd]) -> str:
    return ", ".join(f"{rule.name} at {end.isoformat()}" for rule, end in ends)


def _scheduled_ends(rules: CallingRules, look_ahead: timedelta, context: Mapping[str, Any]) -> list[RuleEnd]:
    """Return the ends that the run was scheduled for, none if it was triggered manually."""
    # A run is for the end of its data interval: on Airflow 2 the logical date of a cron expression is an interval older
    moment = context.get("data_interval_end")
    if moment is None or context["dag_run"].run_type not in ("scheduled", "backfill"):
        return []
    at = datetime.fromisoformat(moment.isoformat())
    closed = [(rule, rule.last_end(at)) for rule in rules.rules if not rule.is_open(at)]
    return [*((rule, end) for rule, end in closed if end), *rules.ends(at, at + look_ahead)]
