"""Execute the Python blocks of the pages one by one, each in a namespace of its own."""

from __future__ import annotations

import ast
import importlib
import json
import sys
import traceback

UNAVAILABLE = "needs a newer Airflow: "


def missing_names(code: str) -> list[str]:
    """Return what a block imports from Airflow that this version of it does not have."""
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


def main() -> int:
    """Run the blocks, a JSON list of titles and sources on standard input; return how many have failed."""
    failures = 0
    for title, code in json.load(sys.stdin):
        missing = missing_names(code)
        if missing:
            print(f"{title} {UNAVAILABLE}{', '.join(missing)}")
            continue
        print(title, flush=True)
        try:
            exec(compile(code, title, "exec"), {"__name__": "documentation"})
        except Exception:  # noqa: BLE001 the other blocks are run even so
            failures += 1
            print(f"{title} has failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
