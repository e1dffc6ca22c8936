"""
The files below a records path, and where each has its place.

Anyone who may write there may have left anything, so nothing is opened on trust.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

CHAIN_FOLDER = "@chain"
"""Contains, by connection and day, which record was written after which. No DAG can have this id."""

COMMANDS_FOLDER = "@commands"
"""Contains the records of actions outside DAG runs. No DAG can have this id."""

MAX_PART_LENGTH = 200
"""Characters of a part of a path; file systems take 255."""

MAX_FILE_BYTES = 16 * 1024 * 1024
"""A record of a thousand campaigns has 320 KB."""

MAX_DEPTH = 3
"""Parts of a record's path: no file that lies deeper is one."""

LOCAL = ("", "file", "local")
"""Protocols of what the operating system has mounted."""


def read_file(root: ObjectStoragePath, path: str) -> bytes:
    """
    Return what a file holds.

    :param path: Below the root.
    :raises OSError: If it is no regular file, such as a pipe, which would be waited for, or too long.
    """
    with _open(root, path) as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(f"it has more than {MAX_FILE_BYTES} bytes")
    return content


def _open(root: ObjectStoragePath, path: str) -> BinaryIO:
    if root.protocol not in LOCAL:
        return cast(BinaryIO, (root / path).open("rb"))  # type: ignore[no-untyped-call]
    name = f"{root.path}/{path}"
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise OSError("it is no regular file")
    # It may be another one by now: not to wait for a pipe takes nothing.
    return open(os.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb")


def create_file(path: ObjectStoragePath, content: bytes) -> bool:
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
        with suppress(OSError):
            return read_file(path.parent, path.name) == content
        return False
    except BaseException:
        if file is not None and path.protocol in LOCAL:  # an object store keeps no half of a file
            with suppress(OSError):
                path.unlink()
        raise
    return True


def make_folder(folder: ObjectStoragePath) -> None:
    """Make a folder where files need one; object stores have none."""
    if folder.protocol in LOCAL:
        folder.mkdir(parents=True, exist_ok=True)


def names_in(folder: ObjectStoragePath) -> list[str]:
    """Return the names in a folder, sorted; nothing if there is no folder."""
    try:
        if folder.protocol in LOCAL:
            return sorted(os.listdir(folder.path))
        folder.fs.invalidate_cache()
        return sorted(child.name for child in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def json_paths(root: ObjectStoragePath) -> Iterator[str]:
    """
    Yield the paths below a root of all that may be records, and of unreadable folders.

    :raises OSError: If the root itself is unreadable.
    """
    if root.protocol in LOCAL:
        paths = _local_json_paths(root.path.rstrip("/"))
    else:
        prefix = str(root).rstrip("/") + "/"
        paths = (str(path).removeprefix(prefix) for path in root.rglob("*.json"))
    yield from (path for path in paths if path.count("/") < MAX_DEPTH and not path.startswith(f"{CHAIN_FOLDER}/"))


def _local_json_paths(root: str) -> Iterator[str]:
    """Walk a folder, also by links to other disks, but not by those that lead back."""
    unreadable: list[OSError] = []
    linked = {os.path.realpath(root)}
    for folder, folders, names in os.walk(root, onerror=unreadable.append, followlinks=True):
        below = folder[len(root) + 1 :]
        is_last = below.count("/") == MAX_DEPTH - 2
        folders[:] = [] if is_last else [name for name in folders if not _leads_back(f"{folder}/{name}", linked)]
        yield from (f"{below}/{name}".lstrip("/") for name in names if name.endswith(".json"))
    for error in unreadable:
        below = str(error.filename)[len(root) + 1 :]
        if below and os.path.basename(below) != "lost+found":
            yield below
        elif not below and not isinstance(error, FileNotFoundError):
            raise error


def _leads_back(folder: str, linked: set[str]) -> bool:
    """Return whether a folder is a link to one that another link has led to."""
    if not os.path.islink(folder):
        return False
    target = os.path.realpath(folder)
    is_known = target in linked
    linked.add(target)
    return is_known


@lru_cache(maxsize=1000)
def path_part(text: str) -> str:
    """Return a text as one part of a path: percent-encoded, and if it is too long, cut and made unique."""
    part = quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")
    if len(part) <= MAX_PART_LENGTH:
        return part
    return f"{part[: MAX_PART_LENGTH - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def record_folder(run: Mapping[str, Any], began_at: str) -> str:
    """
    Return the folder of a run's records: ``{dag_id}/{run_id}``.

    :param began_at: ISO 8601; stands for the run where no DAG run is known.
    """
    if run.get("dag_id") and run.get("run_id"):
        return f"{path_part(run['dag_id'])}/{path_part(run['run_id'])}"
    return f"{COMMANDS_FOLDER}/{path_part(began_at)}"


def record_stem(run: Mapping[str, Any]) -> str:
    """Return what the names of all tries of a task, or of a command, begin with: ``{task_id}[.{map_index}]``."""
    stem = path_part(run.get("task_id") or run.get("command") or "task")
    map_index = run.get("map_index")
    return stem if map_index is None or map_index < 0 else f"{stem}.{map_index}"


def record_name(run: Mapping[str, Any], copy: int = 1) -> str:
    """
    Return the name of a try's record: ``{task_id}[.{map_index}].try{n}.json``.

    :param copy: 2 and more where the name is taken, because the same try ran before: ``….try1.2.json``.
    """
    suffix = "" if copy == 1 else f".{copy}"
    return f"{record_stem(run)}.try{run.get('try_number') or 1}{suffix}.json"


def try_and_copy(run: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    """Return the try's number and the copy's that a file's name has, None for a file of another task."""
    match = re.fullmatch(re.escape(record_stem(run)) + r"\.try(\d+)(?:\.(\d+))?\.json", name)
    return (int(match[1]), int(match[2] or 1)) if match else None
