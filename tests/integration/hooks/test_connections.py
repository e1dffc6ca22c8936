"""A connection is looked up in one way, by whatever uses it; its Test button reads once, and says what to fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from airflow_provider_campaign.triggers.wait import CampaignWaitTrigger, value_of
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind
from tests.triggerer import run_to_its_end

Use = Callable[[str, VirtualClock], Any]
TASK: dict[str, Any] = {"task_id": "task", "campaign_id": "cd-1"}
USES: dict[str, Use] = {
    "sweep": lambda conn_id, _: StopActiveCampaignsOperator(task_id="task", campaign_conn_id=conn_id).execute({}),
    "sensor": lambda conn_id, _: CampaignStatusSensor(**TASK, campaign_conn_id=conn_id).execute({}),
    "trigger": lambda conn_id, clock: value_of(
        run_to_its_end(CampaignWaitTrigger("cd-1", ["Stopped"], 60.0, conn_id), clock).payload, str
    ),
    "hook": lambda conn_id, _: KoreHook(conn_id).client.get_campaign("cd-1"),
    "any hook": lambda conn_id, _: CampaignHook.for_conn_id(conn_id).client.get_campaign("cd-1"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_id_may_have_blanks_around_it_and_one_that_is_not_found_is_named(
    sandbox: Sandbox, connect: Connect, clock: VirtualClock, use: Use
) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", status="Stopped")
    use(" campaign_default\n", clock)
    assert sandbox.requests
    with pytest.raises(CampaignError, match="'nobody'") as caught:
        use("nobody", clock)  # in the environment it is not, and the database is not there
    assert not isinstance(caught.value, AirflowFailException)


def test_a_deferred_wait_has_the_id_without_blanks(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1")
    sensor = CampaignStatusSensor(**TASK, campaign_conn_id=" campaign_default ", deferrable=True)
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute({})
    for trigger in (deferral.value.trigger, CampaignStatusTrigger("cd-1", " campaign_default ")):
        assert vars(trigger)["campaign_conn_id"] == "campaign_default"


# The Test button.


def check() -> tuple[bool, str]:
    return CampaignHook.for_conn_id("campaign_default").test_connection()


APP = "Kore.ai: account acc-sandbox-0000/st-sandbox-0000 has 3 campaigns of type sms."


@pytest.mark.parametrize(
    ("kind", "page_size", "said"),
    [
        (KORE_KINDS[0], None, APP),
        (KORE_KINDS[2], None, APP),
        (SONARLY, None, "Sonarly: account ag-sandbox-0000 has 3 campaigns."),
        (SONARLY, 2, "Sonarly: account ag-sandbox-0000 has 2 or more campaigns."),
    ],
)
def test_an_account_is_described(
    sandbox: Sandbox, connect: Connect, kind: Kind, page_size: int | None, said: str
) -> None:
    sandbox.config.sonarly_page_size = page_size
    for _ in range(3):
        kind.add_campaign(sandbox)
    sandbox.add_campaign(campaign_type="voice")
    connect(kind.connection(sandbox))
    assert check() == (True, f"Connected to {said}")
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
    "a response of another shape": (Sandbox.kore_connection, ("the response has no", "campaign_default")),
    "a host that does not answer": (
        lambda sandbox: {**sandbox.kore_connection(), "host": "http://127.0.0.1:1"},
        ("http://127.0.0.1:1", "the connection was refused", "reachable from the worker"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_points_to_the_fields_that_may_be_wrong(sandbox: Sandbox, connect: Connect, name: str) -> None:
    if name == "a missing permission":
        sandbox.config.sonarly_permissions = frozenset({"campaigns:execute"})
    if name == "a response of another shape":
        sandbox.add_fault(Fault("wrong_shape", count=None, body={"status": "success"}))
    connection, parts = REFUSED[name]
    connect(connection(sandbox))
    passed, message = check()
    assert (passed, [part for part in parts if part not in message], "sk_live" in message) == (False, [], False)
