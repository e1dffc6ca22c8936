"""What a command shows: the result on stdout, all else on stderr; and its exit status."""

from __future__ import annotations

import csv
import functools
import io
import logging
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from rich.console import Console

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError

SUCCESS, NOT_VERIFIED, NOTHING_SENT = 0, 1, 2  # the exit statuses of all commands

PACKAGE_LOGGER = __name__.partition(".")[0]

PROGRESS_INTERVAL = 2.0  # seconds between two lines about the progress

Row = Mapping[str, Any]


class Output:
    """What a command shows, as ``table``, ``plain``, ``json``, or ``yaml``; its log, too, if it is verbose."""

    def __init__(self, style: str, *, is_verbose: bool = False) -> None:
        self.style = style
        self.is_verbose = is_verbose
        self._messages = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
        self._progress: dict[str, str] = {}
        self._progress_at = time.monotonic()

    @property
    def is_for_machines(self) -> bool:
        """Whether nothing but the result and problems are shown."""
        return self.style in ("json", "yaml")

    def rows(self, rows: Sequence[Row], columns: Collection[str], *, is_preview: bool = False) -> None:
        """Print the result: these columns; in JSON and YAML all of them. A preview is a table, and on stderr."""
        console = AirflowConsole(stderr=is_preview, markup=False, emoji=False, highlight=False)
        if not is_preview and self.is_for_machines:
            whole: Any = [dict(row) for row in rows]
            (console.print_as_json if self.style == "json" else console.print_as_yaml)(whole)
        elif rows:
            console.print_as(_cells(rows, columns), "table" if is_preview else self.style)

    def ask(self, question: str) -> bool:
        """Return whether the user at the terminal says yes."""
        self._messages.print(f"{question} [y/N] ", end="")
        return sys.stdin.readline().strip().casefold() in ("y", "yes")

    def say(self, text: str, *, is_problem: bool = False) -> None:
        """Print a message; only a problem is shown to programs, too."""
        if is_problem or not self.is_for_machines:
            lines = "\n".join(map(printable, text.splitlines()))
            self._messages.print(lines, style="bold red" if is_problem else None)

    def problem(self, text: str) -> None:
        self.say(text, is_problem=True)

    def progress(self, account: str, text: str) -> None:
        """Print how far the work on an account is, if that has changed, and some time has passed."""
        if self._progress.get(account) != text and time.monotonic() - self._progress_at >= PROGRESS_INTERVAL:
            self._progress[account], self._progress_at = text, time.monotonic()
            self.say(f"{account}: {text}")

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Show warnings and others' errors on stderr, if verbose all of the log, whatever Airflow is configured to."""
        root, package = logging.getLogger(), logging.getLogger(PACKAGE_LOGGER)
        handlers, level = list(root.handlers), package.level
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        handler.addFilter(lambda each: each.name.startswith(PACKAGE_LOGGER) or each.levelno >= logging.ERROR)
        console = (sys.stdout, sys.stderr)
        root.handlers[:] = [handler, *(each for each in handlers if getattr(each, "stream", None) not in console)]
        package.setLevel(logging.DEBUG if self.is_verbose else logging.WARNING)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            package.setLevel(level)


def command(run: Callable[[Namespace, Output], int]) -> Callable[[Namespace], None]:
    """Return what Airflow's command line runs for a function that returns an exit status."""

    @functools.wraps(run)
    def main(options: Namespace) -> None:
        output = Output(options.output, is_verbose=options.verbose)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal can't show ends nothing
        with output.logging():
            try:
                status = run(options, output)
            except CampaignError as error:
                output.problem(str(error))
                status = NOTHING_SENT if isinstance(error, CampaignConfigError) else NOT_VERIFIED
            except KeyboardInterrupt:
                output.problem("Interrupted before anything was stopped.")
                status = NOT_VERIFIED
        sys.exit(status)

    return main


def write_csv(columns: Sequence[str], rows: Iterable[Row]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_csv_cell(row.get(name)) for name in columns)


def _csv_cell(value: Any) -> Any:
    """Return a cell of one line that steers no terminal, and that no spreadsheet takes for a formula."""
    text = printable(value) if isinstance(value, str) else ""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text or value


def _cells(rows: Sequence[Row], columns: Collection[str]) -> list[dict[str, str]]:
    """Return rows as a person reads them: moments to the second."""

    def cell(column: str, value: Any) -> str:
        return f"{value[:19]}Z" if value and column.endswith("_at") else printable(value)

    return [{column: cell(column, row.get(column)) for column in columns} for row in rows]


def printable(value: object) -> str:
    """Return a value as a cell: the name of a campaign must not steer a terminal."""
    text = "" if value is None else str(value)
    return "".join(mark if mark.isprintable() else " " for mark in text)
