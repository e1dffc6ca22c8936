"""The closings that calling hours expect, compared with records: what is known of each end, and what is not."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.calling_hours import CallingRule, CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.records.chain import RecordFile
from airflow_provider_campaign.records.record import Titles, run_name, title, titles

IN_TIME, LATE, LIVE_AGAIN, NOT_CLOSED = "in time", "late", "live again", "not closed"
DRY_RUN, OUT_OF_SCOPE, SKIPPED, NO_EVIDENCE = "dry run", "out of scope", "skipped", "no evidence"

FIRST_LOOK = timedelta(minutes=5)
"""A run that begins later than this after an end can't show live campaigns before it: the closing is late."""


@dataclass(frozen=True)
class ClosingRow:
    """
    What is known of one end of calling hours of one account.

    :param end: The end (ISO 8601, UTC); ``local_end`` is the same in the rule's time zone.
    :param outcome: ``in time``, ``late``, ``live again``, ``not closed``, ``dry run``, ``out of scope``, ``skipped`` or
        ``no evidence``.
    :param seconds_late: From the end to when the last campaign was verified stopped, or to the first look at them.
    :param campaigns: Those that were live at the end, were not closed, or were left out.
    :param live_again: Those that were live after the closing had been verified.
    :param run: Which run has said so, in the record at ``path`` with ``sha256``; None without evidence, except of a run
        that has reported the end as missed.
    """

    connection_id: str
    rule: str
    end: str
    local_end: str
    outcome: str
    seconds_late: float | None = None
    campaigns: list[str] = field(default_factory=list)
    live_again: list[str] = field(default_factory=list)
    run: str | None = None
    path: str | None = None
    sha256: str | None = None

    @property
    def description(self) -> str:
        """The outcome in words."""
        late = f"late by {timedelta(seconds=round(self.seconds_late or 0))}"
        return late if self.outcome == LATE else self.outcome


@dataclass(frozen=True)
class _Evidence:
    """What one record says of one end; ``campaigns`` are those that it left out, or has not verified."""

    file: RecordFile
    at: datetime
    campaigns: Titles = field(default_factory=dict)
    seconds_late: float = 0.0
    live_at_end: tuple[str, ...] = ()


@dataclass
class _Closing:
    """One end, and what the records say of it."""

    rule: CallingRule
    end: datetime
    verified: dict[frozenset[str], _Evidence] = field(default_factory=dict)
    """The earliest, by the ids of the live campaigns that were left out."""
    others: dict[tuple[str, str], _Evidence] = field(default_factory=dict)
    """The last of another outcome, by that and the scope."""
    first_failure: datetime | None = None
    """When the first run ended after the end that had not verified it."""
    found_live: list[tuple[datetime, Titles]] = field(default_factory=list)
    """Campaigns that were found live while closed, and when."""

    def note_verified(self, evidence: _Evidence) -> None:
        key = frozenset(evidence.campaigns)
        if key not in self.verified or evidence.at < self.verified[key].at:
            self.verified[key] = evidence

    def note_other(self, outcome: str, evidence: _Evidence) -> None:
        key = (outcome, str((evidence.file.record or {})["scope"]))
        if key not in self.others or evidence.at > self.others[key].at:
            self.others[key] = evidence
        if outcome == NOT_CLOSED and evidence.at >= self.end:
            self.first_failure = min(self.first_failure or evidence.at, evidence.at)

    def row(self, connection_id: str) -> ClosingRow:
        outcome, evidence, known = self._outcome()
        again = {
            k: v for at, found in self.found_live if evidence is None or at >= evidence.at for k, v in found.items()
        }
        return ClosingRow(
            connection_id=connection_id,
            rule=self.rule.name,
            end=self.end.isoformat(),
            local_end=self.rule.local(self.end),
            outcome=LIVE_AGAIN if again and outcome == IN_TIME else outcome,
            live_again=list(again.values()),
            run=run_name(evidence.file.record or {}) if evidence else None,
            path=evidence.file.path if evidence else None,
            sha256=evidence.file.sha256 if evidence else None,
            **known,
        )

    def _outcome(self) -> tuple[str, _Evidence | None, dict[str, Any]]:
        """Return the outcome, what shows it, and what is known of it."""
        left_out: Titles | None = None
        seen: list[_Evidence] = []
        for evidence in sorted(self.verified.values(), key=lambda each: each.at):
            seen.append(evidence)
            found = evidence.campaigns
            left_out = found if left_out is None else {each: found[each] for each in left_out if each in found}
            if not left_out:
                return self._verified(seen)
        failed = self._others(NOT_CLOSED)
        titles = {key: title for each in failed for key, title in each.campaigns.items()}
        not_closed = [title for key, title in titles.items() if left_out is None or key in left_out]
        if failed and (left_out is None or not_closed):
            return NOT_CLOSED, failed[-1], {"campaigns": not_closed}
        if left_out:
            return OUT_OF_SCOPE, seen[-1], {"campaigns": list(left_out.values())}
        for outcome in (DRY_RUN, SKIPPED, NO_EVIDENCE):
            for evidence in reversed(self._others(outcome)):
                return outcome, evidence, {"campaigns": list(evidence.campaigns.values())}
        return NO_EVIDENCE, None, {}

    def _others(self, outcome: str) -> list[_Evidence]:
        found = (evidence for (each, _), evidence in self.others.items() if each == outcome)
        return sorted(found, key=lambda each: each.at)

    def _verified(self, seen: list[_Evidence]) -> tuple[str, _Evidence, dict[str, Any]]:
        """Return the outcome where all records together have left nothing out."""
        last = seen[-1]
        seconds = max(each.seconds_late for each in seen)
        if self.first_failure is not None and self.first_failure <= last.at:
            seconds = max(seconds, (last.at - self.end).total_seconds())
        if not seconds:
            return IN_TIME, last, {}
        late = [title for each in seen for title in each.live_at_end]
        return LATE, last, {"seconds_late": round(seconds, 1), "campaigns": late}


class ExpectedClosings:
    """
    Every past end of calling hours in a span, by account, and what records say of it.

    :param rules: The calling hours of each account that there should be, by connection id.
    :param since: The first day, of each rule's time zone; or a moment.
    :param until: The last day, or a moment.
    :param now: Later ends are not expected yet.
    """

    def __init__(self, rules: Mapping[str, CallingRules], since: date, until: date, now: datetime) -> None:
        self._rules = rules
        self._closings: dict[tuple[str, str], list[_Closing]] = {}
        for conn_id, rule in ((conn_id, rule) for conn_id, each in rules.items() for rule in each.rules):
            last = min(day_limit(until, rule.zone, days=1), now)
            ends = rule.ends(day_limit(since, rule.zone), last)
            self._closings[conn_id, rule.name] = [_Closing(rule, end) for end in ends]
        self._by_end = {
            (*key, closing.end.isoformat()): closing for key, each in self._closings.items() for closing in each
        }
        self.unexpected: set[str] = set()
        """The connections that have records, and of which no calling hours are given."""

    def add(self, file: RecordFile) -> None:
        """Take in a record; their order does not matter."""
        record = file.record
        if record is None or record["action"] != "sweep":
            return
        conn_id = record["connection_id"]
        if conn_id not in self._rules:
            self.unexpected.update({conn_id} - {None})
            return
        for campaign in record["campaigns"]:
            if campaign["is_incident"] and (closing := self._by_end.get((conn_id, campaign["rule"], campaign["end"]))):
                closing.found_live.append((_at(record["ended_at"]), titles([campaign])))
        for each in record["missed_closings"]:
            if closing := self._by_end.get((conn_id, each["rule"], each["end"])):
                closing.note_other(NO_EVIDENCE, _Evidence(file, _at(record["ended_at"])))
        for each in record["closings"]:
            if closing := self._by_end.get((conn_id, each["rule"], each["end"])):
                self._note(closing, file, each["verified_at"], each["live_at_end"])
        if not record["closings"]:
            for closing in self._closed_during(record):
                is_done = record["outcome"] == "success" and record["began_at"] >= closing.end.isoformat()
                self._note(closing, file, record["ended_at"] if is_done else None)

    def rows(self) -> list[ClosingRow]:
        """Return what is known of each end, by account and time."""
        rows = [closing.row(conn_id) for (conn_id, _), each in self._closings.items() for closing in each]
        return sorted(rows, key=lambda row: (row.connection_id, row.end))

    def _closed_during(self, record: Mapping[str, Any]) -> Iterator[_Closing]:
        """Yield the ends that a record which names none is about: those whose closed hours its run has touched."""
        began, until = _at(record["began_at"]), _at(max(record["ended_at"], record["window_end"] or ""))
        for rule in self._rules[record["connection_id"]].rules:
            closings = self._closings[record["connection_id"], rule.name]
            if found := bisect_right(closings, until, key=lambda closing: closing.end):
                latest = closings[found - 1]
                opens = rule.next_start(latest.end)
                if opens is None or began < opens:
                    yield latest

    def _note(
        self, closing: _Closing, file: RecordFile, verified_at: str | None, live_at_end: Iterable[str] = ()
    ) -> None:
        """Note what a record says of an end."""
        record: Mapping[str, Any] = file.record or {}
        own = [each for each in record["campaigns"] if self._is_of(closing, record, each)]
        left = [each for each in own if not each["confirmed_at"]]
        if record["scope"].get("dry_run"):
            closing.note_other(DRY_RUN, _Evidence(file, _at(record["ended_at"]), titles(left)))
        elif verified_at is None and record["outcome"] != "success":
            outcome = SKIPPED if record["outcome"] == "skipped" else NOT_CLOSED
            closing.note_other(outcome, _Evidence(file, _at(record["ended_at"]), titles(left)))
        elif verified_at is not None:
            late = [each for each in own if each["campaign_id"] in live_at_end or not record["closings"]]
            self._note_verified(closing, file, _at(verified_at), late)
            if unmatched := titles(each for each in left if each["end"] is None):
                closing.note_other(NOT_CLOSED, _Evidence(file, _at(record["ended_at"]), unmatched))

    def _note_verified(
        self, closing: _Closing, file: RecordFile, at: datetime, late: Sequence[Mapping[str, Any]]
    ) -> None:
        """Note that a record shows no campaign live but those that were left out."""
        record: Mapping[str, Any] = file.record or {}
        began = _at(record["began_at"])
        moments = [_at(each["confirmed_at"]) for each in late if each["confirmed_at"]]
        moments += [at] if began > closing.end + FIRST_LOOK else []
        seconds = max(((moment - closing.end).total_seconds() for moment in moments), default=0.0)
        left_open = ({**each, "excluded_by": "calling_hours"} for each in record["open_until"])
        left_out = {
            each["campaign_id"]: f"{title(each)} by {each['excluded_by']}"
            for each in (*record["excluded"], *left_open)
            if self._rule_of(record, each) in (None, closing.rule.name)
        }
        left_out |= titles(each for each in record["campaigns"] if not (each["confirmed_at"] or each["end"]))
        closing.note_verified(_Evidence(file, at, left_out, max(seconds, 0.0), tuple(map(title, late))))
        if not record["closings"] and late:
            closing.found_live.append((began, titles(late)))

    def _is_of(self, closing: _Closing, record: Mapping[str, Any], campaign: Mapping[str, Any]) -> bool:
        """Return whether a campaign in a record was stopped for an end, or is one that no rule has a time for."""
        if campaign["rule"] is not None:
            return (campaign["rule"], campaign["end"]) == (closing.rule.name, closing.end.isoformat())
        return self._rule_of(record, campaign) in (None, closing.rule.name)

    def _rule_of(self, record: Mapping[str, Any], campaign: Mapping[str, Any]) -> str | None:
        named = Campaign(campaign["campaign_id"], "unknown", campaign["name"], campaign["campaign_type"])
        rule = self._rules[record["connection_id"]].rule_for(named)
        return rule.name if rule else None


def closing_rows(
    rules: Mapping[str, CallingRules], files: Iterable[RecordFile], since: date, until: date, now: datetime
) -> list[ClosingRow]:
    """Return what records say of each end of calling hours in a span; see :class:`ExpectedClosings`."""
    closings = ExpectedClosings(rules, since, until, now)
    for file in files:
        closings.add(file)
    return closings.rows()


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def day_limit(day: date, zone: ZoneInfo, *, days: int = 0) -> datetime:
    """Return the midnight at which a day begins in a zone, or one some days later; a moment as it is."""
    if isinstance(day, datetime):
        return day
    return datetime.combine(day + timedelta(days=days), time.min, zone).astimezone(UTC)
