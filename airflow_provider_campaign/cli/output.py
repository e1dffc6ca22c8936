"""What a command shows: results on stdout, all else on stderr, colors and a moving progress on terminals only."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PACKAGE_LOGGER = __name__.partition(".")[0]

LINE_INTERVAL = 2.0
"""Seconds between two lines about the progress, if there is no terminal."""

Row = Mapping[str, Any]

ShowProgress = Callable[[str, str, int, int | None], None]
"""Takes an account, a text, how many campaigns are done, and of how many; None if not yet known."""


class Output:
    """
    What a command shows.

    :param style: ``table``, ``plain``, ``json``, or ``yaml``.
    :param is_verbose: Whether the log is shown, too.
    """

    def __init__(self, style: str, *, is_verbose: bool = False) -> None:
        self.style = style
        self.is_verbose = is_verbose
        self.messages = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)

    @property
    def is_for_machines(self) -> bool:
        """Whether nothing but the result and what is wrong is shown."""
        return self.style in ("json", "yaml")

    def rows(self, rows: Sequence[Row], columns: Collection[str]) -> None:
        """Print the result; a person is shown the columns only, JSON and YAML have all."""
        console = AirflowConsole(markup=False, emoji=False, highlight=False)
        whole: Any = [dict(row) for row in rows]
        if self.style == "json":
            console.print_as_json(whole)
        elif self.style == "yaml":
            console.print_as_yaml(whole)
        elif rows:
            console.print_as(_cells(rows, columns), self.style)

    def preview(self, rows: Sequence[Row], columns: Collection[str]) -> None:
        """Show a table to a person who is to decide; standard output is for the result."""
        if rows:
            console = AirflowConsole(stderr=True, markup=False, emoji=False, highlight=False)
            console.print_as_table(_cells(rows, columns))

    def ask(self, question: str) -> bool:
        """Return whether the user at the terminal says yes."""
        self.messages.print(f"{question} [y/N] ", end="")
        return sys.stdin.readline().strip().casefold() in ("y", "yes")

    def say(self, text: str) -> None:
        """Print a message."""
        if not self.is_for_machines:
            self.messages.print(_lines(text))

    def problem(self, text: str) -> None:
        """Print a problem."""
        self.messages.print(_lines(text), style="bold red")

    @contextmanager
    def progress(self) -> Iterator[ShowProgress]:
        """Yield what shows how far the work on an account is: bars on a terminal, else a line now and then."""
        if self.is_for_machines:
            yield lambda *_: None
        elif self.messages.is_terminal:
            name = TextColumn("{task.description}", markup=False)
            text = TextColumn("{task.fields[text]}", markup=False)
            columns = (name, BarColumn(), text, TimeElapsedColumn())
            with Progress(*columns, console=self.messages, transient=True) as bars:
                tasks: dict[str, TaskID] = {}

                def move_bar(account: str, text: str, done: int, total: int | None) -> None:
                    if account not in tasks:
                        tasks[account] = bars.add_task(account, text=text, total=total)
                    bars.update(tasks[account], text=text, completed=done, total=total)

                yield move_bar
        else:
            shown: dict[str, str] = {}
            shown_at = time.monotonic()

            def print_line(account: str, text: str, *_: object) -> None:
                nonlocal shown_at
                if shown.get(account) != text and time.monotonic() - shown_at >= LINE_INTERVAL:
                    shown[account], shown_at = text, time.monotonic()
                    self.say(f"{account}: {text}")

            yield print_line

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Have log records on stderr while a command runs, whatever Airflow's configuration does with them."""
        root = logging.getLogger()
        package = logging.getLogger(PACKAGE_LOGGER)
        console = (sys.stdout, sys.stderr)
        shown = [handler for handler in root.handlers if getattr(handler, "stream", None) in console]
        level, handler = package.level, _LogHandler(self)
        for each in shown:
            root.removeHandler(each)
        root.addHandler(handler)
        package.setLevel(logging.DEBUG if self.is_verbose else logging.WARNING)
        try:
            yield
        finally:
            package.setLevel(level)
            root.removeHandler(handler)
            for each in shown:
                root.addHandler(each)


class _LogHandler(logging.Handler):
    """Shows what is of interest: the provider's warnings, others' errors; all of the provider's log if verbose."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        is_ours = record.name.partition(".")[0] == PACKAGE_LOGGER
        try:
            if is_ours or record.levelno >= logging.ERROR:
                text = f"{record.levelname.lower()}: {self.format(record)}"
                self._output.messages.print(_lines(text), style="dim")
        except Exception:  # noqa: BLE001 a terminal that is gone must not end a stop
            self.handleError(record)


def _cells(rows: Sequence[Row], columns: Collection[str]) -> list[dict[str, str]]:
    """Return rows as a person reads them: moments to the second."""
    return [
        {
            column: f"{row[column][:19]}Z" if column.endswith("_at") and row[column] else printable(row.get(column))
            for column in columns
        }
        for row in rows
    ]


def printable(value: object) -> str:
    """Return a value as a cell: what a campaign is called must not steer a terminal."""
    text = "" if value is None else str(value)
    return "".join(mark if mark.isprintable() else " " for mark in text)


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))
