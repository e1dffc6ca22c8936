"""
What a run's date means: which ends of calling hours it was scheduled for, and which of them no run has verified.

A sweep acts on what time it is. Dates decide about alarms alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from airflow_provider_campaign.calling_hours import CallingHours, CallingRules

log = logging.getLogger(__name__)

MAX_MISSED_AGE = timedelta(days=31)
"""How far back missed ends are reported."""

End = tuple[CallingHours, datetime]


@dataclass(frozen=True)
class RunDates:
    """
    The dates of a run, and the calling hours that they are about.

    :param scheduled_at: When the run was scheduled for, None if it was triggered manually.
    :param previous: When the last successful run before it was scheduled for, None if there was none.
    :param is_known: Whether Airflow has reported when that was.
    :param look_ahead: A run closes what ends within this time.
    """

    rules: CallingRules
    look_ahead: timedelta
    scheduled_at: datetime | None
    previous: datetime | None
    is_known: bool = True

    @classmethod
    def of_run(cls, rules: CallingRules, look_ahead: float, context: Mapping[str, Any]) -> Self:
        """
        Return the dates of the run that a task's context is about.

        A run is scheduled for the end of its data interval. The logical date is that of the run before where a cron
        expression has intervals: Airflow 2's default.

        :param look_ahead: Seconds.
        """
        moment = context.get("data_interval_end")
        is_scheduled = moment is not None and context["dag_run"].run_type in ("scheduled", "backfill")
        scheduled_at = datetime.fromisoformat(moment.isoformat()) if moment is not None and is_scheduled else None
        previous, is_known = None, True
        try:  # Airflow looks it up when it is asked for
            if found := context.get("prev_data_interval_end_success"):
                previous = datetime.fromisoformat(found.isoformat())
        except Exception as error:  # noqa: BLE001 whatever Airflow raises, it keeps nothing from being stopped
            is_known = False
            log.warning(
                "When this DAG last ran can't be read, so that incidents and missed ends are not seen: %r", error
            )
        return cls(rules, timedelta(seconds=look_ahead), scheduled_at, previous, is_known)

    def scheduled_ends(self) -> list[End]:
        """Return the ends that the run was scheduled for."""
        at = self.scheduled_at
        if at is None:
            return []
        closed = [(rule, rule.last_end(at)) for rule in self.rules.rules if not rule.is_open(at)]
        return [*((rule, end) for rule, end in closed if end), *self.rules.ends(at, at + self.look_ahead)]

    def is_late(self, now: datetime) -> bool:
        """Return whether all that the run was scheduled to close is open again."""
        ends = self.scheduled_ends()
        return bool(ends) and all(end <= now and rule.is_open(now) for rule, end in ends)

    def covers(self, end: datetime) -> bool:
        """Return whether the last successful run was scheduled to close what ends at this moment."""
        return self.previous is not None and self.previous + self.look_ahead >= end

    def missed_ends(self, now: datetime) -> list[End]:
        """Return the ends that have passed since the last successful run, of calling hours that are open again."""
        if self.previous is None:
            return []
        since = max(self.previous + self.look_ahead, now - MAX_MISSED_AGE)
        ends: Iterable[End] = self.rules.ends(since, now) if since < now else ()
        return [(rule, end) for rule, end in ends if rule.is_open(now)]
