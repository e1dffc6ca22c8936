"""Documentation, docstrings, messages, comments, and test names use the words of the field."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]
PACKAGE = [
    path
    for ending in ("py", "js", "html", "schema.json")
    for path in (REPOSITORY / "airflow_provider_campaign").rglob(f"*.{ending}")
]
CODE = re.compile(r"(?ms)^```.*?^```$|`[^`]*`|\]\([^)\s]*\)|<!--.*?-->")
"""On pages: code, which quotes names and messages as they are, and links' targets."""

NAMES = re.compile(r"``[^`]*``|cd-[\w-]+|Evening reminder")  # code in docstrings, and campaigns of the sandbox

INSTEAD = {
    r"what (is|was|were)( still)? live": "live campaigns, campaigns that were live",
    r"refus\w+ for the rate": "rate-limited, a 429 response, a rate-limit error",
    r"request budget|requests are spent|spends? (the account's|its) requests": "rate limit, it is reached",
    r"somebody|some(one|body) else": "another user, another client",
    r"tells?|told": "contains, returns, reports, says",
    r"mend(s|ed|able)?|heal(s|ed)?": "fix, retry",
    r"(been|was|were) heard": "may have reached the platform, was acknowledged",
    r"(is|are|was|were|be) (through|over|at (its|their) end)": "has finished, has ended",
    r"gives? up|gave up|given up": "abandoned (work), timed out (waits)",
    r"at full speed": "without pacing",
    r"(try|tries) before|earlier (try|tries)": "the previous attempt, previous tries",
    r"what can't be read|(row|response|event|list)s? that can't be read": "an unreadable row, response, …",
    r"h[eo]lds?(ing)? (\w+ ){1,5}against": "compares with, checks against",
    r"where it is not known": "if unknown",
    r"so many|such an?|these are none": "the number of, this, they are not",
    r"by hand": "manually triggered; yourself",
    r"(is|are|was|were) due": "should run, is scheduled, whose moment has come",
    r"(wind|winds|winding|wound) down": "is stopping",
    r"evenings?|nights?": "closing, closed period",
    r"the button|the page": "the emergency DAG, the Campaign shutdowns page",
    r"for instance": "for example",
}
"""Patterns of words, and what to write instead."""

EXCEPTIONS = {
    ("docs/page.md", "the page"): "it is about that page alone",
    ("CONTRIBUTING.md", "the page"): "any page in docs/",
    ("CODE_OF_CONDUCT.md", "told"): "of people, not of data",
    ("code", "the page"): "a page of a list, or the page that a module makes",
}
"""What a page, or code, may say even so, and why."""


def found(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the words, and what to write instead, also of words that a line break divides."""
    for pattern, instead in INSTEAD.items():
        spaced = pattern.replace(" ", r"\s+")
        for match in re.finditer(rf"(?i)(?<!\w)(?:{spaced})(?!\w)", text):
            yield text.count("\n", 0, match.start()), " ".join(match.group().lower().split()), instead


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring, message, and comment; of what is no module, all of it."""
    source = path.read_text(encoding="utf-8")
    if path in PAGES:
        yield 1, CODE.sub(lambda match: "\n" * match.group().count("\n") or "_", source)
    elif path.suffix != ".py":
        yield 1, source
    else:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, NAMES.sub("_", node.value)
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def test_pages_docstrings_messages_and_comments_use_the_words_of_the_field() -> None:
    findings: dict[tuple[str, str], list[str]] = {}
    for path in [*PAGES, *PACKAGE, *REPOSITORY.glob("example_dags/*.py")]:
        name = str(path.relative_to(REPOSITORY))
        for first, text in texts(path):
            for line, words, instead in found(text):
                place = name if path in PAGES else "code"
                findings.setdefault((place, words), []).append(f"{name}:{first + line}: write {instead}")
    assert {key: lines for key, lines in findings.items() if key not in EXCEPTIONS} == {}
    assert findings.keys() == EXCEPTIONS.keys()


def test_names_of_tests_use_the_words_of_the_field() -> None:
    modules = (path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("*.py"))
    names = {name for module in modules for name in re.findall(r"def (test_\w+)", module)}
    assert [(name, *what) for name in names for what in found(name.replace("_", " "))] == []
