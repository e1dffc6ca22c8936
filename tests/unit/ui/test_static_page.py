"""The application that serves the page: its files, with their headers, and nothing else."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from airflow_provider_campaign.ui.static_page import FOLDER, StaticPage

PAGE = StaticPage("/campaign-shutdowns")
FILES = sorted(FOLDER.iterdir())
SCRIPTS = [file for file in FILES if file.suffix == ".js"]


def request(path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Send one request as Airflow's server does, and return status, headers and body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(PAGE({"type": "http", "method": method, "path": path}, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("prefix", ["", "/airflow", "/a/b"])
def test_every_file_is_served_with_its_type_wherever_airflow_is_mounted(prefix: str) -> None:
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
    assert {file.suffix for file in FILES} == set(types)
    for file in FILES:
        status, headers, body = request(f"{prefix}/campaign-shutdowns/{file.name}")
        assert (status, headers["content-type"]) == (200, f"{types[file.suffix]}; charset=utf-8")
        assert body == file.read_bytes()
        assert int(headers["content-length"]) == len(body)


def test_the_folder_itself_is_the_page() -> None:
    assert request("/campaign-shutdowns/")[2] == (FOLDER / "index.html").read_bytes()


def test_nothing_is_loaded_from_elsewhere_or_inline() -> None:
    headers = request("/campaign-shutdowns/")[1]
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"https?:|//|style=|<style|\son\w+=|<script(?! type=\"module\" src=)", page)


@pytest.mark.parametrize(
    "path",
    [
        "/campaign-shutdowns/../plugin.py",
        "/campaign-shutdowns/..",
        "/campaign-shutdowns/../static/page.js",
        "/campaign-shutdowns/static_page.py",
        "/campaign-shutdowns//etc/passwd",
        "/campaign-shutdowns/x/page.js",
        "/elsewhere/page.js",
        "page.js",
        "",
    ],
)
def test_what_is_no_file_of_the_page_is_not_found(path: str) -> None:
    status, headers, body = request(path)
    assert (status, body) == (404, b"Not Found")
    assert "content-security-policy" in headers


def test_nothing_can_be_sent_to_it() -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert request("/campaign-shutdowns/", method)[0] == 405
    status, headers, body = request("/campaign-shutdowns/", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_no_script_reads_text_as_html() -> None:
    for script in SCRIPTS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(", script.read_text()
        )


def test_no_script_sends_anything_but_get() -> None:
    texts = {script.name: script.read_text() for script in SCRIPTS}
    assert [name for name, text in texts.items() if "fetch(" in text] == ["airflow.js"]
    assert not [name for name, text in texts.items() if re.search(r"method\s*:|XMLHttpRequest|sendBeacon", text)]
