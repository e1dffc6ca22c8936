"""
Deferred waits on a platform that misbehaves at random: no false success, no false alarm, few requests.

A plan says what is in the account, when campaigns stop and start, when which requests go wrong and how, when the
triggerer is restarted and the account's key rotated, and which responses the platform's module has a bug with. Time is
virtual. ``CAMPAIGN_TESTS=full`` in the environment runs many more plans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_campaign.campaign import STOP_CONDITION
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Campaign, Fault, Sandbox
from airflow_provider_campaign.sandbox.config import API_KEY, CLIENT_SECRET
from airflow_provider_campaign.sandbox.faults import FRAMINGS
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, run
from airflow_provider_campaign.triggers.base import MAX_SLEEP
from airflow_provider_campaign.triggers.wait import FINAL_POLL_GRACE, CampaignWaitTrigger
from airflow_provider_campaign.waiting.pending import MAX_READ_LAG
from tests.fragile import fragile, unforeseen_id
from tests.kinds import KINDS, SONARLY, Connect
from tests.odd_texts import NAMES, check_readable, check_storable
from tests.profiles import examples
from tests.triggerer import WAYS, Triggerer

LONGEST_DELAY = 120  # seconds: the most that a platform in these plans asks to be left alone for
POLL_SECONDS = 1.0  # that one poll may take: it may have to wait for the account's requests


class Outage(NamedTuple):
    """Some requests go wrong for a while; it begins some seconds after the plan does."""

    begins: int
    seconds: int
    fault: Fault

    @property
    def ends(self) -> int:
        return self.begins + self.seconds


class Plan(SimpleNamespace):
    """
    What happens: what ``plans`` draws; all times are seconds after the beginning.

    :param stops: For each campaign when it stops, None for never.
    :param breaks: Seconds after which a campaign that has stopped is started again, for some minute.
    :param restarts: When the triggerer is restarted.
    :param ended_before: Campaigns in the account that have ended before, and that nobody waits for.
    :param rotation: When the account's key is replaced, in the connection too.
    :param unforeseen: The actions whose responses about the first campaign the platform's module (one of Kore.ai's)
        has a bug with.
    """

    @property
    def odd_id(self) -> str | None:
        return unforeseen_id(self.unforeseen) if self.unforeseen and self.kind is not SONARLY else None

    def is_in_order(self, begin: float, end: float) -> bool:
        outages = (outage for outage in self.outages if outage.fault.kind != "framing")
        return not any(outage.begins <= end and begin <= outage.ends for outage in outages)


def outages(kinds: str, actions: list[str | None], **options: list[Any]) -> st.SearchStrategy[Outage]:
    drawn = {name: st.sampled_from(values) for name, values in options.items()}
    kind, action = st.sampled_from(kinds.split()), st.sampled_from(actions)
    fault = st.builds(Fault, kind, action=action, count=st.none(), **drawn)
    return st.builds(Outage, st.integers(0, 600), st.sampled_from([5, 60, 300, 1000]), fault)


any_outage = st.one_of(
    outages("error reset html_ok broken_json", [None, "list", "status", "get"]),
    outages("bad_request not_found forbidden unauthorized", ["list"]),
    outages("rate_limit", [None, "list"], retry_after=[None, "20", str(LONGEST_DELAY)]),
    outages("contradiction", ["list"], how=["no_rows", "total", "more", "short", "page_size"]),
    outages("framing", [None, "list", "status"], how=list(FRAMINGS)),
)
a_stop = st.integers(0, 400) | st.sampled_from([None, 5, 295, 299, 305, 595])
plans = st.builds(
    Plan,
    way=st.sampled_from(WAYS),
    kind=st.sampled_from([KINDS[0], KINDS[3], SONARLY]),
    stops=st.sampled_from([1, 2, 3, 4, 8]).flatmap(lambda count: st.tuples(*[a_stop] * count)),
    breaks=st.none() | st.sampled_from([10, 45, 100]),
    outages=st.lists(any_outage, max_size=3).map(tuple),
    restarts=st.lists(st.integers(1, 400), max_size=2).map(sorted).map(tuple),
    ended_before=st.sampled_from([0, 3, 150, 250]),
    is_seen=st.booleans(),
    is_typed=st.booleans(),
    timeout=st.sampled_from([50, 300, 600, 1200]),
    poll_interval=st.sampled_from([15, 30, 60]),
    ignore_sort=st.booleans(),
    ignore_filters=st.booleans(),
    clock_offset=st.sampled_from([0, 0, -400, 60, 250]),
    name=st.just("Sale") | NAMES,
    rotation=st.none() | st.integers(0, 400),
    unforeseen=st.sampled_from([(), (), (), (), ("list",), ("status",), ("list", "status", "get")]),
)


def calm(**more: Any) -> Plan:
    """Return a plan in which nothing goes wrong but what is given."""
    plan = {"way": WAYS[-1], "kind": KINDS[0], "is_seen": True, "is_typed": True, "timeout": 600, "poll_interval": 30}
    plan |= {"breaks": None, "outages": (), "restarts": (), "ended_before": 0, "name": "Sale", "rotation": None}
    plan |= {"ignore_sort": False, "ignore_filters": False, "clock_offset": 0, "unforeseen": ()}
    return Plan(**plan | more)


class Run:
    """A plan that is carried out: which campaigns there are, and how and when the wait for each ended."""

    def __init__(self, plan: Plan, sandbox: Sandbox, clock: VirtualClock, connect: Connect) -> None:
        self.plan, self.sandbox, self.clock, self.connect = plan, sandbox, clock, connect
        self.ids: list[str] = []
        self.ends: dict[str, tuple[float, dict[str, Any]]] = {}

    def prepare(self) -> None:
        sandbox, plan = self.sandbox, self.plan
        sandbox.reset()
        sandbox.config.ignore_sort, sandbox.config.ignore_filters = plan.ignore_sort, plan.ignore_filters
        sandbox.config.clock_offset = plan.clock_offset
        self._use_key(CLIENT_SECRET, API_KEY)
        for _ in range(plan.ended_before):
            plan.kind.add_campaign(sandbox, status="Stopped")
            self.clock.advance(1)
        self.clock.advance(60)
        for number, _ in enumerate(plan.stops):
            campaign_id = None if number else plan.odd_id
            self.ids.append(plan.kind.add_campaign(sandbox, campaign_id=campaign_id, name=plan.name).id)
        self.began = self.clock.now

    def _use_key(self, client_secret: str, api_key: str) -> None:
        self.sandbox.config.client_secret, self.sandbox.config.api_key = client_secret, api_key
        connection = self.plan.kind.connection(self.sandbox)
        self.connect(fragile(connection) if self.plan.odd_id else connection)

    def trigger(self, campaign_id: str) -> CampaignWaitTrigger:
        plan, now = self.plan, self.clock.time()
        return CampaignWaitTrigger(
            campaign_id,
            ["Stopped"],
            timeout=plan.timeout,
            campaign_type=plan.kind.campaign_type if plan.is_typed else None,
            poll_interval=plan.poll_interval,
            since=now if plan.is_seen else None,
            deadline=now + plan.timeout,
        )

    async def carry_out(self) -> None:
        happenings = asyncio.gather(*self._happenings())
        waiting = {campaign_id: self.trigger(campaign_id) for campaign_id in self.ids}
        for restart in (*self.plan.restarts, None):
            triggerer = Triggerer(self.plan.way)
            waits = [asyncio.create_task(self._wait(triggerer, each)) for each in waiting.values()]
            if waits:
                seconds = None if restart is None else max(0.0, self.began + restart - self.clock.now)
                await asyncio.wait(waits, timeout=seconds)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            waiting = {campaign_id: each for campaign_id, each in waiting.items() if campaign_id not in self.ends}
        happenings.cancel()
        await asyncio.gather(happenings, return_exceptions=True)

    async def _wait(self, triggerer: Triggerer, trigger: CampaignWaitTrigger) -> None:
        fired = await triggerer.first(trigger)
        check_storable(fired.payload)
        check_readable(fired.payload["message"])
        self.ends[trigger.campaign_id] = (self.clock.now, fired.payload)

    def _happenings(self) -> Iterator[Any]:
        plan, set_status = self.plan, self.sandbox.set_status
        for campaign_id, stop in zip(self.ids, plan.stops, strict=True):
            if stop is not None:
                yield self._later(stop, set_status, campaign_id, "Stopped")
                if plan.breaks is not None:
                    yield self._later(stop + plan.breaks, set_status, campaign_id, "Active")
                    yield self._later(stop + plan.breaks + 60, set_status, campaign_id, "Stopped")
        for moment in (moment for outage in plan.outages for moment in (outage.begins, outage.ends)):
            yield self._later(moment, self._change_faults, moment)
        if plan.rotation is not None:
            yield self._later(plan.rotation, self._use_key, "a-new-secret-" * 8, "sk_live_a_new_key")

    async def _later(self, moment: float, act: Callable[..., object], *arguments: object) -> None:
        await asyncio.sleep(moment)
        act(*arguments)

    def _change_faults(self, moment: float) -> None:
        self.sandbox.clear_faults()
        for outage in self.plan.outages:
            if outage.begins <= moment < outage.ends:
                self.sandbox.add_fault(outage.fault)

    def was_stopped(self, campaign_id: str, begin: float, end: float) -> bool:
        """Return whether a campaign was stopped at any moment between two readings of the clock."""
        history = self.sandbox.campaign(campaign_id).history
        until = [moment for moment, _ in history[1:]] + [float("inf")]
        return any(
            status == "Stopped" and since <= end and begin <= gone
            for (since, status), gone in zip(history, until, strict=True)
        )

    def last_stop(self, campaign_id: str) -> float | None:
        stop: float | None = self.plan.stops[self.ids.index(campaign_id)]
        return stop if stop is None or self.plan.breaks is None else stop + self.plan.breaks + 60

    def check_failure(self, campaign_id: str, at: float, error: str, message: str) -> None:
        """A wait fails in no other way than for the time, and not if its campaign could be read as stopped."""
        assert campaign_id in message
        if campaign_id == self.plan.odd_id:
            return
        assert error == "CampaignTimeoutError", message
        took, timeout = at - self.began, self.plan.timeout
        assert timeout <= took <= max(timeout, *self.plan.restarts, 0) + FINAL_POLL_GRACE + 1
        stop = self.last_stop(campaign_id)
        if self.plan.is_in_order(timeout, timeout + FINAL_POLL_GRACE):
            assert stop is None or stop >= timeout, "a false alarm"
            assert "last seen: unknown" not in message

    def check_promptness(self, campaign_id: str, at: float) -> None:
        """Once a campaign has stopped for good and all is in order, its wait ends in a few polls."""
        stop, polls = self.last_stop(campaign_id), len(self.ids) + 3
        if stop is None or campaign_id == self.plan.odd_id or any(restart > stop for restart in self.plan.restarts):
            return
        latest = stop + polls * max(self.plan.poll_interval, MAX_SLEEP) + LONGEST_DELAY
        if latest < self.plan.timeout and self.plan.is_in_order(stop, latest):
            assert at <= self.began + latest

    def check_requests(self) -> None:
        moments = sorted(request.at for request in self.sandbox.requests)
        within = max((sum(moment <= other < moment + 60 for other in moments) for moment in moments), default=0)
        alone = len(self.ids) * (60 / MAX_SLEEP + 2)
        assert within <= max(60, alone if self.plan.way == "alone" else 0) * (1 + len(self.plan.restarts))
        if self.plan.way == "shared" and not self.plan.restarts:
            refused = [request for request in self.sandbox.requests if request.status_code == 429]
            assert all(request.fault == "rate_limit" for request in refused), "more than the platform's limit"


REFUSED_LIST = Fault("forbidden", action="list", count=None)


@examples(full=100, exhaustive=300)
@given(plan=plans)
@example(plan=calm(stops=(None,) * 30, timeout=50))
@example(plan=calm(stops=(150,) * 5, rotation=50))
@example(plan=calm(stops=(150,), rotation=50, way="alone"))
@example(plan=calm(stops=(10, 20, 30, None), outages=(Outage(0, 1000, REFUSED_LIST),)))
@example(
    plan=calm(
        stops=(100, 200, 300, 400),
        outages=(Outage(0, 1000, REFUSED_LIST), Outage(150, 60, Fault("error", action="status", count=None))),
        restarts=(150,),
        ended_before=150,
        ignore_sort=True,
    )
)
def test_whatever_happens_a_deferred_wait_ends_by_what_the_platform_says(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, plan: Plan
) -> None:
    sandbox.config.sonarly_rate_limit = 60
    carried_out = Run(plan, sandbox, clock, connect)
    carried_out.prepare()
    run(carried_out.carry_out(), clock)
    assert carried_out.ends.keys() == set(carried_out.ids)
    for campaign_id, (at, end) in carried_out.ends.items():
        if end["error"]:
            carried_out.check_failure(campaign_id, at, end["error"], end["message"])
        else:
            assert end["value"] == "Stopped"
            assert carried_out.was_stopped(campaign_id, at - POLL_SECONDS, at), "the campaign was not stopped"
        carried_out.check_promptness(campaign_id, at)
    carried_out.check_requests()


# Stops, where what is read is late.

LATEST = MAX_READ_LAG - 1
LAGS = st.just(0.0) | st.floats(30, LATEST)
STATUSES = st.sampled_from(["Active", "Stopped", "Completed", "Ready", "Paused"])
late_plans = st.builds(
    SimpleNamespace,
    histories=st.lists(st.lists(st.tuples(STATUSES, st.floats(0.1, 20)), max_size=4), min_size=1, max_size=6),
    delay=st.floats(1, 300),
    settings=st.fixed_dictionaries(
        {"list_lag": LAGS, "status_lag": LAGS, "clock_offset": st.sampled_from([0.0, 30.0, -3600.0])}
    ),
    is_dated=st.booleans(),
    kind=st.sampled_from([KINDS[0], KINDS[3], SONARLY]),
    way=st.sampled_from(WAYS),
)
A_STOP_BEFORE = {"histories": [[("Stopped", 20.0)]] * 3, "delay": 200.0, "is_dated": True, "kind": KINDS[0]}


@examples(full=100, exhaustive=300)
@given(plan=late_plans)
@example(plan=SimpleNamespace(**A_STOP_BEFORE, settings={"list_lag": LATEST, "status_lag": LATEST}, way=WAYS[-1]))
def test_a_stop_ends_with_its_campaign_whatever_was_before(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, plan: SimpleNamespace
) -> None:
    sandbox.reset()
    connect(plan.kind.connection(sandbox))
    vars(sandbox.config).update(plan.settings)
    campaigns = [plan.kind.add_campaign(sandbox, stop_delay=plan.delay) for _ in plan.histories]
    clock.advance(MAX_READ_LAG)
    for campaign, history in zip(campaigns, plan.histories, strict=True):
        for status, seconds in [*history, ("Active", 1.0)]:
            sandbox.set_status(campaign.id, status)
            clock.advance(seconds)
    client, campaign_type = CampaignHook.for_conn_id("campaign_default").client, plan.kind.campaign_type
    results = [client.stop_campaign(each.id, campaign_type).as_dict() for each in campaigns]

    async def ended(triggerer: Triggerer, result: dict[str, Any]) -> tuple[object, bool]:
        now = clock.time()
        more: dict[str, Any] = {"failure_statuses": STOP_CONDITION.failure, "campaign_type": campaign_type}
        more |= {"since": now, "deadline": now + 3600.0, "result": result}
        trigger = CampaignWaitTrigger(result["campaign_id"], STOP_CONDITION.success, 3600.0, **more)
        event = await triggerer.first(trigger)
        return event.payload["error"], sandbox.campaign(trigger.campaign_id).live

    async def scene() -> list[tuple[object, bool]]:
        triggerer = Triggerer(plan.way)
        return await asyncio.gather(*(ended(triggerer, result) for result in results))

    with pytest.MonkeyPatch.context() as patch:
        if not plan.is_dated:
            patch.setattr(Campaign, "updated_at", None)
        assert run(scene(), clock) == [(None, False)] * len(campaigns)
