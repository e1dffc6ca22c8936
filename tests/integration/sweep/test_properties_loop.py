"""
A guard on random evenings: never live at its end if it could have been stopped, never stopped while open, or named.

Rules, dates, restarts, other clients, slow and late lists, late runs and retries are drawn; when a campaign may run is
decided by a function of the tests' own (``oracle``), minute by minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Campaign, Fault, ReceivedRequest, Sandbox
from tests.integration.sweep.oracle import MINUTE, ends, is_open, rule_of
from tests.integration.sweep.runs import Dag, DatedClock, Outcome, most_in_a_window, on_monday, received
from tests.kinds import Connect
from tests.profiles import IS_EXHAUSTIVE, IS_FULL, examples

BEGIN, FINISH = on_monday("20:00"), on_monday("22:00")
INTERVAL = timedelta(minutes=5)
MARGIN, TIMEOUT = 60, 600
LIVE = ("Active", "Preparing", "Rerun")
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns")
MAX_RULES, MAX_OF_A_RULE = (20, 50) if IS_EXHAUSTIVE else (12, 20) if IS_FULL else (6, 8)


@dataclass(frozen=True)
class Plan:
    """
    An evening.

    :param rules: As the operator takes them.
    :param counts: Campaigns of each rule, and last of none.
    :param stop_delay: Seconds from a stop to Stopped.
    :param restarts: Minutes after the beginning, and which campaign somebody starts then.
    :param departures: The same for campaigns that another client stops.
    :param others: Requests a minute of another client.
    :param list_lag: Seconds by which lists are behind.
    :param list_takes: Seconds that a list request takes.
    :param late: Minutes by which the run of a tick (their number) begins late.
    """

    rules: list[dict[str, Any]]
    counts: list[int]
    stop_delay: float
    restarts: list[tuple[float, int]]
    departures: list[tuple[float, int]]
    others: int
    list_lag: float
    list_takes: float
    late: dict[int, int]
    faults: list[Fault]
    look_ahead: timedelta
    deferrable: bool

    @property
    def is_calm(self) -> bool:
        """Whether nothing but the platform's documented limits stands in the way."""
        return not (self.others or self.list_lag or self.late or self.faults or self.departures)


def local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat(timespec="minutes")


@st.composite
def hours(draw: st.DrawFn) -> dict[str, Any]:
    """Draw calling hours of eight to ten hours that end before, during or after the evening."""
    zone = draw(st.sampled_from(ZONES))
    end = BEGIN + 5 * MINUTE * draw(st.integers(-12, 40))
    start = end - timedelta(hours=draw(st.integers(8, 10)))
    window = {"start": local(start, zone)[-5:], "end": local(end, zone)[-5:]}
    drawn: dict[str, Any] = {"frequency": "DAILY", "timezone": zone, "days": [window]}
    if draw(st.integers(0, 5)) == 0:
        day = draw(st.integers(-1, 1)) * timedelta(days=1)
        drawn["closed_dates"] = [local(BEGIN + day, zone)[:10]]
    overrides = []
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        since = BEGIN + 5 * MINUTE * draw(st.integers(-6, 24))
        until = draw(st.sampled_from([None, 10, 30, 120]))
        override: dict[str, Any] = {"from": local(since, zone), "open": draw(st.booleans())}
        if until is not None:
            override["until"] = local(since + until * MINUTE, zone)
        overrides.append(override)
    return {**drawn, "overrides": overrides} if overrides else drawn


@st.composite
def rule_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, MAX_RULES))):
        given_hours = {"open": True} if draw(st.integers(0, 9)) == 0 else draw(hours())
        rules.append({"name": f"rule {number}", "name_pattern": f"r{number:02}-*", **given_hours})
    return rules


FAULTS = st.builds(
    Fault,
    st.sampled_from(["error", "reset", "rate_limit", "broken_json", "html", "forbidden"]),
    action=st.sampled_from(["stop", "list", None]),
    skip=st.integers(0, 60),
    count=st.integers(1, 6),
)
HAPPENINGS = st.lists(st.tuples(st.floats(0, 115), st.integers(0, 400)), max_size=4)


@st.composite
def plans(draw: st.DrawFn, deferrable: bool) -> Plan:
    rules = draw(rule_lists())
    size = draw(st.sampled_from([3, 3, MAX_OF_A_RULE]))
    return Plan(
        rules=rules,
        counts=draw(st.lists(st.integers(0, size), min_size=len(rules) + 1, max_size=len(rules) + 1)),
        stop_delay=draw(st.sampled_from([0.0, 0.0, 5.0, 20.0])),
        restarts=draw(HAPPENINGS),
        departures=draw(st.one_of(st.just([]), HAPPENINGS)),
        others=draw(st.sampled_from([0, 0, 10, 20])),
        list_lag=draw(st.sampled_from([0.0, 0.0, 3.0])),
        list_takes=draw(st.sampled_from([0.0, 0.0, 2.0, 10.0])),
        late=draw(st.one_of(st.just({}), st.dictionaries(st.integers(0, 24), st.integers(1, 25), max_size=2))),
        faults=draw(st.one_of(st.just([]), st.lists(FAULTS, max_size=2))),
        look_ahead=draw(st.sampled_from([timedelta(hours=1), timedelta(minutes=30)])),
        deferrable=deferrable,
    )


class Evening:
    """A plan as it happens."""

    def __init__(self, plan: Plan, sandbox: Sandbox, clock: DatedClock) -> None:
        self.plan, self.sandbox, self.clock = plan, sandbox, clock
        self.attempts: list[tuple[datetime, datetime, Outcome]] = []
        clock.go_to(BEGIN)
        self.campaigns = list(self._add())
        self.rule = {each.id: rule_of(plan.rules, each.name, each.campaign_type) for each in self.campaigns}
        for minute, number in plan.restarts if self.campaigns else []:
            campaign = self.campaigns[number % len(self.campaigns)]
            clock.on(BEGIN + minute * MINUTE, partial(sandbox.set_status, campaign.id, "Active"))
        for minute, number in plan.departures if self.campaigns else []:
            campaign = self.campaigns[number % len(self.campaigns)]
            clock.on(BEGIN + minute * MINUTE, partial(sandbox.set_status, campaign.id, "Stopped"))
        for fault in plan.faults:
            sandbox.add_fault(fault)
        sandbox.on_request(self._be_slow)
        for number in range(plan.others * int((FINISH - BEGIN) / MINUTE)):
            clock.on(BEGIN + number * MINUTE / plan.others, sandbox.spend)

    def _add(self) -> Iterator[Campaign]:
        for number, count in enumerate(self.plan.counts):
            for index in range(count):
                name = f"r{number:02}-{index}"
                kind = ("sms", "voice")[(number + index) % 2]
                yield self.sandbox.add_campaign(f"c-{name}", kind, name=name, priority=str(1 + index % 5))

    def _be_slow(self, request: ReceivedRequest) -> None:
        if request.action == "list" and self.plan.list_takes:
            self.clock.sleep(self.plan.list_takes)

    def happen(self) -> None:
        """Run the guard every five minutes, one run at a time, each with two retries."""
        dag = Dag(
            self.clock,
            calling_hours=self.plan.rules,
            look_ahead=self.plan.look_ahead,
            deferrable=self.plan.deferrable,
            margin=MARGIN,
            timeout=TIMEOUT,
        )
        tick = 0
        while BEGIN + tick * INTERVAL < FINISH:
            run = dag.scheduled(BEGIN + tick * INTERVAL)
            self.clock.go_to(run.date + self.plan.late.get(tick, 0) * MINUTE)
            for _ in range(3):
                began = self.clock.date
                outcome = run.attempt()
                self.attempts.append((began, self.clock.date, outcome))
                assert outcome.error is None or isinstance(outcome.error, CampaignError) or outcome.is_skipped, (
                    outcome.error
                )
                if not outcome.is_failed or outcome.is_final:
                    break
                self.clock.sleep(60)
            tick = max(tick + 1, math.floor((self.clock.date - BEGIN) / INTERVAL) + (self.clock.date > run.date))
        self.clock.go_to(FINISH)

    # What is to hold.

    @property
    def need(self) -> timedelta:
        """The time that all stops together take, with lists, at the share of the limit that is left."""
        listing = 12 * max(1.0, self.plan.list_takes) + self.plan.list_lag
        windows = math.ceil((1.2 * len(self.campaigns) + 40) / (50 - self.plan.others))
        return timedelta(seconds=61 * windows + 2 * self.plan.stop_delay + 2 * listing)

    def date(self, at: float) -> datetime:
        return on_monday("00:00") + timedelta(seconds=at - self.clock.reading(on_monday("00:00")))

    def closes_soon(self, campaign_id: str, at: datetime) -> bool:
        """Return whether a campaign is closed, or its hours end so soon that it may be stopped."""
        rule = self.rule[campaign_id]
        lead = timedelta(seconds=MARGIN) + self.need
        minute = at.replace(second=0, microsecond=0)
        return not is_open(rule, at) or bool(ends(rule, minute, at + lead + MINUTE))

    def live_spans(self, campaign: Campaign) -> Iterator[tuple[datetime, datetime]]:
        """Yield when a campaign was live."""
        marks = [(self.date(at), word) for at, word in campaign.history] + [(self.clock.date, "Stopped")]
        since: datetime | None = None
        for at, word in marks:
            if word in LIVE and since is None:
                since = at
            elif word not in LIVE and since is not None:
                yield since, at
                since = None

    def is_named(self, campaign_id: str) -> bool:
        """Return whether a try failed and named a campaign, or told that it was live at an end."""
        return any(
            outcome.names(campaign_id)
            or campaign_id in [row["campaign_id"] for row in outcome.result.get("failed", [])]
            or campaign_id in str([closing["live_at_end"] for closing in outcome.result.get("closings", [])])
            or campaign_id in outcome.result.get("incidents", [])
            for _, _, outcome in self.attempts
        )

    def has_failed_to_list(self) -> bool:
        """Return whether a try failed without knowing what is live."""
        return any(outcome.is_failed and "ist" in outcome.message for _, _, outcome in self.attempts)

    def check_never_stopped_while_open(self) -> None:
        for request in received(self.sandbox, "stop"):
            if request.status_code == 200 and request.campaign_id in self.rule:
                at = self.date(request.at)
                assert self.closes_soon(request.campaign_id, at), (
                    f"{request.campaign_id} was stopped at {at} by {self.rule[request.campaign_id]}"
                )

    def check_never_live_at_its_end(self) -> None:
        for campaign in self.campaigns:
            rule = self.rule[campaign.id]
            for end in ends(rule, BEGIN + self.plan.look_ahead, FINISH):
                for since, until in self.live_spans(campaign):
                    notice = end - timedelta(seconds=MARGIN) - self.need
                    if not since <= notice <= end < until:
                        continue
                    was_watched = any(began <= notice and ended >= end for began, ended, _ in self.attempts)
                    if self.plan.is_calm and was_watched:
                        raise AssertionError(f"{campaign.id} was live from {since} to {until}, and its end was {end}")
                    assert self.is_named(campaign.id) or self.has_failed_to_list() or not was_watched, (
                        f"{campaign.id} was live at its end, {end}, and nobody was told"
                    )

    def check_never_live_while_closed_for_long(self) -> None:
        patience = INTERVAL + self.need + timedelta(seconds=60)
        patience += max(self.plan.late.values(), default=0) * MINUTE
        if self.plan.faults:
            patience += timedelta(seconds=2 * TIMEOUT)
        for campaign in self.campaigns:
            rule = self.rule[campaign.id]
            for since, until in self.live_spans(campaign):
                closed = 0
                minutes = math.floor((until - since) / MINUTE)
                for number in range(minutes + 1):
                    closed = 0 if is_open(rule, since + number * MINUTE) else closed + 1
                    assert closed * MINUTE <= patience or self.is_named(campaign.id) or self.has_failed_to_list(), (
                        f"{campaign.id} was live for {closed} min while closed, from {since} to {until}: {rule}"
                    )

    def check_what_was_said(self) -> None:
        for began, ended, outcome in self.attempts:
            left_alone = {row["campaign_id"] for row in outcome.result.get("open_until", [])}
            asked = {
                request.campaign_id
                for request in received(self.sandbox, "stop")
                if began <= self.date(request.at) < ended and request.status_code == 200
            }
            assert left_alone.isdisjoint(asked - set(outcome.ids("stopped", "already_stopped", "failed")))
            for row in outcome.result.get("stopped", []):
                words = [
                    word for at, word in self.sandbox.campaign(row["campaign_id"]).history if self.date(at) <= ended
                ]
                assert "Stopped" in words, f"{row['campaign_id']} was never stopped by {ended}"
            assert outcome.result.get("failed", []) == [] or outcome.error is not None

    def check_the_rate_limit(self) -> None:
        if not self.plan.others and not self.plan.faults:
            assert {request.status_code for request in self.sandbox.requests} <= {200, 404, 409}
            assert most_in_a_window(self.sandbox) <= 60


@pytest.mark.parametrize("deferrable", [False, True])
@examples(full=12, brief=3, exhaustive=150)
@given(data=st.data())
def test_a_guard_closes_every_campaign_at_its_own_end_and_touches_none_that_is_open(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory, deferrable: bool, data: st.DataObject
) -> None:
    plan = data.draw(plans(deferrable))
    clock = DatedClock(BEGIN - timedelta(minutes=1))
    with pytest.MonkeyPatch.context() as patch, Sandbox(clock=clock, stop_delay=plan.stop_delay) as sandbox:
        patch.setattr(CampaignHook, "clock", clock)
        patch.setenv("AIRFLOW__CAMPAIGN__RECORDS_PATH", f"file://{tmp_path_factory.mktemp('evening')}")
        sandbox.config.list_lag = plan.list_lag
        connect(sandbox.kore_connection("v2"))
        evening = Evening(plan, sandbox, clock)
        evening.happen()
        evening.check_never_stopped_while_open()
        evening.check_never_live_at_its_end()
        evening.check_never_live_while_closed_for_long()
        evening.check_what_was_said()
        evening.check_the_rate_limit()
