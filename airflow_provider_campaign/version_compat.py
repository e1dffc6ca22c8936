"""What differs between Airflow lines and ``common.compat.sdk`` does not yet cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable

try:
    from airflow.sdk.exceptions import AirflowRuntimeError
except ImportError:  # Airflow 2.11
    from sqlalchemy.exc import OperationalError as AirflowRuntimeError  # type: ignore[assignment]

try:
    from airflow.triggers.base import BaseEventTrigger
except ImportError:  # Airflow 2.11: there are no asset watchers
    BaseEventTrigger = BaseTrigger  # type: ignore[misc,assignment]

SHARED_STREAMS = hasattr(BaseEventTrigger, "shared_stream_key")
"""Whether triggers can share one poll, and a task whose arguments are templates can start from its trigger (3.3)."""

__all__ = ["SHARED_STREAMS", "AirflowRuntimeError", "BaseEventTrigger", "trigger_timetables"]


def trigger_timetables() -> tuple[type[CronTriggerTimetable], type[MultipleCronTriggerTimetable] | None]:
    """
    Return Airflow's timetables for one cron expression and for several; for several 2.11 has none.

    They are imported no earlier, because they bring the cron parser, which only a DAG with such a schedule needs.
    """
    try:
        from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable  # Airflow 3.2
    except ImportError:
        from airflow.timetables import trigger

        several = getattr(trigger, "MultipleCronTriggerTimetable", None)
        return trigger.CronTriggerTimetable, several  # type: ignore[return-value]
    return CronTriggerTimetable, MultipleCronTriggerTimetable
