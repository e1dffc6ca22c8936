"""Settings for evidence never keep the work from being done: first everything is stopped, then the task fails."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, conf

from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator, StopSmsCampaignOperator
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Sandbox
from tests.kinds import Connect
from tests.records_guard import RECORDS_PATH, read_all

UNUSABLE = ["records", "file://mnt/records", "file://localhost/records", "FILE://mnt", "nosuchstore://records"]
UNUSABLE += ["s3://[/records", "file:///dev/null/x"]
CONTEXT: Any = {"ti": SimpleNamespace(try_number=1, dag_id="closing", run_id="evening", task_id="stop")}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to run in, which is to stay empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("c-0")
    return sandbox


def is_stopped(sandbox: Sandbox) -> bool:
    return not any(campaign.live for campaign in sandbox.campaigns())


def rendered(operator: type[Any], field: str, value: object, **arguments: Any) -> Any:
    """Return a task of which a field's template has rendered to a native value."""
    single = {"campaign_id": "c-0"} if operator is StopSmsCampaignOperator else {}
    with DAG("native", schedule=None, render_template_as_native_obj=True):
        task = operator(task_id="stop", **{field: "{{ params.x }}"}, **single, **arguments)
    task.render_template_fields({"params": {"x": value}})
    return task


@pytest.mark.parametrize("path", [*UNUSABLE, "s3://records/%Y"])
def test_an_unusable_configured_path_fails_a_sweep_once_all_is_stopped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, working_folder: Path, path: str
) -> None:
    monkeypatch.delenv(RECORDS_PATH)
    conf.read_string(f"[campaign]\nrecords_path = {path}\n")
    unreadable = r"\[campaign\] records_path can't be read: '%' must be followed"
    try:
        with pytest.raises(CampaignRecordError, match=unreadable if "%" in path else "records_path"):
            StopActiveCampaignsOperator(task_id="sweep").execute(CONTEXT)
    finally:
        conf.remove_section("campaign")
    assert is_stopped(sandbox)
    assert list(working_folder.iterdir()) == []


@pytest.mark.parametrize("path", ["nosuchstore://records", "", None])
@pytest.mark.parametrize("operator", [StopActiveCampaignsOperator, StopSmsCampaignOperator])
def test_a_path_that_renders_badly_fails_the_task_once_all_is_stopped(
    sandbox: Sandbox, operator: type[Any], path: str | None
) -> None:
    with pytest.raises(CampaignRecordError, match="record"):
        rendered(operator, "records_path", path).execute(CONTEXT)
    assert is_stopped(sandbox)


@pytest.mark.parametrize("operator", [StopActiveCampaignsOperator, StopSmsCampaignOperator])
def test_a_reason_is_never_a_reason_not_to_stop(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, operator: type[Any]
) -> None:
    store = RecordStore(f"file://{tmp_path}/records")
    for reason in ("{{ x }}", "None", "", " ", "x" * 10_000, "a\nb\x1b[2J\ud83d\0", "{% if", None, 7, ["a"], {"b": 1}):
        sandbox.set_status("c-0", "Active")
        rendered(operator, "reason", reason, records_path=store.records_path).execute(CONTEXT)
        assert is_stopped(sandbox)
    kept = {(file.record or {})["reason"] for file in read_all(store)}
    assert all(text is None or (text.isprintable() and 0 < len(text) <= 1000) for text in kept)
    assert all(line.isprintable() for line in caplog.messages if line.startswith("Reason: "))
