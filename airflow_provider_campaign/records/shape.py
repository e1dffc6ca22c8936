"""A record's shape, as its JSON Schema says: the bytes of a record, and the record in bytes that were read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

SCHEMA = "campaign-record/1"  # the name of the format; another format has another number

SCHEMA_TEXT = Path(__file__).with_name("campaign-record-1.schema.json").read_text()

DEFAULTS: Mapping[str, Any] = {
    key: each["default"] for key, each in json.loads(SCHEMA_TEXT)["properties"].items() if "default" in each
}
"""The values of keys that a record does not have: most runs find nothing, and say so in few bytes."""


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A record as it was read."""

    path: str  # below the records path, with "/" between its parts
    sha256: str  # of its bytes, empty if unreadable
    record: Mapping[str, Any] | None  # None if the file contains none that is as its schema says
    problem: str = ""  # why there is no record

    @classmethod
    def parse(cls, path: str, content: bytes) -> Self:
        record = read_record(content)
        return cls(path, sha256_of(content), record, "" if record else f"holds no whole {SCHEMA}")


def canonical(record: Mapping[str, Any]) -> bytes:
    """Return a record as it is kept, without its defaults: the same record always gives the same bytes."""
    said = {key: value for key, value in record.items() if key not in DEFAULTS or value != DEFAULTS[key]}
    return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_record(content: bytes) -> Mapping[str, Any] | None:
    """Return the record in bytes, with its defaults; None if there is none that is as its schema says."""
    try:
        record = json.loads(content.decode(), parse_constant=float.fromhex)  # a ValueError for NaN and Infinity
        _validate()(record)
        return {**DEFAULTS, **record}
    except (ValueError, RecursionError):
        return None


@cache
def _validate() -> Callable[[Any], object]:
    """Return what raises a ValueError for a record that is not as the schema says."""
    import fastjsonschema  # a DAG file needs none

    formats = {"date-time": lambda text: datetime.fromisoformat(text).isoformat() == text}  # not the 30th of February
    return fastjsonschema.compile(json.loads(SCHEMA_TEXT), formats=formats, use_default=False)  # each would get its own
