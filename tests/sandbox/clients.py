"""Plain HTTP clients for the sandbox's platforms: they know the contracts, and nothing of the provider."""

from __future__ import annotations

import json
import uuid
from typing import Any

import jwt
import requests

from airflow_provider_campaign.sandbox import Sandbox


class KoreClient:
    """Sends Kore requests as documented, and lets a test get any single thing wrong."""

    def __init__(self, sandbox: Sandbox, version: str = "v1") -> None:
        self.sandbox, self.version = sandbox, version

    def token(self, key: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
        payload = {"sub": "tests", "appId": self.sandbox.config.client_id, "jti": str(uuid.uuid4()), **claims}
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self.sandbox.config.client_secret if key is None else key, algorithm=algorithm)

    def path(self, action: str, campaign_id: str = "", campaign_type: str = "sms") -> str:
        config = self.sandbox.config
        rest, query = {
            "trigger": (f"/{campaign_id}", f"campaignType={campaign_type}"),
            "status": (f"/{campaign_id}/status", "view=status"),
            "list": ("/getAllCampaignDetails", ""),
            "get": (f"/{campaign_id}", ""),
            "delete": (f"/{campaign_id}", f"campaignType={campaign_type}"),
        }[action]
        if self.version == "v1":
            prefix = "/campaign" if action == "trigger" else "/agentassist"
            return f"{prefix}/api/v1/public/{config.iid}/campaign{rest}?{query}"
        prefix = "" if action == "trigger" and campaign_type == "voice" else "/campaign"
        rest = f"/trigger{rest}" if action == "trigger" else rest
        return f"{prefix}/api/v2/public/{config.iid}/campaign{rest}?accountId={config.account_id}&{query}"

    def send(self, method: str, path: str, body: str | None = "{}", **headers: str | None) -> requests.Response:
        config = self.sandbox.config
        usual = {"auth": self.token(), "iid": config.iid, "accountId": config.account_id}
        return requests.request(
            method,
            self.sandbox.url + path,
            data=body,
            headers={**usual, "Content-Type": "application/json", **headers},
            timeout=20,
            allow_redirects=False,
        )

    def stop(self, campaign_id: str, campaign_type: str = "sms", **headers: Any) -> requests.Response:
        return self.send("POST", self.path("trigger", campaign_id, campaign_type) + "&trigger=stop", **headers)

    def start(self, campaign_id: str, campaign_type: str = "sms") -> requests.Response:
        return self.send("POST", self.path("trigger", campaign_id, campaign_type) + "&trigger=play")

    def status(self, campaign_id: str, **headers: Any) -> requests.Response:
        return self.send("POST", self.path("status", campaign_id), **headers)

    def list(self, campaign_type: str = "sms", **body: Any) -> requests.Response:
        return self.send("POST", self.path("list"), json.dumps({"type": campaign_type, **body}))

    def get(self, campaign_id: str) -> requests.Response:
        return self.send("GET", self.path("get", campaign_id), None)

    def delete(self, campaign_id: str, campaign_type: str = "sms") -> requests.Response:
        return self.send("DELETE", self.path("delete", campaign_id, campaign_type), None)

    def status_of(self, campaign_id: str) -> Any:
        return self.status(campaign_id).json()["data"]["status"]

    def listed(self, **body: Any) -> dict[str, str]:
        return {row["id"]: row["status"] for row in self.list(**body).json()["data"]["results"]}


class SonarlyClient:
    """Sends Sonarly requests as documented."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.path = f"/v1/accounts/{sandbox.config.account_group_id}/campaigns"

    def send(self, method: str, path: str, body: str | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.sandbox.config.api_key}"}
        return requests.request(method, self.sandbox.url + path, data=body, headers=headers, timeout=20)

    def stop(self, campaign_id: str, body: str | None = None) -> requests.Response:
        return self.send("POST", f"{self.path}/{campaign_id}/stop", body)

    def start(self, campaign_id: str) -> requests.Response:
        return self.send("POST", f"{self.path}/{campaign_id}/start")

    def get(self, campaign_id: str) -> requests.Response:
        return self.send("GET", f"{self.path}/{campaign_id}")

    def list(self, query: str = "") -> requests.Response:
        return self.send("GET", self.path + query)
