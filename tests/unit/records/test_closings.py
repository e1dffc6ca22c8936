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
    return f"2027-02-0{2 if time < '09' else 1}T{time}+00:00"


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


def _left_open(summary: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in summary.items() if key != "excluded_by"}
    return {**kept, "rule": "all", "open_until": moment("22:00:00")}


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
    progress = Progress(
        campaigns, excluded, open_until=[_left_open(each) for each in open_until], closings=[closing] if is_for else []
    )
    draft = RecordDraft(action, run, began_at, "east", scope=scope or {})
    return RecordFile.parse(began, canonical(draft.record(progress, ends, outcome)))


def closing_rows(rules: CallingRules, files: Sequence[RecordFile], since: date, until: date) -> list[dict[str, Any]]:
    closings = ExpectedClosings({"east": rules}, since, until, NOW)
    for file in files:
        closings.add(file)
    return closings.rows()


def told(*files: RecordFile) -> tuple[str, float | None, list[str], list[str]]:
    """Return what is said of the end, whatever the order of the records."""
    found = [closing_rows(RULES, each, date(2027, 2, 1), date(2027, 2, 1)) for each in (files, files[::-1])]
    assert found[0] == found[1]
    [row] = found[0]
    assert row["end"] == END
    return row["outcome"], row["seconds_late"], row["campaigns"], row["live_again"]


DRY = {"dry_run": True}
CASES: dict[str, tuple[list[RecordFile], tuple[str, float | None, list[str], list[str]]]] = {
    "nothing": ([], ("no evidence", None, [], [])),
    "in time": ([record("20:55:00", "21:00:02", campaign("a", "20:58:00"))], ("in time", None, [], [])),
    "late": ([record("20:55:00", "21:01:00", campaign("a", "21:00:40"), live=["a"])], ("late", 40.0, ["a"], [])),
    "a first look after half an hour": ([record("21:30:00", "21:30:05")], ("late", 1805.0, [], [])),
    "a look within five minutes": ([record("21:04:00", "21:04:05")], ("in time", None, [], [])),
    "a retry that verified it in time": (
        [
            record("20:50:00", None, campaign("a"), outcome="failed", ended="20:55:00"),
            record("20:56:00", "21:00:02", campaign("a", "20:57:00")),
        ],
        ("in time", None, [], []),
    ),
    "a failure that the next run ended": (
        [
            record("20:55:00", None, campaign("a"), outcome="failed", ended="21:10:00"),
            record("21:15:00", "21:15:20", campaign("a", "21:15:10"), live=["a"]),
        ],
        ("late", 920.0, ["a"], []),
    ),
    "a run that was killed": (
        [record("20:55:00", None, campaign("a"), campaign("b", "20:58:00"), outcome="killed", ended="21:01:00")],
        ("not closed", None, ["a"], []),
    ),
    "a failure that names no end": (
        [record("21:00:10", None, outcome="failed", ended="21:15:00", is_for=False)],
        ("not closed", None, [], []),
    ),
    "a run that failed and was over before the end": (
        [record("20:00:00", None, outcome="failed", ended="20:01:00", is_for=False)],
        ("no evidence", None, [], []),
    ),
    "two sweeps with a part each": (
        [
            record("20:55:00", "21:00:02", campaign("FL-1", "20:58:00"), excluded=out("GA-1"), scope=SCOPE),
            record("20:55:01", "21:00:09", campaign("GA-1", "21:00:05"), live=["GA-1"], excluded=out("FL-1")),
        ],
        ("late", 5.0, ["GA-1"], []),
    ),
    "two sweeps that both left one out": (
        [
            record("20:55:00", "21:00:02", excluded=out("GA-1", "TX-1"), scope=SCOPE),
            record("20:55:01", "21:00:09", excluded=out("FL-1", "TX-1")),
        ],
        ("out of scope", None, ["TX-1 by name_pattern"], []),
    ),
    "one of two sweeps that failed": (
        [
            record("20:55:00", "21:00:02", excluded=out("GA-1"), scope=SCOPE),
            record("20:55:01", None, campaign("GA-1"), outcome="failed", ended="21:10:00"),
        ],
        ("not closed", None, ["GA-1"], []),
    ),
    "a campaign that no rule matches and that was not stopped": (
        [record("20:55:00", "21:00:02", campaign("x", rule=None), outcome="failed")],
        ("not closed", None, ["x"], []),
    ),
    "a run whose calling hours were longer": (
        [record("21:01:00", is_for=False, open_until=out("a"))],
        ("out of scope", None, ["a by calling_hours"], []),
    ),
    "a guard that repeats what the first one has verified": (
        [record("20:55:00", "21:00:02"), record("21:05:00", is_for=False), record("02:00:00", is_for=False)],
        ("in time", None, [], []),
    ),
    "a guard whose first record was removed": ([record("23:00:00", is_for=False)], ("late", 7200.0, [], [])),
    "a dry run": (
        [record("20:55:00", None, campaign("a"), scope=DRY, ended="21:00:01", is_for=False)],
        ("dry run", None, ["a"], []),
    ),
    "a dry run, and a sweep": (
        [record("21:00:10", None, campaign("a"), scope=DRY, is_for=False), record("20:55:00", "21:00:02")],
        ("in time", None, [], []),
    ),
    "a run that was skipped": ([record("12:00:00", None, outcome="skipped")], ("skipped", None, [], [])),
    "a sweep without calling hours": (
        [record("21:00:10", None, campaign("a", "21:00:40", rule=None), is_for=False, ended="21:00:45")],
        ("late", 40.0, ["a"], []),
    ),
    "a sweep without calling hours at night": (
        [
            record("20:55:00", "21:00:02"),
            record("02:00:00", None, campaign("a", "02:00:20", rule=None), is_for=False, ended="02:00:30"),
        ],
        ("live again", None, [], ["a"]),
    ),
    "an incident": (
        [record("20:55:00", "21:00:02"), record("02:00:00", "02:00:30", campaign("a", "02:00:20", is_incident=True))],
        ("live again", None, [], ["a"]),
    ),
    "a sweep when all is open again": (
        [record("10:00:00", None, campaign("a"), is_for=False)],
        ("no evidence", None, [], []),
    ),
    "a stop of one campaign": ([record("21:00:10", "21:00:11", action="stop")], ("no evidence", None, [], [])),
}


@pytest.mark.parametrize("name", CASES)
def test_records_together_say_what_became_of_an_end(name: str) -> None:
    files, expected = CASES[name]
    assert told(*files) == expected


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
