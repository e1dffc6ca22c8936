"""Every row of both columns of Kore.ai's endpoint table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from tests.sandbox.clients import KoreClient

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(params=["v1", "v2"])
def kore(sandbox: Sandbox, request: pytest.FixtureRequest) -> KoreClient:
    return KoreClient(sandbox, request.param)


@pytest.mark.parametrize("campaign_type", ["sms", "voice"])
def test_a_campaign_is_stopped_started_and_deleted_as_documented(
    sandbox: Sandbox, kore: KoreClient, campaign_type: str
) -> None:
    campaign = sandbox.add_campaign(campaign_type=campaign_type, name="Old one")
    response = kore.stop(campaign.id, campaign_type)
    detail = {"sms": ("campaignExecutionType", "NORMAL"), "voice": ("campaignInstanceId", campaign.instance_id)}
    said = {"status": "Stopped", "message": "Campaign Stopped", "updatedAt": campaign.updated_at}
    assert (response.status_code, response.json()) == (200, said | dict([detail[campaign_type]]))
    assert campaign.status == "Stopped"
    assert DATE.fullmatch(campaign.updated_at)
    response = kore.start(campaign.id, campaign_type)
    assert (response.status_code, response.json()["status"], campaign.status) == (200, "Active", "Active")
    for status in ("Active", "Preparing", "Completed"):
        sandbox.set_status(campaign.id, status)
        assert (kore.start(campaign.id, campaign_type).status_code, campaign.status) == (409, status)
    document = kore.delete(campaign.id, campaign_type).json()
    assert document["message"] == "Campaign Old one deleted successfully"
    assert document["data"]["_id"] == campaign.id
    assert sandbox.campaigns() == []


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


def test_an_unknown_campaign_is_not_found(sandbox: Sandbox, kore: KoreClient) -> None:
    sms, elsewhere = sandbox.add_campaign(), sandbox.add_campaign(campaign_type="sonarly")
    for act in (kore.stop, kore.start, kore.status, kore.get, kore.delete):
        response = act("cd-nobody")
        assert response.status_code == 404
        assert response.json() == {"errors": [{"msg": "Campaign not found", "code": "CAMPAIGN_NOT_FOUND"}]}
    assert kore.stop(sms.id, "voice").status_code == 404
    assert kore.delete(sms.id, "voice").status_code == 404
    assert kore.status(elsewhere.id).status_code == 404
    assert sms.stop_requests == 0


def test_an_undocumented_path_is_a_gateways_404_page(sandbox: Sandbox) -> None:
    campaign = sandbox.add_campaign()
    for path in (
        "DELETE /campaign/api/v1/public/{iid}/campaign/{id}?campaignType=sms",
        "POST /campaign/api/v1/public/{iid}/campaign/{id}/status?view=status",
        "POST /agentassist/api/v1/public/{iid}/campaign/{id}?campaignType=sms&trigger=stop",
        "POST /api/v2/public/{iid}/campaign/trigger/{id}?campaignType=sms&trigger=stop",
        "POST /campaign/api/v2/public/{iid}/campaign/trigger/{id}?campaignType=voice&trigger=stop",
        "POST /campaign/api/v2/public/{iid}/campaign//trigger/{id}?campaignType=sms&trigger=stop",
        "POST /campaign/api/v1/public/{iid}/campaign/?campaignType=sms&trigger=stop",
    ):
        response = KoreClient(sandbox).send(*path.format(iid=sandbox.config.iid, id=campaign.id).split())
        assert response.status_code == 404, path
        assert response.headers["Content-Type"].startswith("text/html")
        assert sandbox.requests[-1].action is None
    assert campaign.status == "Active"


def test_a_request_needs_its_parameters_and_a_json_object(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    trigger, status = kore.path("trigger", campaign.id), kore.path("status", campaign.id)
    for query in ("campaignType=sms&trigger=halt", "campaignType=sms", "trigger=stop", "campaignType=fax&trigger=stop"):
        assert kore.send("POST", trigger.replace("campaignType=sms", query)).status_code == 400
    assert kore.send("POST", status.replace("view=status", "")).status_code == 400
    for body in ("", "[]", '"text"', "{broken"):
        for path in (trigger + "&trigger=stop", trigger + "&trigger=play", status):
            assert kore.send("POST", path, body).status_code == 400
    content_types: list[dict[str, Any]] = [{"Content-Type": each} for each in ("text/plain", None)]
    assert [kore.stop(campaign.id, **headers).status_code for headers in content_types] == [400, 400]
    assert (campaign.status, campaign.stop_requests) == ("Active", 0)
    with_charset: dict[str, Any] = {"Content-Type": "application/json; charset=utf-8"}
    assert kore.stop(campaign.id, **with_charset).status_code == 200
