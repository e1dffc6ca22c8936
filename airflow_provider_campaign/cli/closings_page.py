"""Closings as one page of HTML, whole in itself, for a person without Airflow: calendars, and a line for each."""

from __future__ import annotations

from calendar import Calendar, day_abbr, month_name
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date

from airflow_provider_campaign.cli.records_page import page, shown, table, verification
from airflow_provider_campaign.records.chain import Discrepancy
from airflow_provider_campaign.records.closings import IN_TIME, NO_EVIDENCE, ClosingRow

_STYLE = """
.calendar { table-layout: fixed } .calendar td { border: 1px solid #d0d7de; height: 3.5rem; padding: .2rem .4rem }
.calendar p { margin: .1rem 0; padding: 0 .3rem; border-left: .3rem solid; font-size: 12px; line-height: 1.4 }
.none { background: #cf222e; color: #fff } section { break-inside: avoid } thead { display: table-header-group }
.lines td { font-size: 12px } .lines td:nth-last-child(-n+2) { overflow-wrap: anywhere } tr { break-inside: avoid }
tr.none td:nth-child(5) { font-weight: bold } tr.none { background: none; color: #cf222e } tr.good { color: inherit }
@media print { body { margin: 0; max-width: none; font-size: 11px; print-color-adjust: exact }
@page { size: A4 landscape; margin: 12mm } }
"""

_COLUMNS = {
    "connection_id": "Account",
    "rule": "Rule",
    "local": "End (local time)",
    "utc": "End (UTC)",
    "description": "Closing",
    "names": "Campaigns",
    "again": "Live again",
    "run": "Run",
    "path": "Record",
}


def closings_page(path: str, rows: Sequence[ClosingRow], discrepancies: Sequence[Discrepancy]) -> str:
    """Return the page."""
    counted = Counter(row.outcome for row in rows)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in counted.most_common())
    is_good = bool(rows) and set(counted) == {IN_TIME}
    by_account: dict[str, list[ClosingRow]] = defaultdict(list)
    for row in rows:
        by_account[row.connection_id].append(row)
    parts = [
        f'<p class="{"good" if is_good else "bad"}">{len(rows)} closings: {counts or "nothing is known"}.</p>',
        f"<p>Known from the records of <code>{shown(path)}</code>.</p>",
        verification(discrepancies),
        *(_calendars(account, each) for account, each in by_account.items()),
        '<h2>Closings</h2><div class="lines">',
        table(_COLUMNS, map(_line, rows)),
        "</div>",
    ]
    return page("Closings", parts, _STYLE)


def _calendars(account: str, rows: Sequence[ClosingRow]) -> str:
    """Return a calendar for each month in which an account has closings."""
    by_day: dict[date, list[ClosingRow]] = defaultdict(list)
    for row in rows:
        by_day[date.fromisoformat(row.local_end[:10])].append(row)
    months = sorted({(day.year, day.month) for day in by_day})
    return "\n".join(_calendar(account, year, month, by_day) for year, month in months)


def _calendar(account: str, year: int, month: int, by_day: Mapping[date, Sequence[ClosingRow]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in day_abbr)
    weeks = "\n".join(
        "<tr>"
        + "".join(_day(day, by_day.get(day, ())) if day.month == month else "<td></td>" for day in week)
        + "</tr>"
        for week in Calendar().monthdatescalendar(year, month)
    )
    title = f"{shown(account)}, {month_name[month]} {year}"
    return f'<section><h2>{title}</h2><table class="calendar"><tr>{head}</tr>\n{weeks}</table></section>'


def _day(day: date, rows: Sequence[ClosingRow]) -> str:
    closings = "".join(
        f'<p class="{_class(row)}">{shown(f"{row.local_end[11:16]} {row.rule}: {row.description}")}</p>' for row in rows
    )
    return f"<td>{day.day}{closings}</td>"


def _class(row: ClosingRow) -> str:
    return {IN_TIME: "good", NO_EVIDENCE: "none"}.get(row.outcome, "bad")


def _line(row: ClosingRow) -> dict[str, object]:
    """Return the line of a closing."""
    texts = {"names": ", ".join(row.campaigns), "again": ", ".join(row.live_again), "description": row.description}
    local = f"{row.local_end[:16]} ({row.local_end[16:]})".replace("T", " ")
    return {**asdict(row), **texts, "local": local, "utc": row.end[:16].replace("T", " "), "class": _class(row)}
