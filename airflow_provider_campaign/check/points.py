"""What is documented, point by point, and what the provider does if an account differs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_campaign.campaign import CampaignStatus

SAME, DIFFERS, UNKNOWN = "as documented", "differs", "can't tell"

UNKNOWN_ID = "no-such-campaign-airflow-check"
"""An id that no account has."""

RATE_HEADER = re.compile(r"(^|-)(rate|ratelimit|retry-after|quota|limit)", re.IGNORECASE)
"""How the names of headers about a rate limit look; no platform documents one."""

_ONE_CAMPAIGN = (
    "the same id and status that the list shows",
    "does not believe a response that it can't read, and says so",
)
POINTS: Mapping[str, tuple[str, str]] = {
    "rows and pages": (
        "each row has an id and a status; pages and total agree",
        "stops all that can be read, then fails and names the row or the contradiction",
    ),
    "limit": ("limit 1: one row, and hasMore if there are others", "reads on until nothing new comes"),
    "filter": (
        "filters.status: only campaigns in one of these statuses",
        "filters once more by itself; a list that ignores the filter costs more pages",
    ),
    "order": (
        "sortBy updatedAt desc: those changed last come first",
        "notices, and reads the whole list where it would have read its top",
    ),
    "types": (
        "a campaign is in the list of its own type only",
        "a sweep stops each as the type that the platform knows it as",
    ),
    "status words": (
        ", ".join(CampaignStatus),
        "another word is reported, and a failure; on Sonarly, which documents none, it counts as live in a sweep",
    ),
    "status of one campaign": _ONE_CAMPAIGN,
    "get of one campaign": _ONE_CAMPAIGN,
    "calling hours": (
        "callingHours with frequency, timezone, and start and end of each day",
        "an operator that is given them refuses what it can't read, and warns of what is hardly meant",
    ),
    "an unknown id": ("HTTP 404, as JSON", "takes nothing but a 404 for a campaign that is not there"),
    "rate-limit headers": ("none", "honors Retry-After with a 429 or 503, else keeps to the documented limit"),
    "clock": ("the platform's clock is ours", "signs by it; a token is valid for 5 minutes"),
    "stop": (
        "the response to the stop says that it is stopped",
        "polls until the platform says Stopped or Completed",
    ),
    "permission to stop": (
        "a stop of an unknown id is HTTP 404, and not 403",
        "a stop that is not permitted fails at once, and names the permission",
    ),
}
"""Each point: what is documented, and what the provider does if an account differs."""


@dataclass(frozen=True)
class CheckRow:
    """
    A point, and what an account showed of it.

    :param verdict: ``as documented``, ``differs``, or ``can't tell``.
    :param provider: What the provider does if it differs.
    """

    subject: str
    documented: str
    seen: str
    verdict: str
    provider: str


def check_row(point: str, seen: str, verdict: str, of: str = "") -> CheckRow:
    """
    Return what an account showed of one of the points.

    :param of: The list that it is a point of.
    """
    documented, provider = POINTS[point]
    return CheckRow(f"{of}: {point}" if of else point, documented, seen, verdict, provider)
