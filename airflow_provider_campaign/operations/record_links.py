"""
The folder ``@chain``: small files that show which record of a connection was written last.

Anybody who may write there can change them. So what they name is compared with the records, and what goes wrong here is
a warning: at the worst a record names no predecessor, which verifying shows as a fork.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.operations.record_chain import RecordFile
from airflow_provider_campaign.operations.record_path import CHAIN_FOLDER, path_part
from airflow_provider_campaign.operations.stored_file import children, create_file, make_folder, read_file

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

SHORT_HASH = 12
"""Characters of a hash that distinguish it from the others of two days."""

MAX_NAMED = 6
"""Predecessors that one record names, and links that it doubts, at the most: a name takes 255 characters."""

NO_CONNECTION = "@none"
"""Stands for the connection id where none is known."""

LINK = re.compile(r"[\d.]+_([0-9a-f]{64})_([0-9a-f-]+|first)", re.ASCII)
"""The name of a link: time, SHA-256 of the record, short hashes of the records that it names."""

MAX_MONTHS = 3
"""Months that are looked into, at the most: each that there is should have a link."""

MONTH, DAY = re.compile(r"\d{4}-\d\d", re.ASCII), re.compile(r"\d\d", re.ASCII)

PATH = re.compile(r"(?!\.\.?/)[^/]+/(?!\.\.?/)[^/]+/[^/]+\.json")


class RecordLinks:
    """
    The links of one connection.

    :param ended_at: When the record that is being written was ended (ISO 8601).
    """

    def __init__(self, root: ObjectStoragePath, connection_id: str | None, ended_at: str) -> None:
        self._root = root
        self._connection_id = connection_id
        self._folder = root / CHAIN_FOLDER / path_part(connection_id or NO_CONNECTION)
        self._ended_at = datetime.fromisoformat(ended_at).astimezone(UTC)

    def predecessors(self) -> dict[str, Any]:
        """Return what a record says of those before it: the last one, others that none names yet, doubtful links."""
        found: list[dict[str, str]] = []
        doubtful: list[dict[str, str]] = []
        named: set[str] = set()
        try:
            for link, match in self._newest_first():
                short, names = match[1][:SHORT_HASH], match[2].split("-")
                if short in named:
                    named |= set(names)
                    continue
                if max(len(found), len(doubtful)) == MAX_NAMED:
                    break
                path = _path_in(link)
                is_found = self._holds(path, match[1])
                (found if is_found else doubtful).append({"path": path, "sha256": match[1]})
                named |= {short, *(names if is_found else ())}
        except Exception as error:  # noqa: BLE001 whatever a file system's library raises
            log.warning("The chain of records can't be read at %s: %s: %s", self._folder, type(error).__name__, error)
        for each in doubtful:
            log.warning("A link in @chain names a record that is not there: path %(path)r, SHA-256 %(sha256)s", each)
        previous = found[0] if found else None
        return {"previous": previous, "also_previous": found[1:], "doubtful_previous": doubtful}

    def add(self, file: RecordFile) -> None:
        """Note a record, for those who come after it."""
        record = file.record or {}
        named = [*file.predecessors, *record.get("doubtful_previous", ())]
        names = "-".join(each["sha256"][:SHORT_HASH] for each in named) or "first"
        link = self._folder / f"{self._ended_at:%Y-%m/%d/%H%M%S.%f}_{file.sha256}_{names}"
        try:
            make_folder(link.parent)
            if not create_file(link, file.path.encode()):
                log.warning("%s is there, and is about another record", link)
        except Exception as error:  # noqa: BLE001 whatever a file system's library raises: the record is written
            log.warning("The chain of records has no place for this one: %s: %s", type(error).__name__, error)

    def _newest_first(self) -> Iterator[tuple[ObjectStoragePath, re.Match[str]]]:
        """
        Yield the links of the last two days that there are: four listings.

        What a clock that was ahead has left after tomorrow does not count.
        """
        tomorrow = self._ended_at + timedelta(days=1)
        months = [
            each for each in children(self._folder) if MONTH.fullmatch(each.name) and each.name <= f"{tomorrow:%Y-%m}"
        ]
        days: list[ObjectStoragePath] = []
        for month in reversed(months[-MAX_MONTHS:]):
            if len(days) < 2:
                found = (each for each in reversed(children(month)) if DAY.fullmatch(each.name))
                days += [each for each in found if f"{month.name}/{each.name}" <= f"{tomorrow:%Y-%m/%d}"]
        for day in days[:2]:
            for link in reversed(children(day)):
                if match := LINK.fullmatch(link.name):
                    yield link, match

    def _holds(self, path: str, sha256: str) -> bool:
        """Return whether a path holds the record of this connection that has a hash."""
        if not path:
            return False
        try:
            file = RecordFile(path, read_file(self._root / path))
        except Exception:  # noqa: BLE001 whatever a file system's library raises
            return False
        return file.sha256 == sha256 and (file.record or {}).get("connection_id", "") == self._connection_id


def _path_in(link: ObjectStoragePath) -> str:
    """Return the path that a link holds, empty if it holds none that a record can have."""
    try:
        text = read_file(link).decode("ascii")
    except Exception:  # noqa: BLE001 whatever a file system's library raises
        return ""
    return text if PATH.fullmatch(text) and text.isprintable() else ""
