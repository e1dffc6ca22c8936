"""What differs between Airflow lines and ``common.compat.sdk`` does not yet cover."""

from __future__ import annotations

from airflow.triggers.base import BaseTrigger

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, AirflowRuntimeError
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowRescheduleException
    from sqlalchemy.exc import OperationalError as AirflowRuntimeError  # type: ignore[assignment]

try:
    from airflow.triggers.base import BaseEventTrigger
except ImportError:  # Airflow 2.11: there are no asset watchers
    BaseEventTrigger = BaseTrigger  # type: ignore[misc,assignment]

SHARED_STREAMS = hasattr(BaseEventTrigger, "shared_stream_key")
"""Whether triggers can share one poll, and a task whose arguments are templates can start from its trigger (3.3)."""

__all__ = ["SHARED_STREAMS", "AirflowRescheduleException", "AirflowRuntimeError", "BaseEventTrigger"]
