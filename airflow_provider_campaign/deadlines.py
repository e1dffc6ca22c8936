"""A callback for deadline alerts: the run at the end of a window has not succeeded in time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["log_missed_deadline"]

log = logging.getLogger(__name__)


async def log_missed_deadline(context: Mapping[str, Any]) -> None:
    """
    Write an error into the triggerer's log that names the run which has not succeeded in time.

    Deadline alerts run this in the triggerer, which imports installed packages, but no DAG files.

    :param context: What Airflow passes about the deadline: ``dag_run`` and ``deadline``.
    """
    run, deadline = context["dag_run"], context["deadline"]
    log.error(
        "Run %s of DAG %s has not succeeded by its deadline, %s: campaigns may be live outside their calling hours",
        run["dag_run_id"],
        run["dag_id"],
        deadline["deadline_time"],
    )
