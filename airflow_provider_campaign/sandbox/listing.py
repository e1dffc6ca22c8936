"""One page of a campaign list, in no platform's format yet, and how faults alter it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_campaign.sandbox.campaigns import Campaign
from airflow_provider_campaign.sandbox.faults import Fault


@dataclass(frozen=True)
class Page:
    """
    A slice of a list, and whether the platform says that there is more.

    :param selected: The whole list.
    :param skip: Campaigns before the page.
    :param size: Campaigns on the page at most.
    """

    selected: Sequence[Campaign]
    skip: int
    size: int
    has_more: bool

    @classmethod
    def of(cls, selected: Sequence[Campaign], skip: int, size: int, contradiction: str | None = None) -> Page:
        """
        Return a page of a list.

        :param contradiction: One of ``CONTRADICTIONS``; None for a correct page.
        """
        page = cls(selected, skip, size, has_more=skip + size < len(selected))
        return page if contradiction is None else _CONTRADICTIONS[contradiction](page)

    @property
    def end(self) -> int:
        """Index of the first campaign after the page."""
        return self.skip + len(self.campaigns)

    @property
    def campaigns(self) -> Sequence[Campaign]:
        """The campaigns on the page."""
        return self.selected[self.skip : self.skip + self.size]


_CONTRADICTIONS: dict[str, Callable[[Page], Page]] = {
    "no_rows": lambda page: replace(page, size=0, has_more=False),
    "total": lambda page: replace(page, has_more=False),
    "more": lambda page: replace(page, has_more=True),
    "short": lambda page: replace(page, size=len(page.campaigns) // 2, has_more=False),
    "page_size": lambda page: Page.of(page.selected, page.skip, 2 * page.size),
}


def corrupt_row(rows: list[dict[str, Any]], fault: Fault | None) -> None:
    """
    Apply an ``unreadable_row`` to the row of its campaign, or to the first row if it names none.

    :param fault: One of ``LIST_FAULT_KINDS``; any other than ``unreadable_row`` changes nothing.
    """
    if fault is None or fault.kind != "unreadable_row":
        return
    for row in rows:
        if fault.campaign_id in (None, row.get("id"), row.get("_id")):
            row[fault.options["field"]] = fault.options["value"]
            return
