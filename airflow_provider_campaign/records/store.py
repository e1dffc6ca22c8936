"""Keeping records: each is written once, below any path that Airflow's ``ObjectStoragePath`` takes."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.records.chain import RecordFile
from airflow_provider_campaign.records.files import (
    LOCAL,
    create_file,
    json_paths,
    make_folder,
    names_in,
    read_file,
    record_folder,
    record_name,
    try_and_copy,
)
from airflow_provider_campaign.records.links import RecordLinks
from airflow_provider_campaign.records.shape import canonical, sha256_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

MAX_COPIES = 100
"""Records of the same try of the same task, at the most; there are two if a DAG run was deleted and made again."""

READERS = 16
"""Records of an object store that are read at the same time."""

BATCH = 1000
"""Records of an object store that are in memory at the same time."""


class RecordStore:
    """
    The records below one path.

    :param records_path: For example ``s3://aws_default@bucket/records`` or ``file:///records``.
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
            links = RecordLinks(root, record["connection_id"])
            predecessors = links.predecessors(record["ended_at"])
            content = canonical({**record, **predecessors})
            path, sha256 = self._create(root, record, content), sha256_of(content)
            links.add({"path": path, "sha256": sha256}, record["ended_at"], predecessors)
        if predecessors["previous"] is None:
            log.warning(
                "The first record of connection %r below %s. If there were others, check the path, and what is mounted",
                *(record["connection_id"], self.records_path),
            )
        return {"path": str(root / path), "sha256": sha256}

    def earlier_tries(
        self, run: Mapping[str, Any], began_at: str, handed_on: Mapping[int, str]
    ) -> dict[int, RecordFile]:
        """
        Return the records of previous tries, by their numbers.

        :param began_at: When this try began (ISO 8601).
        :param handed_on: The SHA-256 of the records that tries have handed on: of these no other file counts. Of other
            tries the last copy counts, which anyone who may write here may have put there.
        :raises CampaignRecordError: When they are unreadable.
        """
        with _failing_as(f"The records of previous tries can't be read from {self.records_path!r}"):
            root, folder = self._root, record_folder(run, began_at)
            copies: dict[int, list[tuple[int, str]]] = defaultdict(list)
            for name in names_in(root / folder):
                if place := try_and_copy(run, name):
                    copies[place[0]].append((place[1], f"{folder}/{name}"))
            found = {}
            for number in (number for number in copies if number < run["try_number"]):
                for _, path in sorted(copies[number], reverse=True)[:MAX_COPIES]:
                    file = _read(root, path)
                    is_own = file.record is not None and _is_try_of(file.record["run"], number, run)
                    if is_own and file.sha256 == handed_on.get(number, file.sha256):
                        found[number] = file
                        break
            return found

    def read(self) -> Iterator[RecordFile]:
        """
        Yield all records, in no certain order, and the files that hold none.

        :raises CampaignRecordError: When the path is unreadable.
        """
        fix = "None of them was checked. Check the path and its permissions."
        with _failing_as(f"The records can't be read from {self.records_path!r}", fix):
            root = self._root
            paths = json_paths(root)
            if root.protocol in LOCAL:
                yield from map(partial(_read, root), paths)
            with ThreadPoolExecutor(READERS, thread_name_prefix="records") as pool:
                while batch := list(islice(paths, BATCH)):
                    yield from pool.map(partial(_read, root), batch)

    def recent(self, connection_id: str, since: datetime, until: datetime) -> list[RecordFile]:
        """
        Return the records of a connection that ended on the day (UTC) of a moment or later, as ``@chain`` names them.

        Others are not looked at, so that this proves nothing: a record that was removed is not named.

        :param until: Now.
        :raises CampaignRecordError: When the path is unreadable.
        """
        with _failing_as(f"The records can't be read from {self.records_path!r}"):
            root = self._root
            named = RecordLinks(root, connection_id).since(since, until)
            found = [(_read(root, each["path"]), each["sha256"]) for each in named if each["path"]]
        return [file for file, sha256 in found if file.record and file.sha256 == sha256]

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
    """Return a file, also an unreadable one: all others are checked all the same."""
    try:
        return RecordFile.parse(path, read_file(root, path))
    except Exception as error:  # noqa: BLE001 whatever a file system's library raises
        return RecordFile(path, "", None, f"can't be read: {type(error).__name__}: {error}")


def _is_try_of(run: Mapping[str, Any], number: int, other: Mapping[str, Any]) -> bool:
    same = all(run.get(key) == other.get(key) for key in ("dag_id", "run_id", "task_id", "map_index"))
    return same and run.get("try_number") == number
