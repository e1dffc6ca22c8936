"""The stops of an evening on which nothing unforeseen happens, as the plan has them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_campaign.operations.closing import ClosingPlan


@dataclass(frozen=True)
class Burst:
    """
    Stops that are sent at once.

    :param at: When they are sent (seconds since the epoch).
    """

    at: float
    count: int


def planned_bursts(count: int, plan: ClosingPlan, others: int = 0) -> list[Burst]:
    """
    Return the bursts of an evening on which nothing unforeseen happens, from the first to the last.

    :param count: Campaigns that are live.
    :param others: Requests that others spend in a window; the plan learns of them as it would from refusals.
    """
    bursts: list[Burst] = []
    now = -math.inf
    while count:
        now = max(now + plan.interval, plan.due_at(count))
        wanted = plan.due(count, now)
        allowed = plan.budget.stops(others)
        accepted = wanted if allowed is None else min(wanted, allowed)
        plan = plan.after_burst(plan.budget.listing + wanted, wanted - accepted)
        bursts.append(Burst(now, accepted))
        count -= accepted
    return bursts
