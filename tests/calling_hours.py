"""Calling hours for tests: written by hand, or drawn."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

Window = tuple[int, int, int]
"""Day of the week, start, and end: minutes of the day; an end not after its start is on the next day."""

quarters = st.integers(0, 95).map(lambda quarter: quarter * 15)


def weekly(days: str, start: str, end: str, timezone: str = "Asia/Kolkata") -> dict[str, Any]:
    """Return calling hours with the same window on some days."""
    windows = [{"day": day, "start": start, "end": end} for day in days.split()]
    return {"frequency": "WEEKLY", "timezone": timezone, "days": windows}


def daily(timezone: str, *windows: tuple[str, str]) -> dict[str, Any]:
    """Return calling hours with the same windows every day."""
    return {"frequency": "DAILY", "timezone": timezone, "days": [{"start": a, "end": b} for a, b in windows]}


def windows(starts: st.SearchStrategy[int], ends: st.SearchStrategy[int]) -> st.SearchStrategy[list[Window]]:
    return st.lists(st.tuples(st.integers(0, 6), starts, ends), min_size=1, max_size=6)


def as_calling_hours(zone: str, drawn: list[Window]) -> dict[str, Any]:
    """Return drawn windows as the platform writes them."""
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(24 * 60)]
    days = [{"day": DAYS[day], "start": clock[start], "end": clock[end]} for day, start, end in drawn]
    return {"frequency": "WEEKLY", "timezone": zone, "days": days}
