"""When campaigns may run, minute by minute and by definition: what the package computes is compared with this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

Rule = Mapping[str, Any]

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MINUTE = timedelta(minutes=1)
A_DAY, A_WEEK = 24 * 60, 7 * 24 * 60


def rule_of(rules: Sequence[Rule], name: str, campaign_type: str) -> Rule | None:
    """Return the first rule that matches a campaign."""
    for rule in rules:
        patterns = rule.get("name_pattern") or ["*"]
        patterns = [patterns] if isinstance(patterns, str) else patterns
        if rule.get("ignore_case"):
            matches = any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
        else:
            matches = any(fnmatchcase(name, pattern) for pattern in patterns)
        if matches and campaign_type in (rule.get("campaign_types") or [campaign_type]):
            return rule
    return None


def is_open(rule: Rule | None, at: datetime) -> bool:
    """Return whether the campaigns of a rule may run at a moment; none for those that no rule matches."""
    if rule is None:
        return False
    if "open" in rule:
        return bool(rule["open"])
    local = at.astimezone(ZoneInfo(rule["timezone"])).replace(tzinfo=None)
    for override in reversed(rule.get("overrides") or []):
        until = override.get("until")
        if datetime.fromisoformat(override["from"]) <= local and (
            until is None or local < datetime.fromisoformat(until)
        ):
            return bool(override.get("open", False))
    if local.date().isoformat() in (rule.get("closed_dates") or []):
        return False
    minute = local.weekday() * A_DAY + local.hour * 60 + local.minute
    return any((minute - start) % A_WEEK < length for start, length in _windows(rule))


def _windows(rule: Rule) -> Iterator[tuple[int, int]]:
    """Yield the minute of the week at which each window starts, and how many minutes it is long."""
    for entry in rule["days"]:
        start, end = (_minutes(entry[key]) for key in ("start", "end"))
        days = [DAYS.index(entry["day"])] if entry.get("day") else range(7)
        for day in days:
            yield day * A_DAY + start, (end - start) % A_DAY or A_DAY


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def ends(rule: Rule | None, since: datetime, until: datetime) -> list[datetime]:
    """Return the moments at which a rule's campaigns may no longer run, later than one moment, up to another."""
    count = int((until - since) / MINUTE)
    moments = [since + number * MINUTE for number in range(count + 1)]
    states = [is_open(rule, moment) for moment in moments]
    return [moments[number] for number in range(1, count + 1) if states[number - 1] and not states[number]]
