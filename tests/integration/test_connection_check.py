"""The Test button of the connection form: one read, and what to fix."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Sandbox
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.local_server import LocalServer, Reply

PLATFORMS = [KORE_KINDS[0], KORE_KINDS[2], SONARLY]
ON_ALL_PLATFORMS = pytest.mark.parametrize("kind", PLATFORMS, ids=lambda kind: kind.platform)


def check() -> tuple[bool, str]:
    return CampaignHook.for_conn_id("campaign_default").test_connection()


def kore_with(sandbox: Sandbox, **changes: Any) -> dict[str, Any]:
    extra = {name: value for name, value in changes.items() if name not in ("login", "password")}
    standard = {name: value for name, value in changes.items() if name in ("login", "password")}
    return {**sandbox.kore_connection(**extra), **standard}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_kores_account_is_described(sandbox: Sandbox, connect: Connect, version: str) -> None:
    for _ in range(3):
        sandbox.add_campaign()
    sandbox.add_campaign(campaign_type="voice")
    connect(sandbox.kore_connection(version))
    assert check() == (
        True,
        f"Connected to Kore.ai: API {version} answers, account acc-sandbox-0000 has 3 SMS campaigns.",
    )
    assert [request.action for request in sandbox.requests] == ["list"]


@pytest.mark.parametrize(("page_size", "count"), [(None, "3 campaigns"), (2, "2 or more campaigns")])
def test_sonarlys_account_group_is_described(
    sandbox: Sandbox, connect: Connect, page_size: int | None, count: str
) -> None:
    sandbox.config.sonarly_page_size = page_size
    for _ in range(3):
        SONARLY.add_campaign(sandbox)
    connect(sandbox.sonarly_connection())
    assert check() == (True, f"Connected to Sonarly: account group ag-sandbox-0000 has {count}.")
    assert [request.action for request in sandbox.requests] == ["list"]


@pytest.mark.parametrize("change", [{"login": "cs-other"}, {"password": "another-secret" * 4}])
def test_a_token_that_kore_refuses_points_to_client_id_secret_and_clock(
    sandbox: Sandbox, connect: Connect, change: dict[str, str]
) -> None:
    connect(kore_with(sandbox, **change))
    passed, message = check()
    assert not passed
    for part in ("HTTP 401", "Client ID (login)", "Client Secret (password)", "JWT Algorithm", "the clock"):
        assert part in message


@pytest.mark.parametrize("change", [{"iid": "st-other"}, {"account_id": "acc-other"}])
def test_a_permission_that_kore_misses_points_to_scope_application_and_account(
    sandbox: Sandbox, connect: Connect, change: dict[str, str]
) -> None:
    connect(kore_with(sandbox, **change))
    passed, message = check()
    assert not passed
    for part in ("HTTP 403", "scope Campaign Management", "Application ID (iid)", "Account ID (account_id)"):
        assert part in message


def test_a_key_that_sonarly_refuses_points_to_the_key(sandbox: Sandbox, connect: Connect) -> None:
    connect({**sandbox.sonarly_connection(), "password": "sk_live_revoked"})
    passed, message = check()
    assert not passed
    for part in ("HTTP 401", "API Key (password)", "revoked", "trace id"):
        assert part in message
    assert "sk_live" not in message


def test_a_permission_that_sonarly_misses_is_named(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.config.sonarly_permissions = frozenset({"campaigns:execute"})
    connect(sandbox.sonarly_connection())
    passed, message = check()
    assert not passed
    for part in ("HTTP 403", "Missing required permission: campaigns:read", "trace id"):
        assert part in message


def test_an_account_group_that_sonarly_does_not_know_is_named(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.sonarly_connection(account_group_id="ag-other"))
    passed, message = check()
    assert not passed
    for part in ("HTTP 404", "Account Group ID (account_group_id)"):
        assert part in message


@ON_ALL_PLATFORMS
def test_a_host_that_is_not_reachable_is_named(sandbox: Sandbox, connect: Connect, kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connect({**kind.connection(sandbox), "host": f"http://127.0.0.1:{port}"})
    passed, message = check()
    assert not passed
    for part in (f"http://127.0.0.1:{port}", "the connection was refused", "reachable from the worker"):
        assert part in message


@ON_ALL_PLATFORMS
@pytest.mark.parametrize("body", [b"{}", b'{"status": "success"}', b'{"success": true, "data": {}}', b'{"data": {}}'])
def test_a_response_of_another_shape_is_no_success(sandbox: Sandbox, connect: Connect, kind: Kind, body: bytes) -> None:
    with LocalServer(lambda sent: Reply(body)) as server:
        connect({**kind.connection(sandbox), "host": server.url})
        passed, message = check()
    assert not passed
    assert server.url in message or "campaign_default" in message
