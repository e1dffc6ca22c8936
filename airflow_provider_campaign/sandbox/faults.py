"""Faults: what can go wrong between a client and a platform, and the plan that says when."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from airflow_provider_campaign.sandbox.request_log import ReceivedRequest

# Each kind with its options and their defaults.
FAULT_KINDS: dict[str, dict[str, Any]] = {
    "rate_limit": {"retry_after": None},
    "rate_limit_text": {},
    "error": {"status": 500, "json": True},
    "html": {"status": 502},
    "gateway": {"status": 403},
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
    "framing": {"how": "early_hints"},
}
# Kinds that alter the response to a list request; it is executed and counted like any other.
LIST_FAULT_KINDS: dict[str, dict[str, Any]] = {
    "contradiction": {"how": "no_rows"},
    "unreadable_row": {"field": "status", "value": None},
}
CONTRADICTIONS = ("no_rows", "total", "more", "short", "page_size")
LOST_WAYS = ("reset", "hang", "error", "broken_json", "empty")
FRAMINGS = ("early_hints", "twice")
WAYS = {"contradiction": CONTRADICTIONS, "lost": LOST_WAYS, "framing": FRAMINGS}


class Fault:
    """
    Something that goes wrong with certain requests.

    A request that meets a fault is neither executed nor counted against the rate limit, unless the fault is ``slow``,
    ``lost`` (executed, but the response does not arrive), ``framing`` (executed, but Early Hints precede the response,
    or it comes twice) or one of ``LIST_FAULT_KINDS``:

    - ``contradiction``: a list that contradicts itself. ``no_rows`` comes without rows, although the total is not zero;
      ``total`` says that there is no more, although the total says so; ``more`` says that there is more, although
      there is not; ``short`` omits half of the rows; ``page_size`` has twice as many rows as were asked for.
      Sonarly's list has no total: there ``nextCursor`` contradicts ``hasMore``.
    - ``unreadable_row``: a row whose ``field`` is ``value``.

    :param kind: One of ``FAULT_KINDS`` or ``LIST_FAULT_KINDS``.
    :param action: Only this action (``stop``, ``status``, …); None for any. ``LIST_FAULT_KINDS`` take ``list`` only.
    :param campaign_id: Only this campaign; None for any. For ``unreadable_row`` whose row it is; None for the first.
    :param rows: Only list requests that ask for more rows than these; None for any.
    :param platform: Only ``kore-v1``, ``kore-v2``, or ``sonarly`` (``kore``: both versions); None for any.
    :param skip: Matching requests that succeed first.
    :param count: Matching requests that then fail; None for all of them.
    :param options: Of the kind, see ``FAULT_KINDS`` and ``LIST_FAULT_KINDS``.
    :raises ValueError: When the kind or its ``how`` is unknown, or no such request can meet it.
    :raises TypeError: When the kind has no such option.
    """

    def __init__(
        self,
        kind: str,
        action: str | None = None,
        campaign_id: str | None = None,
        platform: str | None = None,
        skip: int = 0,
        count: int | None = 1,
        rows: int | None = None,
        **options: Any,
    ) -> None:
        kinds = FAULT_KINDS | LIST_FAULT_KINDS
        if kind not in kinds:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(kinds)}")
        unknown = options.keys() - kinds[kind].keys()
        if unknown:
            raise TypeError(f"fault {kind!r} has no option {', '.join(sorted(unknown))}")
        if kind in LIST_FAULT_KINDS and action not in (None, "list"):
            raise ValueError(f"fault {kind!r} is for list requests only, not for {action!r}")
        if kind == "contradiction" and campaign_id is not None:
            raise ValueError("fault 'contradiction' is for a whole list, not for one campaign")
        self.kind = kind
        self.action = "list" if kind in LIST_FAULT_KINDS else action
        self.campaign_id = campaign_id
        self.platform = platform
        self.rows = rows
        self.skip = skip
        self.count = count
        self.options: dict[str, Any] = {**kinds[kind], **options}
        known_ways = WAYS.get(kind)
        if known_ways and self.options["how"] not in known_ways:
            raise ValueError(f"how of {kind!r} must be one of {', '.join(known_ways)}, not {self.options['how']!r}")

    def matches(self, request: ReceivedRequest) -> bool:
        """Return whether this fault is for a request."""
        any_campaign = self.campaign_id is None or self.kind == "unreadable_row"
        return (
            (self.rows is None or (request.action == "list" and request.rows > self.rows))
            and (self.action is None or self.action == request.action)
            and (any_campaign or self.campaign_id == request.campaign_id)
            and (self.platform is None or (request.platform or "").startswith(self.platform))
        )

    def __repr__(self) -> str:
        """Show the fault as it would be written."""
        return f"Fault({self.kind!r}, action={self.action!r}, count={self.count}, **{self.options})"


@dataclass
class _Planned:
    fault: Fault
    skip: int
    remaining: int | None


class FaultPlan:
    """The planned faults, in order."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._planned: list[_Planned] = []

    def add(self, fault: Fault) -> None:
        """Add a fault after those that are planned already."""
        with self._changed:
            self._planned.append(_Planned(fault, fault.skip, fault.count))

    def clear(self) -> None:
        """Remove all faults."""
        with self._changed:
            self._planned.clear()

    def next_fault(self, request: ReceivedRequest) -> Fault | None:
        """Return the fault that a request meets, None for none; it counts against ``skip`` of every matching fault."""
        with self._changed:
            fault: Fault | None = None
            for planned in self._planned:
                if not planned.fault.matches(request):
                    continue
                if planned.skip > 0:
                    planned.skip -= 1
                elif fault is None and planned.remaining != 0:
                    fault = planned.fault
                    planned.remaining = None if planned.remaining is None else planned.remaining - 1
            self._planned = [planned for planned in self._planned if planned.remaining != 0]
            return fault

    def describe(self) -> list[dict[str, Any]]:
        """Return what is still planned, as plain data."""
        with self._changed:
            return [
                {
                    "kind": planned.fault.kind,
                    "action": planned.fault.action,
                    "campaign_id": planned.fault.campaign_id,
                    "platform": planned.fault.platform,
                    "skip": planned.skip,
                    "count": planned.remaining,
                    "options": planned.fault.options,
                }
                for planned in self._planned
            ]
