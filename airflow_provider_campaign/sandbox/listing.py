"""One page of a list of campaigns, before a platform writes it in its own form; faults may alter it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_campaign.sandbox.campaigns import Campaign
from airflow_provider_campaign.sandbox.faults import Fault


@dataclass(frozen=True)
class Page:
    """
    Some campaigns in a row out of a list, and what the platform says about the rest.

    :param listed: the whole list
    :param skip: how many of them come before the page
    :param size: how many the page shows at most
    """

    listed: Sequence[Campaign]
    skip: int
    size: int
    has_more: bool

    @classmethod
    def of(cls, listed: Sequence[Campaign], skip: int, size: int, fault: Fault | None = None) -> Page:
        """
        Return a page, or what a fault makes of it.

        :param listed: the whole list
        :param skip: how many of them come before the page
        :param size: how many the page shows at most
        :param fault: one of `LIST_FAULT_KINDS`
        """
        page = cls(listed, skip, size, has_more=skip + size < len(listed))
        if fault is None or fault.kind != "contradiction":
            return page
        return _CONTRADICTIONS[fault.options["how"]](page)

    @property
    def end(self) -> int:
        """How many campaigns of the list come before the end of the page."""
        return self.skip + len(self.campaigns)

    @property
    def campaigns(self) -> Sequence[Campaign]:
        """The campaigns on the page."""
        return self.listed[self.skip : self.skip + self.size]


_CONTRADICTIONS: dict[str, Callable[[Page], Page]] = {
    "no_rows": lambda page: replace(page, size=0, has_more=False),
    "total": lambda page: replace(page, has_more=False),
    "more": lambda page: replace(page, has_more=True),
    "short": lambda page: replace(page, size=len(page.campaigns) // 2, has_more=False),
    "page_size": lambda page: Page.of(page.listed, page.skip, 2 * page.size),
}


def spoil_row(rows: list[dict[str, Any]], fault: Fault | None) -> None:
    """
    Make one row unreadable if that is what a fault does: that of the fault's campaign, else the first.

    :param rows: the rows as the platform writes them
    :param fault: one of `LIST_FAULT_KINDS`
    """
    if fault is None or fault.kind != "unreadable_row":
        return
    for row in rows:
        if fault.campaign_id in (None, row.get("id"), row.get("_id")):
            row[fault.options["field"]] = fault.options["value"]
            return
