"""The operators behave alike on every kind of campaign."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignConflictError,
    CampaignNotFoundError,
    CampaignTimeoutError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.campaign import (
    DeleteCampaignOperator,
    StartCampaignOperator,
    StopActiveCampaignsOperator,
    StopCampaignOperator,
    StopSmsCampaignOperator,
    StopVoiceCampaignOperator,
)
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import SONARLY, Connect, Kind

RECORD = {"campaign_id", "status", "message", "updated_at", "already_stopped", "raw"}


def calls(sandbox: Sandbox) -> list[str | None]:
    """Return which calls the platform received, and forget them."""
    received = [request.action for request in sandbox.requests]
    sandbox.clear_requests()
    return received


@pytest.fixture
def connected(sandbox: Sandbox, connect: Connect, kind: Kind) -> Sandbox:
    """Connect to the sandbox as the kind in turn."""
    connect(kind.connection(sandbox))
    return sandbox


@pytest.fixture
def connected_kore(sandbox: Sandbox, connect: Connect, kore_kind: Kind) -> Sandbox:
    """Connect to the sandbox as the kind of Kore.ai in turn."""
    connect(kore_kind.connection(sandbox))
    return sandbox


# Stop.


def test_a_live_campaign_is_stopped_by_one_request(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    record = kind.stop(campaign.id).execute({})
    assert record.keys() == RECORD
    assert (record["campaign_id"], record["status"], record["already_stopped"]) == (campaign.id, "Stopped", False)
    assert record["updated_at"] == campaign.updated_at
    assert campaign.status == "Stopped"
    assert calls(connected) == ["stop"]


@pytest.mark.parametrize("status", ["Stopped", "Completed"])
def test_what_has_ended_already_is_a_success(connected: Sandbox, kind: Kind, status: str) -> None:
    campaign = kind.add_campaign(connected, status=status)
    record = kind.stop(campaign.id).execute({})
    assert record.keys() == RECORD
    assert (record["campaign_id"], record["status"], record["already_stopped"]) == (campaign.id, status, True)
    assert status.lower() in record["message"]
    assert calls(connected) == ["stop", "status" if kind.api_version else "get"]


@pytest.mark.parametrize("status", ["Stopped", "Completed"])
def test_a_platform_that_refuses_as_a_bad_request_to_stop_what_has_ended_is_understood(
    connected_kore: Sandbox, kore_kind: Kind, status: str
) -> None:
    connected_kore.config.stop_when_stopped = "bad_request"
    campaign = kore_kind.add_campaign(connected_kore, status=status)
    record = kore_kind.stop(campaign.id).execute({})
    assert (record["status"], record["already_stopped"]) == (status, True)
    assert calls(connected_kore) == ["stop", "status"]


@pytest.mark.parametrize(("status", "known_from_the_answer"), [("Stopped", False), ("Completed", True)])
def test_a_platform_that_accepts_to_stop_what_has_ended_is_believed(
    connected_kore: Sandbox, kore_kind: Kind, status: str, known_from_the_answer: bool
) -> None:
    connected_kore.config.stop_when_stopped = "ok"
    campaign = kore_kind.add_campaign(connected_kore, status=status)
    record = kore_kind.stop(campaign.id).execute({})
    assert (record["status"], record["already_stopped"]) == (status, known_from_the_answer)
    assert calls(connected_kore) == ["stop"]


def test_a_campaign_that_is_not_there_is_not_found(connected: Sandbox, kind: Kind) -> None:
    with pytest.raises(CampaignNotFoundError, match=r"cd-gone.*campaign_default.*HTTP 404") as caught:
        kind.stop("cd-gone").execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert calls(connected) == ["stop", "status" if kind.api_version else "get"]


def test_an_answer_cut_short_does_not_tell_whether_the_campaign_is_there(
    connected: Sandbox, kind: Kind, virtual_clock: VirtualClock
) -> None:
    connected.add_fault(Fault("lost", how="broken_json"))
    with pytest.raises(CampaignNotFoundError, match=r"cd-gone.*HTTP 404, "):
        kind.stop("cd-gone").execute({})
    look = "status" if kind.api_version else "get"
    assert calls(connected) == ["stop", look, "stop", look]  # it is the stop that has to say so


def test_a_missing_permission_is_named_and_not_tried_again(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected)
    connected.add_fault(Fault("forbidden", count=None))
    advice = "campaigns:execute" if kind is SONARLY else "Campaign Management.*iid.*account_id"
    with pytest.raises(CampaignAuthError, match=f"{campaign.id}.*HTTP 403.*{advice}") as caught:
        kind.stop(campaign.id).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert campaign.status == "Active"
    assert calls(connected) == ["stop"]


def test_what_has_not_started_is_a_conflict_that_says_so(connected: Sandbox, kind: Kind) -> None:
    for status in ("Draft",) if kind is SONARLY else ("Ready", "Scheduled", "Rescheduled"):
        campaign = kind.add_campaign(connected, status=status)
        with pytest.raises(CampaignConflictError, match=rf"{campaign.id}.*it is {status}\..*not started") as caught:
            kind.stop(campaign.id).execute({})
        assert isinstance(caught.value, AirflowFailException)
        assert (caught.value.http_status, caught.value.code) == (409, "CAMPAIGN_NOT_ACTIVE")
        assert campaign.status == status
        assert calls(connected) == ["stop", "status" if kind.api_version else "get"]


@pytest.mark.parametrize("status", ["Preparing", "Paused"])
def test_whatever_may_go_on_sending_is_stopped(connected_kore: Sandbox, kore_kind: Kind, status: str) -> None:
    campaign = kore_kind.add_campaign(connected_kore, status=status)
    assert kore_kind.stop(campaign.id).execute({})["status"] == campaign.status == "Stopped"


def test_a_campaign_that_winds_down_is_waited_for(
    connected_kore: Sandbox, kore_kind: Kind, virtual_clock: VirtualClock
) -> None:
    campaign = kore_kind.add_campaign(connected_kore, stop_delay=90)
    record = kore_kind.stop(campaign.id, poll_interval=40).execute({})
    assert (record["status"], record["already_stopped"]) == ("Stopped", False)
    assert record["message"] == "Campaign stop requested"
    assert record["updated_at"] is not None
    assert campaign.stop_requests == 1
    assert [request.at - 1000 for request in connected_kore.requests] == [0, 40, 80, 120]
    assert calls(connected_kore) == ["stop", "status", "status", "status"]


def test_a_campaign_that_completes_while_it_winds_down_has_ended(connected_kore: Sandbox, kore_kind: Kind) -> None:
    campaign = kore_kind.add_campaign(connected_kore, stop_delay=10, completes=True)
    record = kore_kind.stop(campaign.id).execute({})
    assert (record["status"], record["already_stopped"]) == ("Completed", False)


def test_a_word_of_success_is_enough_on_sonarly_where_the_status_is_not_known_to_be_live(
    sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.sonarly_connection())
    campaign = SONARLY.add_campaign(sandbox)
    sandbox.config.stop_status_word = "winding-down"
    record = SONARLY.stop(campaign.id).execute({})
    assert (record["status"], record["raw"]["data"]["campaign"]["status"]) == ("Stopped", "winding-down")
    assert calls(sandbox) == ["stop"]


def test_a_stop_that_sonarly_answers_with_a_live_status_is_waited_for(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.sonarly_connection())
    campaign = SONARLY.add_campaign(sandbox, stop_delay=90)
    record = SONARLY.stop(campaign.id, poll_interval=60).execute({})
    assert (record["status"], campaign.status) == ("Stopped", "Stopped")
    assert calls(sandbox) == ["stop", "get", "get"]


def test_a_start_that_sonarly_answers_with_preparing_is_waited_for(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.sonarly_connection())
    campaign = SONARLY.add_campaign(sandbox, status="Draft", start_delay=90)
    record = SONARLY.start(campaign.id, poll_interval=60).execute({})
    assert (record["status"], campaign.status) == ("Active", "Active")
    assert calls(sandbox) == ["start", "get", "get"]


def test_a_stop_that_does_not_wait_returns_what_the_platform_said(connected_kore: Sandbox, kore_kind: Kind) -> None:
    campaign = kore_kind.add_campaign(connected_kore, stop_delay=90)
    record = kore_kind.stop(campaign.id, wait_for_completion=False).execute({})
    assert (record["status"], record["message"]) == ("Active", "Campaign stop requested")
    assert calls(connected_kore) == ["stop"]


def test_a_wait_that_runs_out_says_what_was_seen_last_and_may_be_retried(
    connected_kore: Sandbox, kore_kind: Kind, virtual_clock: VirtualClock
) -> None:
    campaign = kore_kind.add_campaign(connected_kore, stoppable=False)
    with pytest.raises(CampaignTimeoutError, match=f"{campaign.id}.*300 s; last seen: Active") as caught:
        kore_kind.stop(campaign.id, timeout=300, poll_interval=120).execute({})
    assert not isinstance(caught.value, AirflowFailException)
    assert [request.at - 1000 for request in connected_kore.requests] == [0, 120, 240, 300]


def test_the_hook_stops_and_waits_or_only_asks(connected: Sandbox, kind: Kind, virtual_clock: VirtualClock) -> None:
    hook = CampaignHook.for_conn_id("campaign_default")
    campaigns = [kind.add_campaign(connected, stop_delay=20) for _ in range(2)]
    assert hook.stop_campaign(campaigns[0].id, kind.campaign_type).status == "Active"
    assert campaigns[0].live
    assert hook.stop_and_wait(campaigns[1].id, kind.campaign_type).status == "Stopped"
    assert not campaigns[1].live
    assert [campaign.stop_requests for campaign in campaigns] == [1, 1]


def test_a_campaign_that_does_not_stop_for_the_hook_is_an_error(
    connected: Sandbox, kind: Kind, virtual_clock: VirtualClock
) -> None:
    campaign, began = kind.add_campaign(connected, stoppable=False), virtual_clock.now
    hook = CampaignHook.for_conn_id("campaign_default")
    with pytest.raises(CampaignTimeoutError, match=f"'{campaign.id}'.*is not Stopped or Completed after 40 s"):
        hook.stop_and_wait(campaign.id, kind.campaign_type, timeout=40)
    assert virtual_clock.now - began <= 41


def test_an_id_that_is_a_number_is_the_campaigns(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.sonarly_connection())
    sandbox.config.numeric_ids = True
    sandbox.config.stop_status_word = "active"  # so that the stop has to be waited for
    campaigns = [sandbox.add_campaign(f"410{number}", "sonarly") for number in range(4)]
    assert StopCampaignOperator(task_id="stop", campaign_id="4100").execute({})["status"] == "Stopped"
    assert StopActiveCampaignsOperator(task_id="sweep").execute({})["stopped"]
    assert {campaign.status for campaign in campaigns} == {"Stopped"}
    assert StartCampaignOperator(task_id="start", campaign_id="4100").execute({})["status"] == "Active"


# Start.


def test_a_stopped_campaign_is_started_by_one_request(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Stopped")
    record = kind.start(campaign.id).execute({})
    assert record.keys() == RECORD
    assert (record["campaign_id"], record["status"], record["already_stopped"]) == (campaign.id, "Active", False)
    assert campaign.status == "Active"
    assert calls(connected) == ["start"]


def test_what_runs_already_needs_no_start(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Active")
    record = kind.start(campaign.id).execute({})
    assert (record["status"], record["already_stopped"]) == ("Active", False)
    assert calls(connected) == ["start", "status" if kind.api_version else "get"]


def test_what_is_completed_can_not_be_started(connected: Sandbox, kind: Kind) -> None:
    campaign = kind.add_campaign(connected, status="Completed")
    with pytest.raises(CampaignConflictError, match=f"Can't start.*{campaign.id}.*it is Completed"):
        kind.start(campaign.id).execute({})


def test_a_campaign_that_prepares_is_waited_for(connected_kore: Sandbox, kore_kind: Kind) -> None:
    campaign = kore_kind.add_campaign(connected_kore, status="Stopped", start_delay=50)
    assert kore_kind.start(campaign.id).execute({})["status"] == "Active"
    assert calls(connected_kore) == ["start", "status", "status", "get"]  # the last one for the date


# Delete.


def test_a_deleted_campaign_is_gone_and_its_record_stays(connected_kore: Sandbox, kore_kind: Kind) -> None:
    campaign = kore_kind.add_campaign(connected_kore, status="Stopped")
    record = kore_kind.delete(campaign.id).execute({})
    assert record.keys() == RECORD
    assert (record["campaign_id"], record["status"]) == (campaign.id, "Stopped")
    assert "deleted successfully" in record["message"]
    assert connected_kore.campaigns() == []
    assert calls(connected_kore) == ["status", "delete"]


def test_nothing_to_delete_is_an_error(connected_kore: Sandbox, kore_kind: Kind) -> None:
    with pytest.raises(CampaignNotFoundError, match="cd-gone"):
        kore_kind.delete("cd-gone").execute({})


def test_nothing_to_delete_is_a_success_where_that_is_wanted(connected_kore: Sandbox, kore_kind: Kind) -> None:
    record = kore_kind.delete("cd-gone", ignore_missing=True).execute({})
    assert record.keys() == RECORD
    assert (record["campaign_id"], record["status"]) == ("cd-gone", "Deleted")
    assert calls(connected_kore) == ["status", "delete"]


def test_ignoring_what_is_missing_ignores_nothing_else(connected_kore: Sandbox, kore_kind: Kind) -> None:
    connected_kore.add_fault(Fault("forbidden", action="delete"))
    with pytest.raises(CampaignAuthError):
        kore_kind.delete("cd-1", ignore_missing=True).execute({})


# What a platform does not have.


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (
            StopSmsCampaignOperator(task_id="task", campaign_id="c-1"),
            "no campaigns of type 'sms'.*StopCampaignOperator",
        ),
        (StopVoiceCampaignOperator(task_id="task", campaign_id="c-1"), "no campaigns of type 'voice'"),
        (StartCampaignOperator(task_id="task", campaign_id="c-1", campaign_type="sms"), "no campaigns of type 'sms'"),
        (DeleteCampaignOperator(task_id="task", campaign_id="c-1"), "no such action.*It can stop, start, status"),
    ],
)
def test_what_sonarly_does_not_have_is_said_before_anything_is_sent(
    sandbox: Sandbox, connect: Connect, operator: Any, message: str
) -> None:
    connect(sandbox.sonarly_connection())
    with pytest.raises(CampaignConfigError, match=f"(?s)'c-1'.*campaign_default.*{message}"):
        operator.execute({})
    assert sandbox.requests == []


@pytest.mark.parametrize("operator", [StopCampaignOperator, StartCampaignOperator, DeleteCampaignOperator])
@pytest.mark.parametrize(
    ("campaign_type", "message"), [(None, "campaign_type is missing"), ("email", "no campaigns of type 'email'")]
)
def test_kore_wants_to_know_the_type_before_anything_is_sent(
    sandbox: Sandbox, connect: Connect, operator: Any, campaign_type: str | None, message: str
) -> None:
    connect(sandbox.kore_connection())
    with pytest.raises(CampaignConfigError, match=f"{message}.*'sms' or .*'voice'"):
        operator(task_id="task", campaign_id="cd-1", campaign_type=campaign_type).execute({})
    assert sandbox.requests == []


@pytest.mark.parametrize("operator", [StopCampaignOperator, StartCampaignOperator, DeleteCampaignOperator])
@pytest.mark.parametrize("campaign_type", ["sms", "voice"])
def test_the_general_operators_take_the_type_as_an_argument(
    sandbox: Sandbox, connect: Connect, operator: Any, campaign_type: str
) -> None:
    connect(sandbox.kore_connection("v2"))
    sandbox.add_campaign("cd-1", campaign_type, "Paused")
    assert (
        operator(task_id="task", campaign_id="cd-1", campaign_type=campaign_type).execute({})["campaign_id"] == "cd-1"
    )
    request = sandbox.requests[-1]
    assert f"campaignType={campaign_type}" in request.query
