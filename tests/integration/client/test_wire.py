"""What goes over the wire, byte for byte, for every row of both platforms' endpoint tables."""

from __future__ import annotations

import json
import socket
import threading
import traceback
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import ReceivedRequest, Sandbox
from tests.certificates import Authority
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.servers import LocalServer, Reply

V1 = "/campaign/api/v1/public/st-sandbox-0000/campaign"
V1_AGENT_ASSIST = "/agentassist/api/v1/public/st-sandbox-0000/campaign"
V2 = "/campaign/api/v2/public/st-sandbox-0000/campaign"
V2_VOICE = "/api/v2/public/st-sandbox-0000/campaign"
ACCOUNT = "accountId=acc-sandbox-0000"
ID = "cd-1f0e"

LIST_BODY = {"type": "sms", "limit": 100, "skip": 0, "sortBy": {"createdAt": "asc"}}

KORE_REQUESTS: dict[tuple[str, str], tuple[str, str, str, Any]] = {
    ("v1", "stop_sms"): ("POST", f"{V1}/{ID}", "campaignType=sms&trigger=stop", {}),
    ("v1", "stop_voice"): ("POST", f"{V1}/{ID}", "campaignType=voice&trigger=stop", {}),
    ("v1", "start_sms"): ("POST", f"{V1}/{ID}", "campaignType=sms&trigger=play", {}),
    ("v1", "start_voice"): ("POST", f"{V1}/{ID}", "campaignType=voice&trigger=play", {}),
    ("v1", "status"): ("POST", f"{V1_AGENT_ASSIST}/{ID}/status", "view=status", {}),
    ("v1", "list"): ("POST", f"{V1_AGENT_ASSIST}/getAllCampaignDetails", "", LIST_BODY),
    ("v1", "get"): ("GET", f"{V1_AGENT_ASSIST}/{ID}", "", None),
    ("v1", "delete_sms"): ("DELETE", f"{V1_AGENT_ASSIST}/{ID}", "campaignType=sms", None),
    ("v1", "delete_voice"): ("DELETE", f"{V1_AGENT_ASSIST}/{ID}", "campaignType=voice", None),
    ("v2", "stop_sms"): ("POST", f"{V2}/trigger/{ID}", f"{ACCOUNT}&campaignType=sms&trigger=stop", {}),
    ("v2", "stop_voice"): ("POST", f"{V2_VOICE}/trigger/{ID}", f"{ACCOUNT}&campaignType=voice&trigger=stop", {}),
    ("v2", "start_sms"): ("POST", f"{V2}/trigger/{ID}", f"{ACCOUNT}&campaignType=sms&trigger=play", {}),
    ("v2", "start_voice"): ("POST", f"{V2_VOICE}/trigger/{ID}", f"{ACCOUNT}&campaignType=voice&trigger=play", {}),
    ("v2", "status"): ("POST", f"{V2}/{ID}/status", f"{ACCOUNT}&view=status", {}),
    ("v2", "list"): ("POST", f"{V2}/getAllCampaignDetails", ACCOUNT, LIST_BODY),
    ("v2", "get"): ("GET", f"{V2}/{ID}", ACCOUNT, None),
    ("v2", "delete_sms"): ("DELETE", f"{V2}/{ID}", f"{ACCOUNT}&campaignType=sms", None),
    ("v2", "delete_voice"): ("DELETE", f"{V2}/{ID}", f"{ACCOUNT}&campaignType=voice", None),
}
"""Version and action: method, path, query and JSON body (None: no body at all)."""

SONARLY_CAMPAIGNS = "/v1/accounts/ag-sandbox-0000/campaigns"
SONARLY_REQUESTS: dict[str, tuple[str, str]] = {
    "stop": ("POST", f"{SONARLY_CAMPAIGNS}/{ID}/stop"),
    "start": ("POST", f"{SONARLY_CAMPAIGNS}/{ID}/start"),
    "status": ("GET", f"{SONARLY_CAMPAIGNS}/{ID}"),
    "get": ("GET", f"{SONARLY_CAMPAIGNS}/{ID}"),
    "list": ("GET", SONARLY_CAMPAIGNS),
}
"""Action: method and path; no action has a query or a body."""

EVERY_REQUEST = {"host", "user-agent", "accept", "accept-encoding", "connection"}


def ask(sandbox: Sandbox, kind: Kind, verb: str) -> ReceivedRequest:
    """Have the hook do something with a campaign that allows it; return the last request."""
    kind.add_campaign(sandbox, campaign_id=ID, status="Stopped" if verb in ("start", "delete") else "Active")
    hook = CampaignHook.for_conn_id("campaign_default")
    if verb == "list":
        list(hook.list_campaigns(kind.campaign_type and [kind.campaign_type]))
    elif verb in ("status", "get"):
        hook.get_campaign(ID) if verb == "get" else hook.get_campaign_status(ID)
    else:
        getattr(hook, f"{verb}_campaign")(ID, kind.campaign_type)
    *before, request = sandbox.requests
    assert [read.action for read in before] == (["status"] if verb == "delete" else [])
    assert request.status_code == 200
    return request


@pytest.mark.parametrize(("version", "action"), KORE_REQUESTS, ids=lambda part: part)
def test_a_kore_request_is_what_the_documents_say(
    sandbox: Sandbox, connect: Connect, version: str, action: str
) -> None:
    method, path, query, body = KORE_REQUESTS[version, action]
    connect(sandbox.kore_connection(version))
    verb, _, campaign_type = action.partition("_")
    request = ask(sandbox, KORE_KINDS[campaign_type == "voice"], verb)
    assert (request.method, request.path, request.query) == (method, path, query)
    if body:
        assert json.loads(request.body) == body
    else:
        assert request.body == (b"" if body is None else b"{}")
    with_body = set() if method == "GET" else {"content-length"} if body is None else {"content-length", "content-type"}
    assert request.headers.keys() == EVERY_REQUEST | {"auth", "iid", "accountid"} | with_body
    assert (request.headers["iid"], request.headers["accountid"]) == ("st-sandbox-0000", "acc-sandbox-0000")
    assert request.headers.get("content-type", "application/json") == "application/json"


@pytest.mark.parametrize("action", SONARLY_REQUESTS)
def test_a_sonarly_request_is_what_the_documents_say(sandbox: Sandbox, connect: Connect, action: str) -> None:
    method, path = SONARLY_REQUESTS[action]
    connect(sandbox.sonarly_connection())
    request = ask(sandbox, SONARLY, action)
    assert (request.method, request.path, request.query, request.body) == (method, path, "", b"")
    without_body = {"content-length"} if method == "POST" else set()
    assert request.headers.keys() == EVERY_REQUEST | {"authorization"} | without_body
    assert request.headers["authorization"] == f"Bearer {sandbox.config.api_key}"


each_platform = pytest.mark.parametrize("kind", [KORE_KINDS[3], SONARLY], ids=lambda kind: kind.label)


@each_platform
def test_an_id_is_one_percent_encoded_segment_of_the_path(sandbox: Sandbox, connect: Connect, kind: Kind) -> None:
    campaign = kind.add_campaign(sandbox, campaign_id="evening & offer+50%:ü")
    connect(kind.connection(sandbox))
    assert kind.stop(campaign.id).execute({})["status"] == campaign.status == "Stopped"
    assert "/evening%20%26%20offer%2B50%25%3A%C3%BC" in sandbox.requests[0].path


def test_the_ca_bundle_of_the_connection_is_trusted(sandbox: Sandbox, connect: Connect, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with LocalServer(lambda sent: Reply(b'{"status": "Stopped"}'), authority.server_context()) as server:
        connect({**sandbox.kore_connection(ca_bundle=str(authority.bundle)), "host": server.url})
        assert KORE_KINDS[0].stop("cd-1").execute({})["status"] == "Stopped"


def frames_at_the_socket(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[str]:
    """Return the functions of ours that are under way when the task's thread sends, from the first on."""
    found: list[list[str]] = []
    thread, send = threading.current_thread(), socket.socket.sendall

    def sendall(sock: socket.socket, *args: Any) -> None:
        if threading.current_thread() is thread:
            frames = [frame for frame, _ in traceback.walk_stack(None)]
            names = [(frame.f_globals["__name__"], frame.f_code.co_qualname) for frame in reversed(frames)]
            ours = [(module, name) for module, name in names if module.startswith("airflow_provider_campaign.")]
            found.append([f"{module.split('.', 1)[1]} {name}" for module, name in ours])
        send(sock, *args)

    monkeypatch.setattr(socket.socket, "sendall", sendall)
    act()
    return found[0]


@each_platform
def test_a_stop_goes_straight_from_execute_to_the_socket(
    sandbox: Sandbox, connect: Connect, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = kind.add_campaign(sandbox)
    connect(kind.connection(sandbox))
    frames = frames_at_the_socket(monkeypatch, lambda: kind.stop(campaign.id).execute({}))
    assert len(frames) <= 8, frames
    modules = [module for module, _ in groupby(frame.split()[0] for frame in frames)]
    assert len(modules) == len(set(modules)), f"it comes back to a module that it has left: {modules}"
