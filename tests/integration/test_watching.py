"""One look at an account shows whoever waits all that has changed, for as few requests as possible."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_provider_campaign.hooks.watching import CLOCK_SKEW, URGENT, AccountWatch, Sightings, Wait
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_campaign.campaign import START_CONDITION, STOP_CONDITION, Goal, WaitState, status_condition
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignNotFoundError,
    CampaignRequestError,
)
from airflow_provider_campaign.hooks import watching
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Campaign, Fault, Sandbox
from tests.clock import VirtualClock
from tests.kinds import KINDS, Connect, Kind

STOPPED = status_condition(["Stopped"])
INTERVAL = 30.0


def time_of_day(clock: VirtualClock) -> Callable[[], float]:
    """Return the time of day as a clock has it that a sandbox goes by, too."""
    anchor = time.time() - clock.time()
    return lambda: anchor + clock.time()


class Account:
    """An account that is watched: what there is, who waits, what a look shows and costs."""

    def __init__(self, sandbox: Sandbox, clock: VirtualClock, kind: Kind) -> None:
        self.now = time_of_day(clock)
        self.sandbox = sandbox
        self.clock = clock
        self.kind = kind
        self.waits: list[Wait] = []
        self.seen = Sightings()

    @cached_property
    def watch(self) -> AccountWatch:
        """The watch, which begins with the first look."""
        return AccountWatch(CampaignHook.for_conn_id("campaign_default"))

    def add(self, count: int = 1, **details: Any) -> list[str]:
        """Put campaigns into the account and return their ids."""
        return [self.kind.add_campaign(self.sandbox, **details).id for _ in range(count)]

    def wait(self, campaign_ids: Iterable[str], goal: Goal = STOPPED, **details: Any) -> None:
        """Have somebody wait who has just seen the campaigns short of the goal."""
        details = {"since": self.now(), "campaign_type": self.kind.campaign_type, **details}
        self.waits += [Wait(campaign_id, goal, waiter=object(), **details) for campaign_id in campaign_ids]

    def look(self) -> dict[str, str]:
        """Look after an interval and return what reached its goal; those waits are over."""
        self.clock.advance(INTERVAL)
        self.sandbox.clear_requests()
        seen = self.watch.look(self.waits)
        over = [wait for wait in self.waits if self._is_over(wait, seen.campaigns.get(wait.campaign_id))]
        self.waits = [wait for wait in self.waits if wait not in over and wait.campaign_id not in seen.failed]
        self.seen = seen
        return {wait.campaign_id: seen.campaigns[wait.campaign_id].status for wait in over}

    @staticmethod
    def _is_over(wait: Wait, campaign: Any) -> bool:
        return campaign is not None and wait.goal.state_of(campaign.status) is not WaitState.RETRY

    @property
    def cost(self) -> Counter[str | None]:
        """The calls of the last look."""
        return Counter(request.action for request in self.sandbox.requests)


@pytest.fixture
def sandbox(sandbox: Sandbox, virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setattr(watching, "time", SimpleNamespace(time=time_of_day(virtual_clock)))
    sandbox.config.rate_limit = None
    return sandbox


@pytest.fixture
def account(sandbox: Sandbox, virtual_clock: VirtualClock, connect: Connect, kind: Kind) -> Account:
    """Each kind's account in turn."""
    connect(kind.connection(sandbox))
    return Account(sandbox, virtual_clock, kind)


@pytest.fixture
def sms(sandbox: Sandbox, virtual_clock: VirtualClock, connect: Connect) -> Account:
    """An account on Kore.ai with SMS campaigns."""
    connect(KINDS[0].connection(sandbox))
    return Account(sandbox, virtual_clock, KINDS[0])


@pytest.mark.parametrize("count", [1, 2, 3, 100, 250])
def test_every_campaign_that_reaches_its_status_is_seen_in_the_very_next_look(account: Account, count: int) -> None:
    ids = account.add(count)
    account.wait(ids)
    assert account.look() == {}
    assert account.look() == {}
    for campaign_id in ids[::2]:
        account.sandbox.set_status(campaign_id, "Stopped")
    assert account.look() == dict.fromkeys(ids[::2], "Stopped")
    assert account.look() == {}
    for campaign_id in ids[1::2]:
        account.sandbox.set_status(campaign_id, "Stopped")
    assert account.look() == dict.fromkeys(ids[1::2], "Stopped")


def test_many_that_change_at_once_are_seen_over_several_pages(account: Account) -> None:
    account.sandbox.config.sonarly_page_size = 40
    ids = account.add(250)
    account.wait(ids)
    account.look()
    for campaign_id in ids:
        account.sandbox.set_status(campaign_id, "Stopped")
    assert account.look() == dict.fromkeys(ids, "Stopped")
    assert account.cost == {"list": 7 if account.kind.api_version is None else 3}


@pytest.mark.parametrize("count", [1, 2])
def test_few_waits_cost_one_request_each(account: Account, count: int) -> None:
    account.wait(account.add(count))
    account.look()
    assert sum(account.cost.values()) == count
    assert "list" not in account.cost


@pytest.mark.parametrize("count", [3, 1000])
def test_many_waits_cost_two_requests_a_look_while_nothing_changes(account: Account, count: int) -> None:
    account.wait(account.add(count))
    account.add(150, status="Stopped")
    account.look()
    account.look()
    for _ in range(5):
        account.look()
        assert sum(account.cost.values()) == 2
        assert account.cost["list"] == 1


def test_where_no_type_is_known_each_is_listed_once_while_nothing_changes(sms: Account) -> None:
    sms.wait(sms.add(50), campaign_type=None)
    voice = sms.sandbox.add_campaign(campaign_type="voice")
    sms.wait([voice.id], campaign_type=None)
    sms.look()
    sms.look()
    assert sms.cost == {"list": 2}
    sms.sandbox.set_status(voice.id, "Stopped")
    assert sms.look() == {voice.id: "Stopped"}


def join_late(account: Account) -> str:
    """Wait for a campaign whose change was listed before."""
    account.wait(account.add(5))
    [late] = account.add(1)
    began = account.now()
    account.look()
    account.sandbox.set_status(late, "Stopped")
    for _ in range(3):
        account.look()
    account.wait([late], since=began)
    return late


def test_a_late_joiner_is_told_of_a_change_that_was_listed_before_it_joined(account: Account) -> None:
    late = join_late(account)
    assert account.look() == {late: "Stopped"}


def test_a_late_joiner_is_told_in_spite_of_a_failure_in_its_first_look(account: Account) -> None:
    late = join_late(account)
    account.sandbox.add_fault(Fault("error", action="list"))
    assert account.look() == {}
    assert account.look() == {late: "Stopped"}


@pytest.mark.parametrize("status", ["Stopped", "Paused"])
def test_a_campaign_that_nobody_has_seen_yet_is_read_directly_whatever_its_status(
    account: Account, status: str
) -> None:
    [campaign_id] = account.add(1, status=status)
    account.clock.advance(10 * CLOCK_SKEW)
    account.wait(account.add(5))
    account.wait([campaign_id], since=None)
    assert account.look() == ({campaign_id: "Stopped"} if status == "Stopped" else {})
    assert sum(account.cost.values()) == 2


def test_whoever_joins_later_for_a_campaign_that_is_watched_already_is_told_its_status(sms: Account) -> None:
    [campaign_id] = sms.add(1, status="Stopped")
    sms.clock.advance(10 * CLOCK_SKEW)
    sms.wait(sms.add(5), campaign_type=None)
    sms.wait([campaign_id], goal=status_condition(["Completed", "Active"]), since=None)
    sms.look()
    sms.wait([campaign_id], since=None)
    assert sms.look() == {campaign_id: "Stopped"}


def test_only_so_many_unknown_campaigns_are_read_in_one_look_and_the_others_in_the_next(sms: Account) -> None:
    ids = sms.add(2 * URGENT + 1, status="Stopped")
    sms.clock.advance(10 * CLOCK_SKEW)
    sms.wait(ids, since=None)
    assert [len(sms.look()) for _ in range(4)] == [URGENT, URGENT, 1, 0]


def test_a_stop_between_two_looks_is_seen_after_a_restart_as_well(account: Account) -> None:
    ids = account.add(5)
    account.wait(ids)
    account.look()
    account.sandbox.set_status(ids[0], "Stopped")
    account.sandbox.set_status(ids[0], "Active")
    assert account.look() == {}
    account.sandbox.set_status(ids[0], "Stopped")
    assert account.look() == {ids[0]: "Stopped"}


def test_a_wait_that_is_alone_for_long_misses_nothing_when_others_join(account: Account) -> None:
    ids = account.add(6)
    account.wait(ids[:1])
    account.look()
    account.sandbox.set_status(ids[0], "Stopped")
    account.clock.advance(10 * CLOCK_SKEW)
    account.wait(ids[1:])
    assert account.look() == {ids[0]: "Stopped"}


def test_a_deleted_campaign_is_found_out_in_as_many_looks_as_there_are_waits(account: Account) -> None:
    ids = account.add(5)
    account.wait(ids)
    account.look()
    account.sandbox.remove_campaign(ids[0])
    for _ in ids:
        account.look()
        if account.seen.failed:
            break
    assert [(key, type(error)) for key, error in account.seen.failed.items()] == [(ids[0], CampaignNotFoundError)]


def test_what_fails_for_one_campaign_does_not_keep_the_others_from_being_seen(account: Account) -> None:
    ids = account.add(2)
    account.wait(ids)
    account.sandbox.set_status(ids[1], "Stopped")
    account.sandbox.add_fault(Fault("bad_request", campaign_id=ids[0]))
    assert account.look() == {ids[1]: "Stopped"}
    assert type(account.seen.failed[ids[0]]) is CampaignRequestError


def test_an_id_that_stands_for_nothing_fails_its_own_wait_alone(account: Account) -> None:
    ids = account.add(5)
    account.wait([*ids, "None"], since=None)
    account.look()
    assert type(account.seen.failed.pop("None")) is CampaignConfigError
    assert account.seen.failed == {}
    assert account.seen.campaigns.keys() == set(ids)


def test_a_campaign_that_can_not_be_read_does_not_keep_the_others_from_being_read(account: Account) -> None:
    ids = account.add(2)
    account.wait(ids)
    account.sandbox.add_fault(Fault("error", campaign_id=ids[0], count=None))
    account.look()
    account.sandbox.set_status(ids[1], "Stopped")
    assert account.look() == {ids[1]: "Stopped"}


def test_refused_credentials_concern_everybody(account: Account) -> None:
    for count in (1, 5):
        account.wait(account.add(count))
        account.sandbox.add_fault(Fault("unauthorized", count=2))
        with pytest.raises(CampaignAuthError):
            account.look()
        account.sandbox.clear_faults()


@pytest.mark.parametrize("fault", ["error", "html", "reset", "empty", "broken_json", "wrong_shape"])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_failure_in_the_middle_of_a_look_loses_nothing(sms: Account, fault: str, skip: int) -> None:
    ids = sms.add(250)
    sms.wait(ids)
    sms.look()
    for campaign_id in ids:
        sms.sandbox.set_status(campaign_id, "Stopped")
    sms.sandbox.add_fault(Fault(fault, skip=skip))
    assert len(sms.look()) == [0, 100, 199][skip]
    sms.look()
    assert sms.waits == []


@pytest.mark.parametrize(("asked", "pause"), [(None, 60.0), ("7", 7.0)])
@pytest.mark.parametrize("count", [1, 5])
def test_a_refusal_for_the_rate_ends_the_look_and_says_how_long_to_leave_the_platform_alone(
    sms: Account, count: int, asked: str | None, pause: float
) -> None:
    sms.wait(sms.add(count))
    sms.sandbox.add_fault(Fault("rate_limit", retry_after=asked))
    assert sms.look() == {}
    assert sms.seen.pause == pause
    assert sum(sms.cost.values()) == 1


@pytest.mark.parametrize("skew", [-CLOCK_SKEW / 2, CLOCK_SKEW / 2, 20 * CLOCK_SKEW])
def test_a_platform_whose_clock_is_wrong_is_understood(sms: Account, skew: float) -> None:
    sms.sandbox.state.account.timeline._anchor -= skew
    ids = sms.add(250)
    sms.wait(ids)
    sms.look()
    for campaign_id in ids[:20]:
        sms.sandbox.set_status(campaign_id, "Stopped")
    assert sms.look() == dict.fromkeys(ids[:20], "Stopped")
    sms.sandbox.set_status(ids[30], "Stopped")
    assert sms.look() == {ids[30]: "Stopped"}


def test_one_date_far_in_the_future_does_not_hide_the_others(sms: Account) -> None:
    ids = sms.add(5)
    [odd] = sms.add(1, status="Stopped")
    sms.sandbox.campaign(odd).changed += 1e9
    sms.wait(ids)
    sms.look()
    sms.sandbox.set_status(ids[0], "Stopped")
    assert sms.look() == {ids[0]: "Stopped"}


@pytest.mark.parametrize("status", ["Draft", "on fire"])
def test_statuses_that_the_list_does_not_know_are_waited_for_all_the_same(account: Account, status: str) -> None:
    ids = account.add(5)
    account.wait(ids, goal=Goal(("Stopped", status)))
    account.look()
    account.sandbox.state.account.become(account.sandbox.campaign(ids[0]), status)
    account.sandbox.set_status(ids[1], "Stopped")
    found: dict[str, str] = {}
    for _ in ids:
        found |= account.look()
    assert found == {ids[0]: status, ids[1]: "Stopped"}


def test_rows_without_a_date_are_read_to_the_last(sms: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Campaign, "updated_at", None)
    ids = sms.add(130)
    sms.wait(ids)
    sms.look()
    for campaign_id in ids:
        sms.sandbox.set_status(campaign_id, "Stopped")
    assert sms.look() == dict.fromkeys(ids, "Stopped")


def test_a_wait_whose_time_is_up_is_read_directly(sms: Account) -> None:
    ids = sms.add(5)
    voice = [sms.sandbox.add_campaign(campaign_type="voice").id]
    sms.wait(ids, campaign_type=None)
    sms.wait(voice, campaign_type=None, deadline=sms.now())
    sms.sandbox.remove_campaign(voice[0])
    sms.look()
    assert sms.seen.failed.keys() == {voice[0]}


STATUSES = ["Active", "Paused", "Stopped", "Completed", "Preparing"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 7), st.sampled_from([STOPPED, STOP_CONDITION, START_CONDITION])),
        st.tuples(st.just("become"), st.integers(0, 7), st.sampled_from(STATUSES)),
        st.tuples(st.just("fail"), st.integers(0, 3), st.sampled_from(["error", "reset", "rate_limit"])),
        st.tuples(st.just("look"), st.just(0), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, typed=st.booleans(), kind=st.sampled_from(KINDS))
def test_whatever_happens_a_wait_ends_by_what_the_platform_says_and_by_nothing_else(
    sandbox: Sandbox, virtual_clock: VirtualClock, connect: Connect, steps: Any, typed: bool, kind: Kind
) -> None:
    sandbox.reset()
    connect(kind.connection(sandbox))
    account = Account(sandbox, virtual_clock, kind)
    ids = account.add(8)

    def settle() -> None:
        before = list(account.waits)
        over = account.look()
        for campaign_id, status in over.items():
            assert sandbox.campaign(campaign_id).status == status
        assert {wait.campaign_id for wait in before} >= over.keys()

    for step, number, what in steps:
        campaign = sandbox.campaign(ids[number])
        if step == "join":
            short = what.state_of(campaign.status) is WaitState.RETRY
            details = {} if typed else {"campaign_type": None}
            account.wait(
                [campaign.id], what, since=account.now() if short and random.random() < 0.8 else None, **details
            )
        elif step == "become":
            sandbox.set_status(campaign.id, what)
        elif step == "fail":
            sandbox.add_fault(Fault(what, skip=number))
        else:
            settle()
    sandbox.clear_faults()
    settle()
    for wait in account.waits:
        assert wait.goal.state_of(sandbox.campaign(wait.campaign_id).status) is WaitState.RETRY
