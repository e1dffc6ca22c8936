"""What the page is told of calling hours, and how much it may ask."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

if Version(airflow_version) < Version("3.1"):
    pytest.skip("Airflow has no pages of plugins", allow_module_level=True)

from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_campaign.ui.plugin import PREFIX, serve_page
from airflow_provider_campaign.ui.static_page import MAX_BODY, MAX_WINDOWS

NEW_YORK = {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}
DAYS = {"from": "2026-11-18T12:00:00.000Z", "until": "2026-11-20T12:00:00.000Z"}


def ask(calling_hours: Any, **span: Any) -> tuple[int, Any]:
    """Return the status and the response to a question of the page."""
    return send(json.dumps({"calling_hours": calling_hours, **DAYS, **span}).encode())


def send(body: bytes) -> tuple[int, Any]:
    app = FastAPI()
    app.mount(PREFIX, serve_page)
    response = TestClient(app, root_path="/airflow").post(f"/airflow{PREFIX}/ends", content=body)
    return response.status_code, response.json()


@pytest.mark.parametrize("written", [NEW_YORK, [NEW_YORK], json.dumps(NEW_YORK), str([NEW_YORK])])
def test_each_end_of_a_span_is_returned_with_its_rule_and_zone_and_when_it_opens_again(written: Any) -> None:
    status, ends = ask(written)
    assert status == 200
    assert [(each["rule"], each["zone"]) for each in ends] == [("*", "America/New_York")] * 2
    assert [each["end"] for each in ends] == ["2026-11-19T02:00:00+00:00", "2026-11-20T02:00:00+00:00"]
    assert [each["opens"] for each in ends] == ["2026-11-19T13:00:00+00:00", "2026-11-20T13:00:00+00:00"]


def test_rules_have_ends_of_their_own_and_closed_dates_none() -> None:
    florida = {**NEW_YORK, "name_pattern": "FL-*", "end": "8:00 PM", "closed_dates": ["2026-11-19"]}
    _, ends = ask([florida, {**NEW_YORK, "name": "all others"}])
    assert [(each["rule"], each["end"]) for each in ends] == [
        ("FL-*", "2026-11-19T01:00:00+00:00"),
        ("all others", "2026-11-19T02:00:00+00:00"),
        ("all others", "2026-11-20T02:00:00+00:00"),
    ]
    dates_of_airflow_before_3_2 = str({**NEW_YORK, "closed_dates": [date(2026, 11, 18), date(2026, 11, 19)]})
    assert ask(dates_of_airflow_before_3_2) == ask({"open": True}) == (200, [])
    [_, last] = ask({**NEW_YORK, "overrides": [{"from": "2026-11-19T12:00", "until": None}]})[1]
    assert (last["end"], last["opens"]) == ("2026-11-19T17:00:00+00:00", None)


QUESTION = b'{"calling_hours": {}, "from": 1, "until": 2}'


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff", b"{}", b"[" * 30_000, QUESTION])
def test_what_is_no_question_is_refused(body: bytes) -> None:
    assert send(body)[0] == 400


@pytest.mark.parametrize(
    ("change", "span", "detail"),
    [
        ({"holidays": []}, {}, "callingHours has the key 'holidays', which is unknown"),
        ({}, {"until": "2027-02-20T12:00:00Z"}, "more than 62 days apart"),
        ({}, {"until": "2026-11-20T12:00:00"}, "offset-naive"),
        ({}, {"from": "0001-01-01T00:00:00Z", "until": "0001-02-01T00:00:00Z"}, "out of range"),
        ({}, {"from": "9999-12-01T00:00:00Z", "until": "9999-12-31T00:00:00Z"}, "out of range"),
    ],
    ids=["an unknown key", "a long span", "no time zone", "the first year", "the last year"],
)
def test_hours_and_spans_that_cannot_be_read_are_named(
    change: dict[str, Any], span: dict[str, str], detail: str
) -> None:
    status, problem = ask({**NEW_YORK, **change}, **span)
    assert (status, detail in problem["detail"]) == (400, True)


def test_calling_hours_that_would_take_long_are_refused() -> None:
    minutes = [{"start": f"{m // 60}:{m % 60:02}", "end": f"{m // 60}:{m % 60 + 1:02}"} for m in range(0, 1438, 2)]
    many = {"frequency": "DAILY", "timezone": "UTC", "days": minutes[: MAX_WINDOWS // 7 + 1]}
    assert ask(many) == (400, {"detail": "Calling hours with more than 1000 windows a week are not read."})
    assert ask({**NEW_YORK, "name": "x" * MAX_BODY})[0] == 413
