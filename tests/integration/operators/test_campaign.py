"""The operators behave alike on every kind of campaign."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignNotFoundError, CampaignTimeoutError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators import campaign as operators
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind

RECORD = {"campaign_id", "status", "message", "updated_at", "already_stopped", "raw"}
V1_SMS, V2_CALL = KORE_KINDS[0], KORE_KINDS[3]


def calls(sandbox: Sandbox) -> str:
    """Return which calls the platform received, and forget them; Sonarly reads a status by ``get``."""
    received = " ".join(str(request.action) for request in sandbox.requests)
    sandbox.clear_requests()
    return received.replace("get", "status")


@pytest.fixture
def connected(sandbox: Sandbox, connect: Connect, kind: Kind) -> Sandbox:
    connect(kind.connection(sandbox))
    return sandbox


@pytest.mark.parametrize(
    ("operation", "before", "after", "is_already", "expected"),
    [
        ("stop", "Active", "Stopped", False, "stop"),
        ("stop", "Stopped", "Stopped", True, "stop status"),
        ("start", "Stopped", "Active", False, "start"),
        ("start", "Active", "Active", False, "start status"),
    ],
)
def test_an_action_costs_a_request_and_a_read_if_nothing_is_to_do(
    connected: Sandbox, kind: Kind, operation: str, before: str, after: str, is_already: bool, expected: str
) -> None:
    campaign = kind.add_campaign(connected, status=before)
    record = getattr(kind, operation)(campaign.id).execute({})
    assert record.keys() == RECORD
    assert (record["campaign_id"], record["status"], record["already_stopped"]) == (campaign.id, after, is_already)
    assert before == after or record["updated_at"] == campaign.updated_at
    assert not is_already or after.lower() in record["message"]
    assert campaign.status == after
    assert calls(connected) == expected


def test_a_wait_polls_at_its_interval_and_once_more_at_its_end(sandbox: Sandbox, connect: Connect) -> None:
    connect(V2_CALL.connection(sandbox))
    campaign = V2_CALL.add_campaign(sandbox, stop_delay=90, completes=True)
    record = V2_CALL.stop(campaign.id, poll_interval=40).execute({})
    assert (record["status"], record["already_stopped"]) == ("Completed", False)
    assert [request.at - 1000 for request in sandbox.requests] == [0, 40, 80, 120]
    campaign = V2_CALL.add_campaign(sandbox, stoppable=False)
    sandbox.clear_requests()
    with pytest.raises(CampaignTimeoutError, match=f"{campaign.id}.*300 s; last seen: Active") as caught:
        V2_CALL.stop(campaign.id, timeout=300, poll_interval=120).execute({})
    assert not isinstance(caught.value, AirflowFailException)
    assert [request.at - 1120 for request in sandbox.requests] == [0, 120, 240, 300]


def test_the_hook_stops_and_waits_or_only_asks(sandbox: Sandbox, connect: Connect, clock: VirtualClock) -> None:
    connect(SONARLY.connection(sandbox))
    sandbox.config.stop_status_word = "active"  # so that the stop has to be waited for
    hook = CampaignHook.for_conn_id("campaign_default")
    asked, waited_for, stuck = (SONARLY.add_campaign(sandbox, stop_delay=20) for _ in range(3))
    stuck.stoppable = False
    assert hook.stop_campaign(asked.id).status == "Active"
    assert hook.stop_and_wait(waited_for.id).status == "Stopped"
    assert calls(sandbox).startswith("stop stop status")
    began = clock.now
    with pytest.raises(CampaignTimeoutError, match=f"'{stuck.id}'.*is not Stopped or Completed after 40 s"):
        hook.stop_and_wait(stuck.id, timeout=40)
    assert clock.now - began <= 41


def test_an_id_that_is_a_number_is_the_campaigns(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.sonarly_connection())
    sandbox.config.numeric_ids = True
    sandbox.config.stop_status_word = "active"  # so that the stop has to be waited for
    campaigns = [sandbox.add_campaign(f"410{number}", "sonarly") for number in range(4)]
    assert SONARLY.stop("4100").execute({})["status"] == "Stopped"
    assert operators.StopActiveCampaignsOperator(task_id="sweep").execute({})["stopped"]
    assert {campaign.status for campaign in campaigns} == {"Stopped"}
    assert SONARLY.start("4100").execute({})["status"] == "Active"


def test_a_404_that_is_cut_short_does_not_say_that_the_campaign_is_gone(sandbox: Sandbox, connect: Connect) -> None:
    connect(V1_SMS.connection(sandbox))
    sandbox.add_fault(Fault("lost", how="broken_json"))
    with pytest.raises(CampaignNotFoundError, match=r"cd-gone.*HTTP 404, "):
        V1_SMS.stop("cd-gone").execute({})
    assert calls(sandbox) == "stop status stop status"


@pytest.mark.parametrize("action", ["Stop", "Start", "Delete"])
def test_kore_wants_to_know_the_type_before_anything_is_sent(sandbox: Sandbox, connect: Connect, action: str) -> None:
    connect(sandbox.kore_connection("v2"))
    with pytest.raises(CampaignConfigError, match=r"'cd-1'.*campaign_type is missing.*'sms' or .*'voice'"):
        getattr(operators, f"{action}CampaignOperator")(task_id="task", campaign_id="cd-1").execute({})
    assert sandbox.requests == []
