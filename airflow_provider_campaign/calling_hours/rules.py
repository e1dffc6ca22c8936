"""Which campaign has which calling hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from typing import Any, Protocol

from airflow_provider_campaign.calling_hours.fields import (
    calling_hours_error,
    parse_literal,
    read_flag,
    read_object,
    read_words,
)
from airflow_provider_campaign.calling_hours.hours import HOURS_KEYS, CallingHours, read_hours
from airflow_provider_campaign.campaign import CampaignType, matches_pattern, pattern_problem

RULE_KEYS = ("name", "name_pattern", "ignore_case", "campaign_types")

ALL = "*"
"""The name of a rule that applies to every campaign."""


class NamedCampaign(Protocol):
    """What a rule looks at."""

    @property
    def name(self) -> str | None: ...

    @property
    def campaign_type(self) -> str | None: ...


@dataclass(frozen=True, kw_only=True)
class CallingRule(CallingHours):
    """
    Calling hours, and the campaigns that they are for.

    :param name: Unique among the rules; made from patterns and types if none is given.
    :param name_patterns: Patterns of the campaign's name; none for every name.
    :param campaign_types: Types of campaigns; none for every type.
    """

    name: str
    name_patterns: tuple[str, ...] = ()
    campaign_types: tuple[str, ...] = ()
    ignore_case: bool = False

    def matches(self, campaign: NamedCampaign) -> bool:
        if self.campaign_types and campaign.campaign_type not in self.campaign_types:
            return False
        patterns = self.name_patterns or (ALL,)
        return matches_pattern(campaign.name, patterns, ignore_case=self.ignore_case)

    @property
    def matches_all(self) -> bool:
        return not self.campaign_types and (not self.name_patterns or ALL in self.name_patterns)


@dataclass(frozen=True)
class CallingRules:
    """
    Rules, of which the first that matches a campaign applies. A campaign that none matches is closed at all times.

    :param warnings: What can be read, but is hardly meant.
    """

    rules: tuple[CallingRule, ...]
    warnings: tuple[str, ...] = ()
    _rule_of: dict[tuple[str | None, str | None], CallingRule | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def read(cls, value: Any) -> CallingRules:
        """
        Read a list of rules, one rule, or the JSON text of either.

        :raises CampaignConfigError: When a key is unknown, or a field is unreadable.
        """
        if isinstance(value, CallingRules):
            return value
        if isinstance(value, str):
            value = parse_literal("callingHours", value)
        if isinstance(value, list | tuple):
            given = {f"callingHours[{number}]": rule for number, rule in enumerate(value)}
        else:
            given = {"callingHours": value}
        if not given:
            fix = "Give at least one rule, or leave the calling hours out."
            raise calling_hours_error("callingHours", value, "which has no rule", fix)
        rules: list[CallingRule] = []
        for path, rule in given.items():
            rules.append(_read_rule(path, rule, [other.name for other in rules]))
        warnings = [warning for rule in rules for warning in rule.warnings]
        return cls(tuple(rules), (*warnings, *_unreachable(rules)))

    @property
    def need_names(self) -> bool:
        """Whether a campaign's name has a say in which rule applies to it."""
        return any(rule.name_patterns for rule in self.rules)

    def rule_for(self, campaign: NamedCampaign) -> CallingRule | None:
        """Return the first rule that matches a campaign; None if none does, which is closed at all times."""
        key = (campaign.name, campaign.campaign_type)
        if key not in self._rule_of:
            self._rule_of[key] = next((rule for rule in self.rules if rule.matches(campaign)), None)
        return self._rule_of[key]

    def is_open(self, campaign: NamedCampaign, at: datetime) -> bool:
        """Return whether a campaign may run; at the moment of an end it may no longer."""
        rule = self.rule_for(campaign)
        return rule is not None and rule.is_open(at)

    def next_end(self, campaign: NamedCampaign, after: datetime) -> datetime | None:
        """Return a campaign's first end (UTC) that is later than a moment, if one comes within 400 days."""
        rule = self.rule_for(campaign)
        return rule.next_end(after) if rule else None

    def next_start(self, campaign: NamedCampaign, after: datetime) -> datetime | None:
        """Return a campaign's first start (UTC) that is later than a moment, if one comes within 400 days."""
        rule = self.rule_for(campaign)
        return rule.next_start(after) if rule else None

    def ends(self, start: datetime, until: datetime) -> list[tuple[CallingRule, datetime]]:
        """Return the ends (UTC) of all rules, later than one moment and not later than another, in order."""
        found = [(rule, end) for rule in self.rules for end in rule.ends(start, until)]
        return sorted(found, key=lambda rule_and_end: rule_and_end[1])


def _read_rule(path: str, value: Any, taken: list[str]) -> CallingRule:
    keys = (*RULE_KEYS, *HOURS_KEYS)
    rule = read_object(path, value, keys, "Give the object that the platform shows, or a list of rules.")
    given = {key: rule[key] for key in RULE_KEYS if rule.get(key) is not None}
    hours = read_hours(path, {key: rule[key] for key in rule if key not in RULE_KEYS})
    patterns = read_words(f"{path}.name_pattern", given.get("name_pattern"))
    for pattern in patterns:
        if problem := pattern_problem(pattern):
            raise calling_hours_error(f"{path}.name_pattern", pattern, *problem)
    types = _read_types(f"{path}.campaign_types", given.get("campaign_types"))
    ignore_case = read_flag(f"{path}.ignore_case", given.get("ignore_case", False))
    name = _read_name(f"{path}.name", given.get("name"), _described(patterns, types), taken)
    return CallingRule(**hours, name=name, name_patterns=patterns, campaign_types=types, ignore_case=ignore_case)


def _read_types(path: str, value: Any) -> tuple[str, ...]:
    words = read_words(path, value.split(",") if isinstance(value, str) and "[" not in value else value)
    types = tuple(word.casefold() for word in words)
    for word in types:
        if word not in list(CampaignType):
            fix = f"Use some of {', '.join(CampaignType)}."
            raise calling_hours_error(path, word, "which is no type of campaign", fix)
    return types


def _read_name(path: str, value: Any, description: str, taken: list[str]) -> str:
    names = read_words(path, value)
    if len(names) > 1 or (names and names[0] in taken):
        raise calling_hours_error(path, value, "which is no name, or another rule's", "Give each rule its own name.")
    if names:
        return names[0]
    numbered = (f"{description} ({number})" for number in count(2))
    return next(name for name in chain([description], numbered) if name not in taken)


def _described(patterns: tuple[str, ...], types: tuple[str, ...]) -> str:
    """Return a name for a rule that was not given one, such as ``FL-*, GA-* (sms)``."""
    return (", ".join(patterns) or ALL) + (f" ({', '.join(types)})" if types else "")


def _unreachable(rules: list[CallingRule]) -> list[str]:
    """Return a warning if a rule for every campaign stands before others, which then never apply."""
    for number, rule in enumerate(rules[:-1]):
        if rule.matches_all:
            later = ", ".join(repr(later.name) for later in rules[number + 1 :])
            return [f"Calling hours: rule {rule.name!r} applies to every campaign, so that {later} never will."]
    return []
