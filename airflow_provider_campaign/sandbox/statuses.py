"""The words that the platforms have for a campaign's status."""

from __future__ import annotations

READY, SCHEDULED, RESCHEDULED, PREPARING = "Ready", "Scheduled", "Rescheduled", "Preparing"
ACTIVE, PAUSED, STOPPED, COMPLETED, DRAFT = "Active", "Paused", "Stopped", "Completed", "Draft"
RERUN = "Rerun"
"""A campaign that runs once more: on the vendor's page about voice campaigns, and not in the API's documents."""

KORE_STATUSES = (READY, SCHEDULED, RESCHEDULED, PREPARING, ACTIVE, PAUSED, STOPPED, COMPLETED)
"""Those that the API documents, and the list's filter accepts."""

STATUSES = (*KORE_STATUSES, RERUN, DRAFT)
LIVE_STATUSES = (ACTIVE, PREPARING, RERUN)
ENDED_STATUSES = (STOPPED, COMPLETED)


def canonical_status(status: str) -> str:
    """
    Return the platform's spelling of a status.

    :param status: In any case.
    :raises ValueError: When no platform has that status.
    """
    for known in STATUSES:
        if known.lower() == status.lower():
            return known
    raise ValueError(f"unknown campaign status {status!r}; known are {', '.join(STATUSES)}")
