"""By when each campaign must be stopped, and which ends of calling hours a sweep has verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.sweep.plan import NOW, STOPPING_TIME


@dataclass(frozen=True)
class Closing:
    """
    The end of calling hours that a campaign has to be stopped for.

    :param rule: The rule's name, None if no rule matches or there are no calling hours.
    :param end: When the calling hours end, or ended (seconds since the epoch); None if there is no such moment.
    :param stop_by: When the stop has to be sent (seconds since the epoch); None if the campaign stays open.
    """

    rule: str | None = None
    end: float | None = None
    stop_by: float | None = NOW


@dataclass(frozen=True)
class Schedule:
    """
    The closings of one run.

    :param rules: None if there are no calling hours: everything must be stopped now.
    :param margin: Seconds before an end by which campaigns are to be verified stopped.
    :param until: The last end that the run waits for (seconds since the epoch), None if it waits for none.
    """

    rules: CallingRules | None = None
    margin: float = 0.0
    until: float | None = None

    @classmethod
    def of_run(cls, rules: CallingRules | None, margin: float, look_ahead: float, now: float) -> Schedule:
        """Return the closings of a run that begins now and waits for ends no further away than ``look_ahead``."""
        if rules is None:
            return cls()
        ends = rules.ends(_moment(now), _moment(now + look_ahead))
        return cls(rules, margin, ends[-1][1].timestamp() if ends else None)

    def closing_of(self, campaign: Campaign, now: float) -> Closing:
        """Return the closing that a campaign has to be stopped for, as of a moment."""
        rule = self.rules.rule_for(campaign) if self.rules else None
        if rule is None:
            return Closing()
        at = _moment(now)
        if not rule.is_open(at):
            return Closing(rule.name, _seconds(rule.last_end(at)))
        end = _seconds(rule.next_end(at))
        if end is None or self.until is None or end > self.until:
            return Closing(rule.name, end, None)
        return Closing(rule.name, end, end - self.margin - STOPPING_TIME)

    def next_look(self, after: float) -> float | None:
        """Return when live campaigns have to be listed next, whatever is known of them; None if not again."""
        if self.rules is None or self.until is None or after >= self.until:
            return None
        looks = (
            end.timestamp() - before
            for _, end in self.rules.ends(_moment(after), _moment(self.until))
            for before in (self.margin + STOPPING_TIME, STOPPING_TIME, 0.0)
        )
        return min(look for look in looks if look > after)

    def closed(self, now: float) -> set[tuple[str | None, float]]:
        """Return the rules that are closed, each by its name and the end of its hours (seconds since the epoch)."""
        at = _moment(now)
        closed = ((rule, _seconds(rule.last_end(at))) for rule in (self.rules.rules if self.rules else ()))
        return {(rule.name, end) for rule, end in closed if end is not None and not rule.is_open(at)}

    def required(self, now: float) -> set[tuple[str | None, float]]:
        """Return the ends that a run which begins now has to verify, by the rule's name and the end."""
        if self.rules is None:
            return set()
        ends = self.rules.ends(_moment(now), _moment(self.until)) if self.until else ()
        return self.closed(now) | {(rule.name, end.timestamp()) for rule, end in ends}

    def next_start(self, campaign: Campaign, now: float) -> datetime | None:
        """Return when a campaign's calling hours start next, None if unknown."""
        return self.rules.next_start(campaign, _moment(now)) if self.rules else None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
