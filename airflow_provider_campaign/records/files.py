"""The files below a records path. Anyone who may write there may have left anything, so nothing is opened on trust."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

# No DAG can have these ids.
CHAIN_FOLDER = "@chain"  # contains, by connection and day, which record was written after which
COMMANDS_FOLDER = "@commands"  # contains the records of commands
MAX_PART_LENGTH = 200  # characters of a part of a path; file systems take 255
MAX_FILE_BYTES = 16 * 1024 * 1024  # a record of a thousand campaigns has 320 KB
MAX_DEPTH = 3  # parts of a record's path
LOCAL = ("", "file", "local")  # protocols of disks that the operating system has mounted


def read_file(root: ObjectStoragePath, path: str) -> bytes:
    """Return the content of a regular file below a root; raise OSError for a pipe, or a file that is too long."""
    is_local, name = root.protocol in LOCAL, f"{root.path}/{path}"
    if is_local and not stat.S_ISREG(os.stat(name).st_mode):
        raise OSError("it is not a regular file")
    # A file that becomes a pipe meanwhile is not waited for.
    opened: Any = os.open(name, os.O_RDONLY | os.O_NONBLOCK) if is_local else None
    with open(opened, "rb") if is_local else (root / path).open("rb") as file:  # type: ignore[no-untyped-call]
        content: bytes = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(f"it has more than {MAX_FILE_BYTES} bytes")
    return content


def create_file(path: ObjectStoragePath, content: bytes) -> bool:
    """
    Create a file, unless it exists; return whether it has the content now.

    It may have had it before: a store may keep it and lose the response, so that a library's second attempt is refused.
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
    """Make a folder; object stores need none."""
    if folder.protocol in LOCAL:
        folder.mkdir(parents=True, exist_ok=True)


def names_in(folder: ObjectStoragePath) -> list[str]:
    """Return the names in a folder, sorted; none if there is no folder."""
    try:
        if folder.protocol in LOCAL:
            return sorted(os.listdir(folder.path))
        folder.fs.invalidate_cache()
        return sorted(child.name for child in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def json_paths(root: ObjectStoragePath) -> Iterator[str]:
    """Yield the paths of files below a root that may be records, and of unreadable folders; raise for the root."""
    if root.protocol in LOCAL:
        paths = _local_json_paths(root.path.rstrip("/"))
    else:
        prefix = str(root).rstrip("/") + "/"
        paths = (str(path).removeprefix(prefix) for path in root.rglob("*.json"))
    yield from (path for path in paths if path.count("/") < MAX_DEPTH and not path.startswith(f"{CHAIN_FOLDER}/"))


def _local_json_paths(root: str) -> Iterator[str]:
    unreadable: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=unreadable.append):
        below = folder[len(root) + 1 :]
        if below.count("/") == MAX_DEPTH - 2:
            folders.clear()
        yield from (f"{below}/{name}".lstrip("/") for name in names if name.endswith(".json"))
    for error in unreadable:
        below = str(error.filename)[len(root) + 1 :]
        if not below and not isinstance(error, FileNotFoundError):
            raise error
        if below and os.path.basename(below) != "lost+found":
            yield below


@lru_cache(maxsize=1000)
def path_part(text: str) -> str:
    """Return a text as one part of a path: percent-encoded, and if it is too long, cut and made unique."""
    part = quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")
    if len(part) <= MAX_PART_LENGTH:
        return part
    return f"{part[: MAX_PART_LENGTH - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def record_path(run: Mapping[str, Any], began_at: str) -> str:
    """Return the path of a record without its ending: ``{dag_id}/{run_id}/{task_id}[.{map_index}].try{n}``."""
    folder = f"{COMMANDS_FOLDER}/{path_part(began_at)}"
    if run.get("dag_id") and run.get("run_id"):
        folder = f"{path_part(run['dag_id'])}/{path_part(run['run_id'])}"
    name = path_part(run.get("task_id") or run.get("command") or "task")
    copy = f".{run['map_index']}" if run.get("map_index", -1) >= 0 else ""
    return f"{folder}/{name}{copy}.try{run.get('try_number') or 1}"
