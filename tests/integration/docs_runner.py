"""Execute the Python blocks of a page one by one, each in a namespace of its own: ``python docs_runner.py <page>``."""

from __future__ import annotations

import ast
import importlib
import json
import sys

UNAVAILABLE = "needs a newer Airflow: "


def missing_names(code: str) -> list[str]:
    """Return what a block imports from Airflow that this line of it does not have."""
    missing = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow."):
            try:
                module = importlib.import_module(str(node.module))
            except ImportError:
                missing.append(str(node.module))
            else:
                missing += [alias.name for alias in node.names if not hasattr(module, alias.name)]
    return missing


def main() -> None:
    """Read the blocks from standard input, as a JSON list of titles and sources."""
    for title, code in json.load(sys.stdin):
        missing = missing_names(code)
        if missing:
            print(f"{title} {UNAVAILABLE}{', '.join(missing)}")
            continue
        print(title, flush=True)
        exec(compile(code, title, "exec"), {"__name__": "documentation"})


if __name__ == "__main__":
    main()
