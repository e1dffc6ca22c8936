"""What differs between Airflow versions, and the few private names of Airflow that there is no public way around."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator, Connection
from airflow.providers.common.compat.triggers import BaseEventTrigger

if TYPE_CHECKING:
    from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable

SHARED_STREAMS = hasattr(BaseEventTrigger, "shared_stream_key")
"""Whether triggers can share one poll, and a task whose arguments are templates can start from its trigger (3.3)."""


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


def is_supervised() -> bool:
    """Tell whether this process runs a task, a trigger or a DAG file, and may ask Airflow by its supervisor only."""
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


def get_connection_from_database(conn_id: str) -> Connection:
    """
    Look a connection up as Airflow's own commands do: in environment, secrets backends and database.

    ``BaseHook.get_connection`` does not see the database in a process of one's own (Airflow 3.1 and later).

    :raises AirflowNotFoundException: When there is none, or what has it can't be reached.
    """
    from airflow.models import Connection  # brings the database's libraries

    return Connection.get_connection_from_secrets(conn_id)


def failing_secrets_backends(conn_id: str) -> list[str]:
    """
    Return which of environment, secrets backends, database and API don't answer for a connection, and why.

    Airflow raises the same error for a connection that is not there and for a backend that fails, and has no public
    way to tell them apart. A backend that has the connection after all has failed before.
    """
    failing = []
    for backend in _secrets_backends():
        try:
            problem = "has it after all" if backend.get_connection(conn_id) else None
        except Exception as error:  # noqa: BLE001 whatever a backend raises
            problem = type(error).__name__
        if problem:
            failing.append(f"{type(backend).__name__} ({problem})")
    if is_supervised() and not _api_denies(conn_id):
        failing.append("Airflow's API")
    return failing


def _secrets_backends() -> Iterable[Any]:
    if is_supervised():
        from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

        return ensure_secrets_backend_loaded()
    from airflow.configuration import ensure_secrets_loaded

    return ensure_secrets_loaded()


def _api_denies(conn_id: str) -> bool:
    """Return whether Airflow's API answers that there is no such connection."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

    try:
        response = task_runner.SUPERVISOR_COMMS.send(GetConnection(conn_id=conn_id))
    except Exception:  # noqa: BLE001 whatever it raises, it has not answered
        return False
    return isinstance(response, ErrorResponse) and response.error.name == "CONNECTION_NOT_FOUND"


def has_post_execute(task: BaseOperator) -> bool:
    """Tell whether a task has something to do after ``execute``; what was given as argument has no public name."""
    overridden = type(task).post_execute is not BaseOperator.post_execute
    return overridden or getattr(task, "_post_execute_hook", None) is not None


class PausableSensor(BaseSensorOperator):
    """A sensor whose next poke can be put off; Airflow has no public way for that which keeps the time-out."""

    def next_poke_delay(self, interval: float) -> float:
        """Return the seconds until the next poke, given those that the sensor's own arguments make."""
        return interval

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        return self.next_poke_delay(float(super()._get_next_poke_interval(*args, **kwargs)))
