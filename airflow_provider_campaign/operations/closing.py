"""
Finishing in time: when the stops before the end of a window are sent, worked out from the account's request budget.

They are sent in bursts, one in each window of the budget: as late as possible, and all verified a margin before the
end. What others spend of the budget shows only when a request is refused. So the plan reckons with a third of it, to be
through by the end itself, until a burst has shown what they do; that burst is as large as the budget allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

BURST_TIME = 15.0
"""Seconds from the beginning of a burst until all of it is verified; campaigns that wind down are the margin's."""

LISTING_TIME = 5.0
"""Seconds of it for the listing before; a listing that takes longer lets each burst begin earlier."""

WINDOW_RESERVE = 1.0
"""Seconds between a burst and the next one, besides the budget's window."""

EARLINESS = 1.0
"""Seconds that a burst may leave too early, rather than wait for them."""

ASSUMED_SHARE = 1 / 3
"""The part of the budget that others are reckoned to spend, as long as nothing is known of them."""

UNEVENNESS = 2
"""Requests that others are reckoned to spend besides what was seen, so that not every burst ends in a refusal."""

MIN_SHARE = 1 / 6
"""The part of the budget that the plan counts on, however much others have spent in one window."""


@dataclass(frozen=True)
class Budget:
    """
    What may be sent in a window.

    :param limit: Requests in a window, None for any number.
    :param window: Seconds.
    :param listing: Requests that each burst takes for the listing before it.
    """

    limit: int | None
    window: float = 0.0
    listing: int = 1

    def stops(self, others: float = 0.0) -> int | None:
        """
        Return how many stops a burst may have, None for any number.

        :param others: Requests that others spend in a window.
        """
        if self.limit is None:
            return None
        return max(1, math.ceil(MIN_SHARE * self.limit), int(self.limit - self.listing - others))


@dataclass(frozen=True)
class ClosingPlan:
    """
    When to send stops so that all campaigns are verified stopped before the end.

    :param end: The end of the window (seconds since the epoch).
    :param margin: Seconds before it by which all are to be verified.
    :param others: Requests that others were seen to spend in a window, None as long as nothing is known of them.
    :param burst_time: Seconds from the beginning of a burst until all of it is verified.
    """

    end: float
    margin: float
    budget: Budget
    others: int | None = None
    burst_time: float = BURST_TIME

    @property
    def interval(self) -> float:
        """Seconds from one burst to the next; listings that are slow are not equally slow."""
        return self.budget.window + WINDOW_RESERVE + self.burst_time - BURST_TIME

    @property
    def last_burst_at(self) -> float:
        """When the last burst has to leave."""
        return self.end - self.margin - self.burst_time

    @property
    def latest_burst_at(self) -> float:
        """When the last burst may leave, and be through by the end itself."""
        return self.end - self.burst_time

    def due_at(self, left: int) -> float:
        """Return when the next burst has to leave, for so many campaigns that are left."""
        return min(last - (self._bursts(left, stops) - 1) * self.interval for last, stops in self._requirements())

    def due(self, left: int, now: float) -> int:
        """Return how many stops have to leave now."""
        due = max(self._due(left, now, last, stops) for last, stops in self._requirements())
        stops = self.budget.stops(self.others or 0)
        if stops is None or not due:
            return due
        return min(left, stops if self.others is None else due, stops)

    def is_late(self, left: int, now: float) -> bool:
        """Tell whether the budget no longer allows to stop so many by the end."""
        stops = self.budget.stops(self.others or 0)
        return stops is not None and self._due(left, now, self.latest_burst_at, stops) > stops

    def with_listing(self, requests: int) -> Self:
        """Return the plan that reckons with so many requests for the listing before each burst."""
        return replace(self, budget=replace(self.budget, listing=requests))

    def after_listing(self, seconds: float) -> Self:
        """Return the plan that reckons with listings that take as long as this one did."""
        return replace(self, burst_time=BURST_TIME + max(0.0, seconds - LISTING_TIME))

    def after_burst(self, requests: int, refused: int) -> Self:
        """
        Return the plan that goes by what a burst has shown of the others.

        :param requests: Those of the burst and of the listing before it, accepted or not.
        :param refused: How many of them were refused for the rate.
        """
        if self.budget.limit is None:
            return self
        if refused:
            return replace(self, others=max(0, self.budget.limit - requests + refused) + UNEVENNESS)
        if self.others is None and requests > (1 - ASSUMED_SHARE) * self.budget.limit:
            return replace(self, others=0)
        return self

    def _requirements(self) -> Iterator[tuple[float, int | None]]:
        """Yield when the last burst has to leave, and how many stops a burst may have."""
        yield self.last_burst_at, self.budget.stops(self.others or 0)
        if self.others is None and self.budget.limit is not None:
            yield self.latest_burst_at, self.budget.stops(ASSUMED_SHARE * self.budget.limit + UNEVENNESS)

    def _bursts(self, left: int, stops: int | None) -> int:
        return 1 if stops is None else max(1, math.ceil(left / stops))

    def _due(self, left: int, now: float, last: float, stops: int | None) -> int:
        """Return how many can't be left to the bursts that are still to come, of which the last is given."""
        seconds = last - now - EARLINESS
        to_come = max(0, math.ceil(seconds / self.interval)) if seconds > 0 else 0
        if stops is None:
            return 0 if to_come else left
        return max(0, left - to_come * stops)
