"""Faults: what can go wrong between a client and a platform, and the plan that says when it does."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from airflow_provider_campaign.sandbox.requestlog import ReceivedRequest

# Each kind with its options and their defaults.
FAULT_KINDS: dict[str, dict[str, Any]] = {
    "rate_limit": {"retry_after": None},
    "rate_limit_text": {},
    "error": {"status": 500, "json": True},
    "html": {"status": 502},
    "html_ok": {},
    "broken_json": {},
    "empty": {},
    "failure": {"message": "Something went wrong"},
    "wrong_shape": {"body": []},
    "reset": {},
    "hang": {"seconds": None},
    "dribble": {"interval": 0.05},
    "dribble_headers": {"interval": 0.05},
    "huge": {"size": 32 * 1024 * 1024, "chunked": False},
    "redirect": {"location": "http://127.0.0.1:9/elsewhere", "status": 302},
    "unauthorized": {},
    "forbidden": {},
    "conflict": {},
    "bad_request": {},
    "not_found": {},
    "slow": {"seconds": 1.0},
    "lost": {"how": "reset"},
}
# Kinds that alter the answer to a list call, which otherwise takes its course.
LIST_FAULT_KINDS: dict[str, dict[str, Any]] = {
    "contradiction": {"how": "no_rows"},
    "unreadable_row": {"field": "status", "value": None},
}
CONTRADICTIONS = ("no_rows", "total", "more", "short", "page_size")
LOST_WAYS = ("reset", "hang", "error", "broken_json", "empty")


class Fault:
    """
    Something that goes wrong with certain requests.

    All kinds but `slow`, `lost` and those of `LIST_FAULT_KINDS` leave the call undone, and uncounted against the
    rate limit. A `contradiction` is a list that contradicts itself: `no_rows` has none, although its total says how
    many there are; `total` says that there are no more, although its total says more; `more` says that there are
    more, although there are none; `short` lacks half of its rows; `page_size` has twice the rows that were asked
    for. Sonarly's list has no total: there the cursor to the rest contradicts `hasMore`. An `unreadable_row` is a
    row with `value` in the place of its `field`.

    :param kind: one of `FAULT_KINDS` or `LIST_FAULT_KINDS`
    :param call: only this call (`stop`, `status`, ...); None for any, which is `list` for `LIST_FAULT_KINDS`
    :param campaign_id: only this campaign; None for any. Of an `unreadable_row`: whose row, None for the first one
    :param platform: only `kore-v1`, `kore-v2` or `sonarly` (`kore`: both versions); None for any
    :param skip: matching requests that are let through first
    :param count: matching requests that then fail; None for all of them
    :param options: what the kind can vary, see `FAULT_KINDS` and `LIST_FAULT_KINDS`
    :raises ValueError: for an unknown kind, an unknown way of losing an answer or of contradicting itself, or a
        kind that can't befall that call
    :raises TypeError: for an option that the kind does not have
    """

    def __init__(
        self,
        kind: str,
        call: str | None = None,
        campaign_id: str | None = None,
        platform: str | None = None,
        skip: int = 0,
        count: int | None = 1,
        **options: Any,
    ) -> None:
        kinds = FAULT_KINDS | LIST_FAULT_KINDS
        if kind not in kinds:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(kinds)}")
        unknown = options.keys() - kinds[kind].keys()
        if unknown:
            raise TypeError(f"fault {kind!r} has no option {', '.join(sorted(unknown))}")
        if kind in LIST_FAULT_KINDS and call not in (None, "list"):
            raise ValueError(f"fault {kind!r} befalls only list calls, not {call!r}")
        self.kind = kind
        self.call = "list" if kind in LIST_FAULT_KINDS else call
        self.campaign_id = campaign_id
        self.platform = platform
        self.skip = skip
        self.count = count
        self.options: dict[str, Any] = {**kinds[kind], **options}
        if kind == "lost" and self.options["how"] not in LOST_WAYS:
            raise ValueError(f"an answer is lost by {', '.join(LOST_WAYS)}, not by {self.options['how']!r}")
        if kind == "contradiction" and self.options["how"] not in CONTRADICTIONS:
            raise ValueError(f"a list contradicts itself by {', '.join(CONTRADICTIONS)}, not {self.options['how']!r}")

    def matches(self, request: ReceivedRequest) -> bool:
        """
        Tell whether a request is of the kind that this fault is for.

        :param request: the request, as it was recorded on arrival
        """
        of_any_campaign = self.campaign_id is None or self.kind == "unreadable_row"
        return (
            (self.call is None or self.call == request.call)
            and (of_any_campaign or self.campaign_id == request.campaign_id)
            and (self.platform is None or (request.platform or "").startswith(self.platform))
        )

    def __repr__(self) -> str:
        """Show the fault as it would be written."""
        return f"Fault({self.kind!r}, call={self.call!r}, count={self.count}, **{self.options})"


@dataclass
class _Planned:
    fault: Fault
    skip: int
    left: int | None


class FaultPlan:
    """The faults to come, in the order in which they were planned."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._planned: list[_Planned] = []

    def add(self, fault: Fault) -> None:
        """
        Plan a fault.

        :param fault: the fault
        """
        with self._changed:
            self._planned.append(_Planned(fault, fault.skip, fault.count))

    def clear(self) -> None:
        """Plan nothing any more."""
        with self._changed:
            self._planned.clear()

    def draw(self, request: ReceivedRequest) -> Fault | None:
        """
        Return the fault that hits a request; each request uses up the `skip` of every fault it matches.

        :param request: the request
        """
        with self._changed:
            hit: Fault | None = None
            for planned in self._planned:
                if not planned.fault.matches(request):
                    continue
                if planned.skip > 0:
                    planned.skip -= 1
                elif hit is None and planned.left != 0:
                    hit = planned.fault
                    planned.left = None if planned.left is None else planned.left - 1
            self._planned = [planned for planned in self._planned if planned.left != 0]
            return hit

    def describe(self) -> list[dict[str, Any]]:
        """Return what is still planned, as plain data."""
        with self._changed:
            return [
                {
                    "kind": planned.fault.kind,
                    "call": planned.fault.call,
                    "campaign_id": planned.fault.campaign_id,
                    "platform": planned.fault.platform,
                    "skip": planned.skip,
                    "count": planned.left,
                    "options": planned.fault.options,
                }
                for planned in self._planned
            ]
