"""What differs between Airflow versions, and the few private names of Airflow that there is no public way around."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.providers.common.compat.triggers import BaseEventTrigger

if TYPE_CHECKING:
    from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable

SHARED_STREAMS = hasattr(BaseEventTrigger, "shared_stream_key")
"""Whether triggers can share one poll, and a task whose arguments are templates can start from its trigger (3.3)."""


def trigger_timetables() -> tuple[type[CronTriggerTimetable], type[MultipleCronTriggerTimetable] | None]:
    """
    Return Airflow's timetables for one cron expression and for several; for several 2.11 has none.

    They are imported no earlier, because they bring the cron parser, which only a DAG with a cron schedule needs.
    """
    try:
        from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable  # Airflow 3.2
    except ImportError:
        from airflow.timetables import trigger

        several = getattr(trigger, "MultipleCronTriggerTimetable", None)
        return trigger.CronTriggerTimetable, several  # type: ignore[return-value]
    return CronTriggerTimetable, MultipleCronTriggerTimetable


def has_post_execute(task: BaseOperator) -> bool:
    """Return whether a task has something to do after ``execute``; what was given as argument has no public name."""
    overridden = type(task).post_execute is not BaseOperator.post_execute
    return overridden or getattr(task, "_post_execute_hook", None) is not None


def warn_deprecated(name: str, instead: str) -> None:
    """
    Warn who uses a name that will go away, as docs/contributing.md promises.

    :param name: What was used.
    :param instead: What to write in its place.
    """
    message = f"{name} is deprecated and goes away in the next major version of this provider. Write {instead} instead."
    warnings.warn(message, AirflowProviderDeprecationWarning, stacklevel=3)
