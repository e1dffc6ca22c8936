"""The Test button of the connection form: one read, and what to fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Sandbox
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.servers import LocalServer, Reply

ALL = ("campaigns:read", "campaigns:execute")


def check() -> tuple[bool, str]:
    return CampaignHook.for_conn_id("campaign_default").test_connection()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_kores_account_is_described(sandbox: Sandbox, connect: Connect, version: str) -> None:
    for _ in range(3):
        sandbox.add_campaign()
    sandbox.add_campaign(campaign_type="voice")
    connect(sandbox.kore_connection(version))
    assert check() == (
        True,
        "Connected to Kore.ai: account acc-sandbox-0000/st-sandbox-0000 has 3 campaigns of type sms.",
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
    assert check() == (True, f"Connected to Sonarly: account ag-sandbox-0000 has {count}.")
    assert [request.action for request in sandbox.requests] == ["list"]


TOKEN = ("HTTP 401", "Client ID (login)", "Client Secret (password)", "JWT Algorithm", "the clock")
SCOPE = ("HTTP 403", "scope Campaign Management", "Application ID (iid)", "Account ID (account_id)")
REFUSED: dict[str, tuple[Callable[[Sandbox], dict[str, Any]], tuple[str, ...]]] = {
    "another secret": (lambda sandbox: {**sandbox.kore_connection(), "password": "another-secret" * 4}, TOKEN),
    "another application": (lambda sandbox: sandbox.kore_connection(iid="st-other"), SCOPE),
    "a key that was revoked": (
        lambda sandbox: {**sandbox.sonarly_connection(), "password": "sk_live_revoked"},
        ("HTTP 401", "API Key (password)", "revoked", "trace id"),
    ),
    "another account group": (
        lambda sandbox: sandbox.sonarly_connection(account_group_id="ag-other"),
        ("HTTP 404", "Account Group ID (account_group_id)"),
    ),
    "a missing permission": (
        Sandbox.sonarly_connection,
        ("HTTP 403", "Missing required permission: campaigns:read", "trace id"),
    ),
    "a host that does not answer": (
        lambda sandbox: {**sandbox.kore_connection(), "host": "http://127.0.0.1:1"},
        ("http://127.0.0.1:1", "the connection was refused", "reachable from the worker"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_points_to_the_fields_that_may_be_wrong(sandbox: Sandbox, connect: Connect, name: str) -> None:
    sandbox.config.sonarly_permissions = frozenset({"campaigns:execute"} if name == "a missing permission" else ALL)
    connection, parts = REFUSED[name]
    connect(connection(sandbox))
    passed, message = check()
    assert not passed
    assert [part for part in parts if part not in message] == []
    assert "sk_live" not in message


@pytest.mark.parametrize("kind", [KORE_KINDS[0], SONARLY], ids=lambda kind: kind.platform)
def test_a_response_of_another_shape_is_no_success(sandbox: Sandbox, connect: Connect, kind: Kind) -> None:
    for body in (b"{}", b'{"status": "success"}', b'{"success": true, "data": {}}', b'{"data": {}}'):
        with LocalServer(lambda sent, body=body: Reply(body)) as server:  # type: ignore[misc]
            connect({**kind.connection(sandbox), "host": server.url})
            passed, message = check()
        assert not passed
        assert server.url in message or "campaign_default" in message
