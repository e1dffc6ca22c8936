"""Keeping records: each is written once, below any path that Airflow's ``ObjectStoragePath`` takes."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.operations.earlier_tries import StoredTry
from airflow_provider_campaign.operations.record import canonical, sha256_of
from airflow_provider_campaign.operations.record_chain import RecordFile
from airflow_provider_campaign.operations.record_path import (
    CHAIN_FOLDER,
    chain_folder,
    path_part,
    record_folder,
    record_name,
    try_and_copy,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

MAX_COPIES = 100
"""Records of the same try of the same task, at the most; there are two where a DAG run was deleted and made again."""

READERS = 16
"""Records that are read at the same time."""

SHORT_HASH = 12
"""Characters of a hash that tell it from the others of two days."""

MAX_SEEN = 8
"""Predecessors that one record names, at the most."""

NO_CONNECTION = "@none"
"""Stands for the connection id where none is known."""

LOCAL = ("", "file", "local")
"""Protocols of what the operating system has mounted."""

LINK = re.compile(r"[\d.]+_([0-9a-f]{64})_([0-9a-f-]+|first)")
"""The name of a file in the chain; a mount, or somebody, may leave others there."""


class RecordStore:
    """
    The records below one path.

    :param records_path: For instance ``s3://aws_default@bucket/records`` or ``file:///records``.
    """

    def __init__(self, records_path: str) -> None:
        self.records_path = records_path

    @property
    def _root(self) -> ObjectStoragePath:
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
            predecessors = self._predecessors(root, record)
            content = canonical({**record, **predecessors})
            path = self._create(root, record, content)
            self._link(root, record, path, content)
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
            for child in _children(root / folder):
                if place := try_and_copy(run, child.name):
                    copies[place[0]].append((place[1], f"{folder}/{child.name}"))
            found = {}
            for number in (number for number in copies if number < run["try_number"]):
                for _, path in sorted(copies[number], reverse=True)[:MAX_COPIES]:
                    file = RecordFile(path, (root / path).read_bytes())
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
                files = list(pool.map(lambda path: RecordFile(path, (root / path).read_bytes()), _record_paths(root)))
        return sorted(files, key=lambda file: (_ended_at(file), file.path))

    def _create(self, root: ObjectStoragePath, record: Mapping[str, Any], content: bytes) -> str:
        """Create the record's file, which is not there yet, and return its path below the root."""
        folder = record_folder(record["run"], record["began_at"])
        _make_folder(root / folder)
        for copy in range(1, MAX_COPIES + 1):
            path = f"{folder}/{record_name(record['run'], copy)}"
            if _create(root / path, content):
                return path
        raise FileExistsError(f"{MAX_COPIES} records of this try are there already")

    def _link(self, root: ObjectStoragePath, record: Mapping[str, Any], path: str, content: bytes) -> None:
        """Note the record in the chain, for those who come after it."""
        folder = root / chain_folder(record["connection_id"] or NO_CONNECTION, record["ended_at"])
        _make_folder(folder)
        time = datetime.fromisoformat(record["ended_at"]).astimezone(UTC).strftime("%H%M%S.%f")
        file = RecordFile(path, content)
        seen = "-".join(each["sha256"][:SHORT_HASH] for each in file.predecessors[:MAX_SEEN]) or "first"
        link = folder / f"{time}_{file.sha256}_{seen}"
        if not _create(link, path.encode()):
            raise FileExistsError(f"{link} is there, and is about another record")

    def _predecessors(self, root: ObjectStoragePath, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the last record of the connection, and those that nobody has seen as a predecessor yet."""
        folder = root / CHAIN_FOLDER / path_part(record["connection_id"] or NO_CONNECTION)
        tomorrow = datetime.fromisoformat(record["ended_at"]).astimezone(UTC) + timedelta(days=1)
        last = self._last_links(folder, f"{tomorrow:%Y-%m/%d}")
        links = [(link, match) for link in last if (match := LINK.fullmatch(link.name))]
        seen = {short for _, match in links for short in match[2].split("-")}
        ends = [(link, match[1]) for link, match in links if match[1][:SHORT_HASH] not in seen]
        paths = [(link.read_bytes().decode("ascii", "replace"), sha256) for link, sha256 in ends[-MAX_SEEN:]]
        found = [{"path": path, "sha256": sha256} for path, sha256 in paths if path.endswith(".json")]
        return {"previous": found[-1] if found else None, "also_previous": found[:-1]}

    def _last_links(self, folder: ObjectStoragePath, until: str) -> Iterator[ObjectStoragePath]:
        """
        Yield what the chain has of the last two days that it knows, the latest last: four listings.

        :param until: Month and day; what a clock that was ahead has left after it does not count.
        """
        days: list[ObjectStoragePath] = []
        for month in reversed(_children(folder)):
            days += [day for day in reversed(_children(month)) if f"{month.name}/{day.name}" <= until]
            if len(days) >= 2:
                break
        for day in reversed(days[:2]):
            yield from _children(day)


@contextmanager
def _failing_as(problem: str, fix: str = "") -> Iterator[None]:
    """Raise whatever a file system's library raises as a :class:`CampaignRecordError`."""
    try:
        yield
    except Exception as error:
        raise CampaignRecordError(f"{problem}: {type(error).__name__}: {error}. {fix}".rstrip()) from error


def _children(folder: ObjectStoragePath) -> list[ObjectStoragePath]:
    """Return what a folder holds, by name; nothing where there is none."""
    folder.fs.invalidate_cache()
    try:
        return sorted(folder.iterdir(), key=lambda child: child.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _make_folder(folder: ObjectStoragePath) -> None:
    """Make a folder where files need one; object stores have none."""
    if folder.protocol in (*LOCAL, "memory"):
        folder.mkdir(parents=True, exist_ok=True)


def _create(path: ObjectStoragePath, content: bytes) -> bool:
    """
    Create a file; an object store is asked to refuse if it is there.

    :returns: Whether it holds the content now, also where it did before: a store may have kept what was sent and lost
        the response, so that the second attempt is refused.
    """
    file = None
    try:
        with path.open("xb") as file:  # type: ignore[no-untyped-call]
            file.write(content)
    except FileExistsError:
        return path.read_bytes() == content
    except BaseException:
        if file is not None and path.protocol in LOCAL:  # an object store keeps no half of a file
            with suppress(OSError):
                path.unlink()
        raise
    return True


def _record_paths(root: ObjectStoragePath) -> Iterator[str]:
    """Yield the paths of the records below a root; raise where a folder can't be read, which ``rglob`` leaves out."""
    if root.protocol in LOCAL:
        for folder, _, names in os.walk(root.path, onerror=_raise, followlinks=True):
            yield from (
                Path(folder, name).relative_to(root.path).as_posix() for name in names if name.endswith(".json")
            )
    else:
        prefix = str(root).rstrip("/") + "/"
        yield from (str(path).removeprefix(prefix) for path in root.rglob("*.json"))


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError) and Path(error.filename).name != "lost+found":
        raise error


def _is_try_of(run: Mapping[str, Any], number: int, other: Mapping[str, Any]) -> bool:
    same = all(run.get(key) == other.get(key) for key in ("dag_id", "run_id", "task_id", "map_index"))
    return same and run.get("try_number") == number


def _ended_at(file: RecordFile) -> str:
    return file.record["ended_at"] if file.record else "~"
