"""The changelog is in Keep a Changelog's form; it, and the warning of a deprecated name, say what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning
from packaging.version import Version

from airflow_provider_campaign import __version__
from airflow_provider_campaign.version_compat import warn_deprecated

CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
SECTIONS = ["Breaking changes", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
_, *PARTS = re.split(r"^## (.*)\n", CHANGELOG, flags=re.MULTILINE)
VERSIONS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))  # what is said of each, by its heading


def test_versions_are_dated_and_stand_newest_first_and_the_packages_is_the_newest_or_still_to_come() -> None:
    first, *released = VERSIONS
    assert first == "Unreleased"
    assert [heading for heading in released if not re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading)] == []
    numbers = [Version(heading.split()[0]) for heading in released]
    assert numbers == sorted(numbers, reverse=True)
    version = Version(__version__)
    assert version > numbers[0] if version.is_devrelease else version == numbers[0]


def test_the_sections_of_a_version_stand_in_order() -> None:
    for version, text in VERSIONS.items():
        sections = re.findall(r"^### (.*)$", text, re.MULTILINE)
        assert sections == [section for section in SECTIONS if section in sections], version
        assert re.findall(r"^(Added|Changed|Fixed)\b", text, re.MULTILINE) == [], version


def test_a_breaking_change_says_what_to_write_instead() -> None:
    for text in VERSIONS.values():
        if "### Breaking changes\n" in text:
            table = text.partition("### Breaking changes\n")[2].partition("\n### ")[0]
            rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
            assert len(rows) > 2
            assert [row for row in rows if len(row) != 2 or not all(row)] == []


def test_a_deprecated_name_warns_where_it_is_used_with_what_to_write_instead() -> None:
    def stop_evening() -> None:
        warn_deprecated("stop_evening()", "stop_and_wait()")

    with pytest.warns(AirflowProviderDeprecationWarning, match=r"stop_evening.*Write stop_and_wait\(\)") as warned:
        stop_evening()
    assert warned[0].filename == __file__
    assert warned[0].lineno == stop_evening.__code__.co_firstlineno + 4
