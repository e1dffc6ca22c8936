"""The page as Airflow's server mounts it: its files, with their headers, and the ends of calling hours."""

from __future__ import annotations

import json
import re
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
from airflow_provider_campaign.ui.static_page import FOLDER, MAX_BODY, MAX_WINDOWS

FILES = sorted(FOLDER.iterdir())
NEW_YORK = {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}
DAYS = {"from": "2026-11-18T12:00:00.000Z", "until": "2026-11-20T12:00:00.000Z"}
SCRIPTS = [file for file in FILES if file.suffix == ".js"]


def server(base_path: str = "") -> TestClient:
    app = FastAPI()
    app.mount(PREFIX, serve_page)
    return TestClient(app, root_path=base_path)


@pytest.mark.parametrize("base_path", ["", "/a/b"])
def test_every_file_is_served_with_its_type_wherever_airflow_is_mounted(base_path: str) -> None:
    kinds = {".html": "text/html", ".js": "javascript", ".css": "text/css"}
    assert {file.suffix for file in FILES} == set(kinds)
    for file in FILES:
        response = server(base_path).get(f"{base_path}{PREFIX}/{file.name}")
        assert kinds[file.suffix] in response.headers["content-type"]
        assert response.content == file.read_bytes()
    assert server(base_path).get(f"{base_path}{PREFIX}/").content == (FOLDER / "index.html").read_bytes()


def test_nothing_is_loaded_from_elsewhere_or_inline() -> None:
    headers = server().get(f"{PREFIX}/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"https?:|//|style=|<style|\son\w+=|<script(?! type=\"module\" src=)", page)


def test_there_is_nothing_but_the_files_and_nothing_can_be_sent_to_them() -> None:
    for path in ("/%2e%2e/plugin.py", "/%2e%2e", "/static_page.py", "//etc/passwd", "/x/page.js"):
        assert server().get(f"{PREFIX}{path}").status_code == 404
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert server().request(method, f"{PREFIX}/").status_code == 405


def test_no_script_reads_text_as_html_or_sends_anything_but_get_to_airflow() -> None:
    texts = {script.name: script.read_text() for script in SCRIPTS}
    as_html = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\("
    assert not [name for name, text in texts.items() if re.search(as_html, text)]
    assert [name for name, text in texts.items() if "fetch(" in text] == ["airflow.js"]
    assert not [name for name, text in texts.items() if re.search(r"XMLHttpRequest|sendBeacon", text)]
    sent = [line.strip() for text in texts.values() for line in text.splitlines() if re.search(r"method\s*:", line)]
    assert len(sent) == 1
    assert 'new URL("ends", document.baseURI)' in sent[0]


def ask(calling_hours: Any, **span: Any) -> tuple[int, Any]:
    return send(json.dumps({"calling_hours": calling_hours, **DAYS, **span}).encode())


def send(body: bytes) -> tuple[int, Any]:
    response = server("/airflow").post(f"/airflow{PREFIX}/ends", content=body)
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


def test_what_is_no_question_is_refused() -> None:
    bodies = (b"", b"null", b"[]", b"\xff", b"{}", b"[" * 30_000, b'{"calling_hours": {}, "from": 1, "until": 2}')
    assert [send(body)[0] for body in bodies] == [400] * len(bodies)


@pytest.mark.parametrize(
    ("change", "span", "detail"),
    [
        ({"holidays": []}, {}, "callingHours has the key 'holidays', which is unknown"),
        ({}, {"until": "2027-02-20T12:00:00Z"}, "more than 62 days apart"),
        ({}, {"until": "2026-11-20T12:00:00"}, "offset-naive"),
        ({}, {"from": "0001-01-01T00:00:00Z", "until": "0001-02-01T00:00:00Z"}, "out of range"),
        ({}, {"from": "9999-12-01T00:00:00Z", "until": "9999-12-31T00:00:00Z"}, "out of range"),
    ],
)
def test_hours_and_spans_that_cannot_be_read_are_named(change: Any, span: dict[str, str], detail: str) -> None:
    status, problem = ask({**NEW_YORK, **change}, **span)
    assert (status, detail in problem["detail"]) == (400, True)


def test_calling_hours_that_would_take_long_are_refused() -> None:
    minutes = [{"start": f"{m // 60}:{m % 60:02}", "end": f"{m // 60}:{m % 60 + 1:02}"} for m in range(0, 1438, 2)]
    many = {"frequency": "DAILY", "timezone": "UTC", "days": minutes[: MAX_WINDOWS // 7 + 1]}
    assert ask(many) == (400, {"detail": "Calling hours with more than 1000 windows a week are not read."})
    assert ask({**NEW_YORK, "name": "x" * MAX_BODY})[0] == 413
