"""Which campaign has which calling hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_campaign.calling_hours.hours import ALL, CallingHours
from airflow_provider_campaign.calling_hours.reading import (
    HOURS_KEYS,
    calling_hours_error,
    parse_literal,
    read_flag,
    read_hours,
    read_object,
    read_words,
)
from airflow_provider_campaign.campaign import Campaign, CampaignType, pattern_problem

RULE_KEYS = ("name", "name_pattern", "ignore_case", "campaign_types")


@dataclass(frozen=True)
class CallingRules:
    """
    Rules, of which the first that matches a campaign applies. A campaign that none matches is closed at all times.

    :param warnings: What can be read, but is hardly meant.
    """

    rules: tuple[CallingHours, ...]
    warnings: tuple[str, ...] = ()

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
        is_list = isinstance(value, list | tuple)
        given = {f"callingHours[{number}]": rule for number, rule in enumerate(value)} if is_list else {}
        if is_list and not given:
            fix = "Give at least one rule, or leave the calling hours out."
            raise calling_hours_error("callingHours", value, "which has no rule", fix)
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
    rule = read_object(path, value, (*RULE_KEYS, *HOURS_KEYS))
    hours = read_hours(path, {key: rule[key] for key in rule if key not in RULE_KEYS})
    patterns = read_words(f"{path}.name_pattern", rule.get("name_pattern")) or (ALL,)
    for pattern in patterns:
        if problem := pattern_problem(pattern):
            raise calling_hours_error(f"{path}.name_pattern", pattern, *problem)
    types = tuple(word.casefold() for word in read_words(f"{path}.campaign_types", rule.get("campaign_types")))
    for word in types:
        if word not in list(CampaignType):
            fix = f"Use some of {', '.join(CampaignType)}."
            raise calling_hours_error(f"{path}.campaign_types", word, "which is no type of campaign", fix)
    ignore_case = read_flag(f"{path}.ignore_case", rule.get("ignore_case") or False)
    default = ", ".join(patterns) + (f" ({', '.join(types)})" if types else "")
    name = _read_name(f"{path}.name", rule.get("name"), default, taken)
    return CallingHours(**hours, name=name, name_patterns=patterns, campaign_types=types, ignore_case=ignore_case)


def _read_name(path: str, value: Any, default: str, taken: list[str]) -> str:
    names = read_words(path, value) or (f"{default} ({len(taken) + 1})" if default in taken else default,)
    if len(names) > 1 or names[0] in taken:
        raise calling_hours_error(path, value, "which is no name, or another rule's", "Give each rule its own name.")
    return names[0]


def _unreachable(rules: list[CallingHours]) -> list[str]:
    """Return a warning if a rule for every campaign stands before others, which then never apply."""
    for number, rule in enumerate(rules[:-1]):
        if rule.matches_all:
            later = ", ".join(repr(later.name) for later in rules[number + 1 :])
            return [f"Calling hours: rule {rule.name!r} applies to every campaign, so that {later} never will."]
    return []
