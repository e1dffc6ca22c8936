"""What differs between Airflow lines and ``common.compat.sdk`` does not yet cover."""

from __future__ import annotations

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowRescheduleException

__all__ = ["AirflowRescheduleException"]
