"""Every row of Sonarly's endpoint table."""

from __future__ import annotations

import requests

from airflow_provider_campaign.sandbox import Sandbox
from tests.sandbox.clients import SonarlyClient

FIELDS = {
    *("id", "name", "description", "status", "createdAt", "updatedAt", "startedAt", "rateLimitedUntil"),
    *("selectedLeadCount", "includeConversationHistory", "autoCancelOnMessageReceived", "outreachLanguage"),
}


def assert_error(response: requests.Response, status: int, code: str) -> None:
    document = response.json()
    assert response.status_code == status
    assert (document["success"], document["data"]) == (False, None)
    assert document["error"].keys() == {"code", "message", "details"}
    assert document["error"]["code"] == code
    assert document["traceId"]


def test_a_campaign_is_shown_started_and_stopped_as_documented(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="sonarly", status="Draft", name="Spring", lead_count=7)
    data = sonarly.get(campaign.id).json()["data"]
    assert (data["id"], data["name"], data["status"], data["startedAt"]) == (campaign.id, "Spring", "draft", None)
    data = sonarly.start(campaign.id).json()["data"]
    assert data.keys() == {"campaign", "triggered", "instancesCreated"}
    assert data["campaign"]["status"] == "active"
    assert data["campaign"]["startedAt"]
    assert_error(sonarly.start(campaign.id), 409, "CAMPAIGN_NOT_STARTABLE")
    assert_error(sonarly.stop(campaign.id, body="{}"), 400, "VALIDATION_ERROR")
    assert campaign.status == "Active"
    document = sonarly.stop(campaign.id).json()
    assert (document["success"], document["error"]) == (True, None)
    assert document["data"]["instancesStopped"] == 7
    assert document["data"]["campaign"].keys() == FIELDS
    assert document["data"]["campaign"]["status"] == "stopped"
    assert campaign.status == "Stopped"
    for status in ("Draft", "Scheduled", "Stopped", "Completed"):
        sandbox.set_status(campaign.id, status)
        assert_error(sonarly.stop(campaign.id), 409, "CAMPAIGN_NOT_ACTIVE")
        assert campaign.status == status


def test_a_list_comes_in_one_response_or_in_pages(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    ids = [sandbox.add_campaign(campaign_type="sonarly").id for _ in range(5)]
    sandbox.add_campaign()
    assert [item["id"] for item in sonarly.list().json()["data"]["items"]] == ids
    assert sonarly.list().json()["data"].keys() == {"items"}
    sandbox.config.sonarly_page_size = 2
    for query, shown, cursor in (("", ids[:2], "2"), ("?cursor=2", ids[2:4], "4"), ("?cursor=4", ids[4:], None)):
        data = sonarly.list(query).json()["data"]
        assert [item["id"] for item in data["items"]] == shown
        assert (data["nextCursor"], data["hasMore"]) == (cursor, cursor is not None)
    assert_error(sonarly.list("?cursor=never"), 400, "VALIDATION_ERROR")


def test_a_key_may_be_missing_wrong_or_lack_a_permission(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    for key in (None, "sk_live_sandbox_not_a_real_key", "Bearer wrong", "Basic abc"):
        headers = {} if key is None else {"Authorization": key}
        assert_error(requests.get(f"{sandbox.url}/v1/accounts", headers=headers, timeout=20), 401, "UNAUTHORIZED")
    campaign = sandbox.add_campaign(campaign_type="sonarly")
    sandbox.config.sonarly_permissions = {"campaigns:read"}
    assert (sonarly.get(campaign.id).status_code, sonarly.list().status_code) == (200, 200)
    assert_error(sonarly.stop(campaign.id), 403, "FORBIDDEN")
    assert_error(sonarly.start(campaign.id), 403, "FORBIDDEN")
    sandbox.config.sonarly_permissions = {"campaigns:execute"}
    assert_error(sonarly.get(campaign.id), 403, "FORBIDDEN")
    assert_error(sonarly.list(), 403, "FORBIDDEN")
    assert (sonarly.stop(campaign.id).status_code, sonarly.start(campaign.id).status_code) == (200, 200)


def test_an_unknown_campaign_or_group_is_not_found(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    kore_campaign = sandbox.add_campaign()
    assert_error(sonarly.stop("507f1f77bcf86cd799439011"), 404, "NOT_FOUND")
    assert_error(sonarly.get(kore_campaign.id), 404, "NOT_FOUND")
    assert_error(sonarly.send("GET", "/v1/accounts/ag-other/campaigns"), 404, "NOT_FOUND")
    response = sonarly.send("GET", "/v1/campaigns")  # a gateway's page
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html")
