"""Records and closings as one page of HTML that needs nothing else, for a person without Airflow."""

from __future__ import annotations

from calendar import Calendar, day_abbr, month_name
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from html import escape
from typing import Any

from airflow_provider_campaign.cli.output import Row, printable
from airflow_provider_campaign.records.chain import Discrepancy, verdict
from airflow_provider_campaign.records.closings import IN_TIME, LATE, NO_EVIDENCE

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1f2328 }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: 12px }
th, td { border-bottom: 1px solid #d0d7de; padding: .3rem .6rem; text-align: left; vertical-align: top }
td:last-child { overflow-wrap: anywhere } code { overflow-wrap: anywhere } tr { break-inside: avoid }
.good { color: #1a7f37 } .bad { color: #cf222e } .none { background: #cf222e; color: #fff }
tr.good { color: inherit } tr.none { background: none; color: #cf222e } tr.none td:nth-child(5) { font-weight: bold }
.calendar { table-layout: fixed; font-size: 15px } section { break-inside: avoid }
.calendar td { border: 1px solid #d0d7de; height: 3.5rem; padding: .2rem .4rem }
.calendar p { margin: .1rem 0; padding: 0 .3rem; border-left: .3rem solid; font-size: 12px; line-height: 1.4 }
thead { display: table-header-group }
@media print { body { margin: 0; max-width: none; font-size: 11px; print-color-adjust: exact }
@page { size: A4 landscape; margin: 12mm } }
"""

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
    parts = ["<h2>Runs</h2>", _table(RECORD_COLUMNS, rows), "<h2>Campaigns</h2>", _table(CAMPAIGN_COLUMNS, named)]
    text = f"{len(rows)} records{'' if rows else ': that is no evidence of anything'}."
    return _page("Campaign shutdowns", path, discrepancies, text, parts, is_good=bool(rows))


def closings_page(path: str, discrepancies: Sequence[Discrepancy], rows: Sequence[Row]) -> str:
    """Return the page with calendars for each account, and a line for each closing."""
    counted = Counter(row["outcome"] for row in rows)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in counted.most_common())
    by_month: dict[tuple[str, int, int], dict[date, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        day = date.fromisoformat(row["local_end"][:10])
        by_month[row["connection_id"], day.year, day.month][day].append(row)
    calendars = [_calendar(*key, days) for key, days in sorted(by_month.items())]
    lines = [{**closing_line(row), "class": _class(row)} for row in rows]
    parts = [*calendars, "<h2>Closings</h2>", _table(CLOSING_COLUMNS, lines)]
    text = f"{len(rows)} closings: {counts or 'nothing is known'}."
    return _page("Closings", path, discrepancies, text, parts, is_good=set(counted) == {IN_TIME})


def closing_line(row: Row) -> dict[str, Any]:
    """Return a closing for people: the outcome in words, and names as one text."""
    lists = {"campaigns": ", ".join(row["campaigns"]), "live_again": ", ".join(row["live_again"])}
    return {**row, **lists, "outcome": _description(row)}


def _description(row: Row) -> str:
    is_late = row["outcome"] == LATE
    return f"late by {timedelta(seconds=round(row['seconds_late']))}" if is_late else str(row["outcome"])


def _page(
    title: str, path: str, discrepancies: Sequence[Discrepancy], text: str, parts: Iterable[str], *, is_good: bool
) -> str:
    """Return a page with a summary, and the verdict on the chain of records."""
    is_unchanged, chain = verdict(discrepancies)
    problems = "".join(
        f'<li class="{"bad" if each.is_error else ""}">{_shown(f"{each.kind}: {each.path} {each.text}")}</li>'
        for each in discrepancies
    )
    page = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>{STYLE}</style>
<h1>{title}</h1>{_verdict(text, is_good=is_good)}
<p>Known from the records of <code>{_shown(path)}</code>.</p>
<h2>Chain of records</h2>{_verdict(f"{chain[0].upper()}{chain[1:]}.", is_good=is_unchanged)}<ul>{problems}</ul>
{"".join(parts)}
</html>
"""
    return page.encode("ascii", "xmlcharrefreplace").decode()  # whatever the terminal's encoding is


def _verdict(text: str, *, is_good: bool) -> str:
    return f'<p class="{"good" if is_good else "bad"}">{text}</p>'


def _table(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return a table; a row's ``class`` is that of its line, and moments are shown to the second."""
    head = "".join(f"<th>{name.replace('_', ' ').capitalize()}</th>" for name in columns)
    lines = [
        f'<tr class="{row.get("class", "")}">{"".join(_cell(name, row.get(name)) for name in columns)}</tr>\n'
        for row in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{''.join(lines)}</tbody></table>\n"


def _cell(name: str, value: object) -> str:
    if value is not None and name.endswith(("_at", "end")):
        text = str(value).replace("T", " ")
        value = text if name == "local_end" else text[:19]
    return f"<td>{_shown(value)}</td>"


def _shown(value: object) -> str:
    return escape(printable(value))


def _calendar(account: str, year: int, month: int, days: Mapping[date, Sequence[Row]]) -> str:
    weeks = [
        "".join(_day(day, days.get(day, ())) if day.month == month else "<td></td>" for day in week)
        for week in Calendar().monthdatescalendar(year, month)
    ]
    head = "".join(f"<th>{name}</th>" for name in day_abbr)
    return f"""<section><h2>{_shown(account)}, {month_name[month]} {year}</h2>
<table class="calendar"><tr>{head}</tr><tr>{"</tr><tr>".join(weeks)}</tr></table></section>
"""


def _day(day: date, rows: Sequence[Row]) -> str:
    texts = [(_class(row), f"{row['local_end'][11:16]} {row['rule']}: {_description(row)}") for row in rows]
    closings = "".join(f'<p class="{name}">{_shown(text)}</p>' for name, text in texts)
    return f"<td>{day.day}{closings}</td>"


def _class(row: Row) -> str:
    return {IN_TIME: "good", NO_EVIDENCE: "none"}.get(row["outcome"], "bad")
