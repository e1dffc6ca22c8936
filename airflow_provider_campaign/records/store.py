"""Keeping records: each is written once, below any path that Airflow's ``ObjectStoragePath`` takes."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.records.chain import RecordFile
from airflow_provider_campaign.records.earlier_tries import StoredTry
from airflow_provider_campaign.records.files import (
    CHAIN_FOLDER,
    children,
    create_file,
    json_paths,
    make_folder,
    path_part,
    read_file,
    record_folder,
    record_name,
    try_and_copy,
)
from airflow_provider_campaign.records.record import canonical, sha256_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

MAX_COPIES = 100
"""Records of the same try of the same task, at the most; there are two where a DAG run was deleted and made again."""

READERS = 16
"""Records that are read at the same time."""

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


class RecordStore:
    """
    The records below one path.

    :param records_path: For instance ``s3://aws_default@bucket/records`` or ``file:///records``.
    :param problem: Why that is no path; raised where it is used.
    """

    def __init__(self, records_path: str, problem: str = "") -> None:
        self.records_path = records_path
        self._problem = problem

    @property
    def _root(self) -> ObjectStoragePath:
        if self._problem:
            raise CampaignRecordError(self._problem)
        from airflow.providers.common.compat.sdk import ObjectStoragePath  # a quarter of a second, so not at the top

        return ObjectStoragePath(self.records_path)

    def write(self, record: Mapping[str, Any]) -> dict[str, str]:
        """
        Write a record, which names those that were written before it, and never overwrite one.

        :returns: Its ``path`` in full, and its ``sha256``.
        :raises CampaignRecordError: When it can't be written; another try may go well.
        """
        fix = "Check the path (records_path), the connection in it and its permissions. A retry writes the record."
        with _failing_as(f"The record can't be written to {self.records_path!r}", fix):
            root = self._root
            links = RecordLinks(root, record["connection_id"], record["ended_at"])
            predecessors = links.predecessors()
            content = canonical({**record, **predecessors})
            path = self._create(root, record, content)
            links.add(RecordFile(path, content))
        if predecessors["previous"] is None:
            log.warning(
                "The first record of connection %r below %s. If there were others, check the path, and what is mounted",
                *(record["connection_id"], self.records_path),
            )
        return {"path": str(root / path), "sha256": sha256_of(content)}

    def earlier_tries(
        self, run: Mapping[str, Any], began_at: str, handed_on: Mapping[int, str]
    ) -> dict[int, StoredTry]:
        """
        Return the records of the tries before, by their numbers.

        :param began_at: When this try began (ISO 8601).
        :param handed_on: The SHA-256 of the records that tries have handed on: of these no other file counts. Of other
            tries the last copy counts, which whoever may write here may have put there.
        :raises CampaignRecordError: When they can't be read.
        """
        with _failing_as(f"The records of the tries before can't be read from {self.records_path!r}"):
            root, folder = self._root, record_folder(run, began_at)
            copies: dict[int, list[tuple[int, str]]] = defaultdict(list)
            for child in children(root / folder):
                if place := try_and_copy(run, child.name):
                    copies[place[0]].append((place[1], f"{folder}/{child.name}"))
            found = {}
            for number in (number for number in copies if number < run["try_number"]):
                for _, path in sorted(copies[number], reverse=True)[:MAX_COPIES]:
                    file = _read(root, path)
                    is_own = file.record is not None and _is_try_of(file.record["run"], number, run)
                    if is_own and file.sha256 == handed_on.get(number, file.sha256):
                        found[number] = StoredTry(number, file.record, path, file.sha256)
                        break
            return found

    def read(self) -> list[RecordFile]:
        """Return the records, in the order in which their runs ended; what holds none comes last."""
        fix = "None of them was checked. Check the path and its permissions."
        with _failing_as(f"The records can't be read from {self.records_path!r}", fix):
            root = self._root
            with ThreadPoolExecutor(READERS, thread_name_prefix="records") as pool:
                files = list(pool.map(lambda path: _read(root, path), json_paths(root)))
        return sorted(files, key=lambda file: (file.record["ended_at"] if file.record else "~", file.path))

    def _create(self, root: ObjectStoragePath, record: Mapping[str, Any], content: bytes) -> str:
        """Create the record's file, which is not there yet, and return its path below the root."""
        folder = record_folder(record["run"], record["began_at"])
        make_folder(root / folder)
        for copy in range(1, MAX_COPIES + 1):
            path = f"{folder}/{record_name(record['run'], copy)}"
            if create_file(root / path, content):
                return path
        raise FileExistsError(f"{MAX_COPIES} records of this try are there already")


@contextmanager
def _failing_as(problem: str, fix: str = "") -> Iterator[None]:
    """Raise whatever a file system's library raises as a :class:`CampaignRecordError`."""
    try:
        yield
    except CampaignRecordError:
        raise
    except Exception as error:
        raise CampaignRecordError(f"{problem}: {type(error).__name__}: {error}. {fix}".rstrip()) from error


def _read(root: ObjectStoragePath, path: str) -> RecordFile:
    """Return a file, also one that can't be read: it keeps no other from being checked."""
    try:
        return RecordFile(path, read_file(root / path))
    except Exception as error:  # noqa: BLE001 whatever a file system's library raises
        return RecordFile(path, b"", f"can't be read: {type(error).__name__}: {error}")


def _is_try_of(run: Mapping[str, Any], number: int, other: Mapping[str, Any]) -> bool:
    same = all(run.get(key) == other.get(key) for key in ("dag_id", "run_id", "task_id", "map_index"))
    return same and run.get("try_number") == number


class RecordLinks:
    """
    The links of one connection in ``@chain``: small files that show which of its records was written last.

    Anybody who may write there can change them. So what they name is compared with the records, and what goes wrong
    here is a warning: at the worst a record names no predecessor, which verifying shows as a fork.

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
