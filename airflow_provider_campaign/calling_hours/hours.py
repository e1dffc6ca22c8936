"""When campaigns may run: in the windows of a week, unless an override says otherwise; and which campaign when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.calling_hours import reading
from airflow_provider_campaign.campaign import Campaign, CampaignType, matches_pattern, pattern_problem

RULE_KEYS = ("name", "name_pattern", "ignore_case", "campaign_types")
ALL = "*"  # the name of a rule that applies to every campaign, and the pattern of every name
MAX_SEARCH = timedelta(days=400)  # how far ahead or back an end or a start is looked for

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, DAY, WEEK = timedelta(minutes=1), timedelta(days=1), timedelta(weeks=1)
PERIOD = timedelta(days=28)  # the openings of a period are computed together, and once
MARGIN = timedelta(days=3)  # longer than any clock differs from UTC, and than any change of it

Opening = tuple[datetime, datetime]  # start and end
STARTS, ENDS = 0, 1


@dataclass(frozen=True)
class CallingHours:
    """When campaigns may run; as one of several rules, also which campaigns."""

    zone: ZoneInfo
    windows: tuple[range, ...]  # minutes since Monday 00:00, in order; the last may reach into the next week
    overrides: tuple[reading.Override, ...] = ()  # in place of windows; closed dates first; a later one counts more
    warnings: tuple[str, ...] = ()  # what can be read, but is hardly meant
    name: str = ALL  # unique among the rules
    name_patterns: tuple[str, ...] = (ALL,)
    campaign_types: tuple[str, ...] = ()  # none for every type
    ignore_case: bool = False

    @classmethod
    def read(cls, calling_hours: Mapping[str, Any]) -> CallingHours:
        """Read the platform's ``callingHours`` object; also ``open``, ``closed_dates``, and ``overrides``."""
        return cls(**reading.read_hours("callingHours", calling_hours))

    def matches(self, campaign: Campaign) -> bool:
        if self.campaign_types and campaign.campaign_type not in self.campaign_types:
            return False
        return matches_pattern(campaign.name, self.name_patterns, ignore_case=self.ignore_case)

    def is_open(self, at: datetime) -> bool:
        """Return whether campaigns may run; at the moment of an end they may no longer."""
        return any(opens <= at < closes for opens, closes in self._openings(_period_of(at)))

    def next_end(self, after: datetime) -> datetime | None:
        """Return the first end (UTC) that is later than a moment, if one comes within 400 days."""
        return next(self._changes(ENDS, after, after + MAX_SEARCH), None)

    def next_start(self, after: datetime) -> datetime | None:
        """Return the first start (UTC) that is later than a moment, if one comes within 400 days."""
        return next(self._changes(STARTS, after, after + MAX_SEARCH), None)

    def last_end(self, at: datetime) -> datetime | None:
        """Return the latest end (UTC) that is not later than a moment, if there is one in the 400 days before."""
        moments = (at - days * DAY for days in range(0, MAX_SEARCH.days, PERIOD.days))
        return next((found[-1] for until in moments if (found := self.ends(until - PERIOD, until))), None)

    def ends(self, start: datetime, until: datetime) -> list[datetime]:
        """Return the ends (UTC) that are later than one moment and not later than another."""
        return list(self._changes(ENDS, start, until))

    def local(self, moment: datetime) -> str:
        """Return a moment as the clock of the time zone shows it."""
        return moment.astimezone(self.zone).isoformat(timespec="minutes")

    def _changes(self, which: int, after: datetime, until: datetime) -> Iterator[datetime]:
        for number in range(_period_of(after), _period_of(until) + 1):
            changes = (opening[which] for opening in self._openings(number))
            yield from (each for each in changes if after < each <= until and _period_of(each) == number)

    @cached_property
    def _periods(self) -> dict[int, list[Opening]]:
        return {}

    def _openings(self, number: int) -> list[Opening]:
        """Return the openings (UTC) of a period and a bit around it."""
        if number not in self._periods:
            first = (EPOCH + number * PERIOD).replace(tzinfo=None)
            local = self._local(first - MARGIN, first + PERIOD + MARGIN)
            moments = [(_moment(opens, self.zone, 1), _moment(closes, self.zone, 0)) for opens, closes in local]
            self._periods[number] = _joined((opens, closes) for opens, closes in moments if opens < closes)
        return self._periods[number]

    def _local(self, first: datetime, last: datetime) -> list[Opening]:
        monday = datetime.combine(first, time()) - first.weekday() * DAY - WEEK
        openings = [
            (monday + week * WEEK + window.start * MINUTE, monday + week * WEEK + window.stop * MINUTE)
            for week in range((last - monday) // WEEK + 1)
            for window in self.windows
        ]
        for begins, ends, is_open in self.overrides:
            start, end = max(begins, first), min(ends or last, last)
            if start < end:
                openings = _without(openings, start, end) + [(start, end)] * is_open
        return _joined(openings)


@dataclass(frozen=True)
class CallingRules:
    """Rules: the first that matches a campaign applies, and a campaign that none matches is closed at all times."""

    rules: tuple[CallingHours, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: Any) -> CallingRules:
        """Read a list of rules, one rule, or the JSON text of either; raise for what is unknown or unreadable."""
        if isinstance(value, CallingRules):
            return value
        if isinstance(value, str):
            value = reading.parse_literal("callingHours", value)
        is_list = isinstance(value, list | tuple)
        given = {f"callingHours[{number}]": rule for number, rule in enumerate(value)} if is_list else {}
        if is_list and not given:
            fix = "Give at least one rule, or leave the calling hours out."
            raise reading.calling_hours_error("callingHours", value, "which has no rule", fix)
        rules: list[CallingHours] = []
        for path, rule in (given or {"callingHours": value}).items():
            rules.append(_read_rule(path, rule, [other.name for other in rules]))
        warnings = [warning for rule in rules for warning in rule.warnings]
        return cls(tuple(rules), (*warnings, *_unreachable(rules)))

    @property
    def need_names(self) -> bool:
        """Whether a campaign's name has a say in which rule applies to it."""
        return any(rule.name_patterns != (ALL,) for rule in self.rules)

    def rule_for(self, campaign: Campaign) -> CallingHours | None:
        """Return the first rule that matches a campaign; None if none does, which is closed at all times."""
        return next((rule for rule in self.rules if rule.matches(campaign)), None)

    def is_open(self, campaign: Campaign, at: datetime) -> bool:
        """Return whether a campaign may run; at the moment of an end it may no longer."""
        rule = self.rule_for(campaign)
        return rule is not None and rule.is_open(at)

    def next_end(self, campaign: Campaign, after: datetime) -> datetime | None:
        """Return a campaign's first end (UTC) that is later than a moment, if one comes within 400 days."""
        rule = self.rule_for(campaign)
        return rule.next_end(after) if rule else None

    def next_start(self, campaign: Campaign, after: datetime) -> datetime | None:
        """Return a campaign's first start (UTC) that is later than a moment, if one comes within 400 days."""
        rule = self.rule_for(campaign)
        return rule.next_start(after) if rule else None

    def ends(self, start: datetime, until: datetime) -> list[tuple[CallingHours, datetime]]:
        """Return the ends (UTC) of all rules, later than one moment and not later than another, in order."""
        found = [(rule, end) for rule in self.rules for end in rule.ends(start, until)]
        return sorted(found, key=lambda rule_and_end: rule_and_end[1])


def _read_rule(path: str, value: Any, taken: list[str]) -> CallingHours:
    rule = reading.read_object(path, value, (*RULE_KEYS, *reading.HOURS_KEYS))
    hours = reading.read_hours(path, {key: rule[key] for key in rule if key not in RULE_KEYS})
    patterns = reading.read_words(f"{path}.name_pattern", rule.get("name_pattern")) or (ALL,)
    for pattern in patterns:
        if problem := pattern_problem(pattern):
            raise reading.calling_hours_error(f"{path}.name_pattern", pattern, *problem)
    types = tuple(word.casefold() for word in reading.read_words(f"{path}.campaign_types", rule.get("campaign_types")))
    for word in types:
        if word not in list(CampaignType):
            fix = f"Use some of {', '.join(CampaignType)}."
            raise reading.calling_hours_error(f"{path}.campaign_types", word, "which is no type of campaign", fix)
    ignore_case = reading.read_flag(f"{path}.ignore_case", rule.get("ignore_case") or False)
    default = ", ".join(patterns) + (f" ({', '.join(types)})" if types else "")
    name = _read_name(f"{path}.name", rule.get("name"), default, taken)
    return CallingHours(**hours, name=name, name_patterns=patterns, campaign_types=types, ignore_case=ignore_case)


def _read_name(path: str, value: Any, default: str, taken: list[str]) -> str:
    names = reading.read_words(path, value) or (f"{default} ({len(taken) + 1})" if default in taken else default,)
    if len(names) > 1 or names[0] in taken:
        problem = "which is no name, or another rule's"
        raise reading.calling_hours_error(path, value, problem, "Give each rule its own name.")
    return names[0]


def _unreachable(rules: list[CallingHours]) -> list[str]:
    """Return a warning if a rule for every campaign stands before others, which then never apply."""
    for number, rule in enumerate(rules[:-1]):
        if not rule.campaign_types and ALL in rule.name_patterns:
            later = ", ".join(repr(later.name) for later in rules[number + 1 :])
            return [f"Calling hours: rule {rule.name!r} applies to every campaign, so that {later} never will."]
    return []


def _period_of(moment: datetime) -> int:
    return int(moment.timestamp() // PERIOD.total_seconds())


def _without(openings: Iterable[Opening], start: datetime, end: datetime) -> list[Opening]:
    parts = (part for opens, closes in openings for part in ((opens, min(closes, start)), (max(opens, end), closes)))
    return [(opens, closes) for opens, closes in parts if opens < closes]


def _joined(openings: Iterable[Opening]) -> list[Opening]:
    found: list[Opening] = []
    for opens, closes in sorted(openings):
        if found and opens <= found[-1][1]:
            opens, closes = found[-1][0], max(found.pop()[1], closes)
        found.append((opens, closes))
    return found


def _moment(local: datetime, zone: ZoneInfo, fold: int) -> datetime:
    """
    Return the moment (UTC) at which the clock shows a time, or jumps over it.

    Of a time that it shows twice, what is open ends at the first (fold 0) and starts at the second (fold 1), so that
    nobody is called late or early.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return (first, second)[fold]
    jump_or_before = second.replace(second=0, microsecond=0)
    moments = (jump_or_before + minutes * MINUTE for minutes in count())
    return next(moment for moment in moments if moment.astimezone(zone).replace(tzinfo=None) >= local)
