"""One poll of an account shows whoever waits all that has changed, for as few requests as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.campaign import WaitCondition, status_condition
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.waiting.account_poller import MAX_DIRECT_READS, AccountPoller
from airflow_provider_campaign.waiting.pending import PendingWait, Snapshot
from tests.fragile import fragile, unforeseen_id
from tests.kinds import KINDS, SONARLY, Connect, Kind

STOPPED = status_condition(["Stopped"])
INTERVAL = 30.0


class Account:
    """An account that is polled: its campaigns, who waits, what a poll shows and costs."""

    def __init__(self, sandbox: Sandbox, clock: VirtualClock, kind: Kind) -> None:
        self.sandbox, self.clock, self.kind = sandbox, clock, kind
        sandbox.config.rate_limit = None  # the client keeps its own
        self.waits: list[PendingWait] = []
        self.snapshot = Snapshot()
        self.poller = AccountPoller(CampaignHook.for_conn_id("campaign_default").client)

    def add(self, count: int = 1, **details: Any) -> list[str]:
        return [self.kind.add_campaign(self.sandbox, **details).id for _ in range(count)]

    def wait(self, campaign_ids: Iterable[str], condition: WaitCondition = STOPPED, **details: Any) -> None:
        """Have somebody wait who has just seen the campaigns short of the condition."""
        details = {"campaign_type": self.kind.campaign_type, **details}
        self.waits += [PendingWait(campaign_id, condition, **details) for campaign_id in campaign_ids]

    def wait_for(self, count: int, **details: Any) -> list[str]:
        ids = self.add(count, **details)
        self.wait(ids)
        return ids

    def stop(self, campaign_ids: Iterable[str]) -> dict[str, str]:
        """Have campaigns stop, and return what a poll is to show of them."""
        stopped = dict.fromkeys(campaign_ids, "Stopped")
        for campaign_id in stopped:
            self.sandbox.set_status(campaign_id, "Stopped")
        return stopped

    def poll(self) -> dict[str, str]:
        """Poll after an interval and return what met its condition; those waits are over."""
        self.clock.advance(INTERVAL)
        self.sandbox.clear_requests()
        self.snapshot = seen = self.poller.poll(self.waits)
        shown = [wait for wait in self.waits if wait.campaign_id in seen.campaigns]
        over = [wait for wait in shown if wait.condition.is_final(seen.campaigns[wait.campaign_id].status)]
        self.waits = [wait for wait in self.waits if wait not in over and wait.campaign_id not in seen.failed]
        return {wait.campaign_id: seen.campaigns[wait.campaign_id].status for wait in over}

    @property
    def cost(self) -> Counter[str | None]:
        return Counter(request.action for request in self.sandbox.requests)


@pytest.fixture(params=[KINDS[0], KINDS[3], SONARLY], ids=lambda kind: kind.label)
def kind(request: pytest.FixtureRequest) -> Kind:
    """A kind for each form that a list comes in."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def account(sandbox: Sandbox, clock: VirtualClock, connect: Connect, kind: Kind) -> Account:
    connect(kind.connection(sandbox))
    return Account(sandbox, clock, kind)


@pytest.fixture
def sms(sandbox: Sandbox, clock: VirtualClock, connect: Connect) -> Account:
    connect(KINDS[0].connection(sandbox))
    return Account(sandbox, clock, KINDS[0])


# What a poll shows.


@pytest.mark.parametrize("count", [1, 3, 250])
def test_a_status_that_is_reached_is_seen_in_the_next_poll(account: Account, count: int) -> None:
    account.sandbox.config.sonarly_page_size = 40
    ids = account.wait_for(count)
    assert account.poll() == {}
    assert account.poll() == {}
    stopped = account.stop(ids[::2])
    assert account.poll() == stopped
    assert account.poll() == {}
    account.sandbox.set_status(ids[-1], "Stopped")  # it is started again before anybody has seen that
    account.sandbox.set_status(ids[-1], "Active")
    assert account.poll() == {}
    stopped = account.stop(ids[1::2])
    assert account.poll() == stopped


def test_a_wait_that_joins_late_gets_earlier_changes(account: Account) -> None:
    account.wait(account.add(5))
    [late, paused] = account.add(2)
    account.poll()
    account.sandbox.set_status(late, "Stopped")
    account.sandbox.set_status(paused, "Paused")
    for _ in range(3):
        account.poll()
    account.wait([late, paused])
    account.sandbox.add_fault(Fault("error", action="list"))
    assert account.poll() == {late: "Stopped"}


@pytest.mark.parametrize("status", ["Draft", "on fire"])
def test_statuses_that_the_list_does_not_know_are_waited_for_all_the_same(account: Account, status: str) -> None:
    ids = account.add(5)
    account.wait(ids, condition=WaitCondition(("Stopped", status)))
    account.poll()
    account.sandbox.state.account.set_status(account.sandbox.campaign(ids[0]), status)
    account.sandbox.set_status(ids[1], "Stopped")
    found: dict[str, str] = {}
    for _ in ids:
        found |= account.poll()
    assert found == {ids[0]: status, ids[1]: "Stopped"}


# What it costs.


@pytest.mark.parametrize(
    ("count", "cost"), [(1, {"status": 1}), (2, {"status": 2}), (3, {"list": 1}), (250, {"list": 3})]
)
def test_waits_for_live_campaigns_cost_a_page_for_each_hundred(sms: Account, count: int, cost: dict[str, int]) -> None:
    ids = sms.wait_for(count)
    sms.stop(sms.add(250))
    sms.poll()
    for _ in range(2):
        sms.poll()
        assert sms.cost == cost
    stopped = sms.stop(ids[:5])  # which are on the first page of those that have stopped last
    assert sms.poll() == stopped
    assert sms.cost == (cost if count < 3 else {"list": -(-(count - len(stopped)) // 100) + 1 if count > 5 else 2})


def test_waits_for_other_campaigns_cost_three_requests_a_poll(sms: Account) -> None:
    ids = sms.wait_for(50, status="Paused")
    assert [sms.poll() or sum(sms.cost.values()) for _ in range(5)] == [22, 22, 12, 3, 3]
    stopped = sms.stop(ids[:30])
    assert sms.poll() == stopped


def test_where_no_type_is_known_each_is_listed_once_while_nothing_changes(sms: Account) -> None:
    voice = sms.sandbox.add_campaign(campaign_type="voice")
    sms.wait([*sms.add(50), voice.id], campaign_type=None)
    sms.poll()
    assert sms.cost == {"list": 2}
    stopped = sms.stop([voice.id])
    assert sms.poll() == stopped


@pytest.mark.parametrize(
    ("settings", "before", "meanwhile", "most"),
    [
        ({}, 0, 1900, 8),
        ({"ignore_sort": True}, 300, 0, 4),
        ({"ignore_filters": True}, 300, 0, 4),
        ({"ignore_sort": True, "ignore_filters": True}, 300, 0, 4),
    ],
    ids=str,
)
def test_many_changes_are_read_within_the_rate_limit_in_whatever_list(
    sms: Account, settings: dict[str, bool], before: int, meanwhile: int, most: int
) -> None:
    vars(sms.sandbox.config).update(settings, rate_limit=60)
    sms.stop(sms.add(before))
    ids = sms.wait_for(100)
    for _ in range(5):
        sms.poll()
    sms.stop([*ids, *sms.add(meanwhile)])
    polls = 0
    while sms.waits:
        sms.poll()
        polls += 1
        assert sum(sms.cost.values()) <= 2 * MAX_DIRECT_READS
        assert 429 not in {request.status_code for request in sms.sandbox.requests}
    assert polls <= most


def test_what_the_rate_limit_does_not_allow_now_is_left_to_the_next_poll(sms: Account) -> None:
    ids = sms.wait_for(5)
    for _ in range(60):
        sms.poller.client.get_campaign_status(ids[0])
    assert (sms.poll(), sms.cost, sms.snapshot.delay) == ({}, {}, 0.0)


def test_lists_that_take_long_leave_time_for_direct_reads(sms: Account) -> None:
    sms.sandbox.on_request(lambda _: sms.clock.advance(20))
    sms.wait_for(400)
    sms.poll()
    assert sms.cost == {"list": 2, "status": 2}  # each part has the time of one request: 30 seconds


# Deadlines.


def test_many_waits_whose_time_is_up_at_once_are_found_in_the_list(sms: Account) -> None:
    sms.sandbox.config.rate_limit = 60
    ids = sms.add(200)
    sms.wait(ids, deadline=sms.clock.time() + 2 * INTERVAL)
    sms.poll()
    stopped = sms.stop(ids)
    assert sms.poll() == stopped
    assert sum(sms.cost.values()) <= MAX_DIRECT_READS + 4


# What concerns one campaign, and what concerns all.


def test_a_deleted_campaign_is_found_out_in_a_few_polls(account: Account) -> None:
    ids = account.add(5)
    account.wait([*ids, "None"])
    account.poll()
    assert type(account.snapshot.failed.pop("None")) is exceptions.CampaignConfigError  # an id that stands for nothing
    assert account.snapshot.failed == {}
    account.sandbox.remove_campaign(ids[0])
    for _ in ids:
        account.poll()
        if account.snapshot.failed:
            break
    [(campaign_id, error)] = account.snapshot.failed.items()
    assert (campaign_id, type(error)) == (ids[0], exceptions.CampaignNotFoundError)


@pytest.mark.parametrize(("fault", "fails"), [("bad_request", True), ("error", False)])
def test_a_campaign_that_can_not_be_read_hides_no_other(account: Account, fault: str, fails: bool) -> None:
    ids = account.wait_for(2)
    account.sandbox.add_fault(Fault(fault, campaign_id=ids[0], count=None))
    stopped = account.stop(ids[1:])
    assert account.poll() == stopped
    assert set(map(type, account.snapshot.failed.values())) == ({exceptions.CampaignRequestError} if fails else set())


def test_refused_credentials_concern_everybody_and_cost_few_requests(account: Account) -> None:
    for count in (1, 50):
        account.wait(account.add(count))
        account.sandbox.add_fault(Fault("unauthorized", count=None))
        account.poll()
        assert type(account.snapshot.error) is exceptions.CampaignAuthError
        assert sum(account.cost.values()) <= 6
        account.sandbox.clear_faults()


def test_a_refused_campaign_ends_nobodys_wait_while_others_can_be_read(account: Account) -> None:
    ids = sorted(account.add(5))
    account.wait(ids)
    account.sandbox.add_fault(Fault("error", action="list", count=None))
    for campaign_id in ids[:2]:
        account.sandbox.add_fault(Fault("forbidden", campaign_id=campaign_id, count=None))
    assert account.poll() == {}
    stopped = account.stop(ids[4:])
    assert account.poll() == stopped, "while a list fails, all are read directly each time"
    account.sandbox.add_fault(Fault("error", action="status", count=None))
    account.sandbox.add_fault(Fault("error", action="get", count=None))
    account.poll()
    assert account.snapshot.error is None


def test_a_list_without_changes_shows_that_the_credentials_are_good(sms: Account) -> None:
    sms.wait(sms.add(30))
    sms.sandbox.add_fault(Fault("forbidden", action="status", count=None))
    assert sms.poll() == {}
    assert sms.snapshot.error is None
    assert len(sms.waits) == 30


@pytest.mark.parametrize(("requested", "delay"), [(None, 60.0), ("7", 7.0)])
@pytest.mark.parametrize("count", [1, 5])
def test_a_429_ends_the_poll_and_says_how_long_to_leave_the_platform_alone(
    sms: Account, count: int, requested: str | None, delay: float
) -> None:
    sms.wait(sms.add(count))
    sms.sandbox.add_fault(Fault("rate_limit", retry_after=requested))
    assert sms.poll() == {}
    assert sms.snapshot.delay == delay
    assert sum(sms.cost.values()) == 1


# Lists that fail or lie.


@pytest.mark.parametrize(
    ("fault", "skip", "shown"), [("error", 0, 0), ("html", 1, 0), ("empty", 2, 100), ("broken_json", 3, 199)]
)
def test_a_failure_in_the_middle_of_a_poll_loses_nothing(sms: Account, fault: str, skip: int, shown: int) -> None:
    ids = sms.wait_for(250)
    sms.poll()
    sms.stop(ids)
    sms.sandbox.add_fault(Fault(fault, skip=skip))
    assert len(sms.poll()) == shown + MAX_DIRECT_READS
    sms.poll()
    assert sms.waits == []


@pytest.mark.parametrize("fault", ["error", "forbidden", "not_found", "html_ok"])
def test_a_list_that_always_fails_keeps_no_wait_from_its_end(account: Account, fault: str) -> None:
    ids = account.wait_for(2 * MAX_DIRECT_READS + 1)
    account.sandbox.add_fault(Fault(fault, action="list", count=None))
    account.stop(ids)
    assert [len(account.poll()) for _ in range(4)] == [MAX_DIRECT_READS, MAX_DIRECT_READS, 1, 0]
    assert account.snapshot.error is None


def test_a_wait_that_is_given_the_wrong_type_ends_all_the_same(sms: Account) -> None:
    ids = sms.add(5)
    sms.wait(ids, campaign_type="voice")
    sms.poll()
    sms.stop(ids)
    for _ in ids:
        sms.poll()
    assert sms.waits == []


@pytest.mark.parametrize("count", [2, 5])
def test_what_nobody_foresaw_about_one_campaign_fails_no_other_wait(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    connect(fragile(sandbox.kore_connection()))
    sms = Account(sandbox, clock, KINDS[0])
    odd = sms.sandbox.add_campaign(unforeseen_id(["list", "status"])).id
    sms.wait([odd])
    ids = sms.wait_for(count - 1)
    sms.poll()
    stopped = sms.stop([odd, *ids])
    del stopped[odd]
    assert sms.poll() == stopped
    assert sms.snapshot.failed == {}
    assert "unexpected KeyError" in (sms.snapshot.problem or "")
    assert any(record.exc_info and record.exc_info[0] is KeyError for record in caplog.records)
