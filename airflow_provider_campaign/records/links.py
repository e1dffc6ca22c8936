"""The folder ``@chain``: small files that show which record of a connection was written last."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.records.files import (
    CHAIN_FOLDER,
    create_file,
    make_folder,
    names_in,
    path_part,
    read_file,
)
from airflow_provider_campaign.records.shape import sha256_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

SHORT_HASH = 12
"""Characters of a hash that distinguish it from the others of two days."""

MAX_NAMED = 6
"""Predecessors that one record names, and links that it doubts, at the most: a name takes 255 characters."""

NO_CONNECTION = "@none"
"""Stands for the connection id where none is known."""

NAME = re.compile(r"[\d.]+_([0-9a-f]{64})_([0-9a-f-]+|first)", re.ASCII)
"""The name of a link: time, SHA-256 of the record, short hashes of the records that it names."""

MAX_MONTHS = 3
"""Months that are looked into for the last record, at the most: each that there is should have a link."""

MONTH, DAY = re.compile(r"\d{4}-\d\d", re.ASCII), re.compile(r"\d\d", re.ASCII)

PATH = re.compile(r"(?!\.\.?/|@chain/)[^/]+/(?!\.\.?/)[^/]+/[^/]+\.json")

Named = dict[str, str]
"""The ``path`` and the ``sha256`` of a record."""


@dataclass(frozen=True)
class RecordLinks:
    """
    The links of one connection.

    Anybody who may write there can change them. So what they name is compared with the records, and what goes wrong
    here is a warning: at the worst a record names no predecessor, which verifying shows as a fork.
    """

    root: ObjectStoragePath
    connection_id: str | None

    @property
    def folder(self) -> ObjectStoragePath:
        return self.root / CHAIN_FOLDER / path_part(self.connection_id or NO_CONNECTION)

    def predecessors(self, ended_at: str) -> dict[str, Any]:
        """
        Return what a record says of those before it: the last one, others that none names yet, doubtful links.

        They are looked for in the last two days that there are. What a clock that was ahead has left does not count.

        :param ended_at: When the record was ended (ISO 8601).
        """
        found: list[Named] = []
        doubtful: list[Named] = []
        named: set[str] = set()
        try:
            for day in islice(self._days(ended_at), 2):
                for name in self._links(day):
                    sha256, names = name[1], name[2].split("-")
                    if sha256[:SHORT_HASH] in named:
                        named.update(names)
                    elif max(len(found), len(doubtful)) < MAX_NAMED:
                        record = {"path": self._path_in(day, name[0]), "sha256": sha256}
                        is_found = self._is_there(record)
                        (found if is_found else doubtful).append(record)
                        named.update([sha256[:SHORT_HASH]], names if is_found else ())
        except Exception as error:  # noqa: BLE001 whatever a file system's library raises
            log.warning("The chain of records can't be read at %s: %s: %s", self.folder, type(error).__name__, error)
        for each in doubtful:
            log.warning("A link in @chain names a record that is not there: path %(path)r, SHA-256 %(sha256)s", each)
        return {"previous": next(iter(found), None), "also_previous": found[1:], "doubtful_previous": doubtful}

    def since(self, moment: datetime, until: datetime) -> Iterator[Named]:
        """Yield the records that ended on the day (UTC) of a moment, or later."""
        first = f"{moment.astimezone(UTC):%Y-%m/%d}"
        for day in takewhile(lambda day: day >= first, self._days(until.isoformat())):
            for name in self._links(day):
                yield {"path": self._path_in(day, name[0]), "sha256": name[1]}

    def add(self, record: Named, ended_at: str, predecessors: dict[str, Any]) -> None:
        """Note a record, for those who come after it."""
        previous = [predecessors["previous"]] if predecessors["previous"] else []
        named = [*previous, *predecessors["also_previous"], *predecessors["doubtful_previous"]]
        names = "-".join(each["sha256"][:SHORT_HASH] for each in named) or "first"
        at = datetime.fromisoformat(ended_at).astimezone(UTC)
        link = self.folder / f"{at:%Y-%m/%d/%H%M%S.%f}_{record['sha256']}_{names}"
        try:
            make_folder(link.parent)
            if not create_file(link, record["path"].encode()):
                log.warning("%s is there, and is about another record", link)
        except Exception as error:  # noqa: BLE001 whatever a file system's library raises: the record is written
            log.warning("The chain of records has no place for this one: %s: %s", type(error).__name__, error)

    def _days(self, ended_at: str) -> Iterator[str]:
        """Yield the days that there are, such as ``2026-11/30``, from the day after a moment backwards."""
        tomorrow = f"{datetime.fromisoformat(ended_at).astimezone(UTC) + timedelta(days=1):%Y-%m/%d}"
        months = [name for name in names_in(self.folder) if MONTH.fullmatch(name) and name <= tomorrow]
        for month in months[: -MAX_MONTHS - 1 : -1]:
            days = (f"{month}/{day}" for day in reversed(names_in(self.folder / month)) if DAY.fullmatch(day))
            yield from (day for day in days if day <= tomorrow)

    def _links(self, day: str) -> Iterator[re.Match[str]]:
        """Yield the names of a day's links, the newest first."""
        return filter(None, map(NAME.fullmatch, reversed(names_in(self.folder / day))))

    def _path_in(self, day: str, name: str) -> str:
        """Return the path that a link holds, empty if it holds none that a record can have."""
        try:
            text = read_file(self.folder, f"{day}/{name}").decode("ascii")
        except Exception:  # noqa: BLE001 whatever a file system's library raises
            return ""
        return text if PATH.fullmatch(text) and text.isprintable() else ""

    def _is_there(self, record: Named) -> bool:
        """Return whether a path holds the record of this connection that has a hash."""
        try:
            content = read_file(self.root, record["path"]) if record["path"] else b""
            is_same = sha256_of(content) == record["sha256"]
            return is_same and json.loads(content).get("connection_id") == self.connection_id
        except Exception:  # noqa: BLE001 whatever a file system's library raises, or is no JSON
            return False
