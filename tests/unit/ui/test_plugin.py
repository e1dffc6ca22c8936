"""What Airflow's plugin manager finds, what it costs, and the page's own logic."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_campaign import ui
from airflow_provider_campaign.ui.plugin import PREFIX, CampaignShutdownsPlugin, serve_page

REPOSITORY = Path(__file__).parents[3]
NODE = shutil.which("node")
HAS_PAGE = Version(airflow_version) >= Version("3.1")

LOADED = """
import json, sys
import airflow.plugins_manager
before = set(sys.modules)
import airflow_provider_campaign.ui.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_airflow_finds_it_by_its_entry_point() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    [(name, value)] = project["entry-points"]["airflow.plugins"].items()
    assert EntryPoint(name, value, "airflow.plugins").load() is CampaignShutdownsPlugin


def test_the_plugin_adds_its_page_where_airflow_has_pages() -> None:
    views, apps = CampaignShutdownsPlugin.external_views, CampaignShutdownsPlugin.fastapi_apps
    if not HAS_PAGE:
        assert views == apps == []
        return
    assert [(view["name"], view["href"], view["destination"]) for view in views] == [
        ("Campaign shutdowns", "campaign-shutdowns/", "nav")
    ]
    [app] = apps
    assert app["url_prefix"] == PREFIX == f"/{views[0]['href'].rstrip('/')}"
    assert app["app"] is serve_page


def test_loading_it_brings_no_web_framework_and_none_of_the_operators() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    modules = json.loads(loaded.stdout.splitlines()[-1])
    ours = {name for name in modules if name.startswith("airflow_provider_campaign")}
    page = {f"airflow_provider_campaign.ui{module}" for module in ("", ".plugin")}
    assert page <= ours <= {*page, "airflow_provider_campaign"}
    assert not [name for name in modules if name.startswith(("fastapi", "starlette", "requests", "jwt"))]


@pytest.mark.skipif(NODE is None, reason="there is no Node; tests/system has the page in a browser")
def test_the_pages_own_logic(tmp_path: Path) -> None:
    shutil.copytree(Path(ui.__file__).parent / "static", tmp_path, dirs_exist_ok=True)
    shutil.copy(Path(__file__).parent / "page_logic.test.js", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    command = [str(NODE), "--test", "page_logic.test.js"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
