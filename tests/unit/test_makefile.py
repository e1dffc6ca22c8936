"""What the Makefile installs from is complete, and it says what it needs where that is missing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
LINES = [
    version
    for definition in re.findall(r"^(?:LINES|LATEST) := (.*)$", MAKEFILE, re.MULTILINE)
    for version in re.findall(r"\d+\.\d+\.\d+", definition)
]


@pytest.mark.parametrize("line", LINES)
def test_the_constraints_of_a_line_are_versions_and_nothing_else(line: str) -> None:
    constraints = (REPOSITORY / f"constraints/airflow-{line}.txt").read_text().splitlines()
    assert f"apache-airflow=={line}" in constraints
    assert [each for each in constraints if not re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", each)] == []


def test_every_line_has_its_constraints() -> None:
    assert {f"airflow-{line}.txt" for line in LINES} == {
        file.name for file in REPOSITORY.glob("constraints/airflow-*.txt")
    }


@pytest.mark.parametrize(("line", "newest"), [("2.11.2", "3.12"), ("3.1.8", "3.13"), ("3.3.2", "3.14")])
def test_a_python_that_does_not_suit_is_refused_with_those_that_do(tmp_path: Path, line: str, newest: str) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "demo", f"AIRFLOW={line}", f"PYTHON={old}"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"needs Python 3.11 to {newest}" in done.stderr
