"""The closings that calling hours expect, compared with records: what is known of each end, and what is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_campaign.calling_hours import CallingHours, CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.records.progress import JSON
from airflow_provider_campaign.records.record import Titles, run_name, title, titles
from airflow_provider_campaign.records.shape import RecordFile

IN_TIME, LATE, LIVE_AGAIN, NOT_CLOSED = "in time", "late", "live again", "not closed"
DRY_RUN, OUT_OF_SCOPE, SKIPPED, NO_EVIDENCE = "dry run", "out of scope", "skipped", "no evidence"
UNVERIFIED = (NO_EVIDENCE, NOT_CLOSED, DRY_RUN, SKIPPED)

# A run that begins later than this after an end can't show live campaigns before it: the closing is late.
FIRST_LOOK = timedelta(minutes=5)

COLUMNS = (
    *("connection_id", "rule", "end", "local_end", "outcome", "seconds_late", "campaigns", "live_again"),
    *("run", "path", "sha256"),  # of the record that shows it, None without one
)

_at, _moment = datetime.fromisoformat, attrgetter("at")


@dataclass(frozen=True)
class _Evidence:
    """What one record says of one end; ``campaigns`` are those that it left out, or has not verified."""

    outcome: str
    file: RecordFile
    at: datetime
    campaigns: Titles = field(default_factory=dict)
    seconds_late: float = 0.0
    live_at_end: tuple[str, ...] = ()


@dataclass
class _Closing:
    """One end, and what the records say of it."""

    rule: CallingHours
    end: datetime
    # The earliest that has verified the end, by the ids of the live campaigns that it left out, and the last of each
    # other outcome, by the scope.
    evidence: dict[tuple[str, object], _Evidence] = field(default_factory=dict)
    # Campaigns that were found live while closed, and when.
    found_live: list[tuple[datetime, Titles]] = field(default_factory=list)

    def note(self, evidence: _Evidence) -> None:
        is_verified = evidence.outcome == IN_TIME
        about = frozenset(evidence.campaigns) if is_verified else str((evidence.file.record or {})["scope"])
        known = self.evidence.get((evidence.outcome, about), evidence)
        self.evidence[evidence.outcome, about] = (min if is_verified else max)(evidence, known, key=_moment)

    def row(self, connection_id: str) -> JSON:
        """Return what is known of the end, by :data:`COLUMNS`."""
        outcome, evidence, campaigns, seconds_late = self._outcome()
        found = [each for at, each in self.found_live if evidence is None or at >= evidence.at]
        live_again = list({key: text for each in found for key, text in each.items()}.values())
        outcome = LIVE_AGAIN if live_again and outcome == IN_TIME else outcome
        end = (self.end.isoformat(), self.rule.local(self.end))
        known = (connection_id, self.rule.name, *end, outcome, seconds_late, campaigns, live_again)
        file = evidence.file if evidence else None
        source = (run_name(file.record or {}), file.path, file.sha256) if file else (None, None, None)
        return dict(zip(COLUMNS, (*known, *source), strict=True))

    def _outcome(self) -> tuple[str, _Evidence | None, list[str], float | None]:
        """Return the outcome, what shows it, the campaigns that it is about, and how late it was."""
        seen: list[_Evidence] = []
        left_out: Titles = {}
        for evidence in self._with(IN_TIME):
            left_out = {key: each for key, each in evidence.campaigns.items() if not seen or key in left_out}
            seen.append(evidence)
            if not left_out:
                seconds_late = round(max(each.seconds_late for each in seen), 1)
                late = [campaign for each in seen for campaign in each.live_at_end]
                return (LATE, evidence, late, seconds_late) if seconds_late else (IN_TIME, evidence, [], None)
        failed = self._with(NOT_CLOSED)
        not_verified = {key: each for evidence in failed for key, each in evidence.campaigns.items()}
        not_closed = [each for key, each in not_verified.items() if not seen or key in left_out]
        if failed and (not seen or not_closed):
            return NOT_CLOSED, failed[-1], not_closed, None
        if seen:
            return OUT_OF_SCOPE, seen[-1], list(left_out.values()), None
        for outcome in (DRY_RUN, SKIPPED, NO_EVIDENCE):
            if found := self._with(outcome):
                return outcome, found[-1], list(found[-1].campaigns.values()), None
        return NO_EVIDENCE, None, [], None

    def _with(self, outcome: str) -> list[_Evidence]:
        return sorted((each for each in self.evidence.values() if each.outcome == outcome), key=_moment)


class ExpectedClosings:
    """
    Every past end of calling hours in a span, by account, and what records say of it.

    :param rules: The calling hours of each account that there should be, by connection id.
    :param since: The first day, of each rule's time zone, or a moment; ``until`` likewise.
    """

    def __init__(self, rules: Mapping[str, CallingRules], since: date, until: date, now: datetime) -> None:
        self._rules = rules
        self._closings: dict[tuple[str, str], dict[str, _Closing]] = {}  # by connection and rule, and by end
        for conn_id, rule in ((conn_id, rule) for conn_id, each in rules.items() for rule in each.rules):
            last = min(day_limit(until, rule.zone, days=1), now)
            ends = rule.ends(day_limit(since, rule.zone), last)
            self._closings[conn_id, rule.name] = {end.isoformat(): _Closing(rule, end) for end in ends}
        self.unexpected: set[str] = set()  # connections that have records, and of which no calling hours are given

    def add(self, file: RecordFile) -> None:
        """Take in a record; their order does not matter."""
        record = file.record
        if record is None or record["action"] != "sweep":
            return
        if record["connection_id"] not in self._rules:
            self.unexpected.update({record["connection_id"]} - {None})
            return
        ended_at = _at(record["ended_at"])
        for closing, campaign in self._named(record, [each for each in record["campaigns"] if each["is_incident"]]):
            closing.found_live.append((ended_at, titles([campaign])))
        for closing, _ in self._named(record, record["missed_closings"]):
            closing.note(_Evidence(NO_EVIDENCE, file, ended_at))
        for closing, each in self._named(record, record["closings"]):
            self._note(closing, file, each["verified_at"], each["live_at_end"])
        for closing in self._closed_during(record) if not record["closings"] else ():
            is_done = record["outcome"] == "success" and record["began_at"] >= closing.end.isoformat()
            self._note(closing, file, record["ended_at"] if is_done else None)

    def rows(self) -> list[JSON]:
        """
        Return what is known of each end, with the keys of ``COLUMNS``, by account and time.

        ``seconds_late`` is from the end to when the last campaign was verified stopped, or to the first look at them;
        ``campaigns`` are those that were live at the end, were not closed, or were left out.
        """
        rows = [closing.row(conn_id) for (conn_id, _), each in self._closings.items() for closing in each.values()]
        return sorted(rows, key=lambda row: (row["connection_id"], row["end"]))

    def _named(self, record: Mapping[str, Any], entries: Iterable[JSON]) -> Iterator[tuple[_Closing, JSON]]:
        """Yield the closings that entries of a record name by rule and end, and the entries."""
        for each in entries:
            if closing := self._closings.get((record["connection_id"], each["rule"]), {}).get(each["end"]):
                yield closing, each

    def _closed_during(self, record: Mapping[str, Any]) -> Iterator[_Closing]:
        """Yield the ends that a record which names none is about: those whose closed hours its run has touched."""
        began, until = _at(record["began_at"]), _at(max(record["ended_at"], record["window_end"] or ""))
        for rule in self._rules[record["connection_id"]].rules:
            closings = self._closings[record["connection_id"], rule.name].values()
            if latest := next((closing for closing in reversed(closings) if closing.end <= until), None):
                opens = rule.next_start(latest.end)
                if opens is None or began < opens:
                    yield latest

    def _note(
        self, closing: _Closing, file: RecordFile, verified_at: str | None, live_at_end: Iterable[str] = ()
    ) -> None:
        record: Mapping[str, Any] = file.record or {}
        ended_at = _at(record["ended_at"])
        own = [each for each in record["campaigns"] if self._is_of(closing, record, each)]
        left = [each for each in own if not each["confirmed_at"]]
        if record["scope"].get("dry_run"):
            closing.note(_Evidence(DRY_RUN, file, ended_at, titles(left)))
        elif verified_at is not None:
            late = [each for each in own if each["campaign_id"] in live_at_end or not record["closings"]]
            self._note_verified(closing, file, _at(verified_at), late)
            if unmatched := titles(each for each in left if each["end"] is None):
                closing.note(_Evidence(NOT_CLOSED, file, ended_at, unmatched))
        elif record["outcome"] != "success":
            outcome = SKIPPED if record["outcome"] == "skipped" else NOT_CLOSED
            closing.note(_Evidence(outcome, file, ended_at, titles(left)))

    def _note_verified(self, closing: _Closing, file: RecordFile, at: datetime, late: Sequence[JSON]) -> None:
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
        closing.note(_Evidence(IN_TIME, file, at, left_out, max(seconds, 0.0), tuple(map(title, late))))
        if not record["closings"] and late:
            closing.found_live.append((began, titles(late)))

    def _is_of(self, closing: _Closing, record: Mapping[str, Any], campaign: JSON) -> bool:
        """Return whether a campaign in a record was stopped for an end, or is one that no rule has a time for."""
        if campaign["rule"] is not None:
            return (campaign["rule"], campaign["end"]) == (closing.rule.name, closing.end.isoformat())
        return self._rule_of(record, campaign) in (None, closing.rule.name)

    def _rule_of(self, record: Mapping[str, Any], campaign: JSON) -> str | None:
        named = Campaign(campaign["campaign_id"], "unknown", campaign["name"], campaign["campaign_type"])
        rule = self._rules[record["connection_id"]].rule_for(named)
        return rule.name if rule else None


def day_limit(day: date, zone: ZoneInfo, *, days: int = 0) -> datetime:
    """Return the midnight at which a day begins in a zone, or one some days later; a moment as it is."""
    if isinstance(day, datetime):
        return day
    return datetime.combine(day + timedelta(days=days), time.min, zone).astimezone(UTC)
