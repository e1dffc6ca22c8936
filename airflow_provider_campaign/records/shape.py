"""A record's shape, as its JSON Schema says: the bytes of a record, and the record in bytes that were read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SCHEMA = "campaign-record/1"  # the name of the format; another format has another number

SCHEMA_TEXT = Path(__file__).with_name("campaign-record-1.schema.json").read_text()

DEFAULTS: Mapping[str, Any] = {
    key: each["default"] for key, each in json.loads(SCHEMA_TEXT)["properties"].items() if "default" in each
}
"""The values of keys that a record does not have: most runs find nothing, and say so in few bytes."""

WORDS = frozenset(re.findall(r'"[^"]*"', SCHEMA_TEXT))  # the texts that the schema may ask for
TIME = r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00)"
TEXT = rf'"(?:{TIME}|(?P<hash>[0-9a-f]{{64}})|[^"\\]*(?:\\.[^"\\]*)*)"'
TOKEN = re.compile(rf"{TEXT}|(?P<number>-?\d[\d.eE+-]*)", re.ASCII)


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
        text = content.decode()
        record = json.loads(text, parse_constant=float.fromhex)  # NaN and Infinity are no JSON: a ValueError
        return {**DEFAULTS, **record} if _is_valid(TOKEN.sub(_shape, text)) else None
    except (ValueError, RecursionError):
        return None


def _shape(token: re.Match[str]) -> str:
    """Return another text or number that is the same to the schema: few records differ by then."""
    kind, text = token.lastgroup, token[0]
    if kind == "number":
        number = float(text)
        return str(max(-2, min(int(number), 2)) if number.is_integer() else 0.5)
    if kind == "hash":
        return f'"{"0" * 64}"'
    if kind == "time" and datetime.fromisoformat(text[1:-1]).isoformat() == text[1:-1]:  # not the 30th of February
        return '"2026-01-01T00:00:00+00:00"'
    return text if text in WORDS else '"…"'


@lru_cache(maxsize=10_000)
def _is_valid(shape: str) -> bool:
    return bool(_validator().is_valid(json.loads(shape)))


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # a tenth of a second, so not at the top: a DAG file needs none

    return Draft202012Validator(json.loads(SCHEMA_TEXT))
