"""Whatever somebody leaves below a records path: it ends, delays and falsifies nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.__main__ import main
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.records.progress import Progress, campaign_entry
from airflow_provider_campaign.records.record import EarlierTries, RecordDraft
from airflow_provider_campaign.records.shape import RecordFile, canonical, read_record
from airflow_provider_campaign.records.store import RecordStore
from tests.odd_texts import check_storable
from tests.profiles import examples
from tests.records_guard import TAMPERED, VALIDATOR, read_all, verify_records

pytestmark = pytest.mark.timeout(1800)  # in full, it takes a minute on a quiet machine

Result = TypeVar("Result")
Planted = tuple[str, str, bytes, str]
"""A path, and what is put there: its kind, its content, and where it leads if it is a link."""

HANGS_AFTER = 30.0  # seconds; it takes a hundredth
RUN = {"dag_id": "closing", "task_id": "sweep", "map_index": -1, "logical_date": None}
CHAIN = "@chain/campaign_default"


def record_of(number: int, try_number: int = 1) -> dict[str, Any]:
    """Return the record of an evening on which one campaign of two was stopped."""
    run = {**RUN, "run_id": f"run-{number}", "try_number": try_number}
    began_at = 1_800_000_000.0 + 86400.0 * number + try_number
    draft = RecordDraft("sweep", run, began_at, "campaign_default", scope={"dry_run": False})
    campaigns = [
        campaign_entry(Campaign(f"c-{each}", "Active", "Sale", "sms"), asked_at=1.0, confirmed_at=2.0 * each or None)
        for each in range(2)
    ]
    return draft.record(Progress(campaigns), began_at + 1.0, "failed")


def path_of(number: int) -> str:
    return f"closing/run-{number}/sweep.try1.json"


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the records of three evenings."""
    folder = tmp_path_factory.mktemp(TAMPERED) / TAMPERED
    for number in range(3):
        RecordStore(f"file://{folder}").write(record_of(number))
    return folder


def put(path: Path, kind: str, content: bytes, target: str) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        path.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(content)
        if kind == "huge":
            os.truncate(path, 2**40)


def planted_copy(genuine: Path, planted: list[Planted]) -> Path:
    """Return a copy of the records in which things were planted; what would get out of it is left out."""
    folder = genuine.parent / "copy" / TAMPERED
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(genuine, folder)
    for path, *what in planted:
        with suppress(OSError):  # something else that was planted is in the way
            if (folder / path).parent.resolve().is_relative_to(folder.parent.resolve()):
                put(folder / path, *what)  # type: ignore[arg-type]
    return folder


def in_time(act: Callable[[], Result]) -> Result:
    """Return what a call returns; raise if it hangs."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(act).result(HANGS_AFTER)
    finally:
        pool.shutdown(wait=False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["", "2026-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def edited_records(draw: st.DrawFn) -> bytes:
    """Draw a record with something else somewhere in it."""
    record = json.loads(canonical(record_of(draw(st.integers(0, 3)), draw(st.integers(1, 2)))))
    for _ in range(draw(st.integers(1, 2))):
        place: Any = record
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or draw(st.booleans()):
                place[key] = draw(json_values)
                break
            place = place[key]
    return json.dumps(record).encode()


contents = st.one_of(
    st.binary(max_size=64),
    edited_records(),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 5_000, b"\xff\xfe", b"9" * 5_000, b'{"schema":"campaign-record/1"}']),
    st.sampled_from([path_of(2), path_of(1), "../../x.json", "a/b/c.json"]).map(str.encode),
)
kinds = st.sampled_from(["file", "file", "file", "link", "pipe", "folder", "huge"])
targets = st.sampled_from([".", "..", "/proc", "loop", "/dev/zero", "/dev/tty", "/proc/kmsg", "nowhere", path_of(0)])
file_names = st.one_of(
    st.sampled_from(["x.json", "a\nb.json", "sweep.try1.2.json", "sweep.try1.99.json", "sweep.try2.json", "loop"]),
    st.binary(min_size=1, max_size=8).filter(lambda name: not set(name) & set(b"\0/")).map(os.fsdecode),
).filter(lambda name: name not in (".", ".."))
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
links = st.builds("{}_{}_{}".format, st.sampled_from(["000000.0", "999999.9"]), hashes, hashes | st.just("first"))
chain_folders = st.sampled_from(["", "/2027-01", "/2027-01/17", "/2027-01/18", "/2027-02/19", "/0000-00/x", "/x"])
chain_paths = st.builds("{}{}/{}".format, st.just(CHAIN), chain_folders, file_names | links) | st.just(CHAIN)
record_folders = st.sampled_from([".", "closing", "closing/run-2", "closing/run-9", "a/b/c"])
record_paths = st.builds("{}/{}".format, record_folders, file_names)
record_paths |= st.sampled_from(["@chain", "@commands", "closing/run-3"])


STYLES = (("-o", "json"), ("-o", "yaml"), ("-o", "table"), ("--csv",), ("--html",))
planted_things = st.sampled_from([chain_paths, record_paths]).flatmap(
    lambda paths: st.lists(st.tuples(paths, kinds, contents, targets), max_size=4)
)


@examples(full=1000, brief=30, exhaustive=3000)
@given(planted_things, st.none() | contents, st.integers(0, 2), st.sampled_from(STYLES))
def test_whatever_is_planted_is_an_error_only_among_records(
    genuine: Path, planted: list[Planted], edited: Any, number: int, style: Any
) -> None:
    link = sorted((genuine / CHAIN).glob("*/*/*"))[number].relative_to(genuine).as_posix()
    folder = planted_copy(genuine, [*([] if edited is None else [(link, "file", edited, "")]), *planted])
    store = RecordStore(f"file://{folder}")
    assert in_time(lambda: store.earlier_tries({**RUN, "run_id": "run-2", "try_number": 3})).keys() <= {1, 2}
    for later in (3, 4):
        try:
            in_time(lambda later=later: store.write(record_of(later)))  # type: ignore[misc]
        except CampaignRecordError:
            assert f"closing/run-{later}" in {path for path, *_ in planted}  # its own folder was taken
    files = in_time(lambda: read_all(store))
    found = {file.path for file in files if file.record}
    assert {path_of(number) for number in range(3)} <= found
    wrong = {each.path for each in verify_records(files) if each.is_error}
    if all(path.startswith(CHAIN) for path, *_ in planted):
        names = {path.rpartition("/")[2] for path, *_ in planted}  # what a planted link has led among the records
        assert {path for path in found | wrong if path.rpartition("/")[2] not in names} == set(map(path_of, range(5)))
        assert wrong.isdisjoint(map(path_of, range(5)))
    with pytest.raises(SystemExit) as end:
        in_time(lambda: main(("records", store.records_path, *style)))
    assert end.value.code in (0, 1)


@examples(full=500, exhaustive=1500)
@given(edited_records())
def test_a_record_is_read_only_if_it_is_as_its_schema_says(content: bytes) -> None:
    """The schema is not asked of each record, but of each kind of record."""
    try:
        is_valid = VALIDATOR.is_valid(json.loads(content, parse_constant=float.fromhex))
    except ValueError:
        is_valid = False
    if (record := read_record(content)) is not None:
        assert is_valid
        earlier = EarlierTries.compare({1: RecordFile("", "", record)}, record_of(0))
        check_storable([earlier.describe_foreign(), *map(Campaign.as_dict, earlier.leftovers)])
    elif is_valid:  # there is no such moment
        texts = re.findall(rb'"(\d{4}-[^"]*\+00:00)"', content)
        assert any(datetime.fromisoformat(text.decode()).isoformat() != text.decode() for text in texts)
