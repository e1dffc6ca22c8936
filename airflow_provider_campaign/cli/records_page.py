"""Records as one page of HTML, whole in itself: what was found wrong, each run and each campaign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from airflow_provider_campaign.cli.output import printable
from airflow_provider_campaign.records.chain import Discrepancy, RecordFile, verdict

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1f2328 }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { border-bottom: 1px solid #d0d7de; padding: .3rem .6rem; text-align: left; vertical-align: top }
.good { color: #1a7f37 } .bad { color: #cf222e } code { overflow-wrap: anywhere }
"""

_COLUMNS = {
    "ended_at": "Ended (UTC)",
    "connection_id": "Connection",
    "run": "Run",
    "outcome": "Outcome",
    "window_end": "Window end",
    "found": "Found",
    "stopped": "Verified",
    "left": "Not verified",
    "left_out": "Live, left out",
    "scope": "Limited to",
    "incidents": "Incidents",
    "last_confirmed_at": "Last verified",
}
_CAMPAIGN_COLUMNS = {
    "campaign_id": "Campaign",
    "name": "Name",
    "campaign_type": "Type",
    "status_before": "Before",
    "asked_at": "Asked",
    "confirmed_at": "Verified",
    "status": "Status",
    "message": "Message",
}


def records_page(
    path: str, rows: Sequence[Mapping[str, Any]], details: Iterable[str], discrepancies: Sequence[Discrepancy]
) -> str:
    """
    Return the page.

    :param details: What :func:`record_details` gives of each row.
    """
    parts = [
        f"<p>{len(rows)} records of <code>{shown(path)}</code></p>",
        verification(discrepancies),
        "<h2>Runs</h2>",
        table(_COLUMNS, rows) if rows else '<p class="bad">None: that is no evidence of anything.</p>',
        "<h2>Campaigns</h2>",
        *details,
    ]
    return page("Campaign shutdowns", parts)


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """Return a page of HTML that needs nothing else."""
    head = f'<html lang="en"><meta charset="utf-8"><title>{title}</title>\n<style>{_STYLE}{style}</style>'
    return "\n".join(["<!doctype html>", head, f"<h1>{title}</h1>", *parts, "</html>\n"])


def verification(discrepancies: Sequence[Discrepancy]) -> str:
    """Return what the chain of records shows."""
    is_good, text = verdict(discrepancies)
    items = "".join(
        f'<li class="{"bad" if each.is_error else ""}">{shown(f"{each.kind}: {each.path} {each.text}")}</li>'
        for each in discrepancies
    )
    line = f'<p class="{"good" if is_good else "bad"}">{text[0].upper()}{text[1:]}.</p>'
    return f"<h2>Chain of records</h2>{line}{f'<ul>{items}</ul>' if items else ''}"


def record_details(row: Mapping[str, Any], file: RecordFile) -> str:
    """Return a record with its campaigns, folded up."""
    record = file.record or {}
    error = f'<p class="bad">{shown(record["error"])}</p>' if record["error"] else ""
    reason = f"<p>Reason: {shown(record['reason'])}</p>" if record["reason"] else ""
    title = shown(f"{row['ended_at'][:19]} {row['connection_id']}: {row['found']} campaigns, {row['outcome']}")
    name = f"<p><code>{shown(file.path)}</code><br>SHA-256 <code>{file.sha256}</code></p>"
    campaigns = table(_CAMPAIGN_COLUMNS, record["campaigns"]) if record["campaigns"] else ""
    return f"<details><summary>{title}</summary>{reason}{error}{name}{campaigns}</details>"


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table; a row's ``class`` is that of its line."""
    head = "".join(f"<th>{escape(title)}</th>" for title in columns.values())
    body = "\n".join(
        f'<tr class="{row.get("class", "")}">'
        + "".join(f"<td>{shown(_text(name, row.get(name)))}</td>" for name in columns)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _text(name: str, value: Any) -> str:
    """Return a cell's text: moments to the second."""
    text = "" if value is None else str(value)
    return text[:19].replace("T", " ") if name.endswith(("_at", "_end")) else text


def shown(text: str) -> str:
    """Return a stored text as a part of a page."""
    return escape(printable(text))
