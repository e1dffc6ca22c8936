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


def store(connections: dict[str, str]) -> None:
    """Put connections into Airflow's database, where the UI puts them."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add_all(Connection.from_json(value, conn_id) for conn_id, value in connections.items())


def main() -> int:
    """
    Run the blocks; return how many have failed.

    Standard input is a JSON object: ``connections`` for the database, by id, and ``blocks`` of title and source.
    """
    failures = 0
    given = json.load(sys.stdin)
    store(given["connections"])
    for title, code in given["blocks"]:
        missing = missing_names(code)
        if missing:
            print(f"{title} {UNAVAILABLE}{', '.join(missing)}")
            continue
        print(title, flush=True)
        try:
            exec(compile(code, title, "exec"), {"__name__": "documentation"})
        except Exception as error:  # noqa: BLE001 the other blocks are run even so
            if "or use Airflow 3" in str(error):  # a schedule that Airflow 2 has no timetable for
                print(f"  {UNAVAILABLE}{error}")
                continue
            failures += 1
            print(f"{title} has failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
