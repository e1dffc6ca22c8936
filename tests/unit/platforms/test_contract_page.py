"""The page docs/contract.md lists every action and sample, each with a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_campaign.platforms import kore, sonarly

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "contract.md").read_text()


def rows(title: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_kore_endpoint_is_in_the_contract() -> None:
    endpoints = {(name, version): path for version, paths in kore.ENDPOINTS.items() for name, path in paths.items()}
    endpoints["schedule_off", "v2"] = kore.SCHEDULE_OFF
    assert {(name, version): path for name, version, path, _ in rows("Kore.ai")} == endpoints


def test_every_sonarly_endpoint_is_in_the_contract() -> None:
    assert {name: path for name, path, _ in rows("Sonarly")} == {
        str(action): path for action, path in sonarly.ENDPOINTS.items()
    }


def test_every_sample_is_in_the_contract() -> None:
    samples = (REPOSITORY / "tests" / "data" / "samples").glob("*.json")
    assert {sample for sample, _ in rows("Sample responses")} == {path.stem for path in samples}


def test_every_row_names_an_existing_test_of_its_own() -> None:
    named = re.findall(r"`(tests/[^`]+)::(\w+)([^`]*)`", PAGE)
    assert len(named) == len(set(named)) == sum(map(len, map(rows, ("Kore.ai", "Sonarly", "Sample responses"))))
    assert [row for row in named if f"\ndef {row[1]}(" not in (REPOSITORY / row[0]).read_text()] == []
