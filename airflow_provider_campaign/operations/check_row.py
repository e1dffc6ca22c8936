"""A point of the documented contract, and what an account showed of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_campaign.calling_hours import CallingHours
from airflow_provider_campaign.exceptions import CampaignConfigError

SAME, DIFFERS, UNKNOWN = "as documented", "differs", "can't tell"


@dataclass(frozen=True)
class CheckRow:
    """
    One point of the contract.

    :param verdict: ``as documented``, ``differs`` or ``can't tell``.
    :param provider: What the provider does where it differs.
    """

    subject: str
    documented: str
    seen: str
    verdict: str
    provider: str


def hours_row(found: Iterable[Mapping[str, Any]]) -> CheckRow:
    """Return whether the calling hours that an account shows can be read, and are likely to be meant."""
    documented = "callingHours with frequency, timezone, and start and end of each day"
    provider = "an operator that is given them refuses what it can't read, and warns of what is hardly meant"
    problems: list[str] = []
    count = 0
    for hours in found:
        count += 1
        try:
            problems += CallingHours.read(hours).warnings
        except CampaignConfigError as error:
            problems.append(str(error))
    seen = "; ".join(problems) or (f"{count} read" if count else "none shown")
    return CheckRow("calling hours", documented, seen, DIFFERS if problems else SAME if count else UNKNOWN, provider)


def objects_named(name: str, value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects of a name, however deep they are."""
    if isinstance(value, list):
        for item in value:
            yield from objects_named(name, item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key == name and item is not None:
                yield item
            else:
                yield from objects_named(name, item)
