"""Every row of both columns of Kore.ai's endpoint table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(params=["v1", "v2"])
def kore(sandbox: Sandbox, request: pytest.FixtureRequest) -> KoreClient:
    return KoreClient(sandbox, request.param)


@pytest.mark.parametrize(
    ("campaign_type", "detail"), [("sms", "campaignExecutionType"), ("voice", "campaignInstanceId")]
)
def test_a_stop_and_a_start_are_answered_as_documented(
    sandbox: Sandbox, kore: KoreClient, campaign_type: str, detail: str
) -> None:
    campaign = sandbox.add_campaign(campaign_type=campaign_type)
    response = kore.stop(campaign.id, campaign_type)
    value = {"campaignExecutionType": "NORMAL", "campaignInstanceId": campaign.instance_id}[detail]
    said = {"status": "Stopped", "message": "Campaign Stopped", "updatedAt": campaign.updated_at, detail: value}
    assert (response.status_code, response.json(), campaign.status) == (200, said, "Stopped")
    assert DATE.fullmatch(campaign.updated_at)
    response = kore.start(campaign.id, campaign_type)
    assert (response.status_code, response.json()["status"], campaign.status) == (200, "Active", "Active")


def test_a_campaign_that_runs_or_has_completed_cannot_be_started(sandbox: Sandbox, kore: KoreClient) -> None:
    for status in ("Active", "Preparing", "Completed"):
        campaign = sandbox.add_campaign(status=status)
        assert kore.start(campaign.id).status_code == 409
        assert campaign.status == status


def test_one_campaign_is_shown_in_short_and_with_its_calling_hours(sandbox: Sandbox, kore: KoreClient) -> None:
    hours = {"frequency": "DAILY", "timezone": "Europe/Berlin", "days": []}
    campaign = sandbox.add_campaign(status="Paused", name="Evening", calling_hours=hours, priority="3")
    data = {"id": campaign.id, "status": "Paused", "name": "Evening"}
    assert kore.status(campaign.id).json() == {"status": "success", "data": data}
    document = kore.get(campaign.id).json()
    assert document["status"] == "success"
    record = document["data"]
    assert record["dialingStrategy"]["callingHours"] == hours
    assert (record["_id"], record["name"], record["status"]) == (campaign.id, "Evening", "Paused")
    assert record["priority"] == "3"
    assert record["schedule"] == {"isSchedulingEnabled": False, "isRecurrenceEnabled": False}


@pytest.mark.parametrize("campaign_type", ["sms", "voice"])
def test_a_delete_removes_the_campaign_and_returns_its_record(
    sandbox: Sandbox, kore: KoreClient, campaign_type: str
) -> None:
    campaign = sandbox.add_campaign(campaign_type=campaign_type, name="Old one")
    document = kore.delete(campaign.id, campaign_type).json()
    assert document["message"] == "Campaign Old one deleted successfully"
    assert document["data"]["_id"] == campaign.id
    assert sandbox.campaigns() == []
    assert kore.delete(campaign.id, campaign_type).status_code == 404


def test_v2_switches_a_campaigns_own_schedule_off(sandbox: Sandbox, kore_v2: KoreClient, clock: VirtualClock) -> None:
    schedule = {"isSchedulingEnabled": True, "isRecurrenceEnabled": True}
    campaign = sandbox.add_campaign(status="Scheduled", name="Next week", schedule=schedule)
    path = f"/campaign/api/v2/public/{sandbox.config.iid}/campaign/schedule"
    response = kore_v2.send("POST", f"{path}?enableSchedule=false&campaignName=Next%20week")
    assert response.json()["data"]["schedule"]["isSchedulingEnabled"] is False
    assert campaign.status == "Ready"
    assert sandbox.requests[-1].action == "schedule"
    assert kore_v2.send("POST", f"{path}?enableSchedule=false&campaignName=Other").status_code == 404
    assert kore_v2.send("POST", f"{path}?campaignName=Other").status_code == 400
    stopping = sandbox.add_campaign(name="Tonight", stop_delay=5)
    kore_v2.stop(stopping.id)
    assert kore_v2.send("POST", f"{path}?enableSchedule=false&campaignName=Tonight").status_code == 200
    clock.advance(5)
    assert stopping.status == "Stopped"


def test_an_unknown_campaign_is_not_found(sandbox: Sandbox, kore: KoreClient) -> None:
    for act in (kore.stop, kore.start, kore.status, kore.get, kore.delete):
        response = act("cd-nobody")
        assert response.status_code == 404
        assert response.json() == {"errors": [{"msg": "Campaign not found", "code": "CAMPAIGN_NOT_FOUND"}]}
    sms, elsewhere = sandbox.add_campaign(), sandbox.add_campaign(campaign_type="sonarly")
    assert kore.stop(sms.id, "voice").status_code == 404
    assert kore.delete(sms.id, "voice").status_code == 404
    assert kore.status(elsewhere.id).status_code == 404
    assert sms.stop_requests == 0


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
    ],
)
def test_an_undocumented_path_is_a_gateways_404_page(sandbox: Sandbox, method: str, path: str) -> None:
    campaign = sandbox.add_campaign()
    response = KoreClient(sandbox).send(method, path.format(iid=sandbox.config.iid, id=campaign.id))
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")
    assert campaign.status == "Active"
    assert sandbox.requests[-1].action is None


def test_a_request_needs_its_parameters_and_a_json_object(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    trigger, status = kore.path("trigger", campaign.id), kore.path("status", campaign.id)
    for query in ("campaignType=sms&trigger=halt", "campaignType=sms", "trigger=stop", "campaignType=fax&trigger=stop"):
        assert kore.send("POST", trigger.replace("campaignType=sms", query)).status_code == 400
    assert kore.send("POST", status.replace("view=status", "")).status_code == 400
    for body in ("", "[]", '"text"', "{broken"):
        for path in (trigger + "&trigger=stop", trigger + "&trigger=play", status):
            assert kore.send("POST", path, body).status_code == 400
    assert (campaign.status, campaign.stop_requests) == ("Active", 0)


def test_the_content_type_must_be_json(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    codes = []
    for content_type in ("text/plain", None, "application/json; charset=utf-8"):
        headers: dict[str, Any] = {"Content-Type": content_type}
        codes.append(kore.stop(campaign.id, **headers).status_code)
    assert codes == [400, 400, 200]


def test_an_id_is_read_percent_decoded(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign("cd odd/../id?ü")
    assert kore.stop("cd%20odd%2F..%2Fid%3F%C3%BC").status_code == 200
    assert campaign.status == "Stopped"
    assert "cd%20odd%2F..%2Fid%3F%C3%BC" in sandbox.requests[-1].path
    assert sandbox.requests[-1].campaign_id == campaign.id
