"""The request budget lets a burst through, then waits for the platform's window, for all threads together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow_provider_campaign.hooks.budget import WINDOW_MARGIN, RequestBudget
from airflow_provider_campaign.hooks.calls import Call, Target
from airflow_provider_campaign.hooks.retry import Deadline

from airflow_provider_campaign.exceptions import CampaignTimeoutError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.clock import VirtualClock
from tests.kinds import Connect

LIMIT = 60
WINDOW = 60 + WINDOW_MARGIN


@pytest.fixture
def hook(sandbox: Sandbox, connect: Connect) -> CampaignHook:
    sandbox.add_campaign("c-1")
    connect(sandbox.kore_connection("v1"))
    return CampaignHook.for_conn_id("campaign_default")


def budget_for(hook: CampaignHook, seconds: float = 10_000) -> RequestBudget:
    return RequestBudget(hook, Deadline.after(seconds, hook.clock))


def test_a_burst_up_to_the_limit_waits_for_nothing(
    sandbox: Sandbox, hook: CampaignHook, virtual_clock: VirtualClock
) -> None:
    budget = budget_for(hook)
    for _ in range(LIMIT):
        hook.get_campaign_status("c-1")
    assert virtual_clock.slept == []
    assert budget.requests == len(sandbox.requests) == LIMIT


def test_the_next_request_waits_until_the_first_has_left_the_window(
    sandbox: Sandbox, hook: CampaignHook, virtual_clock: VirtualClock
) -> None:
    budget_for(hook)
    hook.get_campaign_status("c-1")
    virtual_clock.advance(20)
    for _ in range(LIMIT):
        hook.get_campaign_status("c-1")
    assert virtual_clock.slept == [pytest.approx(WINDOW - 20)]
    assert {request.status_code for request in sandbox.requests} == {200}


def test_many_threads_are_never_refused(sandbox: Sandbox, hook: CampaignHook) -> None:
    budget = budget_for(hook)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hook.get_campaign_status("c-1"), range(5 * LIMIT)))
    assert {request.status_code for request in sandbox.requests} == {200}
    assert budget.requests == 5 * LIMIT


def test_more_threads_than_the_limit_wait_for_those_under_way(
    sandbox: Sandbox, hook: CampaignHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(hook), "rate_limit", 3)
    sandbox.config.rate_limit = 3
    budget_for(hook)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hook.get_campaign_status("c-1"), range(20)))
    assert [request.status_code for request in sandbox.requests] == [200] * 20


def test_a_request_counts_from_its_answer_on_because_the_platform_may_have_counted_it_late(
    sandbox: Sandbox, hook: CampaignHook, virtual_clock: VirtualClock
) -> None:
    budget = budget_for(hook)
    with budget.slot(Target(Call.STATUS, "c-1")):
        virtual_clock.advance(25)
    for _ in range(LIMIT):
        hook.get_campaign_status("c-1")
    assert virtual_clock.slept == [pytest.approx(WINDOW)]


def test_requests_that_fail_are_counted_too(sandbox: Sandbox, hook: CampaignHook, virtual_clock: VirtualClock) -> None:
    budget = budget_for(hook)
    sandbox.add_fault(Fault("reset", count=1))
    sandbox.add_fault(Fault("error", count=1))
    hook.get_campaign_status("c-1")
    assert budget.requests == 3


def test_nothing_leaves_while_the_platform_wants_to_be_left_alone(
    sandbox: Sandbox, hook: CampaignHook, virtual_clock: VirtualClock
) -> None:
    budget = budget_for(hook)
    budget.leave_alone(40)
    budget.leave_alone(7)
    hook.get_campaign_status("c-1")
    assert virtual_clock.slept == [pytest.approx(40)]


def test_a_wait_that_would_outlast_the_deadline_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, hook: CampaignHook, virtual_clock: VirtualClock
) -> None:
    budget = budget_for(hook, seconds=30)
    for _ in range(LIMIT):
        hook.get_campaign_status("c-1")
    with pytest.raises(CampaignTimeoutError, match="request budget"):
        hook.get_campaign_status("c-1")
    assert virtual_clock.slept == []
    assert budget.requests == len(sandbox.requests) == LIMIT


def test_a_platform_without_a_documented_limit_is_not_held_back(
    sandbox: Sandbox, connect: Connect, virtual_clock: VirtualClock
) -> None:
    sandbox.add_campaign("s-1", "sonarly")
    connect(sandbox.sonarly_connection())
    hook = CampaignHook.for_conn_id("campaign_default")
    budget = budget_for(hook)
    for _ in range(2 * LIMIT):
        hook.get_campaign_status("s-1")
    assert virtual_clock.slept == []
    assert budget.requests == 2 * LIMIT
