"""Settings for evidence never keep the work from being done: first everything is stopped, then the task fails."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, conf

from airflow_provider_campaign.__main__ import main
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignRecordError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator, StopSmsCampaignOperator
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Sandbox
from tests.kinds import Connect
from tests.records_guard import RECORDS_PATH, read_all

UNUSABLE = ("records", "file://mnt/records", "nosuchstore://records", "s3://[/records", "file:///dev/null/x")
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


@pytest.mark.parametrize("path", UNUSABLE)
def test_an_unusable_path_in_airflows_configuration_fails_a_sweep_once_all_is_stopped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, working_folder: Path, path: str
) -> None:
    monkeypatch.setenv(RECORDS_PATH, path)
    with pytest.raises(CampaignRecordError, match=r"\[campaign\] records_path|records_path\)"):
        StopActiveCampaignsOperator(task_id="sweep").execute(CONTEXT)
    assert is_stopped(sandbox)
    assert list(working_folder.iterdir()) == []


def test_an_option_that_airflow_can_not_read_fails_a_sweep_once_all_is_stopped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RECORDS_PATH)
    conf.read_string("[campaign]\nrecords_path = s3://records/%Y\n")
    try:
        with pytest.raises(CampaignRecordError, match=r"\[campaign\] records_path can't be read: '%' must be followed"):
            StopActiveCampaignsOperator(task_id="sweep").execute(CONTEXT)
    finally:
        conf.remove_section("campaign")
    assert is_stopped(sandbox)


@pytest.mark.parametrize("operator", [StopActiveCampaignsOperator, StopSmsCampaignOperator])
@pytest.mark.parametrize("path", [*UNUSABLE, "", None])
def test_a_template_of_the_path_that_renders_badly_fails_the_task_once_all_is_stopped(
    sandbox: Sandbox, operator: type[Any], path: str | None
) -> None:
    single = {"campaign_id": "c-0"} if operator is StopSmsCampaignOperator else {}
    with DAG("native", schedule=None, render_template_as_native_obj=True):
        task = operator(task_id="stop", records_path="{{ params.x }}", **single)
    task.render_template_fields({"params": {"x": path}})
    with pytest.raises(CampaignRecordError, match="record"):
        task.execute(CONTEXT)
    assert is_stopped(sandbox)


@pytest.mark.parametrize("path", ["records", "file://mnt/records", "file://localhost/records", "FILE://mnt"])
def test_a_path_that_depends_on_where_a_task_runs_is_refused_at_parse_time(path: str) -> None:
    with pytest.raises(CampaignConfigError, match="records_path"):
        StopSmsCampaignOperator(task_id="stop", campaign_id="c-0", records_path=path)


REASONS = ("{{ x }}", "none", "None", "", " ", "x" * 10_000, "a\nb\x1b[2J\ud83d\0", "{% if", "{#")


@pytest.mark.parametrize("reason", [*REASONS, None, 7, ["a"], {"b": 1}], ids=lambda reason: repr(reason)[:20])
def test_a_reason_is_never_a_reason_not_to_stop(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: object
) -> None:
    store = RecordStore(f"file://{tmp_path}/records")
    kinds: Any = ((StopSmsCampaignOperator, {"campaign_id": "c-0"}), (StopActiveCampaignsOperator, {}))
    for operator, more in kinds:
        sandbox.set_status("c-0", "Active")
        with DAG("native", schedule=None, render_template_as_native_obj=True):
            task = operator(task_id="stop", reason="{{ params.x }}", records_path=store.records_path, **more)
        task.render_template_fields({"params": {"x": reason}})
        task.execute(CONTEXT)
        assert is_stopped(sandbox)
        sandbox.set_status("c-0", "Active")
        operator(task_id="stop", reason=reason, records_path=store.records_path, **more).execute(CONTEXT)
        assert is_stopped(sandbox)
    kept = {(file.record or {})["reason"] for file in read_all(store)}
    assert all(text is None or (text.isprintable() and 0 < len(text) <= 1000) for text in kept)
    assert all(line.isprintable() for line in caplog.messages if line.startswith("Reason: "))


@pytest.mark.parametrize("command", [("stop-active", "--yes"), ("stop", "c-0", "--campaign-type", "sms")])
@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: repr(reason)[:20])
def test_a_reason_that_a_person_types_is_none_not_to_stop(
    sandbox: Sandbox, command: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main((*command, "--reason", reason))
    assert end.value.code == 0
    assert is_stopped(sandbox)


@pytest.mark.parametrize("command", [("stop-active", "--yes"), ("stop", "c-0", "--campaign-type", "sms")])
@pytest.mark.parametrize("path", ["records", "file://mnt/records"])
def test_a_command_with_an_unusable_path_stops_first_and_fails_then(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], path: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main((*command, "--records-path", path))
    assert end.value.code == 1
    assert is_stopped(sandbox)
    assert f"--records-path is '{path}'" in capsys.readouterr().err
