"""The chain of records names what was changed, removed, exchanged or cut off."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.campaign import LIVE_STATUSES
from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.records.files import record_path
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.records.record import RecordDraft
from airflow_provider_campaign.records.shape import canonical, read_record
from airflow_provider_campaign.records.store import RecordStore
from tests.accounts import KORE_V2
from tests.records_guard import TAMPERED, check_record, check_records, read_all, verify_records

ENDED_AT, DAY = 1_800_000_000.0, 86400.0
Log = pytest.LogCaptureFixture
FORGED = f"999999.9_{'0' * 64}_first"


def draft_of(run_id: str, connection_id: str = "campaign_default", **run: Any) -> RecordDraft:
    whole = {"dag_id": "closing", "run_id": run_id, "task_id": "stop_all", "map_index": -1, "try_number": 1}
    return RecordDraft("sweep", {**whole, "logical_date": None, **run}, ENDED_AT - 1, connection_id)


def record_of(run_id: str, day: float = 0.0, **run: Any) -> dict[str, Any]:
    return draft_of(run_id, **run).record(Progress(), ENDED_AT + DAY * day, "success")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder in which records may be damaged."""
    return tmp_path / TAMPERED


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """Three records, one after the other."""
    store = RecordStore(f"file://{tmp_path}")
    for number in range(3):
        store.write(record_of(f"run-{number}", number))
    return store


def path_of(number: int) -> str:
    return f"closing/run-{number}/stop_all.try1.json"


def previous_of(folder: Path, number: int) -> str:
    return str(json.loads((folder / path_of(number)).read_bytes())["previous"]["path"])


def findings_of(store: RecordStore, *expected: str) -> set[tuple[str, str]]:
    return {(finding.kind, finding.path) for finding in verify_records(store.read(), expected)}


@pytest.mark.parametrize(
    "edit",
    [
        *({"ended_at": text} for text in (None, "", "2027-02-30T08:00:00+00:00", "2027-01-16T08:00:00")),
        {"began_at": "0001-01-01T00:00:00+14:00"},
        {"campaigns": [{}]},
        {"run": {"dag_id": 1, "run_id": 2}},
        {"previous": "x"},
        {"earlier_tries": [{}]},
        {"schema": "campaign-record/0"},
        None,
    ],
    ids=str,
)
def test_a_damaged_record_keeps_no_other_from_being_checked(store: RecordStore, tmp_path: Path, edit: Any) -> None:
    changed = tmp_path / path_of(1)
    changed.write_bytes(b"{" if edit is None else canonical({**json.loads(changed.read_bytes()), **edit}))
    assert findings_of(store) == {("changed", path_of(1)), ("unreadable", path_of(1))}


def exchange(first: Path, second: Path) -> None:
    contents = first.read_bytes(), second.read_bytes()
    second.write_bytes(contents[0])
    first.write_bytes(contents[1])


def change(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"requests":0', b'"requests":1'))


DAMAGES: dict[str, tuple[Callable[[Path], None], set[tuple[str, str]]]] = {
    "one changed byte": (lambda root: change(root / path_of(1)), {("changed", path_of(1))}),
    "the first one removed": (lambda root: (root / path_of(0)).unlink(), {("missing", path_of(0))}),
    "one in the middle removed": (lambda root: (root / path_of(1)).unlink(), {("missing", path_of(1))}),
    "the last one removed": (lambda root: (root / path_of(2)).unlink(), {("cut off", "of the last one")}),
    "two exchanged": (
        lambda root: exchange(root / path_of(0), root / path_of(2)),
        {("reordered", path_of(0)), ("changed", path_of(0)), ("reordered", path_of(2))},
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_with_the_hash_that_a_run_has_logged(store: RecordStore, tmp_path: Path, damage: str) -> None:
    logged = read_all(store)[-1].sha256
    act, expected = DAMAGES[damage]
    act(tmp_path)
    found = {(kind, "of the last one" if path == logged else path) for kind, path in findings_of(store, logged)}
    assert found == expected


def test_two_runs_that_end_at_once_are_a_fork_and_both_are_in_the_chain(store: RecordStore, tmp_path: Path) -> None:
    other = tmp_path.with_name("other")
    shutil.copytree(tmp_path, other)  # what both of them saw
    store.write(record_of("run-3", 2.1))
    RecordStore(f"file://{other}").write(record_of("run-4", 2.2))
    shutil.copytree(other, tmp_path, dirs_exist_ok=True)
    store.write(record_of("run-5", 2.3))
    store.write(record_of("run-6", 2.4))
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


def test_nothing_is_overwritten_and_nothing_is_written_twice(store: RecordStore, tmp_path: Path) -> None:
    """An object store may have kept a record whose response was lost, so that the library sends it again."""
    before = (tmp_path / path_of(0)).read_bytes()
    reference = store.write(record_of("run-0", 3))
    assert reference["path"] == "closing/run-0/stop_all.try1.2.json"
    assert (tmp_path / path_of(0)).read_bytes() == before
    for link in (tmp_path / "@chain").rglob(f"*_{reference['sha256']}_*"):
        link.unlink()
    assert store.write(record_of("run-0", 3)) == reference
    assert len(read_all(store)) == 4
    assert verify_records(store.read(), [record.sha256 for record in read_all(store)]) == []
    assert check_records(tmp_path) == 4


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
    assert store.write(record_of(**run))["path"] == f"closing/{path}.json"
    assert record_path({"command": "stop"}, "2026-11-30") == "@commands/2026-11-30/stop.try1"
    assert len({store.write(record_of(":" * 249 + end))["path"] for end in "ab"}) == 2  # the name is cut, and unique
    assert [each for each in verify_records(store.read()) if each.is_error] == []


def plant(store: RecordStore, name: str, **edit: Any) -> None:
    path = Path(store.records_path.removeprefix("file://")) / path_of(0)
    path.with_name(name).write_bytes(canonical({**json.loads(path.read_bytes()), **edit}))


def test_a_retry_knows_what_each_previous_try_left(store: RecordStore) -> None:
    def found(**run: Any) -> dict[int, str]:
        return {number: file.path for number, file in store.earlier_tries(draft_of("run-0", **run).run).items()}

    plant(store, "stop_all.try2.json")  # the record of another try
    assert found(try_number=3) == {1: path_of(0)}
    assert found(try_number=1) == found(try_number=3, task_id="other") == {}
    plant(store, "stop_all.try1.2.json", reason="planted")
    assert found(try_number=2) == {1: path_of(0).replace("try1", "try1.2")}  # the last copy counts


def test_what_one_record_says_is_always_the_same_bytes() -> None:
    assert canonical({"b": "ü\ud800", "a": 1}) == b'{"a":1,"b":"\\u00fc\\ud800"}\n'
    record = record_of("run")
    assert read_record(canonical(record)) == record
    assert "campaigns" not in json.loads(canonical(record))


def test_the_example_of_the_documentation_is_a_record() -> None:
    page = (Path(__file__).parents[3] / "docs/proof.md").read_text()
    check_record(page.partition("```json\n")[2].partition("```")[0].encode())


def test_a_record_that_was_removed_and_a_new_chain_are_named(store: RecordStore, tmp_path: Path, caplog: Log) -> None:
    store.write(record_of("run-3", 3))
    assert caplog.messages == []
    (tmp_path / path_of(3)).unlink()
    store.write(record_of("run-4", 3.1))
    assert f"names a record that is not there: path '{path_of(3)}'" in caplog.text
    assert previous_of(tmp_path, 4) == path_of(2)
    caplog.clear()
    tmp_path.rename(tmp_path.with_name("not_mounted"))
    store.write(record_of("run-5", 4))
    [warning] = caplog.messages
    assert f"'campaign_default' below {store.records_path}" in warning


def link_of(folder: Path, number: int) -> Path:
    return sorted((folder / "@chain").rglob("*_*_*"))[number]


PLANTED = [
    ("..", path_of(9), None),  # a record that never was, in a folder that is no day
    (".", path_of(1), path_of(1)),  # another hash than it has
    (".", "../../etc/x.json", ""),
]


@pytest.mark.parametrize("planted", PLANTED)
def test_a_link_that_was_planted_is_a_warning(store: RecordStore, tmp_path: Path, caplog: Log, planted: Any) -> None:
    folder, content, named = planted
    (link_of(tmp_path, 2).parent / folder / FORGED).write_text(content)
    for number in (3, 4):
        store.write(record_of(f"run-{number}", 2 + number / 100))
    assert findings_of(store) == set()
    assert previous_of(tmp_path, 3) == path_of(2)
    warning = "A link in @chain names a record that is not there: path "
    assert (f"{warning}{named!r}" in caplog.text) == (named is not None)


@pytest.mark.timeout(60)
def test_pipes_and_links_that_lead_back_hold_up_neither_a_run_nor_verifying(store: RecordStore, tmp_path: Path) -> None:
    pipes = (path_of(1).replace("try1", "try1.2"), path_of(3), "pipe.json")
    for place in pipes:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        os.mkfifo(tmp_path / place)
    os.mkfifo(link_of(tmp_path, 2).with_name(FORGED))
    for folder in (tmp_path, tmp_path / "closing", tmp_path / "closing/run-0"):
        (folder / "loop").symlink_to(".")
    assert store.earlier_tries(draft_of("run-1", try_number=2).run)[1].path == path_of(1)
    assert store.write(record_of("run-3", 3))["path"].endswith("try1.2.json")
    assert findings_of(store) == {("unreadable", path) for path in pipes}
    assert len([file for file in read_all(store) if file.record]) == 4


def test_a_clock_that_was_ahead_does_not_end_the_chain(store: RecordStore, tmp_path: Path) -> None:
    for day in (100, 200, 3, 4, 5):
        store.write(record_of(f"run-{day}", day))
    assert {kind for kind, _ in findings_of(store)} == {"fork"}
    (tmp_path / path_of(4)).unlink()
    assert ("missing", path_of(4)) in findings_of(store)


def test_a_full_disk_leaves_no_half_of_a_record(store: RecordStore, tmp_path: Path) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CampaignRecordError, match="File too large"):
            store.write(record_of("run-3", 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


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
    last = datetime.fromtimestamp(ENDED_AT + DAY * 2, UTC)

    def recent(days: int) -> list[str]:
        return [file.path for file in store.recent("campaign_default", last - timedelta(days=days), last)]

    assert [recent(days) for days in (0, 1, 9)] == [
        [path_of(number) for number in numbers] for numbers in ([2], [2, 1], [2, 1, 0])
    ]
    assert store.recent("another", last, last) == []
    (tmp_path / path_of(2)).write_bytes((tmp_path / path_of(1)).read_bytes())
    assert recent(1) == [path_of(1)]


def test_a_run_that_found_nothing_is_a_small_record(tmp_path: Path) -> None:
    """With ids as long as an Airflow that names its DAGs well has them."""
    at = datetime(2026, 11, 21, 21, tzinfo=UTC)
    run = draft_of(f"scheduled__{at}", dag_id="keep_campaigns_closed_kore_us", task_id="stop_everything").run
    closing = {"rule": "*", "end": at.isoformat(), "verified_at": "2026-11-21T21:00:02.123456+00:00", "live_at_end": []}
    scope = {"campaign_types": ["sms", "voice"], "statuses": sorted(LIVE_STATUSES), "dry_run": False}
    began = ("sweep", {**run, "logical_date": at.isoformat()}, at.timestamp() + 0.123456, "kore_us_production", KORE_V2)
    draft = RecordDraft(*began, scope, "End of calling hours", at, "America/New_York")
    progress = Progress(closings=[closing], requests=2)
    store = RecordStore(f"file://{tmp_path}")
    for later in (0, 300):
        store.write(draft.record(progress, at.timestamp() + later + 0.234567, "success"))
    assert max(path.stat().st_size for path in tmp_path.rglob("*.json")) < 1024
