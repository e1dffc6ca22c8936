"""
What Airflow knows of a run's date, and of the last successful run: which ends of calling hours they were for.

A sweep acts on what time it is. Dates decide about alarms alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_campaign.calling_hours import CallingHours, CallingRules

log = logging.getLogger(__name__)

MAX_MISSED_AGE = timedelta(days=31)
"""How far back missed ends are reported."""

RuleEnd = tuple[CallingHours, datetime]


def scheduled_ends(rules: CallingRules, look_ahead: timedelta, context: Mapping[str, Any]) -> list[RuleEnd]:
    """
    Return the ends that the run was scheduled for, none if it was triggered manually.

    A run is scheduled for the end of its data interval. The logical date is that of the run before where a cron
    expression has intervals: Airflow 2's default.
    """
    moment = context.get("data_interval_end")
    if moment is None or context["dag_run"].run_type not in ("scheduled", "backfill"):
        return []
    at = datetime.fromisoformat(moment.isoformat())
    closed = [(rule, rule.last_end(at)) for rule in rules.rules if not rule.is_open(at)]
    return [*((rule, end) for rule, end in closed if end), *rules.ends(at, at + look_ahead)]


def last_success(context: Mapping[str, Any]) -> tuple[datetime | None, bool]:
    """Return when the last successful run was scheduled for, and whether it is known that there was none."""
    try:  # Airflow looks it up when it is asked for
        found = context.get("prev_data_interval_end_success")
        return (datetime.fromisoformat(found.isoformat()), False) if found else (None, True)
    except Exception as error:  # noqa: BLE001 whatever Airflow raises, it keeps nothing from being stopped
        log.warning("When this DAG last ran can't be read, so that incidents and missed ends are not seen: %r", error)
        return None, False


def missed_ends(rules: CallingRules, look_ahead: timedelta, previous: datetime | None, now: datetime) -> list[RuleEnd]:
    """
    Return the ends that have passed since the last successful run, of calling hours that are open again.

    :param previous: When that was scheduled for, None if there was none.
    """
    if previous is None:
        return []
    since = max(previous + look_ahead, now - MAX_MISSED_AGE)
    ends = rules.ends(since, now) if since < now else []
    return [(rule, end) for rule, end in ends if rule.is_open(now)]


def verified_closings(context: Mapping[str, Any]) -> list[tuple[str | None, str]] | None:
    """
    Return rule and end of each closing that the last run has verified, None if its result is unknown.

    The dates alone don't show that an override has been declared since.
    """
    ti = context.get("ti")
    try:
        map_index = ti.map_index if ti.map_index >= 0 else None  # type: ignore[union-attr]
        result = ti.xcom_pull(  # type: ignore[union-attr]
            task_ids=ti.task_id,  # type: ignore[union-attr]
            key="return_value",
            include_prior_dates=True,
            map_indexes=map_index,
        )
        if result["outcome"] != "success":
            return None
        return [(each["rule"], each["end"]) for each in result["closings"] if each["verified_at"]]
    except Exception as error:  # noqa: BLE001 whatever an XCom backend raises, the dates say enough
        log.debug("The result of the last run is not known: %r", error)
        return None
