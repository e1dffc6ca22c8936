"""Where a record has its place below the records path."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

CHAIN_FOLDER = "@chain"
"""Holds, by connection and day, which record was written after which. No DAG can have this id."""

COMMANDS_FOLDER = "@commands"
"""Holds the records of what no DAG run did. No DAG can have this id."""

MAX_PART_LENGTH = 200
"""Characters of a part of a path; file systems take 255."""


def path_part(text: str) -> str:
    """Return a text as one part of a path: percent-encoded, and where it is too long, cut and made unique."""
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
