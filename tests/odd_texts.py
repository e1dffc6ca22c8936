"""The fields of campaigns that no platform should have, and some have; and what all that comes of them must be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from airflow_provider_campaign.text import MAX_LINE_LENGTH

_WORDS = ("Sale", " ", "-", "*", "\n[2027] INFO - ")
_MARKS = ("\ud83d", "\ude00", "\x00", "\x1b[2K", "\u202e", "\u200b", "e\u0301")
NAMES = st.lists(st.sampled_from([*_WORDS, *_MARKS]), min_size=1, max_size=6).map("".join) | st.just("S" * 5000)
"""Names that no platform should show."""


def check_storable(value: Any) -> None:
    """Check that XCom and every database can take a value."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text


def check_readable(message: str) -> None:
    """Check that what a platform says neither forges a line of a log, nor steers a terminal, nor fills a page."""
    assert all(line.isprintable() and not line.startswith("[2027") for line in message.split("\n"))
    assert "S" * MAX_LINE_LENGTH not in message


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "deep"


ODD: dict[str, dict[str, Any]] = {
    "half an emoji": {"name": "Sale \ud83d", "description": "\ud83d\ude00 \ude00"},
    "NUL": {"name": "Sa\x00le", "description": "\x00"},
    "a forged line": {"name": "Sale\n[2026-03-02T18:00:00] INFO - Campaign c-2 is Stopped\r\x1b[2K\u202e"},
    "a name of 1 MB": {"name": "S" * 1_000_000},
    "a description of eyJ": {"description": "eyJ" * 30_000},
    "numbers above 64 bits": {"lead_count": 2**70, "schedule": {"limit": -(2**70)}},
    "400 levels": {"description": nested(400), "schedule": {"deep": nested(400)}},
    "a large document": {"contact_lists": [f"cl-{number}" for number in range(5_000)], "description": ["x"] * 5_000},
}
