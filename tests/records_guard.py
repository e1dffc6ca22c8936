"""
A watch over the whole suite: every record that is written anywhere is valid, and holds no secret.

Airflow's configuration names a records path for all tests, so that every sweep leaves its record there.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import jsonschema
import pytest

from airflow_provider_campaign import records
from airflow_provider_campaign.records.chain import Discrepancy, RecordChain
from airflow_provider_campaign.records.shape import RecordFile
from airflow_provider_campaign.records.store import RecordStore
from tests.secrets_guard import leak_in

SCHEMA = json.loads((Path(records.__path__[0]) / "campaign-record-1.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)  # once: to check the schema takes longer than any record
RECORDS_PATH = "AIRFLOW__CAMPAIGN__RECORDS_PATH"
NUMBERS = itertools.count(1)


def check_record(content: bytes) -> None:
    """Raise if a record is not as the schema says, or holds a secret."""
    VALIDATOR.validate(json.loads(content))
    assert leak_in(content.decode()) is None


def check_records(folder: Path) -> int:
    checked = 0
    for path in folder.rglob("*.try*.json"):
        if TAMPERED not in path.relative_to(folder).parts:
            check_record(path.read_bytes())
            checked += 1
    return checked


def read_all(store: RecordStore) -> list[RecordFile]:
    """Return the records in the order in which their runs ended; what holds none comes last."""
    return sorted(store.read(), key=lambda file: (file.record["ended_at"] if file.record else "~", file.path))


def verify_records(files: Iterable[RecordFile], expected: Collection[str] = ()) -> list[Discrepancy]:
    chain = RecordChain()
    for file in files:
        chain.add(file)
    return chain.discrepancies(expected)


TAMPERED = "tampered"  # the folder for records that a test damages


@pytest.fixture(scope="session", autouse=True)
def records_are_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have every sweep write a record, and look at all of them in the end; also those of a test's own folder."""
    os.environ.setdefault(RECORDS_PATH, f"file://{tmp_path_factory.mktemp('records')}")
    yield
    check_records(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def own_records(records_are_kept: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a folder of its own for that: sweeps of many begin at the same moment of a virtual clock."""
    monkeypatch.setenv(RECORDS_PATH, f"{os.environ[RECORDS_PATH]}/{next(NUMBERS)}")


@pytest.fixture
def store(own_records: None) -> RecordStore:
    """Return where sweeps leave their records unless they are told otherwise."""
    return RecordStore(os.environ[RECORDS_PATH])
