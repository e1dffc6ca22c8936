"""The chain of records names what was changed, removed, exchanged or cut off."""

from __future__ import annotations

import json
import logging
import os
import resource
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.campaign import LIVE_STATUSES
from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.records.chain import Discrepancy
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.records.record import RecordDraft
from airflow_provider_campaign.records.shape import RecordFile, canonical, read_record
from airflow_provider_campaign.records.store import RecordStore
from tests.accounts import KORE_V2
from tests.records_guard import TAMPERED, check_record, check_records, read_all, verify_records

ENDED_AT = 1_800_000_000.0


def record_of(run_id: str = "scheduled__2026-11-21T21:00:00+00:00", at: float = 0.0, **run: Any) -> dict[str, Any]:
    return draft_of(run_id, **run).record(Progress(), ENDED_AT + at, "success")


def draft_of(run_id: str, connection_id: str = "campaign_default", **run: Any) -> RecordDraft:
    whole = {"dag_id": "closing", "run_id": run_id, "task_id": "stop_all", "map_index": -1, "try_number": 1}
    return RecordDraft("sweep", {**whole, "logical_date": None, **run}, ENDED_AT - 1, connection_id)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder in which records may be damaged."""
    return tmp_path / TAMPERED


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """Three records, one after the other."""
    store = RecordStore(f"file://{tmp_path}")
    for number in range(3):
        store.write(record_of(f"run-{number}", at=86400.0 * number))
    return store


def path_of(number: int) -> str:
    return f"closing/run-{number}/stop_all.try1.json"


def findings_of(store: RecordStore, *expected: str) -> set[tuple[str, str]]:
    return {(finding.kind, finding.path) for finding in verify_records(store.read(), expected)}


def test_records_as_they_were_written_pass(store: RecordStore, tmp_path: Path) -> None:
    assert [record.path for record in read_all(store)] == [path_of(0), path_of(1), path_of(2)]
    assert verify_records(store.read(), [record.sha256 for record in read_all(store)]) == []
    assert check_records(tmp_path) == 3


def test_one_changed_byte_is_found(store: RecordStore, tmp_path: Path) -> None:
    changed = tmp_path / path_of(1)
    changed.write_bytes(changed.read_bytes().replace(b'"requests":0', b'"requests":1'))
    assert findings_of(store) == {("changed", path_of(1))}


def test_a_record_that_is_no_json_any_more_is_found(store: RecordStore, tmp_path: Path) -> None:
    (tmp_path / path_of(1)).write_bytes(b"{")
    assert findings_of(store) == {("changed", path_of(1)), ("unreadable", path_of(1))}


@pytest.mark.parametrize(
    "edit",
    [
        {"ended_at": None},
        {"ended_at": ""},
        {"ended_at": "2027-02-30T08:00:00+00:00"},
        {"began_at": "0001-01-01T00:00:00+14:00"},
        {"ended_at": "yesterday"},
        {"ended_at": "2027-01-16T08:00:00"},
        {"campaigns": None},
        {"campaigns": [{}]},
        {"run": []},
        {"run": {"dag_id": 1, "run_id": 2}},
        {"previous": "x"},
        {"earlier_tries": [{}]},
        {"schema": "campaign-record/0"},
    ],
    ids=str,
)
def test_a_record_that_was_edited_keeps_no_other_from_being_checked(
    store: RecordStore, tmp_path: Path, edit: dict[str, Any]
) -> None:
    changed = tmp_path / path_of(1)
    changed.write_bytes(canonical({**json.loads(changed.read_bytes()), **edit}))
    assert findings_of(store) == {("changed", path_of(1)), ("unreadable", path_of(1))}


@pytest.mark.parametrize("number", [0, 1])
def test_a_removed_record_is_found(store: RecordStore, tmp_path: Path, number: int) -> None:
    (tmp_path / path_of(number)).unlink()
    assert findings_of(store) == {("missing", path_of(number))}


def test_a_cut_off_tail_is_found_by_the_hash_that_its_run_has_logged(store: RecordStore, tmp_path: Path) -> None:
    logged = read_all(store)[-1].sha256
    (tmp_path / path_of(2)).unlink()
    assert findings_of(store) == set()
    assert findings_of(store, logged) == {("cut off", logged)}


def test_exchanged_records_are_found(store: RecordStore, tmp_path: Path) -> None:
    first, second = tmp_path / path_of(0), tmp_path / path_of(2)
    contents = first.read_bytes(), second.read_bytes()
    second.write_bytes(contents[0])
    first.write_bytes(contents[1])
    assert findings_of(store) == {("reordered", path_of(0)), ("changed", path_of(0)), ("reordered", path_of(2))}


def test_two_runs_that_end_at_once_are_a_fork_and_both_are_in_the_chain(store: RecordStore, tmp_path: Path) -> None:
    other = tmp_path / "other"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for path, content in before.items():  # what both of them saw
        (other / path.relative_to(tmp_path)).parent.mkdir(parents=True, exist_ok=True)
        (other / path.relative_to(tmp_path)).write_bytes(content)
    store.write(record_of("run-3", at=86400.0 * 2 + 1))
    RecordStore(f"file://{other}").write(record_of("run-4", at=86400.0 * 2 + 2))
    for path in other.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(other)).parent.mkdir(parents=True, exist_ok=True)
            path.rename(tmp_path / path.relative_to(other))
    store.write(record_of("run-5", at=86400.0 * 2 + 3))
    store.write(record_of("run-6", at=86400.0 * 2 + 4))
    [fork] = verify_records(store.read())
    assert (fork.kind, fork.is_error) == ("fork", False)
    after = json.loads((tmp_path / path_of(5)).read_bytes())
    assert {after["previous"]["path"], after["also_previous"][0]["path"]} == {path_of(3), path_of(4)}
    assert "also_previous" not in json.loads((tmp_path / path_of(6)).read_bytes())
    (tmp_path / path_of(3)).unlink()
    assert ("missing", path_of(3)) in findings_of(store)


def test_connections_have_chains_of_their_own(tmp_path: Path) -> None:
    store = RecordStore(f"file://{tmp_path}")
    for number, connection_id in enumerate(["a", "b/../c", "a", "b/../c"]):
        store.write(draft_of(f"run-{number}", connection_id).record(Progress(), ENDED_AT + number, "success"))
    seen = [((record.record or {})["previous"] or {}).get("path") for record in read_all(store)]
    assert seen == [None, None, path_of(0), path_of(1)]


def test_nothing_is_overwritten(store: RecordStore, tmp_path: Path) -> None:
    before = (tmp_path / path_of(0)).read_bytes()
    reference = store.write(record_of("run-0", at=86400.0 * 3))
    assert reference["path"].endswith("closing/run-0/stop_all.try1.2.json")
    assert (tmp_path / path_of(0)).read_bytes() == before
    assert verify_records(store.read()) == []


def test_what_is_there_already_to_the_byte_is_not_written_twice(store: RecordStore, tmp_path: Path) -> None:
    """As when an object store has kept a record and its response was lost, so that the library sends it again."""
    record = record_of("run-3", at=86400.0 * 3)
    reference = store.write(record)
    for link in (tmp_path / "@chain").rglob(f"*_{reference['sha256']}_*"):
        link.unlink()
    assert store.write(record) == reference
    assert len(read_all(store)) == 4
    assert {finding.is_error for finding in verify_records(store.read())} <= {False}


@pytest.mark.parametrize(
    ("run", "path"),
    [
        ({"run_id": "manual__2026-11-21T21:00:00+00:00"}, "manual__2026-11-21T21%3A00%3A00%2B00%3A00/stop_all.try1"),
        ({"run_id": "a/../b"}, "a%2F..%2Fb/stop_all.try1"),
        ({"run_id": ".."}, "%2E%2E/stop_all.try1"),
        ({"run_id": "r", "map_index": 0}, "r/stop_all.0.try1"),
        ({"run_id": "r", "task_id": "night.stop_all", "map_index": 12, "try_number": 3}, "r/night.stop_all.12.try3"),
    ],
)
def test_each_part_of_a_path_is_safe(tmp_path: Path, run: dict[str, Any], path: str) -> None:
    store = RecordStore(f"file://{tmp_path}")
    store.write(record_of(**run))
    assert (tmp_path / f"closing/{path}.json").is_file()
    assert verify_records(store.read()) == []


def test_long_ids_that_begin_alike_have_paths_of_their_own(tmp_path: Path) -> None:
    store = RecordStore(f"file://{tmp_path}")
    for end in "ab":
        store.write(record_of(":" * 249 + end))
    assert len(read_all(store)) == 2
    assert verify_records(store.read()) == []


def test_a_retry_knows_what_each_try_before_it_left(tmp_path: Path) -> None:
    store = RecordStore(f"file://{tmp_path}")
    reference = store.write(record_of("r"))
    found = store.earlier_tries(draft_of("r", try_number=3).run)
    assert {number: (each.sha256, each.record["outcome"]) for number, each in found.items() if each.record} == {
        1: (reference["sha256"], "success")
    }
    assert store.earlier_tries(draft_of("r", try_number=3, task_id="other").run) == {}


def plant(store: RecordStore, name: str, **edit: Any) -> None:
    """Put an edited copy of the first record beside it."""
    root = Path(store.records_path.removeprefix("file://"))
    record = json.loads((root / path_of(0)).read_bytes())
    (root / path_of(0)).with_name(name).write_bytes(canonical({**record, **edit}))


def test_the_last_copy_of_a_try_counts(store: RecordStore) -> None:
    plant(store, "stop_all.try1.2.json", reason="planted")
    found = store.earlier_tries(draft_of("run-0", try_number=2).run)
    assert found[1].path == path_of(0).replace("try1", "try1.2")


def test_a_record_of_another_try_in_the_place_of_one_does_not_count(store: RecordStore) -> None:
    plant(store, "stop_all.try2.json")
    assert list(store.earlier_tries(draft_of("run-0", try_number=3).run)) == [1]


def test_what_one_record_says_is_always_the_same_bytes() -> None:
    assert canonical({"b": "ü\ud800", "a": 1}) == b'{"a":1,"b":"\\u00fc\\ud800"}\n'


def test_the_example_of_the_documentation_is_a_record() -> None:
    page = (Path(__file__).parents[3] / "docs/proof.md").read_text()
    check_record(page.partition("```json\n")[2].partition("```")[0].encode())


def test_an_error_is_told_from_what_is_only_worth_knowing() -> None:
    assert not Discrepancy("fork", "", "").is_error
    assert Discrepancy("missing", "", "").is_error
    assert RecordFile.parse("x", b"[]").record is None


@pytest.mark.parametrize("name", [".nfs0000001", ".DS_Store", "a_b_c"])
def test_what_does_not_belong_into_the_chain_is_left_alone(store: RecordStore, tmp_path: Path, name: str) -> None:
    for day in (tmp_path / "@chain").glob("*/*/*"):
        (day / name).write_bytes(b"")
    store.write(record_of("run-3", at=86400.0 * 3))
    assert findings_of(store) == set()
    assert json.loads((tmp_path / path_of(3)).read_bytes())["previous"]["path"] == path_of(2)


@pytest.mark.parametrize("content", [b"", b"closing/run-2/stop_all.t", b"\xff"])
def test_a_damaged_chain_is_a_fork_at_the_worst(store: RecordStore, tmp_path: Path, content: bytes) -> None:
    for link in (tmp_path / "@chain").rglob("*_*"):
        if link.is_file():
            link.write_bytes(content)
    store.write(record_of("run-3", at=86400.0 * 3))
    assert {kind for kind, _ in findings_of(store)} == {"fork"}


def link_of(tmp_path: Path, number: int) -> Path:
    return sorted((tmp_path / "@chain").rglob("*_*"))[number]


@pytest.mark.parametrize(
    ("folder", "name", "content"),
    [
        ("..", f"999999.9_{'0' * 64}_first", "closing/run-9/stop_all.try1.json"),  # a record that never was
        (".", f"999999.9_{'0' * 64}_first", path_of(1)),  # another hash than it has
        (".", f"999999.9_{'0' * 64}_first", "../../etc/x.json"),
    ],
)
def test_a_link_that_was_planted_makes_no_later_record_an_error(
    store: RecordStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: str, name: str, content: str
) -> None:
    (link_of(tmp_path, 2).parent / folder / name).write_text(content)
    for number in (3, 4):
        store.write(record_of(f"run-{number}", at=86400.0 * 2 + number))
    assert findings_of(store) == set()
    assert json.loads((tmp_path / path_of(3)).read_bytes())["previous"]["path"] == path_of(2)
    if folder == ".":
        warning = f"names a record that is not there: path {content if content.startswith('c') else ''!r}"
        assert caplog.text.count(warning) == 1  # by the record after it


def test_a_newest_record_that_was_removed_is_a_warning_of_the_next_run(
    store: RecordStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / path_of(2)).unlink()
    store.write(record_of("run-3", at=86400.0 * 2 + 1))
    assert f"names a record that is not there: path '{path_of(2)}'" in caplog.text
    assert json.loads((tmp_path / path_of(3)).read_bytes())["previous"]["path"] == path_of(1)


@pytest.mark.timeout(60)
def test_pipes_and_links_that_lead_back_hold_up_neither_a_run_nor_verifying(store: RecordStore, tmp_path: Path) -> None:
    for place in (path_of(1).replace("try1", "try1.2"), "closing/run-3/stop_all.try1.json", "pipe.json"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        os.mkfifo(tmp_path / place)
    os.mkfifo(link_of(tmp_path, 2).with_name(f"999999.9_{'0' * 64}_first"))
    for folder in (tmp_path, tmp_path / "closing", tmp_path / "closing/run-0"):
        for number in range(3):
            (folder / f"loop-{number}").symlink_to(".")
    assert store.earlier_tries(draft_of("run-1", try_number=2).run)[1].path == path_of(1)
    assert store.write(record_of("run-3", at=86400.0 * 3))["path"].endswith("try1.2.json")
    assert findings_of(store) == {
        ("unreadable", path_of(1).replace("try1", "try1.2")),
        ("unreadable", path_of(3)),
        ("unreadable", "pipe.json"),
    }
    assert len([file for file in read_all(store) if file.record]) == 4


def test_a_clock_that_was_ahead_does_not_end_the_chain(store: RecordStore, tmp_path: Path) -> None:
    for number in (100, 200):
        store.write(record_of(f"run-{number}", at=86400.0 * number))
    for number in (3, 4, 5):
        store.write(record_of(f"run-{number}", at=86400.0 * 3 + number))
    assert {kind for kind, _ in findings_of(store)} == {"fork"}
    (tmp_path / path_of(4)).unlink()
    assert ("missing", path_of(4)) in findings_of(store)


def test_a_full_disk_leaves_no_half_of_a_record(store: RecordStore, tmp_path: Path) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CampaignRecordError, match="File too large"):
            store.write(record_of("run-3", at=86400.0 * 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_chain_that_begins_anew_is_a_warning(
    store: RecordStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        store.write(record_of("run-3", at=86400.0 * 3))
        assert caplog.messages == []
        tmp_path.rename(tmp_path.with_name("not_mounted"))
        store.write(record_of("run-4", at=86400.0 * 4))
    [warning] = caplog.messages
    assert "'campaign_default'" in warning
    assert store.records_path in warning


def test_what_can_not_be_read_is_no_empty_folder(store: RecordStore, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(CampaignRecordError, match="None of them was checked"):
        read_all(RecordStore(f"file://{tmp_path}/taken"))


def test_the_few_lines_of_the_documentation_find_what_the_command_finds(store: RecordStore, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/proof.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0].replace("/mnt/records", str(tmp_path))

    def printed() -> str:
        with redirect_stdout(StringIO()) as stdout:
            exec(code, {})
        return stdout.getvalue()

    assert printed() == ""
    changed = tmp_path / path_of(1)
    changed.write_bytes(changed.read_bytes().replace(b"success", b"sUccess"))
    assert printed() == f"{path_of(1)} is changed since {path_of(2)}\n"
    (tmp_path / path_of(0)).unlink()
    assert f"{path_of(0)} is missing since {path_of(1)}\n" in printed()


def test_recent_records_are_those_that_the_chain_names_since_a_day(store: RecordStore, tmp_path: Path) -> None:
    last = datetime.fromtimestamp(ENDED_AT + 86400 * 2, UTC)

    def recent(days: int) -> list[str]:
        return [file.path for file in store.recent("campaign_default", last - timedelta(days=days), last)]

    assert [recent(days) for days in (0, 1, 9)] == [
        [path_of(number) for number in numbers] for numbers in ([2], [2, 1], [2, 1, 0])
    ]
    assert store.recent("another", last, last) == []
    (tmp_path / path_of(2)).write_bytes((tmp_path / path_of(1)).read_bytes())
    assert recent(1) == [path_of(1)]


def test_what_is_as_by_default_is_left_out_and_read_as_it_was() -> None:
    record = record_of()
    content = canonical(record)
    assert read_record(content) == record
    assert set(json.loads(content)) < set(record)
    assert "campaigns" not in json.loads(content)


def test_a_run_that_found_nothing_is_a_small_record(tmp_path: Path) -> None:
    """With ids as long as an Airflow that names its DAGs well has them."""
    run = {"dag_id": "keep_campaigns_closed_kore_us", "run_id": "scheduled__2026-11-21T21:00:00+00:00"}
    tries = {
        "task_id": "stop_everything",
        "map_index": -1,
        "try_number": 1,
        "logical_date": "2026-11-21T21:00:00+00:00",
    }
    closing = {"rule": "*", "end": "2026-11-21T21:00:00+00:00", "verified_at": "2026-11-21T21:00:02.123456+00:00"}
    progress = Progress(closings=[{**closing, "live_at_end": []}], requests=2)
    at = datetime(2026, 11, 21, 21, tzinfo=UTC)
    scope = {"campaign_types": ["sms", "voice"], "statuses": sorted(LIVE_STATUSES), "dry_run": False}
    draft = RecordDraft(
        *("sweep", {**run, **tries}, at.timestamp() + 0.123456, "kore_us_production", KORE_V2, scope),
        *("Calling hours are over", at, "America/New_York"),
    )
    store = RecordStore(f"file://{tmp_path}")
    for later in (0, 300):
        store.write(draft.record(progress, at.timestamp() + later + 0.234567, "success"))
    assert max(path.stat().st_size for path in tmp_path.rglob("*.json")) < 1024
