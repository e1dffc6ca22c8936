"""
A guard on random evenings: never live at its end if it could have been stopped, never stopped while open, or named.

Rules, dates, restarts, other clients, slow and late lists, late runs and retries are drawn; and what is hostile: odd
names, framing, a platform's module with a bug, keys that are rotated, a list that hangs, planted records. That calling
hours are read right is tested minute by minute in tests/unit/calling_hours.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign import campaign as listed
from airflow_provider_campaign.calling_hours import CallingHours, CallingRules
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.sandbox import Campaign, Fault, ReceivedRequest
from airflow_provider_campaign.sandbox.faults import FRAMINGS
from airflow_provider_campaign.sandbox.task_runs import Outcome
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.testing import use_clock
from tests.fragile import fragile, unforeseen_id
from tests.integration.sweep.runs import ATTESTED, PLANTED, Account, Dag, on_monday, plant
from tests.kinds import Connect
from tests.odd_texts import NAMES, check_readable
from tests.profiles import IS_EXHAUSTIVE, IS_FULL, examples
from tests.records_guard import RECORDS_PATH, TAMPERED

BEGIN, FINISH = on_monday("20:00"), on_monday("22:00")
MINUTE, INTERVAL = timedelta(minutes=1), timedelta(minutes=5)
MARGIN, TIMEOUT = 60, 600
LIVE = ("Active", "Preparing", "Rerun")
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns")
MAX_RULES, MAX_OF_A_RULE = (20, 50) if IS_EXHAUSTIVE else (12, 20) if IS_FULL else (6, 8)
OUTSIDE = "outside"  # a campaign that the guard is not for, although it is always live


class Plan(SimpleNamespace):
    """
    An evening: what ``plans`` draws.

    :param counts: Campaigns of each rule, and last of none.
    :param restarts: Minutes after the beginning, and which campaign another user starts then.
    :param departures: The same for campaigns that another client stops.
    :param others: Requests a minute of another client.
    :param late: Minutes by which the run of a tick (their number) begins late.
    :param rotation: Before which request the account's key is replaced, in the connection too.
    :param hang: Which list request hangs, and for how many minutes.
    :param unforeseen: The actions whose responses about the first campaign the platform's module has a bug with.
    :param is_planted: Whether a record is planted beside that of each try that has failed.
    """

    @property
    def is_calm(self) -> bool:
        """Whether nothing but the platform's documented limits, and what is to make no difference, is in the way."""
        return not (self.others or self.list_lag or self.late or self.faults or self.departures or self.hang)


def local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat(timespec="minutes")


@st.composite
def hours(draw: st.DrawFn) -> dict[str, Any]:
    """Draw calling hours of eight to ten hours that end before, during or after the evening, or start during it."""
    zone, length = draw(st.sampled_from(ZONES)), timedelta(hours=draw(st.integers(8, 10)))
    edge = BEGIN + 5 * MINUTE * draw(st.integers(-12, 40))
    start = edge if draw(st.integers(0, 4)) == 0 else edge - length
    end = start + length
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


ACTIONS, FEW = st.sampled_from(["stop", "list", None]), st.integers(1, 6)
DISRUPTIONS = st.sampled_from(["error", "reset", "rate_limit", "broken_json", "html", "forbidden"])
FAULTS = st.builds(Fault, DISRUPTIONS, action=ACTIONS, skip=st.integers(0, 60), count=FEW)
FRAMED = st.builds(
    Fault, st.just("framing"), action=ACTIONS, skip=st.integers(0, 30), count=FEW, how=st.sampled_from(FRAMINGS)
)
UNFORESEEN = (*[()] * 6, ("stop",), ("status", "stop"), ("list",), ("list", "status", "stop"))
HAPPENINGS = st.lists(st.tuples(st.floats(0, 115), st.integers(0, 400)), max_size=4)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.just([]) | st.lists(strategy, max_size=2)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    all_hours = draw(st.lists(st.one_of(*[hours()] * 9, st.just({"open": True})), min_size=1, max_size=MAX_RULES))
    rules = [{"name": f"rule {n}", "name_pattern": f"r{n:02}-*", **each} for n, each in enumerate(all_hours)]
    most = st.integers(0, draw(st.sampled_from([3, 3, MAX_OF_A_RULE])))
    drawn = st.builds(
        Plan,
        rules=st.just(rules),
        counts=st.lists(most, min_size=len(rules) + 1, max_size=len(rules) + 1),
        stop_delay=st.sampled_from([0.0, 0.0, 5.0, 20.0]),
        restarts=HAPPENINGS,
        departures=st.just([]) | HAPPENINGS,
        others=st.sampled_from([0, 0, 10, 20]),
        list_lag=st.sampled_from([0.0, 0.0, 3.0]),
        list_takes=st.sampled_from([0.0, 0.0, 2.0, 10.0]),
        late=st.just({}) | st.dictionaries(st.integers(0, 24), st.integers(1, 25), max_size=2),
        faults=some(FAULTS),
        look_ahead=st.sampled_from([timedelta(hours=1), timedelta(minutes=30)]),
        suffix=st.just("") | NAMES,
        framings=some(FRAMED),
        rotation=st.none() | st.integers(1, 100),
        hang=st.sampled_from([None, None, None, (1, 2), (2, 12), (3, 30), (10, 6), (25, 45)]),
        is_stuck=st.sampled_from([False, False, False, True]),
        unforeseen=st.sampled_from(UNFORESEEN),
        is_planted=st.booleans(),
        has_state_store=st.booleans(),
        deferrable=st.booleans(),
    )
    return draw(drawn)


class Evening:
    def __init__(self, plan: Plan, sandbox: Account, clock: VirtualClock, connect: Connect) -> None:
        self.plan, self.sandbox, self.clock, self._connect = plan, sandbox, clock, connect
        self.attempts: list[tuple[datetime, datetime, Outcome]] = []
        self._requests = self._lists = 0
        self._look_up()
        clock.go_to(BEGIN)
        self.campaigns = list(self._add())
        self.troubled = self.campaigns[0].id if self.campaigns and (plan.is_stuck or plan.unforeseen) else None
        sandbox.add_campaign(OUTSIDE, name="Night alarm")
        rules = CallingRules.read(plan.rules)
        rows = [listed.Campaign(each.id, "Active", each.name, each.campaign_type) for each in self.campaigns]
        self.rule = {row.id: rules.rule_for(row) for row in rows}
        for status, happenings in (("Active", plan.restarts), ("Stopped", plan.departures)):
            for minute, number in happenings if self.campaigns else []:
                campaign = self.campaigns[number % len(self.campaigns)]
                clock.on(BEGIN + minute * MINUTE, partial(sandbox.set_status, campaign.id, status))
        for fault in [*plan.faults, *plan.framings]:
            sandbox.add_fault(fault)
        sandbox.on_request(self._note_request)
        for number in range(plan.others * int((FINISH - BEGIN) / MINUTE)):
            clock.on(BEGIN + number * MINUTE / plan.others, sandbox.spend)

    def _add(self) -> Iterator[Campaign]:
        first = unforeseen_id(self.plan.unforeseen) if self.plan.unforeseen else None
        is_stoppable = not self.plan.is_stuck
        for number, count in enumerate(self.plan.counts):
            for index in range(count):
                name = f"r{number:02}-{index}"
                yield self.sandbox.add_campaign(
                    first or f"c-{name}",
                    ("sms", "voice")[(number + index) % 2],
                    name=name + self.plan.suffix,
                    priority=str(1 + index % 5),
                    stoppable=is_stoppable,
                )
                first, is_stoppable = None, True

    def _look_up(self) -> None:
        connection = self.sandbox.kore_connection("v2")
        self._connect(fragile(connection) if self.plan.unforeseen else connection)

    def _note_request(self, request: ReceivedRequest) -> None:
        self._requests += 1
        if self._requests == self.plan.rotation:
            self.sandbox.config.client_secret = "a-new-secret-" * 8
            self._look_up()
        if request.action != "list":
            return
        self._lists += 1
        number, minutes = self.plan.hang or (0, 0)
        self.clock.sleep(self.plan.list_takes + (60 * minutes if self._lists == number else 0))

    def happen(self) -> None:
        """Run the guard every five minutes, one run at a time, each with two retries."""
        dag = Dag(
            self.clock,
            calling_hours=self.plan.rules,
            look_ahead=self.plan.look_ahead,
            deferrable=self.plan.deferrable,
            margin=MARGIN,
            timeout=TIMEOUT,
            name_pattern="r*",
        )
        dag.runner.has_state_store = self.plan.has_state_store
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
                if self.plan.is_planted:
                    self._plant(outcome)
                self.clock.sleep(60)
            tick = max(tick + 1, math.floor((self.clock.date - BEGIN) / INTERVAL) + (self.clock.date > run.date))
        self.clock.go_to(FINISH)

    def _plant(self, outcome: Outcome) -> None:
        """Put a record beside that of a try, by which the next one would do harm if it believed it."""
        genuine = Path(outcome.result["record"]["path"].removeprefix("file://"))
        if not json.loads(genuine.read_bytes()).get("campaigns"):
            return
        planted = [{**PLANTED, "campaign_id": each.id, "name": "of no rule"} for each in self.campaigns[-2:]]
        planted += [{**PLANTED, "campaign_id": campaign_id, "name": "r00-0"} for campaign_id in (OUTSIDE, "unknown")]
        if self.plan.has_state_store:  # without it nobody can tell who has written a record
            planted.append({**PLANTED, **ATTESTED, "campaign_id": "never-stopped"})
        plant(genuine.parent, genuine.name.replace(".json", ".2.json"), *planted, beside=genuine.name)

    # What is to hold.

    @property
    def need(self) -> timedelta:
        """The time that all stops together take, with lists, at the share of the limit that is left."""
        listing = 12 * max(1.0, self.plan.list_takes) + self.plan.list_lag
        windows = math.ceil((1.2 * len(self.campaigns) + 40) / (50 - self.plan.others))
        return timedelta(seconds=61 * windows + 2 * self.plan.stop_delay + 2 * listing)

    def date(self, at: float) -> datetime:
        return on_monday("00:00") + timedelta(seconds=at - self.clock.reading(on_monday("00:00")))

    def live_spans(self, campaign: Campaign) -> Iterator[tuple[datetime, datetime]]:
        marks = [(self.date(at), word) for at, word in campaign.history] + [(self.clock.date, "Stopped")]
        since: datetime | None = None
        for at, word in marks:
            if word in LIVE and since is None:
                since = at
            elif word not in LIVE and since is not None:
                yield since, at
                since = None

    def is_told(self, campaign_id: str, since: datetime) -> bool:
        """Return whether a try that ended after a moment has told that a campaign may have been live at it."""
        outcomes = [outcome for _, ended, outcome in self.attempts if ended >= since]
        return any(map(partial(tells_of, campaign_id=campaign_id, rule=self.rule[campaign_id]), outcomes))

    def check_nothing_outside_is_touched(self) -> None:
        requests = [each for each in self.sandbox.requests if each.campaign_id not in (None, *self.rule)]
        assert {each.action for each in requests} <= ({"status"} if self.plan.is_planted else set())
        assert self.sandbox.campaign(OUTSIDE).live

    def check_never_stopped_while_open(self) -> None:
        lead = timedelta(seconds=MARGIN) + self.need
        for request in self.sandbox.received("stop"):
            assert request.campaign_id in self.rule
            if request.status_code == 200:
                rule, at = self.rule[request.campaign_id], self.date(request.at)
                closes_soon = not is_open(rule, at) or ends(rule, at - MINUTE, at + lead + MINUTE)
                assert closes_soon, f"{request.campaign_id} was stopped at {at} by {rule}"

    def check_never_live_at_its_end(self) -> None:
        for campaign in self.campaigns:
            rule = self.rule[campaign.id]
            for end in ends(rule, BEGIN + self.plan.look_ahead, FINISH):
                for since, until in self.live_spans(campaign):
                    notice = end - timedelta(seconds=MARGIN) - self.need
                    if not since <= notice <= end < until:
                        continue
                    was_watched = any(began <= notice and ended >= end for began, ended, _ in self.attempts)
                    if self.plan.is_calm and was_watched and campaign.id != self.troubled:
                        raise AssertionError(f"{campaign.id} was live from {since} to {until}, and its end was {end}")
                    assert self.is_told(campaign.id, end) or not was_watched, (
                        f"{campaign.id} was live at its end, {end}, and nobody was told"
                    )

    def check_never_live_while_closed_for_long(self) -> None:
        patience = INTERVAL + self.need + timedelta(seconds=60)
        patience += max(self.plan.late.values(), default=0) * MINUTE
        patience += (self.plan.hang or (0, 0))[1] * MINUTE
        if self.plan.faults:
            patience += timedelta(seconds=2 * TIMEOUT)
        for campaign in self.campaigns:
            rule = self.rule[campaign.id]
            for since, until in self.live_spans(campaign):
                closed = 0
                minutes = math.floor((until - since) / MINUTE)
                for number in range(minutes + 1):
                    at = since + number * MINUTE
                    closed = 0 if is_open(rule, at) else closed + 1
                    assert closed * MINUTE <= patience or self.is_told(campaign.id, at - closed * MINUTE), (
                        f"{campaign.id} was live for {closed} min while closed, from {since} to {until}: {rule}"
                    )

    def check_what_was_said(self) -> None:
        for began, ended, outcome in self.attempts:
            check_readable(outcome.message)
            left_alone = {row["campaign_id"] for row in outcome.result.get("open_until", [])}
            asked = {
                request.campaign_id
                for request in self.sandbox.received("stop")
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
            expected = {200, 404, 409} | ({401} if self.plan.rotation or self.plan.hang else set())
            assert {request.status_code for request in self.sandbox.requests} <= expected
            assert self.sandbox.most_in_a_window <= 60


def is_open(rule: CallingHours | None, at: datetime) -> bool:
    return rule is not None and rule.is_open(at)


def ends(rule: CallingHours | None, since: datetime, until: datetime) -> list[datetime]:
    return rule.ends(since, until) if rule else []


def tells_of(outcome: Outcome, campaign_id: str, rule: CallingHours | None) -> bool:
    """Return whether a try has told of a campaign, or of an end of its rule, or that it could not list."""
    result = outcome.result
    known = {*result.get("incidents", ()), *(row["campaign_id"] for row in result.get("failed", ()))}
    known.update(*(closing["live_at_end"] for closing in result.get("closings", ())))
    if campaign_id in known or outcome.names(campaign_id):
        return True
    if outcome.is_failed and re.search("^(Live campaigns can't be listed: |List of )", outcome.message, re.MULTILINE):
        return True
    if rule is None:
        return False
    is_missed = rule.name in [row["rule"] for row in result.get("missed_closings", ())]
    return is_missed or (outcome.is_failed and re.search(rf"\b{rule.name} at ", outcome.message) is not None)


@examples(full=24, brief=3, exhaustive=300)
@given(plan=plans())
def test_a_guard_closes_each_campaign_at_its_end_and_touches_no_open_one(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory, plan: Plan
) -> None:
    clock = VirtualClock(BEGIN - timedelta(minutes=1))
    with pytest.MonkeyPatch.context() as patch, Account(clock=clock, stop_delay=plan.stop_delay) as sandbox:
        use_clock(clock, patch)
        patch.setenv(RECORDS_PATH, f"file://{tmp_path_factory.mktemp('evening') / TAMPERED}")
        sandbox.config.list_lag = plan.list_lag
        evening = Evening(plan, sandbox, clock, connect)
        evening.happen()
        evening.check_nothing_outside_is_touched()
        evening.check_never_stopped_while_open()
        evening.check_never_live_at_its_end()
        evening.check_never_live_while_closed_for_long()
        evening.check_what_was_said()
        evening.check_the_rate_limit()
