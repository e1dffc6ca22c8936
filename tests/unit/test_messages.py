"""
The catalogue of messages: the texts that errors, logs, and commands can show, as they stand in the package.

A line is one statement's texts, with placeholders as in the source. A change of wording shows in review; the file is
written anew by ``python -m tests.unit.test_messages``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "airflow_provider_campaign"
CATALOGUE = Path(__file__).parents[1] / "data" / "messages.txt"
OTHER_TEXTS = ("sandbox/", "ui/", "cli/definition.py")
"""Where there are texts of other kinds: the sandbox's, the page's, and the commands' help."""

NOT_SHOWN = {"debug", "compile", "cast", "AssertionError"}  # calls whose texts no user sees

MESSAGE = re.compile(r"(?!\s*(?:GET |POST |DELETE |<|body )).*[A-Za-z']{2,}\W? [A-Za-z'{(%]{2,}", re.DOTALL)
"""Two words, of which no request line, page or style begins."""


def messages(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of each statement that has one of two words or more."""
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not isinstance(node, ast.Assert))
    for statement in sorted(statements, key=lambda node: node.lineno):
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        found = [" ".join(text.split()) for text in texts(statement) if MESSAGE.match(text) and not is_docstring]
        if found:
            yield " … ".join(found)


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts of a node in their order, but for those of statements in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
        yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{" + ast.unparse(p) + "}" for p in parts)
    elif not (isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in NOT_SHOWN):
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not isinstance(child, ast.stmt) and "annotation" not in name:
                    yield from texts(child)


def catalogue() -> str:
    modules = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
    sections = (
        "\n".join([f"# {name}", *dict.fromkeys(messages(ast.parse(path.read_text())))])
        for name, path in modules.items()
        if not name.startswith(OTHER_TEXTS)
    )
    return "\n\n".join(section for section in sections if "\n" in section) + "\n"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="another Python writes some placeholders otherwise")
def test_the_catalogue_has_every_message() -> None:
    assert CATALOGUE.read_text() == catalogue(), "Run: python -m tests.unit.test_messages"


if __name__ == "__main__":
    CATALOGUE.write_text(catalogue())
