"""Every row of Sonarly's endpoint table."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_campaign.sandbox import Sandbox
from tests.sandbox.clients import SonarlyClient

FIELDS = {
    "id",
    "name",
    "description",
    "status",
    "selectedLeadCount",
    "includeConversationHistory",
    "autoCancelOnMessageReceived",
    "outreachLanguage",
    "createdAt",
    "updatedAt",
    "startedAt",
    "rateLimitedUntil",
}


def assert_error(response: requests.Response, status: int, code: str) -> None:
    document = response.json()
    assert response.status_code == status
    assert (document["success"], document["data"]) == (False, None)
    assert document["error"].keys() == {"code", "message", "details"}
    assert document["error"]["code"] == code
    assert document["traceId"]


def test_the_response_to_a_stop_is_as_documented(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="sonarly", lead_count=7)
    document = sonarly.stop(campaign.id).json()
    assert (document["success"], document["error"]) == (True, None)
    assert document["data"]["instancesStopped"] == 7
    assert document["data"]["campaign"].keys() == FIELDS
    assert document["data"]["campaign"]["status"] == "stopped"
    assert campaign.status == "Stopped"


def test_the_response_to_a_start_is_as_documented(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="sonarly", status="Draft", lead_count=7)
    document = sonarly.start(campaign.id).json()
    assert document["data"].keys() == {"campaign", "triggered", "instancesCreated"}
    assert document["data"]["campaign"]["status"] == "active"
    assert document["data"]["campaign"]["startedAt"]
    assert_error(sonarly.start(campaign.id), 409, "CAMPAIGN_NOT_STARTABLE")


def test_one_campaign_is_shown(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="sonarly", status="Draft", name="Spring")
    data = sonarly.get(campaign.id).json()["data"]
    assert (data["id"], data["name"], data["status"]) == (campaign.id, "Spring", "draft")
    assert data["startedAt"] is None


def test_a_list_comes_in_one_response_or_in_pages(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    ids = [sandbox.add_campaign(campaign_type="sonarly").id for _ in range(5)]
    sandbox.add_campaign()
    data = sonarly.list().json()["data"]
    assert [item["id"] for item in data["items"]] == ids
    assert data.keys() == {"items"}
    sandbox.config.sonarly_page_size = 2
    seen, query = [], ""
    while True:
        data = sonarly.list(query).json()["data"]
        seen.append([item["id"] for item in data["items"]])
        if not data["hasMore"]:
            break
        query = f"?cursor={data['nextCursor']}"
    assert seen == [ids[:2], ids[2:4], ids[4:]]
    assert data["nextCursor"] is None
    assert_error(sonarly.list("?cursor=never"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("header", [None, "sk_live_sandbox_not_a_real_key", "Bearer wrong", "Basic abc"])
def test_a_missing_or_wrong_key_is_unauthorized(sandbox: Sandbox, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert_error(requests.get(f"{sandbox.url}/v1/accounts", headers=headers, timeout=20), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("permission", "allowed"), [("campaigns:read", ["get", "list"]), ("campaigns:execute", ["stop", "start"])]
)
def test_a_key_may_lack_a_permission(
    sandbox: Sandbox, sonarly: SonarlyClient, permission: str, allowed: list[str]
) -> None:
    sandbox.config.sonarly_permissions = {permission}
    campaign = sandbox.add_campaign(campaign_type="sonarly")
    responses = {
        "get": sonarly.get(campaign.id),
        "list": sonarly.list(),
        "stop": sonarly.stop(campaign.id),
        "start": sonarly.start(campaign.id),
    }
    for action, response in responses.items():
        if action in allowed:
            assert response.status_code == 200
        else:
            assert_error(response, 403, "FORBIDDEN")


def test_an_unknown_campaign_or_group_is_not_found(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    kore_campaign = sandbox.add_campaign()
    assert_error(sonarly.stop("507f1f77bcf86cd799439011"), 404, "NOT_FOUND")
    assert_error(sonarly.get(kore_campaign.id), 404, "NOT_FOUND")
    assert_error(sonarly.send("GET", "/v1/accounts/ag-other/campaigns"), 404, "NOT_FOUND")


def test_only_an_active_campaign_can_be_stopped_and_without_a_body(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    for status in ("Draft", "Scheduled", "Stopped", "Completed"):
        campaign = sandbox.add_campaign(campaign_type="sonarly", status=status)
        assert_error(sonarly.stop(campaign.id), 409, "CAMPAIGN_NOT_ACTIVE")
        assert campaign.stop_requests == 1
    campaign = sandbox.add_campaign(campaign_type="sonarly")
    response = sonarly.send("POST", sonarly.path(f"/{campaign.id}/stop"), body="{}")
    assert_error(response, 400, "VALIDATION_ERROR")
    assert campaign.status == "Active"


def test_an_unknown_path_is_a_gateways_404_page(sonarly: SonarlyClient) -> None:
    response = sonarly.send("GET", "/v1/campaigns")
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html")
