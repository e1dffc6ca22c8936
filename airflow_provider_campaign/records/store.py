"""Keeping records: each is written once, below any path that Airflow's ``ObjectStoragePath`` takes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.records import files
from airflow_provider_campaign.records.chain import add_link, find_predecessors, linked_since
from airflow_provider_campaign.records.shape import RecordFile, canonical, sha256_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

MAX_COPIES = 100  # records of the same try; there are two if a DAG run was deleted and made again
READERS, BATCH = 16, 1000  # records of an object store that are read, and that are in memory, at the same time


class RecordStore:
    """The records below one path. All that goes wrong there is a CampaignRecordError, also a path that is none."""

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
        """Write a record, which names those that were written before it, and return its path below this one's."""
        fix = "Check the path (records_path), the connection in it and its permissions. A retry writes the record."
        with self._failing_as("The record can't be written to", fix):
            root, connection_id = self._root, record["connection_id"]
            found, names = find_predecessors(root, connection_id, record["ended_at"])
            content = canonical({**record, "previous": found[0] if found else None, "also_previous": found[1:]})
            stem = files.record_path(record["run"], record["began_at"])
            files.make_folder((root / stem).parent)
            paths = (f"{stem}.json", *(f"{stem}.{copy}.json" for copy in range(2, MAX_COPIES + 1)))
            path = next((path for path in paths if files.create_file(root / path, content)), None)
            if path is None:
                raise FileExistsError(f"{MAX_COPIES} records of this try are there already")
            reference = {"path": path, "sha256": sha256_of(content)}
            add_link(root, record, reference, names)
        if not found:
            log.warning(
                "The first record of connection %r below %s. If there were others, check the path, and what is mounted",
                *(connection_id, self.records_path),
            )
        return reference

    def earlier_tries(self, run: Mapping[str, Any]) -> dict[int, RecordFile]:
        """Return the records of previous tries by number, of each the last copy, which anyone may have put there."""
        found = {}
        with self._failing_as("The records of previous tries can't be read from"):
            root = self._root
            folder = files.record_path(run, "").rpartition("/")[0]
            names = sorted(files.names_in(root / folder), key=lambda name: (len(name), name), reverse=True)
            for number in range(1, run["try_number"]):
                stem = files.record_path({**run, "try_number": number}, "").removeprefix(f"{folder}/")
                copies = filter(re.compile(re.escape(stem) + r"(\.\d+)?\.json").fullmatch, names)
                for name in islice(copies, MAX_COPIES):
                    file = _read(root, f"{folder}/{name}")
                    if file.record and files.record_path(file.record["run"], "") == f"{folder}/{stem}":
                        found[number] = file
                        break
        return found

    def read(self) -> Iterator[RecordFile]:
        """Yield all records, in no certain order, and the files that contain none."""
        fix = "None of them was checked. Check the path and its permissions."
        with self._failing_as("The records can't be read from", fix):
            root = self._root
            paths = files.json_paths(root)
            if root.protocol in files.LOCAL:
                yield from map(partial(_read, root), paths)
            with ThreadPoolExecutor(READERS, thread_name_prefix="records") as pool:
                while batch := list(islice(paths, BATCH)):
                    yield from pool.map(partial(_read, root), batch)

    def recent(self, connection_id: str, since: datetime, until: datetime) -> list[RecordFile]:
        """
        Return the records of a connection that ended on the day (UTC) of a moment or later, as ``@chain`` names them.

        Others are not read, so that this proves nothing: a record that was removed is not named.
        """
        with self._failing_as("The records can't be read from"):
            root = self._root
            named = linked_since(root, connection_id, since, until)
            found = [(_read(root, each["path"]), each["sha256"]) for each in named]
        return [file for file, sha256 in found if file.record and file.sha256 == sha256]

    @contextmanager
    def _failing_as(self, problem: str, fix: str = "") -> Iterator[None]:
        """Raise whatever a file system's library raises as a :class:`CampaignRecordError`."""
        try:
            yield
        except CampaignRecordError:
            raise
        except Exception as error:
            text = f"{problem} {self.records_path!r}: {type(error).__name__}: {error}. {fix}"
            raise CampaignRecordError(text.rstrip()) from error


def _read(root: ObjectStoragePath, path: str) -> RecordFile:
    """Return a file, also an unreadable one: all others are checked all the same."""
    try:
        return RecordFile.parse(path, files.read_file(root, path))
    except Exception as error:  # noqa: BLE001 whatever a file system's library raises
        return RecordFile(path, "", None, f"can't be read: {type(error).__name__}: {error}")
