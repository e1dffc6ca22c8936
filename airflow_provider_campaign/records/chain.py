"""The chain of records: what each saw as its predecessor, and what is wrong with those that are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_campaign.records.files import record_folder, record_stem
from airflow_provider_campaign.records.shape import SCHEMA, read_record, sha256_of

CHANGED, MISSING, REORDERED, CUT_OFF, UNREADABLE = "changed", "missing", "reordered", "cut off", "unreadable"
FORK, DOUBTFUL = "fork", "doubtful"


@dataclass(frozen=True, slots=True)
class RecordFile:
    """
    A record as it was read.

    :param path: Below the records path, with ``/`` between its parts.
    :param sha256: Of its bytes, empty if it could not be read.
    :param record: None if the file holds none that is whole.
    :param problem: Why there is no record.
    """

    path: str
    sha256: str
    record: Mapping[str, Any] | None
    problem: str = ""

    @classmethod
    def parse(cls, path: str, content: bytes) -> Self:
        record = read_record(content)
        return cls(path, sha256_of(content), record, "" if record else f"holds no whole {SCHEMA}")


@dataclass(frozen=True)
class Discrepancy:
    """
    Something that :class:`RecordChain` has found.

    :param kind: ``changed``, ``missing``, ``reordered``, ``cut off``, ``unreadable``, ``fork``, or ``doubtful``.
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


class RecordChain:
    """The records of a path, compared with what later ones say of them; of each only place and hashes are kept."""

    def __init__(self) -> None:
        self._hashes: dict[str, str] = {}
        """By path."""
        self._misplaced: list[Discrepancy] = []
        self._seen: list[tuple[str, str, str]] = []
        """Path and hash of each record that another, at the first path, saw."""
        self._doubted: list[tuple[str, str, str]] = []
        self._successors: dict[tuple[str | None, str], list[str]] = defaultdict(list)
        """Paths of the records that have named the same predecessor."""

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, file: RecordFile) -> None:
        """Take in a record; their order does not matter."""
        self._hashes[file.path] = file.sha256
        if file.record is None:
            self._misplaced.append(Discrepancy(UNREADABLE, file.path, file.problem))
            return
        record, place = file.record, _place(file.record)
        if not file.path.startswith(place):
            self._misplaced.append(Discrepancy(REORDERED, file.path, f"holds the record of {place}*"))
        seen = (record["previous"], *record["also_previous"], *record["earlier_tries"])
        self._seen += [(file.path, each["path"], each["sha256"]) for each in seen if each and each["path"]]
        self._doubted += [(file.path, each["path"], each["sha256"]) for each in record["doubtful_previous"]]
        self._successors[record["connection_id"], (record["previous"] or {}).get("sha256", "")].append(file.path)

    def discrepancies(self, expected: Collection[str] = ()) -> list[Discrepancy]:
        """
        Return what is wrong; nothing where every record is as it was written, and none is missing.

        :param expected: Hashes that runs have logged, for example that of the last one.
        """
        places = {sha256: path for path, sha256 in self._hashes.items() if sha256}
        cut_off = (
            Discrepancy(CUT_OFF, sha256, "a run has logged this hash of its record, and no record has it")
            for sha256 in expected
            if sha256 not in places
        )
        found = [*self._misplaced, *self._contradicted(places), *self._doubtful(places), *self._forks(), *cut_off]
        return list({(each.kind, each.path): each for each in reversed(found)}.values())[::-1]

    def _contradicted(self, places: Mapping[str, str]) -> Iterator[Discrepancy]:
        """Find what is not as a later record saw it."""
        for by, path, sha256 in self._seen:
            if self._hashes.get(path) == sha256:
                continue
            if sha256 in places:
                yield Discrepancy(REORDERED, path, f"is at {places[sha256]}; {by} saw it here")
            elif path in self._hashes:
                yield Discrepancy(CHANGED, path, f"is not what {by} saw here, with the SHA-256 {sha256}")
            else:
                yield Discrepancy(MISSING, path, f"is not there; {by} saw it, with the SHA-256 {sha256}")

    def _doubtful(self, places: Mapping[str, str]) -> Iterator[Discrepancy]:
        """Find what a run has missed that a link named: the record was removed or changed, or the link was."""
        for by, path, sha256 in self._doubted:
            if sha256 not in places:
                text = f"with the SHA-256 {sha256} was named in @chain, and not there for {by}"
                yield Discrepancy(DOUBTFUL, path or sha256, text)

    def _forks(self) -> Iterator[Discrepancy]:
        """Find records that saw the same predecessor: their runs ended at the same moment, or one was put in later."""
        for paths in self._successors.values():
            for path in sorted(paths)[1:]:
                yield Discrepancy(FORK, path, f"has the same predecessor as {min(paths)}")


def verdict(discrepancies: Iterable[Discrepancy]) -> tuple[bool, str]:
    """Return whether all is well, and in words what the chain proves, which is not that a record was written at all."""
    kinds = [each.kind for each in discrepancies if each.is_error]
    missing = sum(kind in (MISSING, CUT_OFF) for kind in kinds)
    changed = len(kinds) - missing
    texts = [f"{changed} not as they were written" if changed else "records unchanged"]
    texts += [f"{missing} missing" if missing else "none of the records that were written is missing"]
    return not kinds, "; ".join(texts)


def _place(record: Mapping[str, Any]) -> str:
    """Return what the path of a record begins with."""
    run = record["run"]
    return f"{record_folder(run, record['began_at'])}/{record_stem(run)}.try{run.get('try_number') or 1}."
