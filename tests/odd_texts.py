"""The fields of campaigns that no platform should have, and some have."""

from __future__ import annotations

from typing import Any


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
    "a large document": {"contact_lists": [f"cl-{number}" for number in range(50_000)], "description": ["x"] * 50_000},
}
