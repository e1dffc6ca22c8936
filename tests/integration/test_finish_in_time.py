"""A sweep that begins before the end of the window is through by then, and stops nothing earlier than it has to."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.transport import OutcomeUnknown, Transport
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.closing import BURST_TIME, Budget, ClosingPlan
from airflow_provider_campaign.operations.finish_in_time import FinishInTime
from airflow_provider_campaign.operations.sweep import Sweep
from airflow_provider_campaign.operations.sweep_result import SweepResult
from airflow_provider_campaign.operations.sweep_scope import SweepScope
from airflow_provider_campaign.operations.swept_account import SweptAccount
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.clock import EventfulClock, VirtualClock
from tests.kinds import Connect
from tests.planned_bursts import planned_bursts
from tests.profiles import IS_FULL, examples

MARGIN = 60.0


@pytest.fixture
def sandbox(clock: EventfulClock, connect: Connect) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        connect(sandbox.kore_connection("v2"))
        yield sandbox


class SlowLists:
    """
    The way to a platform that is slow on one path alone.

    :param takes: Says, whenever a list is requested, how many seconds it takes.
    """

    def __init__(self, transport: Transport, clock: EventfulClock, takes: Callable[[], float]) -> None:
        self.base_url = transport.base_url
        self._transport = transport
        self._clock = clock
        self._takes = takes

    def send_request(self, request: HttpRequest, headers: Mapping[str, str], seconds: float) -> HttpResponse:
        if "getAllCampaignDetails" in request.path:
            takes = self._takes()
            self._clock.sleep(min(takes, seconds))
            if takes >= seconds:
                raise OutcomeUnknown("no response within the time-out")
        return self._transport.send_request(request, headers, seconds)


def close(
    clock: EventfulClock,
    seconds: float,
    types: tuple[str, ...] = ("sms",),
    list_takes: Callable[[], float] | None = None,
) -> SweepResult:
    """Run a sweep that begins so many seconds before the end."""
    client = CampaignHook.for_conn_id("campaign_default").client
    if list_takes:
        client = CampaignClient(client.platform, SlowLists(client.transport, clock, list_takes), clock=clock)
    account = SweptAccount(client, SweepScope(types), Deadline(seconds + 900, clock))
    return Sweep(account, before=FinishInTime(account, clock.time() + seconds, MARGIN).run).run()


def add(sandbox: Sandbox, count: int, types: tuple[str, ...] = ("sms",), **details: Any) -> None:
    for number in range(count):
        sandbox.add_campaign(f"c-{number}", types[number % len(types)], priority=str(1 + number % 5), **details)


def let_others_spend(clock: EventfulClock, seconds: float, a_minute: int) -> None:
    """Let another client send requests, evenly."""
    others = CampaignHook.for_conn_id("campaign_default").client

    def send() -> None:
        with suppress(CampaignError):
            others.get_campaign_status("another", retry=False, deadline=Deadline(10, VirtualClock()))

    for number in range(int(seconds * a_minute / 60)):
        clock.at(number * 60 / a_minute, send)


def before_end(sandbox: Sandbox, clock: EventfulClock, seconds: float) -> list[float]:
    """Return how many seconds before the end each campaign was stopped, the last one first."""
    ends = clock.began + seconds
    return sorted(ends - campaign.history[-1][0] for campaign in sandbox.campaigns() if not campaign.live)


def sent(sandbox: Sandbox) -> Counter[tuple[str | None, int | None]]:
    return Counter((each.action, each.status_code) for each in sandbox.requests if each.action in ("list", "stop"))


def live_at(sandbox: Sandbox, moment: float) -> set[str]:
    """Return what was live at a moment of the clock."""
    states = {campaign.id: [word for at, word in campaign.history if at <= moment] for campaign in sandbox.campaigns()}
    return {campaign_id for campaign_id, words in states.items() if words and words[-1] in ("Active", "Preparing")}


def test_120_campaigns_are_stopped_by_the_margin_and_none_earlier_than_two_windows_need(
    sandbox: Sandbox, clock: EventfulClock
) -> None:
    add(sandbox, 120)
    result = close(clock, 300)
    assert not result.is_failure
    stopped = before_end(sandbox, clock, 300)
    assert stopped[0] >= MARGIN
    assert stopped[-1] <= MARGIN + 2 * 75
    # Two pages at the beginning, a listing before each of three bursts, shortly before the end, at the end, and one of
    # the type that is left out.
    assert sent(sandbox) == {("stop", 200): 120, ("list", 200): 2 + 2 + 3 + 1 + 1}
    assert clock.passed == 300


def test_what_others_spend_costs_a_few_refusals_and_not_the_end(sandbox: Sandbox, clock: EventfulClock) -> None:
    add(sandbox, 120)
    sandbox.add_campaign("another", status="Stopped")
    let_others_spend(clock, 360, 20)
    result = close(clock, 300)
    assert not result.is_failure
    assert live_at(sandbox, clock.began + 300) == set()
    assert before_end(sandbox, clock, 300)[1] >= 5
    assert sent(sandbox)["stop", 429] <= 5


def test_1000_campaigns_take_17_windows_and_one_to_see_whether_others_spend(
    sandbox: Sandbox, clock: EventfulClock
) -> None:
    add(sandbox, 1000, ("sms", "voice"))
    result = close(clock, 1800, ("sms", "voice"))
    assert not result.is_failure
    stopped = before_end(sandbox, clock, 1800)
    assert stopped[0] >= MARGIN
    assert sorted(stopped)[-100] <= MARGIN + 18 * 61 + BURST_TIME
    assert {status for _, status in sent(sandbox)} == {200}
    assert asked_once(sandbox)


def asked_once(sandbox: Sandbox) -> bool:
    return all(campaign.stop_requests == 1 for campaign in sandbox.campaigns())


def test_the_lowest_priority_goes_first_and_the_highest_stays_for_the_last_minute(
    sandbox: Sandbox, clock: EventfulClock
) -> None:
    add(sandbox, 100)
    close(clock, 300)
    ends = clock.began + 300
    last_minutes = {c.priority for c in sandbox.campaigns() if ends - c.history[-1][0] < MARGIN + BURST_TIME + 5}
    first = {c.priority for c in sandbox.campaigns() if ends - c.history[-1][0] > MARGIN + BURST_TIME + 5}
    assert max(first) <= min(last_minutes)


def test_what_starts_shortly_before_the_end_is_stopped_by_then(sandbox: Sandbox, clock: EventfulClock) -> None:
    add(sandbox, 3)
    clock.at(270, lambda: sandbox.add_campaign("late"))
    close(clock, 300)
    assert live_at(sandbox, clock.began + 300) == set()


def test_what_starts_in_the_last_seconds_is_seen_at_the_end(sandbox: Sandbox, clock: EventfulClock) -> None:
    clock.at(299, lambda: sandbox.add_campaign("too-late"))
    result = close(clock, 300)
    [entry] = result.entries
    assert entry.confirmed_at == clock.time()
    assert sandbox.campaign("too-late").status == "Stopped"


def test_one_that_begins_too_late_goes_at_full_speed_and_says_so(
    sandbox: Sandbox, clock: EventfulClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    add(sandbox, 200)
    result = close(clock, 60)
    assert not result.is_failure
    assert "200 campaigns are live 60 s before the calling hours end, more than" in caplog.text
    assert before_end(sandbox, clock, 60)[0] >= -190  # four windows, as without calling hours
    first = [each.campaign_id for each in sandbox.requests if each.action == "stop"][:35]
    assert {sandbox.campaign(campaign_id or "").priority for campaign_id in first} == {"5"}


def test_an_account_that_may_not_be_listed_fails_at_once(sandbox: Sandbox, clock: EventfulClock) -> None:
    sandbox.add_fault(Fault("forbidden", action="list", count=None))
    result = close(clock, 300)
    assert result.is_failure
    assert clock.passed == 0


def test_listings_that_fail_for_a_while_don_t_matter(sandbox: Sandbox, clock: EventfulClock) -> None:
    add(sandbox, 30)
    sandbox.add_fault(Fault("error", action="list", count=6))
    assert not close(clock, 300).is_failure
    assert live_at(sandbox, clock.began + 300) == set()


def test_what_winds_down_is_looked_for_without_the_requests_of_the_stops(
    sandbox: Sandbox, clock: EventfulClock
) -> None:
    """Two windows would do for 115, if it cost no requests to see that the first half is stopped."""
    sandbox.config.stop_delay = 40
    add(sandbox, 115, ("sms", "voice"))
    assert not close(clock, 300, ("sms", "voice")).is_failure
    assert live_at(sandbox, clock.began + 300) == set()


@pytest.mark.parametrize("types", [("sms",), ("sms", "voice")], ids=["one type", "two types"])
@pytest.mark.parametrize("seconds", [9.0, 12.0, 25.0])
def test_a_list_that_is_slow_lets_the_stops_begin_earlier_and_not_end_later(
    sandbox: Sandbox, clock: EventfulClock, seconds: float, types: tuple[str, ...]
) -> None:
    add(sandbox, 120, types)
    result = close(clock, 420, types, list_takes=lambda: seconds)
    assert not result.is_failure
    assert before_end(sandbox, clock, 420)[0] >= MARGIN
    assert asked_once(sandbox)


def test_a_list_that_hangs_once_all_is_known_keeps_no_stop_from_being_in_time(
    sandbox: Sandbox, clock: EventfulClock
) -> None:
    add(sandbox, 120)
    result = close(clock, 420, list_takes=lambda: 1.0 if clock.passed < 60 or clock.passed > 430 else 99.0)
    assert not result.is_failure
    assert before_end(sandbox, clock, 420)[0] >= MARGIN - 30  # the first time, nobody knows that it will hang


def test_a_list_that_hangs_once_lets_no_later_stop_begin_earlier(sandbox: Sandbox, clock: EventfulClock) -> None:
    add(sandbox, 5)
    close(clock, 900, list_takes=lambda: 99.0 if clock.passed == 0 else 1.0)
    stopped = before_end(sandbox, clock, 900)
    assert MARGIN <= stopped[0] <= stopped[-1] <= MARGIN + BURST_TIME


FAULTS = st.builds(
    Fault,
    st.sampled_from(["error", "reset", "rate_limit", "broken_json", "html"]),
    action=st.sampled_from(["stop", "list", None]),
    skip=st.integers(0, 60),
    count=st.integers(1, 6),
)
ARRIVALS = st.lists(st.tuples(st.floats(0, 700), st.sampled_from(["sms", "voice"])), max_size=6)


@examples(full=100, brief=4)
@given(
    count=st.integers(0, 150 if IS_FULL else 70),
    arrivals=ARRIVALS,
    departures=st.lists(st.floats(0, 600), max_size=4),
    stop_delay=st.sampled_from([0.0, 0.0, 8.0, 40.0]),
    others=st.sampled_from([0, 0, 10, 20]),
    clock_offset=st.sampled_from([0.0, -90.0, 200.0]),
    faults=st.lists(FAULTS, max_size=2),
    seconds=st.sampled_from([150.0, 300.0, 600.0]),
)
def test_none_is_live_at_the_end_that_could_have_been_stopped_and_all_that_were_are_told(
    connect: Connect,
    count: int,
    arrivals: list[tuple[float, str]],
    departures: list[float],
    stop_delay: float,
    others: int,
    clock_offset: float,
    faults: list[Fault],
    seconds: float,
) -> None:
    clock = EventfulClock()
    with pytest.MonkeyPatch.context() as patch, Sandbox(clock=clock, stop_delay=stop_delay) as sandbox:
        patch.setattr(CampaignHook, "clock", clock)
        connect(sandbox.kore_connection("v2"))
        sandbox.config.clock_offset = clock_offset
        add(sandbox, count, ("sms", "voice"))
        sandbox.add_campaign("another", status="Stopped")
        for number, (at, campaign_type) in enumerate(arrivals):
            clock.at(at, partial(sandbox.add_campaign, f"new-{number}", campaign_type))
        for number, at in enumerate(departures[:count]):
            clock.at(at, partial(sandbox.set_status, f"c-{number}", "Stopped"))
        for fault in faults:
            sandbox.add_fault(fault)
        if others:
            let_others_spend(clock, seconds + 300, others)
        result = close(clock, seconds, ("sms", "voice"))
        end = clock.began + seconds
        overdue = live_at(sandbox, end)
        told = {
            entry.campaign.id
            for entry in result.entries
            if (entry.confirmed_at or 1e12) > clock.time() - clock.now + end
        }
        assert overdue <= told | {c.id for c in sandbox.campaigns() if c.history[0][0] > clock.now}
        plan = ClosingPlan(seconds, MARGIN, Budget(60, 60.0, 4 if stop_delay else 2))
        was_in_time = planned_bursts(count + len(arrivals) or 1, plan)[0].at > 0
        if was_in_time and not faults and not (others and stop_delay > BURST_TIME):
            latest = seconds - BURST_TIME if stop_delay < 10 else seconds - MARGIN - BURST_TIME - 5
            too_late = {f"new-{number}" for number, (at, _) in enumerate(arrivals) if at + stop_delay >= latest}
            assert overdue <= too_late
