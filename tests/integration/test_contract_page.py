"""The page docs/contract.md lists every action and sample, each with a test that there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from airflow_provider_campaign.hooks import kore, sonarly

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "contract.md").read_text()


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_call_of_kores_is_on_the_page() -> None:
    calls = {(action, version): path for action, paths in kore.ENDPOINTS.items() for version, path in paths.items()}
    calls["schedule_off", "v2"] = kore.SCHEDULE_OFF
    assert {(action, version): path for action, version, path, _ in rows("Kore.ai")} == calls


def test_every_call_of_sonarlys_is_on_the_page() -> None:
    assert {action: path for action, path, _ in rows("Sonarly")} == {
        str(action): path for action, path in sonarly.ENDPOINTS.items()
    }


def test_every_sample_is_on_the_page() -> None:
    samples = (REPOSITORY / "tests" / "data" / "samples").glob("*.json")
    assert {sample for sample, _ in rows("Sample answers")} == {path.stem for path in samples}


def test_every_row_names_a_test_of_its_own_that_there_is() -> None:
    named = re.findall(r"`(tests/[^`]+::[^`]+)`", PAGE)
    files = sorted({test.split("::")[0] for test in named})
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *files],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(named) == len(set(named)) == sum(len(rows(title)) for title in ("Kore.ai", "Sonarly", "Sample answers"))
    assert set(named) <= set(collected)
