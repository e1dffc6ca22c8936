"""The page as Airflow's server mounts it: its files, with their headers, and nothing else."""

from __future__ import annotations

import re

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

if Version(airflow_version) < Version("3.1"):
    pytest.skip("Airflow has no pages of plugins", allow_module_level=True)

from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_campaign.ui.plugin import PREFIX, serve_page
from airflow_provider_campaign.ui.static_page import FOLDER

FILES = sorted(FOLDER.iterdir())
SCRIPTS = [file for file in FILES if file.suffix == ".js"]


def server(base_path: str = "") -> TestClient:
    """Return Airflow's server, mounted like this."""
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
