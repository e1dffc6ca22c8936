"""Records and closings as one page of HTML that needs nothing else, for a person without Airflow."""

from __future__ import annotations

from calendar import Calendar, day_abbr, month_name
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from airflow_provider_campaign.cli.output import Row, printable
from airflow_provider_campaign.records.chain import Discrepancy, verdict
from airflow_provider_campaign.records.closings import IN_TIME, LATE, NO_EVIDENCE

RECORD_COLUMNS = (
    *("ended_at", "connection_id", "run", "outcome", "found", "stopped", "left", "left_out", "scope", "incidents"),
    *("reason", "error", "sha256"),
)
CAMPAIGN_COLUMNS = (
    *("ended_at", "connection_id", "campaign_id", "name", "campaign_type", "status_before", "asked_at", "confirmed_at"),
    *("status", "message", "path"),
)
CLOSING_COLUMNS = ("connection_id", "rule", "local_end", "end", "outcome", "campaigns", "live_again", "run", "path")


def records_page(path: str, discrepancies: Sequence[Discrepancy], rows: Sequence[Row], campaigns: Iterable[Row]) -> str:
    """Return the page with a line for each run, and one for each campaign."""
    named = [each for each in campaigns if each["campaign_id"]]
    tables = [("Runs", RECORD_COLUMNS, rows), ("Campaigns", CAMPAIGN_COLUMNS, named)]
    text = f"{len(rows)} records{'' if rows else ': that is no evidence of anything'}."
    return _page("Campaign shutdowns", path, discrepancies, text=text, is_good=bool(rows), tables=tables)


def closings_page(path: str, discrepancies: Sequence[Discrepancy], rows: Sequence[Row]) -> str:
    """Return the page with calendars for each account, and a line for each closing."""
    counted = Counter(row["outcome"] for row in rows)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in counted.most_common())
    text = f"{len(rows)} closings: {counts or 'nothing is known'}."
    by_month: dict[tuple[str, int, int], dict[int, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        day = date.fromisoformat(row["local_end"][:10])
        closing = (_class(row), f"{row['local_end'][11:16]} {row['rule']}: {_description(row)}")
        by_month[row["connection_id"], day.year, day.month][day.day].append(closing)
    calendars = [
        (
            f"{account}, {month_name[month]} {year}",
            [[(day or "", days.get(day, ())) for day in week] for week in Calendar().monthdayscalendar(year, month)],
        )
        for (account, year, month), days in sorted(by_month.items())
    ]
    tables = [("Closings", CLOSING_COLUMNS, [{**closing_line(row), "class": _class(row)} for row in rows])]
    is_good = set(counted) == {IN_TIME}
    return _page("Closings", path, discrepancies, text=text, is_good=is_good, tables=tables, calendars=calendars)


def closing_line(row: Row) -> dict[str, Any]:
    """Return a closing for people: the outcome in words, and names as one text."""
    lists = {"campaigns": ", ".join(row["campaigns"]), "live_again": ", ".join(row["live_again"])}
    return {**row, **lists, "outcome": _description(row)}


def _description(row: Row) -> str:
    is_late = row["outcome"] == LATE
    return f"late by {timedelta(seconds=round(row['seconds_late']))}" if is_late else str(row["outcome"])


def _class(row: Row) -> str:
    return {IN_TIME: "good", NO_EVIDENCE: "none"}.get(row["outcome"], "bad")


def _page(title: str, path: str, discrepancies: Sequence[Discrepancy], **about: Any) -> str:
    """Return a page with a summary, the verdict on the chain of records, calendars, and tables."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters["cell"] = _cell
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    is_unchanged, chain = verdict(discrepancies)
    known = {"title": title, "path": path, "discrepancies": discrepancies, "is_unchanged": is_unchanged, "chain": chain}
    page = template.render({"calendars": (), **known, **about}, day_names=list(day_abbr))
    return page.encode("ascii", "xmlcharrefreplace").decode()  # whatever the terminal's encoding is


def _cell(value: object, name: str = "") -> str:
    """Return a value as a page shows it: moments to the second, and nothing that is not printable."""
    if value is not None and name.endswith(("_at", "end")):
        text = str(value).replace("T", " ")
        value = text if name == "local_end" else text[:19]
    return printable(value)
