"""Execute the Python blocks of the pages, given as JSON on standard input, each in a namespace of its own."""

from __future__ import annotations

import ast
import importlib
import json
import sys
import traceback
from collections.abc import Iterator


def missing_names(code: str) -> Iterator[str]:
    """Yield what a block imports from Airflow that this version of it does not have."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow."):
            try:
                module = importlib.import_module(str(node.module))
                yield from (alias.name for alias in node.names if not hasattr(module, alias.name))
            except ImportError:
                yield str(node.module)


def main() -> int:
    """Run the blocks; return how many have failed."""
    failures = 0
    for title, code in json.load(sys.stdin):
        print(title, flush=True)
        if missing := list(missing_names(code)):
            print(f"  needs a newer Airflow: {', '.join(missing)}")
            continue
        try:
            exec(compile(code, title, "exec"), {"__name__": "documentation"})
        except Exception as error:  # noqa: BLE001 the other blocks are run even so
            if "or use Airflow 3" not in str(error):  # a schedule that Airflow 2 has no timetable for
                failures += 1
                print(f"{title} has failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
