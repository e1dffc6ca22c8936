"""What is counted of each run, through Airflow's own metrics."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

log = logging.getLogger(__name__)

MAX_TAG_LENGTH = 100
"""Characters; Airflow takes 250 for a metric's name with all its tags."""


def send_metrics(record: Mapping[str, Any], counted: Mapping[str, int] | None = None) -> None:
    """
    Send what one try did, tagged by platform and connection id; previous tries have sent their own.

    :param counted: The ``requests`` and ``refused`` that were sent before, when the task was deferred.
    """
    from airflow.providers.common.compat.sdk import Stats  # only a task needs it, not a DAG file

    tags = {name: _tag(record[name] or "unknown") for name in ("platform", "connection_id")}
    try:
        for name, count in counts_of(record, counted or {}).items():
            if count:
                Stats.incr(f"campaign.{name}", count, tags=tags)
        seconds = seconds_after_window_end(record)
        if seconds is not None:
            Stats.gauge("campaign.seconds_after_window_end", seconds, tags=tags)
    except Exception as error:  # noqa: BLE001 whatever the metrics' backend raises, what was done counts
        log.warning("The metrics can't be sent: %s", error)


def _tag(text: str) -> str:
    """Return a tag that every backend takes: for one with a colon in it, Airflow drops the whole metric."""
    return re.sub(r"[^\w.-]", "_", text[:MAX_TAG_LENGTH], flags=re.ASCII)


def counts_of(record: Mapping[str, Any], counted: Mapping[str, int]) -> dict[str, int]:
    """Return what is counted, by the metric's name without its prefix."""
    own = _own_campaigns(record)
    confirmed = [campaign for campaign in own if campaign["confirmed_at"]]
    is_stop = record["action"] in ("sweep", "stop")
    return {
        "stopped": sum(1 for each in confirmed if is_stop and not each["already_stopped"]),
        "failed": 0 if record["outcome"] == "success" else len(own) - len(confirmed),
        "incidents": sum(1 for each in own if each["is_incident"]),
        "missed_closings": len(record["missed_closings"]),
        "rate_limited": record["refused"] - counted.get("refused", 0),
        "requests": record["requests"] - counted.get("requests", 0),
    }


def seconds_after_window_end(record: Mapping[str, Any]) -> float | None:
    """Return how long after the end of its calling hours the last campaign was seen stopped; negative if before."""
    seconds = [
        (datetime.fromisoformat(campaign["confirmed_at"]) - datetime.fromisoformat(campaign["end"])).total_seconds()
        for campaign in _own_campaigns(record)
        if campaign["confirmed_at"] and campaign["end"] and not campaign["is_incident"]
    ]
    return max(seconds, default=None)


def _own_campaigns(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    try_number = record["run"].get("try_number")
    return [campaign for campaign in record["campaigns"] if campaign["try_number"] == try_number]
