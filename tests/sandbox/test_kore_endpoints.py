"""Every row of both columns of Kore's endpoint table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_the_response_to_an_sms_stop_is_as_documented(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    response = kore.stop(campaign.id)
    assert response.status_code == 200
    assert response.json() == {
        "status": "Stopped",
        "message": "Campaign Stopped",
        "updatedAt": campaign.updated_at,
        "campaignExecutionType": "NORMAL",
    }
    assert DATE.fullmatch(campaign.updated_at)
    assert campaign.status == "Stopped"


def test_the_response_to_a_voice_stop_is_as_documented(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="voice")
    response = kore.stop(campaign.id, "voice")
    assert response.status_code == 200
    assert response.json() == {
        "status": "Stopped",
        "message": "Campaign Stopped",
        "updatedAt": campaign.updated_at,
        "campaignInstanceId": campaign.instance_id,
    }


@pytest.mark.parametrize("campaign_type", ["sms", "voice"])
def test_a_stopped_campaign_can_be_started_again(sandbox: Sandbox, kore: KoreClient, campaign_type: str) -> None:
    campaign = sandbox.add_campaign(campaign_type=campaign_type, status="Stopped")
    response = kore.start(campaign.id, campaign_type)
    assert response.status_code == 200
    assert response.json()["status"] == "Active"
    assert campaign.status == "Active"


@pytest.mark.parametrize("status", ["Active", "Preparing", "Completed"])
def test_what_runs_or_is_completed_cannot_be_started(sandbox: Sandbox, kore: KoreClient, status: str) -> None:
    campaign = sandbox.add_campaign(status=status)
    assert kore.start(campaign.id).status_code == 409
    assert campaign.status == status


def test_the_status_response_has_its_own_result_and_the_campaigns_status(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(status="Paused", name="Renewals")
    response = kore.status(campaign.id)
    data = {"id": campaign.id, "status": "Paused", "name": "Renewals"}
    assert (response.status_code, response.json()) == (200, {"status": "success", "data": data})


def test_one_campaign_is_shown_with_its_calling_hours(sandbox: Sandbox, kore: KoreClient) -> None:
    hours = {"frequency": "DAILY", "timezone": "Europe/Berlin", "days": []}
    campaign = sandbox.add_campaign(name="Evening", calling_hours=hours, priority="3")
    document = kore.get(campaign.id).json()
    assert document["status"] == "success"
    record = document["data"]
    assert record["_id"] == campaign.id
    assert record["dialingStrategy"]["callingHours"] == hours
    assert (record["name"], record["status"], record["priority"]) == ("Evening", "Active", "3")
    assert record["schedule"] == {"isSchedulingEnabled": False, "isRecurrenceEnabled": False}


@pytest.mark.parametrize("campaign_type", ["sms", "voice"])
def test_a_delete_removes_the_campaign_and_returns_its_record(
    sandbox: Sandbox, kore: KoreClient, campaign_type: str
) -> None:
    campaign = sandbox.add_campaign(campaign_type=campaign_type, name="Old one")
    response = kore.delete(campaign.id, campaign_type)
    assert response.status_code == 200
    assert response.json()["message"] == "Campaign Old one deleted successfully"
    assert response.json()["data"]["_id"] == campaign.id
    assert sandbox.campaigns() == []
    assert kore.delete(campaign.id, campaign_type).status_code == 404


def test_v2_switches_a_campaigns_own_schedule_off(sandbox: Sandbox, kore_v2: KoreClient, clock: VirtualClock) -> None:
    schedule = {"isSchedulingEnabled": True, "isRecurrenceEnabled": True}
    campaign = sandbox.add_campaign(status="Scheduled", name="Next week", schedule=schedule)
    path = f"/campaign/api/v2/public/{sandbox.config.iid}/campaign/schedule"
    response = kore_v2.send("POST", f"{path}?enableSchedule=false&campaignName=Next%20week")
    assert response.status_code == 200
    assert response.json()["data"]["schedule"]["isSchedulingEnabled"] is False
    assert campaign.status == "Ready"
    assert sandbox.requests[-1].action == "schedule"
    assert kore_v2.send("POST", f"{path}?enableSchedule=false&campaignName=Other").status_code == 404
    assert kore_v2.send("POST", f"{path}?campaignName=Other").status_code == 400


def test_switching_a_schedule_off_does_not_cancel_a_delayed_stop(
    sandbox: Sandbox, kore_v2: KoreClient, clock: VirtualClock
) -> None:
    campaign = sandbox.add_campaign(name="Tonight", stop_delay=5)
    kore_v2.stop(campaign.id)
    clock.advance(1)
    path = f"/campaign/api/v2/public/{sandbox.config.iid}/campaign/schedule"
    record = kore_v2.send("POST", f"{path}?enableSchedule=false&campaignName=Tonight").json()["data"]
    assert (record["status"], record["updatedAt"] > record["createdAt"]) == ("Active", True)
    clock.advance(4)
    assert campaign.status == "Stopped"


@pytest.mark.parametrize("action", ["stop", "start", "status", "get", "delete"])
def test_an_unknown_campaign_is_not_found(kore: KoreClient, action: str) -> None:
    response = getattr(kore, action)("cd-nobody")
    assert response.status_code == 404
    assert response.json() == {"errors": [{"msg": "Campaign not found", "code": "CAMPAIGN_NOT_FOUND"}]}


def test_a_campaign_is_not_found_under_the_other_type(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    assert kore.stop(campaign.id, "voice").status_code == 404
    assert kore.delete(campaign.id, "voice").status_code == 404
    assert campaign.stop_requests == 0


def test_a_sonarly_campaign_does_not_exist_on_kore(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="sonarly")
    assert kore.status(campaign.id).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/campaign/api/v1/public/{iid}/campaign/{id}?campaignType=sms"),
        ("POST", "/campaign/api/v1/public/{iid}/campaign/{id}/status?view=status"),
        ("POST", "/agentassist/api/v1/public/{iid}/campaign/{id}?campaignType=sms&trigger=stop"),
        ("POST", "/api/v2/public/{iid}/campaign/trigger/{id}?campaignType=sms&trigger=stop"),
        ("POST", "/campaign/api/v2/public/{iid}/campaign/trigger/{id}?campaignType=voice&trigger=stop"),
        ("POST", "/campaign/api/v2/public/{iid}/campaign//trigger/{id}?campaignType=sms&trigger=stop"),
        ("PUT", "/campaign/api/v1/public/{iid}/campaign/{id}?campaignType=sms&trigger=stop"),
        ("POST", "/campaign/api/v1/public/{iid}/campaign/?campaignType=sms&trigger=stop"),
        ("GET", "/nothing/here"),
    ],
)
def test_an_undocumented_path_is_a_gateways_404_page(
    sandbox: Sandbox, kore_v1: KoreClient, method: str, path: str
) -> None:
    campaign = sandbox.add_campaign()
    response = kore_v1.send(method, path.format(iid=sandbox.config.iid, id=campaign.id))
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")
    assert campaign.status == "Active"
    assert sandbox.requests[-1].action is None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("campaignType=sms&trigger=halt", 400),
        ("campaignType=sms", 400),
        ("trigger=stop", 400),
        ("campaignType=fax&trigger=stop", 400),
    ],
)
def test_a_trigger_needs_its_parameters(sandbox: Sandbox, kore: KoreClient, query: str, status: int) -> None:
    campaign = sandbox.add_campaign()
    path = kore.path("trigger", campaign.id).replace("campaignType=sms", query)
    assert kore.send("POST", path).status_code == status
    assert campaign.status == "Active"


@pytest.mark.parametrize("body", ["", "[]", '"text"', "{broken"])
def test_a_body_must_be_a_json_object(sandbox: Sandbox, kore: KoreClient, body: str) -> None:
    campaign = sandbox.add_campaign()
    path = kore.path("trigger", campaign.id)
    assert kore.send("POST", path + "&trigger=stop", body).status_code == 400
    assert kore.send("POST", path + "&trigger=play", body).status_code == 400
    assert kore.send("POST", kore.path("status", campaign.id), body).status_code == 400
    assert campaign.stop_requests == 0


def test_the_content_type_must_be_json(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    codes = []
    for content_type in ("text/plain", None, "application/json; charset=utf-8"):
        headers: dict[str, Any] = {"Content-Type": content_type}
        codes.append(kore.stop(campaign.id, **headers).status_code)
    assert codes == [400, 400, 200]


def test_a_status_request_needs_its_view(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    path = kore.path("status", campaign.id).replace("view=status", "")
    assert kore.send("POST", path).status_code == 400


def test_an_id_is_read_percent_decoded(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign("cd odd/../id?ü")
    assert kore.stop("cd%20odd%2F..%2Fid%3F%C3%BC").status_code == 200
    assert campaign.status == "Stopped"
    assert "cd%20odd%2F..%2Fid%3F%C3%BC" in sandbox.requests[-1].path
    assert sandbox.requests[-1].campaign_id == campaign.id
