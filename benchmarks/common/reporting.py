"""Where figures go: raw into ``benchmarks/results``, tables into ``docs/benchmarks.md`` and ``README.md``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.common.measuring import Measurement

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "docs" / "benchmarks.md", ROOT / "README.md")


def save(name: str, measurements: Iterable[Measurement]) -> None:
    """Write the raw figures of a benchmark."""
    RESULTS.mkdir(exist_ok=True)
    rows = [measurement.as_dict() for measurement in measurements]
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n")


def load(name: str) -> list[Measurement]:
    """Return the figures that :func:`save` has written."""
    return [Measurement(**row) for row in json.loads((RESULTS / f"{name}.json").read_text())]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join('-' if cell is None else str(cell) for cell in line)} |\n" for line in lines)


def publish(name: str, markdown: str) -> None:
    """Print a table, and put it into the pages between the marks that bear its name."""
    print(markdown)
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    for page in PAGES:
        page.write_text(pattern.sub(lambda _: f"{begin}{markdown}{end}", page.read_text()))
