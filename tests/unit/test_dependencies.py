"""The package asks for all that it imports, and for nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "airflow_provider_campaign"
SANDBOX = PACKAGE / "sandbox"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

DISTRIBUTIONS = {
    "airflow": "apache-airflow",
    "airflow.providers.common.compat": "apache-airflow-providers-common-compat",
    "jwt": "pyjwt",
    "yaml": "pyyaml",
}
"""The distributions of modules that are named otherwise."""

PARTS_OF_AIRFLOW = {"flask_appbuilder", "sqlalchemy", "wtforms"}
"""What Airflow hands in: connection forms before 3.2 are made of its widgets, and errors of 2.11 are its database's."""


def imported(files: Iterable[Path]) -> set[str]:
    """Return the distributions that modules come from, other than Python's own and this one."""
    modules = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
    known = {*sys.stdlib_module_names, *PARTS_OF_AIRFLOW, PACKAGE.name}
    return {distribution(module) for module in modules if module.partition(".")[0] not in known}


def distribution(module: str) -> str:
    of_parents = [name for name in DISTRIBUTIONS if f"{module}.".startswith(f"{name}.")]
    return DISTRIBUTIONS[max(of_parents)] if of_parents else canonicalize_name(module.partition(".")[0])


def declared(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def test_the_package_declares_what_it_imports() -> None:
    files = set(PACKAGE.rglob("*.py")) - set(SANDBOX.rglob("*.py"))
    brought = {PACKAGE / "testing.py", *(PACKAGE / "ui").glob("*.py")}  # by pytest, and by Airflow's server
    assert imported(files - brought) == declared(PROJECT["dependencies"])
    assert imported(brought) - declared(PROJECT["dependencies"]) == {"pytest", "starlette"}


def test_the_extra_sandbox_declares_what_the_sandbox_imports_on_top() -> None:
    on_top = imported(SANDBOX.rglob("*.py")) - declared(PROJECT["dependencies"])
    assert on_top == declared(PROJECT["optional-dependencies"]["sandbox"])


def test_every_dependency_has_a_lowest_version_whose_advisories_have_been_looked_at() -> None:
    named = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["sandbox"]]
    lowest = {each.name: str(each.specifier).removeprefix(">=") for each in map(Requirement, named)}
    assert [each for each in named if ">=" not in each] == []
    table = (REPOSITORY / "SECURITY.md").read_text().partition("## Advisories")[2]
    assert dict(re.findall(r"^\| `([\w-]+)` (\S+)", table, re.MULTILINE)) == lowest
