"""The chain of records: what each saw as its predecessor, and what is wrong with those that are there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.records.files import record_folder, record_stem
from airflow_provider_campaign.records.record import SCHEMA, sha256_of

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

CHANGED, MISSING, REORDERED, CUT_OFF, UNREADABLE = "changed", "missing", "reordered", "cut off", "unreadable"
FORK, DOUBTFUL = "fork", "doubtful"

_SCHEMA_FILE = Path(__file__).with_name("campaign-record-1.schema.json")


def read_record(content: bytes) -> Mapping[str, Any] | None:
    """Return the record that bytes hold; None if they hold none that is whole, and as its JSON Schema says."""
    try:
        record = json.loads(content, parse_constant=float.fromhex)  # NaN and Infinity are no JSON: a ValueError
        is_valid = _validator().is_valid(record) and all(map(_is_moment, _moments(record)))
        return record if is_valid else None
    except (ValueError, RecursionError):
        return None


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # a tenth of a second, so not at the top: a DAG file needs none

    return Draft202012Validator(json.loads(_SCHEMA_FILE.read_text()))


def _moments(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the moments of a record."""
    yield from filter(None, (record["began_at"], record["ended_at"], record["window_end"]))
    for campaign in record["campaigns"]:
        yield from filter(None, (campaign["asked_at"], campaign["confirmed_at"]))


def _is_moment(text: str) -> bool:
    """Return whether a text is one that :func:`.iso_utc` gives; the JSON Schema lets the 30th of February pass."""
    return datetime.fromisoformat(text).isoformat() == text


@dataclass(frozen=True)
class RecordFile:
    """
    A record as it was read.

    :param path: Below the records path, with ``/`` between its parts.
    :param problem: Why it could not be read, empty if it could.
    """

    path: str
    content: bytes
    problem: str = ""

    @cached_property
    def sha256(self) -> str:
        return sha256_of(self.content)

    @cached_property
    def record(self) -> Mapping[str, Any] | None:
        """The record, None where the file holds none that is whole."""
        return read_record(self.content)

    @property
    def predecessors(self) -> list[Mapping[str, str]]:
        """The ``path`` and ``sha256`` of the records that it saw as its predecessors."""
        record = self.record or {}
        return [*filter(None, [record.get("previous")]), *record.get("also_previous", ())]


@dataclass(frozen=True)
class Discrepancy:
    """
    Something that :func:`verify_records` has found.

    :param kind: ``changed``, ``missing``, ``reordered``, ``cut off``, ``unreadable``, ``fork`` or ``doubtful``.
    :param path: The record that it is about, or the hash of one that is not there.
    :param text: What it means.
    """

    kind: str
    path: str
    text: str

    @property
    def is_error(self) -> bool:
        """
        Whether the records are not as they were written. A fork is no error, for two runs may end at once; nor is what
        only a link in ``@chain`` has named.
        """
        return self.kind not in (FORK, DOUBTFUL)


def verify_records(records: Iterable[RecordFile], expected: Collection[str] = ()) -> list[Discrepancy]:
    """
    Hold records against what their successors say of them.

    :param records: All of a records path, or all of one connection in it.
    :param expected: Hashes that runs have logged, for instance that of the last one.
    :returns: What was found; empty where every record is as it was written, and none is missing.
    """
    by_path = {record.path: record for record in records}
    by_hash = {record.sha256: record for record in by_path.values() if not record.problem}
    discrepancies = [*_misplaced(by_path.values()), *_contradicted(by_path, by_hash)]
    discrepancies += [*_doubtful(by_path, by_hash), *_forks(by_path.values())]
    discrepancies += [
        Discrepancy(CUT_OFF, sha256, "a run has logged this hash of its record, and no record has it")
        for sha256 in expected
        if sha256 not in by_hash
    ]
    return list({(each.kind, each.path): each for each in reversed(discrepancies)}.values())[::-1]


def _misplaced(records: Iterable[RecordFile]) -> Iterator[Discrepancy]:
    """Find what is no record, and what stands where another one belongs."""
    for file in records:
        if file.record is None:
            yield Discrepancy(UNREADABLE, file.path, file.problem or f"holds no whole {SCHEMA}")
        elif not file.path.startswith(place := _place(file.record)):
            yield Discrepancy(REORDERED, file.path, f"holds the record of {place}*")


def _place(record: Mapping[str, Any]) -> str:
    run = record["run"]
    return f"{record_folder(run, record['began_at'])}/{record_stem(run)}.try{run.get('try_number') or 1}."


def _contradicted(by_path: Mapping[str, RecordFile], by_hash: Mapping[str, RecordFile]) -> Iterator[Discrepancy]:
    """Find what is not as a later record saw it."""
    for file in by_path.values():
        earlier = (each for each in (file.record or {}).get("earlier_tries", ()) if each["path"])
        for seen in chain(file.predecessors, earlier):
            path, sha256 = seen["path"], seen["sha256"]
            if path in by_path and by_path[path].sha256 == sha256:
                continue
            if sha256 in by_hash:
                yield Discrepancy(REORDERED, path, f"is at {by_hash[sha256].path}; {file.path} saw it here")
            elif path in by_path:
                yield Discrepancy(CHANGED, path, f"is not what {file.path} saw here, with the SHA-256 {sha256}")
            else:
                yield Discrepancy(MISSING, path, f"is not there; {file.path} saw it, with the SHA-256 {sha256}")


def _doubtful(by_path: Mapping[str, RecordFile], by_hash: Mapping[str, RecordFile]) -> Iterator[Discrepancy]:
    """Find what a record's run has missed that a link named: the record was removed or changed, or the link was."""
    for file in by_path.values():
        for seen in (file.record or {}).get("doubtful_previous", ()):
            if seen["sha256"] not in by_hash:
                text = f"with the SHA-256 {seen['sha256']} was named in @chain, and not there for {file.path}"
                yield Discrepancy(DOUBTFUL, seen["path"] or seen["sha256"], text)


def _forks(records: Iterable[RecordFile]) -> Iterator[Discrepancy]:
    """Find records that saw the same predecessor: their runs ended at the same moment, or one was put in later."""
    successors: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for file in records:
        if file.record is not None:
            previous = (file.record["previous"] or {}).get("sha256", "")
            successors[file.record["connection_id"], previous].append(file.path)
    for paths in successors.values():
        for path in sorted(paths)[1:]:
            yield Discrepancy(FORK, path, f"has the same predecessor as {min(paths)}")
