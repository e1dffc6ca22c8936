"""What the page makes of Airflow's responses; in Node, where there is one: the browser tests need none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from airflow_provider_campaign import ui

FOLDER = Path(ui.__file__).parent / "static"
NODE = shutil.which("node")
TESTS = Path(__file__).parent / "page_logic.test.js"


@pytest.mark.skipif(NODE is None, reason="there is no Node; tests/system has the page in a browser")
def test_the_pages_own_logic(tmp_path: Path) -> None:
    assert NODE is not None
    for script in FOLDER.glob("*.js"):
        shutil.copy(script, tmp_path)
    shutil.copy(TESTS, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run([NODE, "--test", TESTS.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
