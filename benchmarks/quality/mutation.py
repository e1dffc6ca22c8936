"""
How strong the tests are: the share of small mistakes, made on purpose, that they find.

``python -m benchmarks.quality.mutation`` makes one mistake at a time in a copy of the repository (a comparison, a
condition, a constant, a return, drawn evenly over the files of three layers). The tests that run through the line of a
mistake, as coverage has it, must find it: they run until one fails.

Bounds of comparisons are not moved (``<`` to ``<=``): most are between moments, which are never the same.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "airflow_provider_campaign"
LAYERS = ("platforms", "client", "waiting", "records", "check")
COPIED = (PACKAGE, "tests", "example_dags", "docs", "README.md", "pyproject.toml")

TESTS = ("tests/unit", "tests/integration")
SLOW = (
    *("airflow_runs", "changelog", "demo", "docs", "example_dags", "messages", "packaging"),
    *("provider_commands", "repository", "samples", "words"),
)
"""Whole Airflows, and tools, and what looks at the repository: what they would find, others find sooner."""

TIME_LIMIT = 1800
"""Seconds after which a run counts as a find: a mistake that makes the code wait for ever."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


@dataclass(frozen=True)
class Mutant:
    """
    A mistake: the ``number``-th one that can be made in a file.

    :param lines: Those that it is on.
    """

    path: str
    number: int
    lines: range
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lines.start}: {self.what}"


class Mutator(ast.NodeTransformer):
    """
    Make one mistake, and note all that could be made.

    :param chosen: Which one to make; None for none.
    """

    def __init__(self, chosen: int | None = None) -> None:
        self.chosen = chosen
        self.found: list[tuple[range, str]] = []

    def _choose(self, node: ast.expr | ast.stmt, what: str) -> bool:
        self.found.append((range(node.lineno, (node.end_lineno or node.lineno) + 1), what))
        return len(self.found) - 1 == self.chosen

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Leave a class's decorators as they are: what they say of a dataclass is for its readers."""
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """Leave a number that has a name as it is: tests take it by that name, and its uses are tried."""
        name = node.targets[0]
        return node if isinstance(name, ast.Name) and name.id.isupper() else self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Turn a comparison round."""
        self.generic_visit(node)
        if type(node.ops[0]) in COMPARISONS and self._choose(node, f"comparison {ast.unparse(node)}"):
            node.ops[0] = COMPARISONS[type(node.ops[0])]()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """Exchange ``and`` and ``or``."""
        self.generic_visit(node)
        if self._choose(node, f"and/or {ast.unparse(node)}"):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        """Never enter a branch."""
        self.generic_visit(node)
        if self._choose(node.test, f"never: if {ast.unparse(node.test)}"):
            node.test = ast.Constant(False)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Add one to a number, or turn a boolean round."""
        if isinstance(node.value, bool):
            if self._choose(node, f"not {node.value}"):
                return ast.Constant(not node.value)
        elif isinstance(node.value, int | float) and self._choose(node, f"{node.value} + 1"):
            return ast.Constant(node.value + 1)
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        """Return nothing."""
        self.generic_visit(node)
        is_nothing = node.value is None or (isinstance(node.value, ast.Constant) and node.value.value in (None, False))
        if not is_nothing and self._choose(node, f"no return {ast.unparse(node)}"):
            return ast.Return(ast.Constant(None))
        return node


def mutants(repository: Path, layers: list[str]) -> Iterator[list[Mutant]]:
    """Yield all mistakes of each file."""
    for layer in layers:
        for file in sorted((repository / PACKAGE / layer).glob("*.py")):
            mutator = Mutator()
            mutator.visit(ast.parse(file.read_text()))
            path = str(file.relative_to(repository))
            yield [Mutant(path, number, lines, what) for number, (lines, what) in enumerate(mutator.found)]


def draw(files: list[list[Mutant]], count: int, seed: int) -> list[Mutant]:
    """Return so many mistakes, from each file in proportion to what it has."""
    chance = random.Random(seed)
    everything = sum(map(len, files))
    shares = [
        chance.sample(file, min(len(file), max(1, round(count * len(file) / everything)))) for file in files if file
    ]
    return [mutant for share in shares for mutant in share]


def run_tests(folder: Path, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run pytest in a copy of the repository, until a test fails."""
    limit = ("--timeout=120", "--timeout-method=thread")  # which ends the process, whatever its threads wait for
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *limit, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder), "COVERAGE_FILE": str(folder / "coverage.data")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def copy_repository(repository: Path, folder: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


class Coverage:
    """
    Which tests run through which line.

    :raises SystemExit: When they fail without any mistake: every mistake would count as found.
    """

    def __init__(self, repository: Path, layers: list[str], tests: list[str], jobs: int) -> None:
        left_out = (f"--ignore-glob=*/test_{name}.py" for name in SLOW)
        measured = (f"--cov={PACKAGE}/{layer}" for layer in layers)
        with tempfile.TemporaryDirectory(prefix="covered-") as name:
            copy_repository(repository, folder := Path(name))
            options = (f"--numprocesses={jobs}", "--dist=worksteal", "--cov-context=test", "--cov-report=")
            done = run_tests(folder, *options, *measured, *left_out, *tests)
            if done.returncode:
                raise SystemExit(f"The tests fail as they are:\n{done.stdout[-3000:]}")
            data = CoverageData(str(folder / "coverage.data"))
            data.read()
            self._tests = {
                str(Path(file).relative_to(folder)): _by_line(data.contexts_by_lineno(file))
                for file in data.measured_files()
            }

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that run through a mistake; for one that only an import does, all of the file's."""
        by_line = self._tests.get(mutant.path, {})
        tests = set().union(*(by_line.get(line, ()) for line in mutant.lines)) or set().union(*by_line.values())
        return sorted(tests, key=lambda test: ("/unit/" not in test, test))


def _by_line(contexts: Mapping[int, list[str]]) -> dict[int, set[str]]:
    """Return the tests of each line; what no test does has no context."""
    return {line: {context.rpartition("|")[0] for context in each if context} for line, each in contexts.items()}


def survives(repository: Path, mutant: Mutant, tests: list[str]) -> bool:
    """Tell whether the tests find nothing; a run that takes too long is a find."""
    if not tests:
        return True
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        copy_repository(repository, folder := Path(name))
        tree = Mutator(mutant.number).visit(ast.parse((folder / mutant.path).read_text()))
        (folder / mutant.path).write_text(ast.unparse(ast.fix_missing_locations(tree)))
        (folder / "selection").write_text("\n".join(tests))
        try:
            return run_tests(folder, "@selection", timeout=TIME_LIMIT).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def main() -> None:
    """Print each mistake and whether it is found, and the share of those that are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="another state of it, to compare")
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), help="folders of the package")
    parser.add_argument("tests", nargs="*", default=list(TESTS))
    options = parser.parse_args()
    began = time.monotonic()
    chosen = draw(list(mutants(options.repository, options.layers)), options.count, options.seed)
    coverage = Coverage(options.repository, options.layers, options.tests, options.jobs)
    print(f"Which test runs through which line is known after {time.monotonic() - began:.0f} s", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        alive = pool.map(lambda mutant: survives(options.repository, mutant, coverage.tests_of(mutant)), chosen)
        found = 0
        for mutant, lives in zip(chosen, alive, strict=True):
            found += not lives
            print("survived" if lives else "found", mutant, flush=True)
    print(f"{found} of {len(chosen)} found ({found / len(chosen):.0%}) in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
