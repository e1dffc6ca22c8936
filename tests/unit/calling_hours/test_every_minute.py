"""Each minute is open or closed as an oracle says that looks at all of them: hours, dates, overrides, clock changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from itertools import accumulate, pairwise, product
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import Campaign
from tests.calling_hours import Window, as_calling_hours, quarters
from tests.profiles import examples

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

ZONES = (
    *("America/New_York", "America/Caracas", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Beirut", "Asia/Pyongyang"),
    *("Pacific/Apia", "Africa/Casablanca", "Africa/Cairo", "Europe/Berlin"),
)
AROUND = 8 * DAY  # how long before and after a change of the clock is looked at

MONDAY = datetime(2001, 1, 1)  # local times are counted in minutes from here

Override = tuple[int, int | None, bool]
"""Start, end (None until further notice) and whether campaigns may run: minutes of local time."""


@dataclass(frozen=True)
class Plan:
    """Calling hours as they were drawn: windows, or whether it is always open."""

    zone: str
    week: list[Window] | bool
    closed_dates: list[date]
    overrides: list[Override]

    def may_run(self, minute: int) -> bool:
        """Return whether campaigns may run in a minute of local time, if it comes once."""
        time = MONDAY + minute * MINUTE
        for start, end, is_open in reversed(self.overrides):
            if start <= minute and (end is None or minute < end):
                return is_open
        if time.date() in self.closed_dates or isinstance(self.week, bool):
            return self.week is True and time.date() not in self.closed_dates
        return any(is_in_window(window, minute) for window in self.week)

    @property
    def is_always_open(self) -> bool:
        return not isinstance(self.week, bool) and all(
            any(is_in_window(window, minute) for window in self.week) for minute in range(7 * 1440)
        )

    def document(self) -> dict[str, Any]:
        written = {} if isinstance(self.week, bool) else as_calling_hours(self.zone, self.week)
        always = {"open": self.week, "timezone": self.zone} if isinstance(self.week, bool) else {}
        overrides = [
            {"from": as_text(start), "until": None if end is None else as_text(end), "open": is_open}
            for start, end, is_open in self.overrides
        ]
        return {**written, **always, "closed_dates": list(map(str, self.closed_dates)), "overrides": overrides}


def as_text(minute: int) -> str:
    return (MONDAY + minute * MINUTE).isoformat(timespec="minutes")


def is_in_window(window: Window, minute: int) -> bool:
    weekday, of_day = divmod(minute % (7 * 1440), 1440)
    day, opens, closes = window
    today = day == weekday and opens <= of_day and (of_day < closes or closes <= opens)
    return today or ((day + 1) % 7 == weekday and closes <= opens and of_day < closes)


@cache
def changes(zone: str) -> list[datetime]:
    """Return the days (UTC) of this century on which a zone's clock changes, or one on which it does not."""
    days = [datetime(2001, 1, 1, tzinfo=UTC) + number * DAY for number in range(35 * 365)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    return [day for day, (now, then) in zip(days, pairwise(offsets), strict=False) if now != then] or [days[-1]]


@lru_cache(maxsize=16)
def clock(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """Return for every minute between two moments what the clock shows, in minutes since a Monday."""
    moments = [start + number * MINUTE for number in range((end - start) // MINUTE)]
    local = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    return [(moment, (time - MONDAY) // MINUTE) for moment, time in zip(moments, local, strict=True)]


def open_moments(shown: list[tuple[datetime, int]], may_run: Callable[[int], bool]) -> dict[datetime, bool]:
    """
    Return of each moment whether campaigns may run.

    They may while every minute is open, from the latest that the clock has shown back to the earliest that it will
    still show, and while it will show the start itself once more, back to the one before that.
    """
    minutes = [minute for _, minute in shown]
    is_open = {minute: may_run(minute) for minute in range(min(minutes), max(minutes) + 1)}
    latest = accumulate(minutes, max)
    still_to_come = [*accumulate(reversed(minutes), min)][-2::-1]
    earliest = [min(now, later - 1) for now, later in zip(minutes, still_to_come, strict=False)]
    return {
        moment: all(is_open.get(minute, True) for minute in range(first, last + 1))
        for (moment, _), first, last in zip(shown, earliest, latest, strict=False)
    }


def expected_changes(is_open: Mapping[datetime, bool]) -> tuple[list[datetime], list[datetime]]:
    changes = [(now, is_open[now]) for before, now in pairwise(is_open) if is_open[before] != is_open[now]]
    return [moment for moment, opens in changes if opens], [moment for moment, opens in changes if not opens]


@st.composite
def plans(draw: st.DrawFn, change: datetime, zone: str) -> Plan:
    """Draw calling hours of which some begin or end at about the time at which a zone's clock changes."""
    shown = clock(zone, change - AROUND, change + AROUND)
    jump = next((now for (_, now), (_, then) in pairwise(shown) if then != now + 1), shown[len(shown) // 2][1])
    near = st.integers(-100, 100).map(lambda minutes: (jump + minutes) % 1440)
    days = st.sampled_from([jump // 1440 % 7, (jump // 1440 - 1) % 7]) | st.integers(0, 6)
    times = near | quarters
    windows = st.lists(st.tuples(days, times, times), min_size=1, max_size=6)
    moments = (st.integers(-100, 100) | st.integers(-14400, 14400)).map(lambda minutes: jump + minutes)
    dates = (st.integers(-1, 1) | st.integers(-9, 9)).map(lambda number: (MONDAY + jump * MINUTE + number * DAY).date())
    spans = st.tuples(moments, st.none() | moments, st.booleans()).filter(
        lambda span: span[1] is None or span[0] < span[1]
    )
    week = draw(st.booleans()) if draw(st.integers(0, 4)) == 0 else draw(windows)
    return Plan(zone, week, draw(st.lists(dates, max_size=3)), draw(st.lists(spans, max_size=4)))


Drawn = tuple[datetime, list[tuple[Plan, dict[str, Any]]]]


@st.composite
def rules_around_a_change(draw: st.DrawFn) -> Drawn:
    """Draw several rules, in zones of their own, with what they match."""
    change = draw(st.sampled_from(changes(draw(st.sampled_from(ZONES)))))
    patterns = st.lists(st.sampled_from(["a*", "*b", "[ab]?", "?", "*"]), min_size=1, max_size=2)
    optional = {"name_pattern": patterns, "campaign_types": st.sampled_from([["sms"], ["voice"]])}
    rule = st.tuples(
        st.sampled_from(ZONES).flatmap(lambda zone: plans(change, zone)), st.fixed_dictionaries({}, optional=optional)
    )
    return change, draw(st.lists(rule, min_size=1, max_size=5))


@examples(full=130, brief=25, exhaustive=400)
@given(rules_around_a_change(), st.lists(st.integers(0, 15 * 1440), min_size=1, max_size=20))
def test_hours_are_open_while_all_that_the_clock_shows_is_open(drawn: Drawn, samples: list[int]) -> None:
    change, rules_drawn = drawn
    assume(not any(plan.is_always_open for plan, _ in rules_drawn))
    rules = CallingRules.read([{**plan.document(), **scope} for plan, scope in rules_drawn])
    opened = [open_moments(clock(plan.zone, change - AROUND, change + AROUND), plan.may_run) for plan, _ in rules_drawn]
    moments = [*opened[0]]
    for hours, is_open in zip(rules.rules, opened, strict=True):
        starts, ends = expected_changes(is_open)
        assert walk(hours.next_end, moments[0], moments[-1]) == hours.ends(moments[0], moments[-1]) == ends
        assert walk(hours.next_start, moments[0], moments[-1]) == starts
        for each in [*starts, *ends, *(moments[number] for number in samples)]:
            assert hours.is_open(each) == is_open[each], each
        for closed, following in pairwise(ends):
            assert hours.last_end(closed) == hours.last_end(following - MINUTE) == closed
    of_all = [(end, number) for number, is_open in enumerate(opened) for end in expected_changes(is_open)[1]]
    found = rules.ends(moments[0], moments[-1])
    assert sorted((end, rules.rules.index(rule)) for rule, end in found) == sorted(of_all)
    assert [end for _, end in found] == sorted(end for end, _ in of_all)
    for name, kind in product(("a", "ab", "b", "xb", "cc"), ("sms", "voice", None)):
        campaign = Campaign("cd-1", "Active", name, kind)
        first = next((number for number, (_, scope) in enumerate(rules_drawn) if applies(scope, name, kind)), None)
        for moment in (moments[number] for number in samples[:5]):
            assert rules.is_open(campaign, moment) == (first is not None and opened[first][moment])
            later = [end for end, number in of_all if number == first and end > moment]
            end = rules.next_end(campaign, moment)
            assert (end if end and end <= moments[-1] else None) == min(later, default=None)


def applies(scope: Mapping[str, Any], name: str, campaign_type: str | None) -> bool:
    is_named = any(fnmatchcase(name, pattern) for pattern in scope.get("name_pattern", ["*"]))
    return is_named and campaign_type in scope.get("campaign_types", [campaign_type])


def walk(following: Callable[[datetime], datetime | None], first: datetime, last: datetime) -> list[datetime]:
    """Return every moment from the first, exclusive, to the last that leads from one to the next."""
    found = []
    while (moment := following(first)) and moment <= last:
        found.append(first := moment)
    return found
