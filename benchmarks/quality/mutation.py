"""
How strong the tests are: the share of small mistakes, made on purpose, that they find.

``python -m benchmarks.quality.mutation`` makes one mistake at a time in a copy of the repository (a comparison, a
condition, a constant, a return, drawn evenly over the files of three layers), and runs the tests until one fails.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "airflow_provider_campaign"
LAYERS = ("platforms", "client", "operations")
COPIED = (PACKAGE, "tests", "example_dags", "docs", "README.md", "pyproject.toml")

# Fast tests first, and those of the three layers: most mistakes are found by these.
TESTS = (
    "tests/unit/platforms",
    "tests/unit/client",
    "tests/unit",
    *(
        f"tests/integration/test_{name}.py"
        for name in (
            "wire",
            "behaviour",
            "account_poller",
            "sweep",
            "other_servers",
            "bounds",
            "listing",
            "faults",
            "triggers",
            "three_modes",
            "schedule_off",
            "connection_check",
            "bad_input",
            "sensor",
            "termination",
            "third_platform",
            "properties",
            "properties_deferred",
        )
    ),
)
LEFT_OUT = ("test_calling_hours", "test_timetables", "test_makefile")
TIME_LIMIT = 1800
"""Seconds after which a run counts as a find: a mistake that makes the code wait for ever."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


@dataclass(frozen=True)
class Mutant:
    """A mistake: the ``number``-th one that can be made in a file."""

    path: str
    number: int
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


class Mutator(ast.NodeTransformer):
    """
    Make one mistake, and note all that could be made.

    :param chosen: Which one to make; None for none.
    """

    def __init__(self, chosen: int | None = None) -> None:
        self.chosen = chosen
        self.found: list[tuple[int, str]] = []

    def _choose(self, node: ast.AST, what: str) -> bool:
        self.found.append((getattr(node, "lineno", 0), what))
        return len(self.found) - 1 == self.chosen

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Turn a comparison round, or move its bound."""
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
        if self._choose(node, f"never: if {ast.unparse(node.test)}"):
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
        is_nothing = node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
        if not is_nothing and self._choose(node, f"no return {ast.unparse(node)}"):
            return ast.Return(ast.Constant(None))
        return node


def mutants(repository: Path, layers: tuple[str, ...]) -> Iterator[list[Mutant]]:
    """Yield all mistakes of each file."""
    for layer in layers:
        for file in sorted((repository / PACKAGE / layer).glob("*.py")):
            mutator = Mutator()
            mutator.visit(ast.parse(file.read_text()))
            path = str(file.relative_to(repository))
            yield [Mutant(path, number, line, what) for number, (line, what) in enumerate(mutator.found)]


def draw(files: list[list[Mutant]], count: int, seed: int) -> list[Mutant]:
    """Return so many mistakes, from each file in proportion to what it has."""
    chance = random.Random(seed)
    everything = sum(map(len, files))
    shares = [
        chance.sample(file, min(len(file), max(1, round(count * len(file) / everything)))) for file in files if file
    ]
    return [mutant for share in shares for mutant in share]


def survives(mutant: Mutant, repository: Path, selection: list[str]) -> bool:
    """Tell whether the tests find nothing; a run that takes too long is a find."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = repository / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, copy / name)
        tree = ast.parse((copy / mutant.path).read_text())
        (copy / mutant.path).write_text(ast.unparse(ast.fix_missing_locations(Mutator(mutant.number).visit(tree))))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout=120", *selection]
        try:
            done = subprocess.run(
                command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, timeout=TIME_LIMIT
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def check_that_tests_pass(repository: Path, selection: list[str]) -> None:
    """
    Run the tests without any mistake.

    :raises SystemExit: When they fail: every mistake would count as found.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *selection]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"The tests fail as they are:\n{done.stdout[-3000:]}")


def main() -> None:
    """Print each mistake that is not found, and the share of those that are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("tests", nargs="*", default=list(TESTS))
    options = parser.parse_args()
    left_out = [argument for name in LEFT_OUT for argument in (f"--ignore-glob=*{name}.py",)]
    chosen = draw(list(mutants(REPOSITORY, LAYERS)), options.count, options.seed)
    check_that_tests_pass(REPOSITORY, [*left_out, *options.tests])
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        alive = pool.map(lambda mutant: survives(mutant, REPOSITORY, [*left_out, *options.tests]), chosen)
        found = 0
        for mutant, lives in zip(chosen, alive, strict=True):
            found += not lives
            print("survived" if lives else "found", mutant, flush=True)
    print(f"{found} of {len(chosen)} found ({found / len(chosen):.0%}) in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
