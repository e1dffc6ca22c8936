"""The permits of an account whose requests are spent: enough to use its windows, and not more than fit in."""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.operations.permits import PERMIT_SHARE, START_DELAY, PermitSchedule
from tests.profiles import examples

LIMIT, WINDOW = 60, 60.0
MOST = int(LIMIT * PERMIT_SHARE)
ids = map("cd-{}".format, count())


def given_by(schedule: PermitSchedule, number: int) -> list[float]:
    """Take so many permits, each as soon as it may be given."""
    moments = []
    for _ in range(number):
        moments.append(schedule.next_at)
        schedule.give(next(ids), moments[-1])
    return moments


def refuse(schedule: PermitSchedule, at: float, *, had_permit: bool = False) -> None:
    schedule.note_refusal(next(ids), at, None, had_permit=had_permit)


@pytest.fixture
def schedule() -> PermitSchedule:
    """The permits of an account where nothing is known but a refusal at 0."""
    schedule = PermitSchedule()
    refuse(schedule, 0.0)
    return schedule


def test_the_first_permit_comes_a_window_after_the_first_refusal(schedule: PermitSchedule) -> None:
    refuse(schedule, 30.0)  # the same window, and known to be full
    assert schedule.next_at == WINDOW


def test_the_first_permit_comes_when_the_platform_has_asked_for_it() -> None:
    schedule = PermitSchedule()
    schedule.note_refusal("cd-1", 100.0, 7.0, had_permit=False)
    assert schedule.next_at == 107.0


def test_requests_that_explain_a_refusal_are_all_that_is_waited_for() -> None:
    schedule = PermitSchedule()
    for number in range(MOST):
        schedule.note_request(str(number), float(number))
    refuse(schedule, MOST + 1.0)
    moments = given_by(schedule, 10)
    assert moments[0] == WINDOW
    assert moments[9] == 9.0 + WINDOW


def test_no_window_has_more_permits_than_its_share_and_all_are_used(schedule: PermitSchedule) -> None:
    moments = given_by(schedule, 5 * MOST)
    for number in range(len(moments) - MOST):
        assert moments[number + MOST] - moments[number] == pytest.approx(WINDOW + START_DELAY)


def test_permits_are_spread(schedule: PermitSchedule) -> None:
    moments = given_by(schedule, MOST)
    assert all(later - earlier > WINDOW / LIMIT / 5 for earlier, later in pairwise(moments))


def test_a_refusal_in_spite_of_a_permit_halves_the_permits_until_a_window_passes_without_one(
    schedule: PermitSchedule,
) -> None:
    now = given_by(schedule, 10)[-1] + 2
    refuse(schedule, now, had_permit=True)
    refuse(schedule, now + 1, had_permit=True)  # sent before that was known
    moments = given_by(schedule, 3 * MOST)
    assert moments[0] == now + WINDOW
    within = [sum(0 <= moment - first < WINDOW for moment in moments) for first in (moments[0], moments[MOST // 2])]
    assert within == [MOST // 2, MOST - 1]


def test_a_newcomers_refusal_closes_the_window_and_takes_no_permits_away(schedule: PermitSchedule) -> None:
    now = given_by(schedule, 10)[-1] + 2
    refuse(schedule, now)
    moments = given_by(schedule, MOST)
    assert moments[0] == now + WINDOW
    assert moments[-1] - moments[0] < WINDOW


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_small_limit_has_permits_too(limit: int) -> None:
    schedule = PermitSchedule()
    schedule.set_limit(limit, 10.0)
    for at in (0.0, 20.0, 40.0):
        refuse(schedule, at, had_permit=True)
    assert given_by(schedule, 3)[-1] < 100.0


class Account:
    """
    A platform, the tasks that send to it, and two polls a minute.

    :param is_told: Whether tasks whose requests were accepted go on to wait, so that their requests are known.
    """

    def __init__(self, tasks: int, starts_a_second: float, delays: random.Random, *, is_told: bool) -> None:
        self.schedule = PermitSchedule()
        self.is_told = is_told
        self.accepted: deque[float] = deque()
        self.refusals: Counter[int] = Counter()
        self.delays = delays
        self.requests = [(number / starts_a_second, number) for number in range(tasks)]
        self.requests += [(30.0 * number, -1) for number in range(40)]
        heapq.heapify(self.requests)
        self.waiting: deque[tuple[float, int]] = deque()
        self.served_at: dict[int, float] = {}

    def serve_all(self, tasks: int) -> None:
        while len(self.served_at) < tasks:
            permit_at = max(self.schedule.next_at, self.waiting[0][0]) if self.waiting else float("inf")
            if permit_at < self.requests[0][0]:
                _, task = self.waiting.popleft()
                self.schedule.give(str(task), permit_at)
                heapq.heappush(self.requests, (permit_at + self.delays.uniform(1.0, 4.0), task))
            else:
                self.send(*heapq.heappop(self.requests))

    def send(self, now: float, task: int) -> None:
        while self.accepted and self.accepted[0] <= now - WINDOW:
            self.accepted.popleft()
        if len(self.accepted) < LIMIT:
            self.accepted.append(now)
            self.served_at.setdefault(task, now)
            if self.is_told and task >= 0:
                self.schedule.note_request(str(task), now)
        elif task >= 0:
            self.refusals[task] += 1
            self.schedule.note_refusal(str(task), now, None, had_permit=self.refusals[task] > 1)
            self.waiting.append((now + 2.0, task))


@examples(full=100, brief=10)
@given(tasks=st.integers(61, 150), starts_a_second=st.floats(3, 20), seed=st.integers(0, 10_000), is_told=st.booleans())
def test_of_many_tasks_that_start_together_each_is_refused_at_most_once(
    tasks: int, starts_a_second: float, seed: int, is_told: bool
) -> None:
    account = Account(tasks, starts_a_second, random.Random(seed), is_told=is_told)
    account.serve_all(tasks + 1)  # the polls count as one
    assert max(account.refusals.values()) == 1


@examples(full=100, brief=10)
@given(starts_a_second=st.floats(3, 20), seed=st.integers(0, 10_000))
def test_three_hundred_tasks_are_served_in_little_more_than_five_minutes(starts_a_second: float, seed: int) -> None:
    account = Account(300, starts_a_second, random.Random(seed), is_told=True)
    account.serve_all(301)
    assert max(account.served_at.values()) < 1.25 * 300
    assert account.refusals.total() <= 300
