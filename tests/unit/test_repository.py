"""What someone finds who wants to join: root documents, Makefile, workflows, hooks. They name what there is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROOT_PAGES = [REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md")]
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))


def lines_of(name: str) -> list[str]:
    """Return the words of a variable of the Makefile; what it refers to is left out."""
    [definition] = re.findall(rf"^{name} := (.*)$", MAKEFILE, re.MULTILINE)
    return re.findall(r"(?<!\S)\d\S*", definition)


@cache
def commands(workflow: Path) -> list[str]:
    """Return the workflow's commands as the script that runs them here lists them, without their jobs."""
    run: list[str | Path] = [sys.executable, REPOSITORY / ".ci/workflow.py", "--list", "--workflow", workflow]
    listed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    return [line.partition(": ")[2] for line in listed.splitlines()]


def test_the_first_change_of_a_contributor_is_possible() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    demo, change, test, demo_again, lint = block.splitlines()
    assert (demo, lint) == ("make demo", "make lint")
    old, new, file = re.fullmatch(r"sed -i 's/(.*)/(.*)/' (\S+)", change).groups()  # type: ignore[union-attr]
    assert old in (REPOSITORY / file).read_text(encoding="utf-8")
    assert demo_again == f"make demo ARGS=--show-log | grep '{new.partition(';')[0]}'"
    python, _, _, _, tests, _, _ = test.split()
    assert python == f".venv/{lines_of('LATEST')[0]}/bin/python"
    assert (REPOSITORY / tests).exists()


def test_what_is_still_missing_says_so_and_stands_in_the_list_for_releasing() -> None:
    releasing = (REPOSITORY / "docs/contributing.md").read_text(encoding="utf-8").partition("## Releasing")[2]
    listed = set(re.findall(r"`(\w+\.md)`", releasing.partition("Then, for each release")[0])) - {"README.md"}
    says_so = {page.name for page in ROOT_PAGES if "**There is no address" in page.read_text(encoding="utf-8")}
    assert says_so == listed == {"SECURITY.md", "CODE_OF_CONDUCT.md"}


def test_every_command_of_the_workflows_is_a_target_of_make_that_exists() -> None:
    for workflow in WORKFLOWS:
        for command in commands(workflow):
            program, target, *_ = command.split()
            assert program == "make" or command.startswith('test "$GITHUB_REF_NAME"'), command
            assert program != "make" or re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), command


def test_the_workflow_tests_every_airflow_version_and_every_python_that_is_declared() -> None:
    listed = commands(REPOSITORY / ".github/workflows/ci.yml")
    tests = [command for command in listed if command.startswith("make test ")]
    pythons = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if "Python :: 3." in name]
    [latest] = lines_of("LATEST")
    expected = [f"make test AIRFLOW={line} PYTHON=python{pythons[0]}" for line in [*lines_of("LINES"), latest]]
    expected += [f"make test AIRFLOW={latest} PYTHON=python{python}" for python in pythons[1:]]
    assert tests == expected


def test_the_workflow_has_every_part_of_what_a_change_has_to_pass() -> None:
    parts = set(re.findall(r"\bmake ([a-z0-9-]+)", (REPOSITORY / ".ci/run").read_text(encoding="utf-8")))
    assert {f"make {part}" for part in parts - {"test"}} <= set(commands(REPOSITORY / ".github/workflows/ci.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_may_read_and_nothing_else_but_to_publish(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in content["jobs"].items() if "permissions" in job} == (
        {"publish": {"id-token": "write"}} if workflow.name == "release.yml" else {}
    )
    assert "secrets." not in workflow.read_text(encoding="utf-8")
    for job in content["jobs"].values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+|pypa/gh-action-pypi-publish@release/v1", step["uses"])


def test_the_hooks_need_no_network_and_call_what_make_installs() -> None:
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    [latest] = lines_of("LATEST")
    for repository in config["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert hook["entry"].startswith((f".venv/{latest}/bin/", ".venv/tools/bin/")), hook["id"]


def test_the_commands_of_a_workflow_run_in_order_until_one_fails(tmp_path: Path) -> None:
    steps = [{"run": "echo ${{ matrix.name }}"}, {"run": "test ${{ matrix.name }} = ada"}, {"run": "echo never $X"}]
    greet = {"strategy": {"matrix": {"name": ["ada", "bob"]}}, "steps": steps, "env": {"X": "again"}}
    workflow = tmp_path / "odd.yml"
    workflow.write_text(yaml.safe_dump({"jobs": {"greet": greet}}))
    run: list[str | Path] = [sys.executable, REPOSITORY / ".ci/workflow.py", "--workflow", workflow]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if not line.startswith("odd.")] == ["ada", "never again", "bob"]


@pytest.mark.parametrize("version", [*lines_of("LINES"), *lines_of("LATEST")])
def test_the_constraints_of_an_airflow_version_are_versions_and_nothing_else(version: str) -> None:
    constraints = (REPOSITORY / f"constraints/airflow-{version}.txt").read_text().splitlines()
    assert f"apache-airflow=={version}" in constraints
    assert [each for each in constraints if not re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", each)] == []


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


# What the package asks for: all that it imports, and nothing else.

PACKAGE = REPOSITORY / "airflow_provider_campaign"
SANDBOX = PACKAGE / "sandbox"
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
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
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
    table = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8").partition("## Advisories")[2]
    assert dict(re.findall(r"^\| `([\w-]+)` (\S+)", table, re.MULTILINE)) == lowest
