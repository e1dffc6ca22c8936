"""The end of the calling hours that a run is for, and what that means for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_campaign.calling_hours import CallingHours

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallingWindow:
    """
    The window that a run closes, or keeps closed.

    :param end: When it ended, or ends (UTC).
    """

    hours: CallingHours
    end: datetime

    @classmethod
    def of_run(cls, hours: CallingHours | None, context: Mapping[str, Any], now: datetime) -> Self | None:
        """
        Return the window of a run: by the moment it is scheduled for, else the last one, if none is open.

        That moment is the end of its data interval. The logical date is that of the run before where a cron expression
        has intervals: Airflow 2's default.

        :param hours: None where they are not known.
        """
        if hours is None:
            return None
        for warning in hours.warnings:
            log.warning("%s", warning)
        moment = context.get("data_interval_end")
        if moment is not None and context["dag_run"].run_type in ("scheduled", "backfill"):
            return cls(hours, hours.window_end(moment))
        return None if hours.is_open(now) else cls(hours, hours.window_end(now))  # somebody wants it now

    def check_not_open_again(self, now: datetime) -> None:
        """Skip a run that begins in another window than the one whose end it is for."""
        if self.hours.is_open(now) and now >= self.end:
            raise AirflowSkipException(
                f"The calling hours that this run is for ended at {self.end.isoformat()}, and are open again now, at "
                f"{now.isoformat(timespec='seconds')}: nothing was stopped. Trigger the DAG by hand to stop anyway."
            )

    def is_closed(self, context: Mapping[str, Any], now: datetime) -> bool:
        """
        Tell whether the window is over, and an earlier run has succeeded for its end.

        What is live then has been started since. The first run after the end does not tell that, however late it is.
        """
        previous = context.get("prev_data_interval_end_success") if now >= self.end else None
        if not previous:  # a lazy object of Airflow's may stand for None
            return False
        return self.hours.window_end(datetime.fromisoformat(previous.isoformat())) == self.end
