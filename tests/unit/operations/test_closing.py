"""The plan of the stops before the end of a window: as late as the budget allows, and never past the end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.operations.closing import (
    BURST_TIME,
    UNEVENNESS,
    Budget,
    ClosingPlan,
)
from tests.planned_bursts import Burst, planned_bursts

END, MARGIN = 100_000.0, 60.0
MINUTE = Budget(60, 60.0)
PLAN = ClosingPlan(END, MARGIN, MINUTE)

counts = st.integers(1, 1500)
plans = st.builds(
    ClosingPlan,
    st.just(END),
    st.floats(0, 300),
    st.builds(Budget, st.just(60), st.just(60.0), st.integers(1, 2)),
)


def left_at(bursts: list[Burst], moment: float) -> int:
    return sum(burst.count for burst in bursts if burst.at >= moment)


def test_a_few_campaigns_are_stopped_at_once_the_margin_before_the_end() -> None:
    assert planned_bursts(10, PLAN) == [Burst(END - MARGIN - BURST_TIME, 10)]


def test_without_a_limit_any_number_is() -> None:
    plan = ClosingPlan(END, MARGIN, Budget(None))
    assert planned_bursts(5000, plan) == [Burst(END - MARGIN - BURST_TIME, 5000)]


@given(counts, plans)
def test_alone_the_last_windows_are_full_and_only_the_first_burst_is_earlier_than_it_had_to_be(
    count: int, plan: ClosingPlan
) -> None:
    bursts = planned_bursts(count, plan)
    last = END - plan.margin - BURST_TIME
    full = plan.budget.stops() or 0
    assert sum(burst.count for burst in bursts) == count
    assert all(0 < burst.count <= full for burst in bursts)
    assert all(later.at - earlier.at >= plan.interval for earlier, later in pairwise(bursts))
    assert bursts[-1].at <= last
    for number, burst in enumerate(reversed(bursts[1:])):
        assert burst.at >= last - number * plan.interval - 2  # rounded to what is due within a second
    assert all(burst.count == full for burst in bursts[2:])


@given(counts, plans, st.integers(1, 20))
def test_up_to_a_third_that_others_spend_costs_the_margin_at_the_most(
    count: int, plan: ClosingPlan, others: int
) -> None:
    bursts = planned_bursts(count, plan, others)
    assert sum(burst.count for burst in bursts) == count
    assert all(later.at - earlier.at >= plan.interval for earlier, later in pairwise(bursts))
    assert bursts[-1].at <= END - BURST_TIME + 1


@given(counts, plans, st.floats(0, 3000))
def test_what_is_due_at_any_moment_leaves_no_more_than_the_windows_that_are_left_can_take(
    count: int, plan: ClosingPlan, seconds: float
) -> None:
    now = END - seconds
    plan = plan.after_burst(60, 0)  # nobody else spends
    due = plan.due(count, now)
    if due < min(count, plan.budget.stops() or 0):  # else the window is full, and what is left may be late
        assert plan.due_at(count - due) > now


def test_a_burst_that_was_not_refused_shows_that_nobody_else_spends() -> None:
    assert PLAN.after_burst(60, 0).others == 0
    assert PLAN.after_burst(30, 0).others is None


def test_a_refusal_shows_how_much_others_spend_however_little_was_known_of_them() -> None:
    assert PLAN.after_burst(45, 5).others == 20 + UNEVENNESS
    assert PLAN.after_burst(60, 0).after_burst(45, 5).others == 20 + UNEVENNESS


def test_whatever_others_spend_the_plan_counts_on_a_few_requests() -> None:
    assert PLAN.after_burst(5, 5).due(1000, END) == 10


def test_too_many_for_the_time_that_is_left_are_late() -> None:
    assert not PLAN.is_late(59 * 3, END - BURST_TIME - 2 * PLAN.interval)
    assert PLAN.is_late(59 * 3 + 1, END - BURST_TIME - 2 * PLAN.interval)
    assert PLAN.due(59 * 3 + 1, END - BURST_TIME - 2 * PLAN.interval) == 59


# The table in the documentation.

PAGE = Path(__file__).parents[3] / "docs" / "end-of-window.md"
COUNTS = (20, 50, 100, 200, 300, 500, 1000)
A_THIRD = 20


def clock_time(seconds: float) -> str:
    """Return a time before the end, in minutes and seconds."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def offset_for(seconds: float) -> int:
    """Return the whole minutes that leave a minute for the start of the task and its first listing."""
    return -(-round(seconds + 60) // 60)


def capacity_row(count: int) -> str:
    """Return what the planner makes of so many campaigns of both types, without anybody else and with somebody."""
    plan = ClosingPlan(0, MARGIN, Budget(60, 60.0, 2))
    alone, shared = planned_bursts(count, plan), planned_bursts(count, plan, A_THIRD)
    rest = clock_time(-alone[1].at) if alone[1:] else "-"
    rest_shared = clock_time(-shared[1].at) if shared[1:] else "-"
    cells = (count, clock_time(-alone[0].at), rest, rest_shared, f"-{offset_for(-alone[0].at)} min")
    return f"| {' | '.join(map(str, cells))} |"


def test_the_table_of_the_page_is_the_planners() -> None:
    page = PAGE.read_text()
    table = page.partition("<!-- capacity: begin -->\n")[2].partition("<!-- capacity: end -->")[0]
    assert table.splitlines()[2:] == [capacity_row(count) for count in COUNTS]
