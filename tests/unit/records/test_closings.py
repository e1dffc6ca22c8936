"""What records say of the end of calling hours, taken together: the rows that differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.records.closings import ExpectedClosings
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.records.record import RecordDraft
from airflow_provider_campaign.records.shape import RecordFile, canonical
from tests.calling_hours import daily

RULES = CallingRules.read([{"name": "all", **daily("UTC", ("09:00", "21:00"))}])
END = "2027-02-01T21:00:00+00:00"
NOW = datetime(2027, 2, 2, 20, tzinfo=UTC)
SCOPE = {"name_pattern": ["FL-*"]}


def moment(time: str) -> str:
    """Return a time as records have it; before nine it is on the next morning."""
    return f"2027-02-0{2 if time < '09' else 1}T{time}{':00' * (len(time) < 8)}+00:00"


def campaign(name: str, confirmed: str | None = None, *, rule: str | None = "all", **more: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(("status_before", "asked_at", "status", "message")),
        **{"campaign_id": name, "name": None, "campaign_type": "sms", "already_stopped": False, "is_incident": False},
        **{"unanswered": False, "rule": rule, "end": END if rule else None},
        "confirmed_at": confirmed and moment(confirmed),
        **more,
    }


def out(*names: str) -> list[dict[str, Any]]:
    summary = {"name": None, "campaign_type": "sms", "status": "Active", "excluded_by": "name_pattern"}
    return [{"campaign_id": name, **summary} for name in names]


def record(
    began: str,
    verified: str | None = None,
    *campaigns: dict[str, Any],
    outcome: str = "success",
    live: Sequence[str] = (),
    excluded: Sequence[dict[str, Any]] = (),
    open_until: Sequence[dict[str, Any]] = (),
    is_for: bool = True,
    ended: str | None = None,
    scope: dict[str, Any] | None = None,
    action: str = "sweep",
) -> RecordFile:
    """Return the record of a run, which ended when it verified the end; with calling hours, it names that end."""
    ends = datetime.fromisoformat(moment(ended or verified or began)).timestamp()
    run = {"dag_id": "d", "run_id": began, "task_id": "t", "map_index": -1, "try_number": 1, "logical_date": None}
    began_at = datetime.fromisoformat(moment(began)).timestamp()
    closing = {"rule": "all", "end": END, "verified_at": verified and moment(verified), "live_at_end": list(live)}
    is_open = {"rule": "all", "open_until": moment("22:00")}
    left_open = [{**{key: each[key] for key in each if key != "excluded_by"}, **is_open} for each in open_until]
    progress = Progress(campaigns, excluded, open_until=left_open, closings=[closing] if is_for else [])
    draft = RecordDraft(action, run, began_at, "east", scope=scope or {})
    return RecordFile.parse(began, canonical(draft.record(progress, ends, outcome)))


def closing_rows(rules: CallingRules, files: Sequence[RecordFile], since: date, until: date) -> list[dict[str, Any]]:
    closings = ExpectedClosings({"east": rules}, since, until, NOW)
    for file in files:
        closings.add(file)
    return closings.rows()


A, STOPPED, DRY = campaign("a"), campaign("a", "20:58"), {"dry_run": True}
FAILED: dict[str, Any] = {"outcome": "failed"}
NAMELESS: dict[str, Any] = {"is_for": False}
VERIFIED = record("20:55", "21:00:02")
CASES: dict[str, list[Any]] = {
    "nothing": ["no evidence"],
    "in time": [record("20:55", "21:00:02", STOPPED), "in time"],
    "late": [record("20:55", "21:01", campaign("a", "21:00:40"), live=["a"]), "late 40.0 a"],
    "a first look after half an hour": [record("21:30", "21:30:05"), "late 1805.0"],
    "a look within five minutes": [record("21:04", "21:04:05"), "in time"],
    "a retry that verified it in time": [
        record("20:50", None, A, **FAILED, ended="20:55"),
        record("20:56", "21:00:02", STOPPED),
        "in time",
    ],
    "a failure that the next run ended": [
        record("20:55", None, A, **FAILED, ended="21:10"),
        record("21:15", "21:15:20", campaign("a", "21:15:10"), live=["a"]),
        "late 920.0 a",
    ],
    "a run that was killed": [
        record("20:55", None, A, campaign("b", "20:58"), outcome="killed", ended="21:01"),
        "not closed a",
    ],
    "a failure that names none": [record("21:00:10", None, **FAILED, ended="21:15", **NAMELESS), "not closed"],
    "a run that failed before the end": [record("20:00", None, **FAILED, ended="20:01", **NAMELESS), "no evidence"],
    "two sweeps with a part each": [
        record("20:55", "21:00:02", campaign("FL-1", "20:58"), excluded=out("GA-1"), scope=SCOPE),
        record("20:55:01", "21:00:09", campaign("GA-1", "21:00:05"), live=["GA-1"], excluded=out("FL-1")),
        "late 5.0 GA-1",
    ],
    "two sweeps that both left one out": [
        record("20:55", "21:00:02", excluded=out("GA-1", "TX-1"), scope=SCOPE),
        record("20:55:01", "21:00:09", excluded=out("FL-1", "TX-1")),
        "out of scope TX-1 by name_pattern",
    ],
    "one of two sweeps that failed": [
        record("20:55", "21:00:02", excluded=out("GA-1"), scope=SCOPE),
        record("20:55:01", None, campaign("GA-1"), **FAILED, ended="21:10"),
        "not closed GA-1",
    ],
    "an unmatched campaign": [record("20:55", "21:00:02", campaign("x", rule=None), **FAILED), "not closed x"],
    "a run whose calling hours were longer": [
        record("21:01", **NAMELESS, open_until=out("a")),
        "out of scope a by calling_hours",
    ],
    "a guard that repeats it": [VERIFIED, record("21:05", **NAMELESS), record("02:00", **NAMELESS), "in time"],
    "a guard whose first record was removed": [record("23:00", **NAMELESS), "late 7200.0"],
    "a dry run": [record("20:55", None, A, scope=DRY, ended="21:00:01", **NAMELESS), "dry run a"],
    "a dry run, and a sweep": [record("21:00:10", None, A, scope=DRY, **NAMELESS), VERIFIED, "in time"],
    "a run that was skipped": [record("12:00", None, outcome="skipped"), "skipped"],
    "a sweep without calling hours": [
        record("21:00:10", None, campaign("a", "21:00:40", rule=None), **NAMELESS, ended="21:00:45"),
        "late 40.0 a",
    ],
    "a sweep without calling hours at night": [
        VERIFIED,
        record("02:00", None, campaign("a", "02:00:20", rule=None), **NAMELESS, ended="02:00:30"),
        "live again live: a",
    ],
    "an incident": [
        VERIFIED,
        record("02:00", "02:00:30", campaign("a", "02:00:20", is_incident=True)),
        "live again live: a",
    ],
    "a sweep when all is open again": [record("10:00", None, A, **NAMELESS), "no evidence"],
    "a stop of one campaign": [record("21:00:10", "21:00:11", action="stop"), "no evidence"],
}


@pytest.mark.parametrize("name", CASES)
def test_records_together_say_what_became_of_an_end(name: str) -> None:
    """Whatever their order."""
    *files, expected = CASES[name]
    found = [closing_rows(RULES, each, date(2027, 2, 1), date(2027, 2, 1)) for each in (files, files[::-1])]
    assert found[0] == found[1]
    [row] = found[0]
    assert row["end"] == END
    late = [] if row["seconds_late"] is None else [str(row["seconds_late"])]
    said = [row["outcome"], *late, *row["campaigns"], *(f"live: {each}" for each in row["live_again"])]
    assert " ".join(said) == expected


def test_an_end_that_a_later_run_has_reported_names_that_run() -> None:
    run = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1, "logical_date": None}
    at = NOW.timestamp() - 3600
    draft = RecordDraft("sweep", run, at, "east", missed_closings=[{"rule": "all", "end": END}])
    file = RecordFile.parse("d/r/t.try1.json", canonical(draft.record(Progress(), at, "success")))
    [row] = closing_rows(RULES, [file], date(2027, 2, 1), date(2027, 2, 1))
    assert (row["outcome"], row["run"], row["path"]) == ("no evidence", "d.t r try 1", "d/r/t.try1.json")


def test_spans_are_local_days_and_moments() -> None:
    kolkata = CallingRules.read(daily("Asia/Kolkata", ("10:00", "00:00")))

    def ends(since: date, until: date) -> list[str]:
        return [row["local_end"] for row in closing_rows(kolkata, [], since, until)]

    assert ends(date(2027, 1, 31), date(2027, 1, 31)) == ["2027-02-01T00:00+05:30"]  # of the day that it ends
    assert ends(datetime(2027, 1, 31, 18, 30, tzinfo=UTC), NOW) == ["2027-02-02T00:00+05:30", "2027-02-03T00:00+05:30"]
