"""What differs between Airflow versions, and how a name that goes away warns its users."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.providers.common.compat.triggers import BaseEventTrigger

if TYPE_CHECKING:
    from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable

# From Airflow 3.3 on triggers can share one poll, and a task whose arguments are templates can start from its trigger.
SHARED_STREAMS = hasattr(BaseEventTrigger, "shared_stream_key")


def trigger_timetables() -> tuple[type[CronTriggerTimetable], type[MultipleCronTriggerTimetable] | None]:
    """Return Airflow's timetables for one cron expression and for several, which 2.11 has not."""
    try:  # no earlier, for they bring the cron parser, which only a DAG with a cron schedule needs
        from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable  # Airflow 3.2
    except ImportError:
        from airflow.timetables import trigger

        several = getattr(trigger, "MultipleCronTriggerTimetable", None)
        return trigger.CronTriggerTimetable, several  # type: ignore[return-value]
    return CronTriggerTimetable, MultipleCronTriggerTimetable


def warn_deprecated(name: str, instead: str) -> None:
    """Warn who uses a name that will go away, as docs/contributing.md promises, and say what to write instead."""
    message = f"{name} is deprecated and goes away in the next major version of this provider. Write {instead} instead."
    warnings.warn(message, AirflowProviderDeprecationWarning, stacklevel=3)
