"""
The chain of records: each names the record before it, and what is wrong with those that are there.

The folder ``@chain`` shows which record of a connection was written last. Anyone who may write there can change it, so
its small files are compared with the records, and what goes wrong there is a warning.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.records import files
from airflow_provider_campaign.records.shape import RecordFile, sha256_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

CHANGED, MISSING, REORDERED, CUT_OFF, UNREADABLE = "changed", "missing", "reordered", "cut off", "unreadable"
FORK = "fork"

SHORT_HASH = 12  # characters of a hash that distinguish it from the others of two days
MAX_NAMED = 6  # predecessors that one record names, and links that it doubts: a file name has 255 characters

MONTH, DAY = re.compile(r"\d{4}-\d\d", re.ASCII), re.compile(r"\d\d", re.ASCII)
# The name of a link: time, SHA-256 of the record, short hashes of those before it that later ones need not name.
LINK = re.compile(r"[\d.]+_([0-9a-f]{64})_([0-9a-f-]+|first)", re.ASCII)
PATH = re.compile(r"(?!\.\.?/|@chain/)[^/]+/(?!\.\.?/)[^/]+/[^/]+\.json")

Named = dict[str, str]  # the path and the sha256 of a record


def find_predecessors(root: ObjectStoragePath, connection_id: str | None, ended_at: str) -> tuple[list[Named], str]:
    """Return the last two days' records that no other names yet, the newest first, and what the next link names."""
    folder, named = _links_folder(root, connection_id), set[str]()
    found: list[Named] = []
    doubtful: list[Named] = []
    try:
        for day in islice(_days(folder, ended_at), 2):
            for link in _links(folder, day):
                sha256, names = link[1], link[2].split("-")
                if sha256[:SHORT_HASH] in named:
                    named.update(names)
                elif max(len(found), len(doubtful)) < MAX_NAMED:
                    record = {"path": _linked_path(folder, day, link), "sha256": sha256}
                    is_found = _exists(root, record)
                    (found if is_found else doubtful).append(record)
                    named.update([sha256[:SHORT_HASH]], names if is_found else ())
    except Exception as error:  # noqa: BLE001 whatever a file system's library raises
        log.warning("The chain of records can't be read at %s: %s: %s", folder, type(error).__name__, error)
    for each in doubtful:
        log.warning("A link in @chain names a record that is not there: path %(path)r, SHA-256 %(sha256)s", each)
    return found, "-".join(each["sha256"][:SHORT_HASH] for each in (*found, *doubtful)) or "first"


def add_link(root: ObjectStoragePath, record: Mapping[str, Any], reference: Named, names: str) -> None:
    """Note a record that was written, for those that come after it."""
    at = datetime.fromisoformat(record["ended_at"]).astimezone(UTC)
    folder = _links_folder(root, record["connection_id"])
    link = folder / f"{at:%Y-%m/%d/%H%M%S.%f}_{reference['sha256']}_{names}"
    try:
        files.make_folder(link.parent)
        if not files.create_file(link, reference["path"].encode()):
            log.warning("The link %s is there already, and names another record", link)
    except Exception as error:  # noqa: BLE001 whatever a file system's library raises: the record is written
        log.warning("The record can't be linked into @chain: %s: %s", type(error).__name__, error)


def linked_since(root: ObjectStoragePath, connection_id: str, since: datetime, until: datetime) -> Iterator[Named]:
    """Yield the records that ended on the day (UTC) of a moment or later, as ``@chain`` names them."""
    folder, first = _links_folder(root, connection_id), f"{since.astimezone(UTC):%Y-%m/%d}"
    for day in takewhile(lambda day: day >= first, _days(folder, until.isoformat())):
        for link in _links(folder, day):
            if path := _linked_path(folder, day, link):
                yield {"path": path, "sha256": link[1]}


def _links_folder(root: ObjectStoragePath, connection_id: str | None) -> ObjectStoragePath:
    return root / files.CHAIN_FOLDER / files.path_part(connection_id or "@none")


def _days(folder: ObjectStoragePath, ended_at: str) -> Iterator[str]:
    """Yield the days that have links, such as ``2026-11/30``, from the day after a moment backwards."""
    # A clock that was ahead may have left links of later days.
    tomorrow = f"{datetime.fromisoformat(ended_at).astimezone(UTC) + timedelta(days=1):%Y-%m/%d}"
    months = (month for month in reversed(files.names_in(folder)) if MONTH.fullmatch(month) and month <= tomorrow)
    for month in months:
        days = (f"{month}/{day}" for day in reversed(files.names_in(folder / month)) if DAY.fullmatch(day))
        yield from (day for day in days if day <= tomorrow)


def _links(folder: ObjectStoragePath, day: str) -> Iterator[re.Match[str]]:
    return filter(None, map(LINK.fullmatch, reversed(files.names_in(folder / day))))


def _linked_path(folder: ObjectStoragePath, day: str, link: re.Match[str]) -> str:
    """Return the path in a link, empty if it is none that a record can have."""
    try:
        text = files.read_file(folder, f"{day}/{link[0]}").decode("ascii")
    except Exception:  # noqa: BLE001 whatever a file system's library raises
        return ""
    return text if PATH.fullmatch(text) and text.isprintable() else ""


def _exists(root: ObjectStoragePath, record: Named) -> bool:
    """Return whether a path has a file with a hash."""
    try:
        return bool(record["path"]) and sha256_of(files.read_file(root, record["path"])) == record["sha256"]
    except Exception:  # noqa: BLE001 whatever a file system's library raises
        return False


@dataclass(frozen=True)
class Discrepancy:
    """A difference that :class:`RecordChain` has found."""

    kind: str  # "changed", "missing", "reordered", "cut off", "unreadable", or "fork"
    path: str  # of the record that it is about, or the hash of one that is not there
    text: str

    @property
    def is_error(self) -> bool:
        """Whether the records are not as they were written; two runs may end at once."""
        return self.kind != FORK


class RecordChain:
    """The records of a path, compared with what later ones say of them; of each only place and hashes are kept."""

    def __init__(self) -> None:
        self._hashes: dict[str, str] = {}  # by path
        self._found: list[Discrepancy] = []
        self._seen: list[tuple[str, Named]] = []  # what the record at a path says of another
        self._successors: dict[tuple[str | None, str], list[str]] = defaultdict(list)  # by what they name as previous

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, file: RecordFile) -> None:
        """Take in a record; their order does not matter."""
        self._hashes[file.path] = file.sha256
        if file.record is None:
            self._found.append(Discrepancy(UNREADABLE, file.path, file.problem))
            return
        record, place = file.record, files.record_path(file.record["run"], file.record["began_at"])
        if not file.path.startswith(f"{place}."):
            self._found.append(Discrepancy(REORDERED, file.path, f"holds the record of {place}"))
        seen = (record["previous"], *record["also_previous"], *record["earlier_tries"])
        self._seen += [(file.path, each) for each in seen if each and each["path"]]
        self._successors[record["connection_id"], (record["previous"] or {}).get("sha256", "")].append(file.path)

    def discrepancies(self, expected: Collection[str] = ()) -> list[Discrepancy]:
        """Return the differences, also from the hashes that runs have logged, for example that of the last one."""
        found = list(self._found)
        for by, seen in self._seen:
            path, sha256 = seen["path"], seen["sha256"]
            if path not in self._hashes:
                found.append(Discrepancy(MISSING, path, f"is not there; {by} saw it, with the SHA-256 {sha256}"))
            elif self._hashes[path] != sha256:
                found.append(Discrepancy(CHANGED, path, f"is not what {by} saw here, with the SHA-256 {sha256}"))
        for paths in self._successors.values():  # their runs ended at once, or one was added later
            first, *others = sorted(paths)
            found += [Discrepancy(FORK, path, f"has the same predecessor as {first}") for path in others]
        text = "a run has logged this hash of its record, and no record has it"
        cut_off = set(expected).difference(self._hashes.values())
        found += [Discrepancy(CUT_OFF, sha256, text) for sha256 in sorted(cut_off)]
        return list({(each.kind, each.path): each for each in reversed(found)}.values())[::-1]


def verdict(discrepancies: Iterable[Discrepancy]) -> tuple[bool, str]:
    """Return whether all is well, and in words what the chain proves, which is not that a record was ever written."""
    kinds = [each.kind for each in discrepancies if each.is_error]
    missing = sum(kind in (MISSING, CUT_OFF) for kind in kinds)
    changed = len(kinds) - missing
    texts = [f"{changed} not as they were written" if changed else "records unchanged"]
    texts += [f"{missing} missing" if missing else "none of the records that were written is missing"]
    return not kinds, "; ".join(texts)
