"""Records as one page of HTML, whole in itself: what was found wrong, a plot, each run and each campaign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from airflow_provider_campaign.cli.output import printable
from airflow_provider_campaign.records.chain import Discrepancy, RecordFile

WIDTH, HEIGHT, MARGIN = 900, 240, 60
"""The plot, in pixels."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1f2328 }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { border-bottom: 1px solid #d0d7de; padding: .3rem .6rem; text-align: left; vertical-align: top }
.good { color: #1a7f37 } .bad { color: #cf222e } code { overflow-wrap: anywhere }
svg { width: 100%; height: auto } svg text { font-size: 12px; fill: #57606a }
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
    path: str, rows: Sequence[Mapping[str, Any]], files: Sequence[RecordFile], discrepancies: Sequence[Discrepancy]
) -> str:
    """Return the page; each row is about the file at the same place."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8"><title>Campaign shutdowns</title>',
        f"<style>{_STYLE}</style>",
        f"<h1>Campaign shutdowns</h1><p>{len(rows)} records of <code>{escape(path)}</code></p>",
        _discrepancies(discrepancies),
        "<h2>Seconds until the last campaign was verified stopped</h2>",
        "<p>From the end of the window, or from the beginning of the run where it belongs to none.</p>",
        _plot(rows),
        "<h2>Runs</h2>",
        _table(_COLUMNS, rows),
        "<h2>Campaigns</h2>",
        *(_run(row, file) for row, file in zip(rows, files, strict=True)),
        "</html>\n",
    ]
    return "\n".join(parts)


def _discrepancies(discrepancies: Sequence[Discrepancy]) -> str:
    if not any(each.is_error for each in discrepancies):
        text = '<p class="good">Verified: every record is as it was written, and none is missing.</p>'
    else:
        text = '<p class="bad">The records are <b>not</b> as they were written:</p>'
    items = "".join(
        f'<li class="{"bad" if each.is_error else ""}">{_shown(f"{each.kind}: {each.path} {each.text}")}</li>'
        for each in discrepancies
    )
    return f"<h2>Verification</h2>{text}{f'<ul>{items}</ul>' if items else ''}"


def _plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a bar for each run: how long it took, red where something is not verified."""
    highest = max((row["seconds_after_window"] or 0.0 for row in rows), default=0.0) or 1.0
    slot = (WIDTH - 2 * MARGIN) / max(len(rows), 1)
    bottom = HEIGHT - MARGIN
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Seconds for each run">']
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - MARGIN / 2)
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{MARGIN - 8}" y="{y + 4:.1f}" text-anchor="end">{share * highest:.4g} s</text>')
    every = max(1, len(rows) // 8)
    for number, row in enumerate(rows):
        x = MARGIN + number * slot
        parts.append(
            _bar(row, x, slot, max(3.0, (row["seconds_after_window"] or 0.0) / highest * (bottom - MARGIN / 2)))
        )
        if number % every == 0:
            day = row["ended_at"][:10]
            parts.append(f'<text x="{x + slot / 2:.1f}" y="{bottom + 18}" text-anchor="middle">{day}</text>')
    return "\n".join([*parts, "</svg>"])


def _bar(row: Mapping[str, Any], x: float, slot: float, height: float) -> str:
    """Return the bar of one run, and what it says to a pointer that rests on it."""
    seconds = "" if row["seconds_after_window"] is None else f" by {row['seconds_after_window']:+} s"
    text = f"{row['ended_at'][:19]} {row['connection_id']}: {row['outcome']}, {row['stopped']} verified{seconds}"
    colour = "#cf222e" if row["left"] or row["outcome"] in ("failed", "killed") else "#1a7f37"
    return (
        f'<rect x="{x + slot * 0.1:.1f}" y="{HEIGHT - MARGIN - height:.1f}" width="{slot * 0.8:.1f}" '
        f'height="{height:.1f}" fill="{colour}"><title>{_shown(text)}</title></rect>'
    )


def _run(row: Mapping[str, Any], file: RecordFile) -> str:
    record = file.record or {}
    error = f'<p class="bad">{_shown(record["error"])}</p>' if record["error"] else ""
    reason = f"<p>Reason: {_shown(record['reason'])}</p>" if record["reason"] else ""
    title = _shown(f"{row['ended_at'][:19]} {row['connection_id']}: {row['found']} campaigns, {row['outcome']}")
    name = f"<p><code>{_shown(file.path)}</code><br>SHA-256 <code>{file.sha256}</code></p>"
    table = _table(_CAMPAIGN_COLUMNS, record["campaigns"]) if record["campaigns"] else ""
    return f"<details><summary>{title}</summary>{reason}{error}{name}{table}</details>"


def _table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in columns.values())
    body = "\n".join(
        "<tr>" + "".join(f"<td>{_shown(_text(name, row.get(name)))}</td>" for name in columns) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _text(name: str, value: Any) -> str:
    """Return a cell's text: moments to the second."""
    text = "" if value is None else str(value)
    return text[:19].replace("T", " ") if name.endswith(("_at", "_end")) else text


def _shown(text: str) -> str:
    """Return a stored text as a part of the page."""
    return escape(printable(text))
