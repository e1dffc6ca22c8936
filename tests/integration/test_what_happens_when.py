"""The page docs/what-happens-when.md says what is really seen."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.exceptions import (
    CampaignConfigError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignStateError,
    CampaignSweepError,
    CampaignSweepFinalError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.campaign import (
    DeleteSmsCampaignOperator,
    StartSmsCampaignOperator,
    StopActiveCampaignsOperator,
    StopSmsCampaignOperator,
)
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.clock import VirtualClock
from tests.kinds import SILENT, Connect

PAGE = (Path(__file__).parents[2] / "docs" / "what-happens-when.md").read_text()


def rows() -> dict[str, tuple[str, str]]:
    """Return, for each fault, what the page says that is seen, and whether it is tried again."""
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line[:1] == "|"]
    return {cells[4].strip(" |`"): (cells[1], cells[2]) for cells in lines if len(cells) == 5 and "`" in cells[4]}


def failure(sandbox: Sandbox, connect: Connect, fault: str) -> CampaignError:
    """Stop a campaign while a fault lasts, and return what comes of it."""
    connect(sandbox.kore_connection(timeout=0.2 if fault in (*SILENT, "slow") else 30, retry_budget=1))
    sandbox.add_campaign("cd-1")
    sandbox.add_fault(Fault(fault, action="stop", count=None))
    with pytest.raises(CampaignError) as caught:
        StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1").execute({})
    return caught.value


def test_every_fault_has_its_row() -> None:
    assert rows().keys() == FAULT_KINDS.keys()


@pytest.mark.parametrize("fault", sorted(FAULT_KINDS.keys() - {"lost"}))
def test_what_is_seen_and_whether_it_is_tried_again_is_as_the_page_says(
    sandbox: Sandbox, connect: Connect, fault: str
) -> None:
    error = failure(sandbox, connect, fault)
    quoted, tried_again = rows()[fault]
    assert quoted.strip("`") in str(error)
    assert isinstance(error, CampaignUnavailableError) == tried_again.startswith("in the task")


def test_a_lost_response_is_not_seen(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1")
    sandbox.add_fault(Fault("lost", action="stop"))
    assert StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1").execute({})["status"] == "Stopped"


def test_the_example_of_a_message_is_a_real_one(sandbox: Sandbox, connect: Connect) -> None:
    (example,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert " ".join(example.split()) == str(failure(sandbox, connect, "forbidden"))


def test_every_error_is_on_the_page() -> None:
    assert set(exceptions.__all__) <= set(re.findall(r"Campaign\w+Error|CampaignError", PAGE))


@pytest.mark.parametrize(
    ("status", "task", "error", "words"),
    [
        ("Scheduled", StopSmsCampaignOperator, CampaignConflictError, "it is Scheduled"),
        ("Completed", CampaignStatusSensor, CampaignStateError, "it will not become"),
    ],
)
def test_a_campaign_that_is_not_what_it_should_be(
    sandbox: Sandbox, connect: Connect, status: str, task: type, error: type[CampaignError], words: str
) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", status=status)
    assert words in PAGE
    with pytest.raises(error, match=words):
        task(task_id="task", campaign_id="cd-1").execute({})


def test_a_campaign_that_does_not_stop_in_time(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", stoppable=False)
    with pytest.raises(CampaignTimeoutError, match="is not Stopped or Completed after"):
        StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1", timeout=60).execute({})
    with pytest.raises(CampaignSweepError, match=r"(?s)cd-1.*are not verified stopped"):
        StopActiveCampaignsOperator(task_id="sweep", timeout=60).execute({})
    assert "is not Stopped or Completed after" in PAGE
    assert "are not verified stopped" in PAGE


def test_a_status_that_may_be_older_than_the_stop_is_named_when_the_time_is_up(
    sandbox: Sandbox, connect: Connect, virtual_clock: VirtualClock
) -> None:
    connect(sandbox.kore_connection())
    sandbox.config.status_lag = 60
    sandbox.add_campaign("cd-1", status="Stopped", stop_delay=100)
    virtual_clock.advance(60)
    sandbox.set_status("cd-1", "Active")
    words = "which may be how it was before"
    assert words in PAGE
    with pytest.raises(CampaignTimeoutError, match=words):
        StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1", timeout=20).execute({})


def test_a_resume_with_an_event_of_another_version_fails() -> None:
    words = "The wait ended with an event that can't be read"
    assert words in PAGE
    with pytest.raises(CampaignError, match=words):
        StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1").execute_complete({}, {"status": "Stopped"})


def test_a_start_outside_the_calling_hours(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1")
    first: Any = {}
    retry: Any = {"ti": SimpleNamespace(try_number=2)}
    for hours, context, error, words in (
        ({"open": False}, first, AirflowSkipException, "was not started: its calling hours"),
        ({"open": False}, retry, CampaignConflictError, "an earlier attempt of this task may have started it"),
        ({"open": True, "name_pattern": "?"}, first, CampaignConfigError, "it is closed at all times"),
    ):
        assert words in PAGE
        with pytest.raises(error, match=words):
            StartSmsCampaignOperator(task_id="start", campaign_id="cd-1", calling_hours=hours).execute(context)


def test_a_404_is_explained_by_the_status(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", "voice")
    words = "But the platform shows a campaign with this id, which is"
    assert words in PAGE
    for task in (StopSmsCampaignOperator, StartSmsCampaignOperator, DeleteSmsCampaignOperator):
        with pytest.raises(CampaignNotFoundError, match=f"{words} Active.*campaign_type='voice'"):
            task(task_id="task", campaign_id="cd-1").execute({})


def test_a_live_campaign_is_deleted_with_a_warning(
    sandbox: Sandbox, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1")
    DeleteSmsCampaignOperator(task_id="delete", campaign_id="cd-1").execute({})
    words = "stop it first, if it may be sending"
    assert words in PAGE
    assert words in caplog.text
    assert sandbox.campaigns() == []


def test_only_a_404_after_an_unclear_response_counts_as_deleted(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", status="Stopped")
    sandbox.add_fault(Fault("lost", action="delete"))
    delete = DeleteSmsCampaignOperator(task_id="delete", campaign_id="cd-1")
    assert delete.execute({})["status"] == "Deleted"
    with pytest.raises(CampaignNotFoundError):
        delete.execute({})


def test_a_stop_whose_response_was_lost_is_sent_again_while_the_campaign_winds_down(
    sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", stop_delay=40)
    sandbox.add_fault(Fault("lost", action="stop"))
    StopSmsCampaignOperator(task_id="stop", campaign_id="cd-1").execute({})
    assert [request.action for request in sandbox.requests][:3] == ["stop", "status", "stop"]


@pytest.mark.parametrize(
    ("kind", "options", "error", "words", "left"),
    [
        ("error", {"action": "list", "skip": 2}, CampaignSweepError, "What is live can't be listed", set()),
        ("forbidden", {"action": "list", "skip": 2}, CampaignSweepFinalError, "What is live can't be listed", set()),
        ("contradiction", {"how": "short"}, CampaignSweepError, "the list contradicts itself", {"cd-2"}),
        ("unreadable_row", {"campaign_id": "cd-1"}, CampaignSweepError, "can't be read", {"cd-1"}),
        (
            "not_found",
            {"action": "stop", "campaign_id": "cd-1"},
            CampaignSweepFinalError,
            "But the platform shows a campaign",
            {"cd-1"},
        ),
    ],
    ids=["listing fails", "listing is refused", "contradiction", "unreadable row", "stop finds nothing"],
)
def test_a_sweep_that_does_not_end_well_stops_the_others_and_says_why(
    sandbox: Sandbox,
    connect: Connect,
    kind: str,
    options: dict[str, Any],
    error: type[CampaignError],
    words: str,
    left: set[str],
) -> None:
    connect(sandbox.kore_connection())
    for number in range(3):
        sandbox.add_campaign(f"cd-{number}")
    sandbox.add_fault(Fault(kind, **options, count=None))
    assert words in PAGE
    with pytest.raises(error, match=re.escape(words)) as caught:
        StopActiveCampaignsOperator(task_id="sweep", timeout=100).execute({})
    assert type(caught.value) is error
    assert {campaign.id for campaign in sandbox.campaigns() if campaign.live} == left


@pytest.mark.parametrize(
    ("changes", "campaign_type", "words"),
    [
        ({"extra": {"account_id": "acc"}}, "sms", "the field Application ID (iid)"),
        ({"conn_type": "http"}, "sms", "which is not a campaign platform"),
        ({"host": "http://campaigns.example"}, "sms", "which would send credentials unencrypted"),
        ({}, None, "campaign_type is missing"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_as_the_page_says(
    sandbox: Sandbox, connect: Connect, changes: dict[str, object], campaign_type: str | None, words: str
) -> None:
    connect({**sandbox.kore_connection(), **changes})
    assert words in PAGE
    with pytest.raises(CampaignConfigError, match=re.escape(words)):
        CampaignHook.for_conn_id("campaign_default").stop_campaign("cd-1", campaign_type)
