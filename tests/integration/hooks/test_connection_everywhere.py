"""A connection is looked up in one way: by operators, sensor, triggers, hooks, and commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_campaign.__main__ import main
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.operators.campaign import (
    StopActiveCampaignsOperator,
    StopSmsCampaignOperator,
)
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.base import AccountTrigger
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from airflow_provider_campaign.triggers.wait import CampaignWaitTrigger, value_of
from tests.kinds import Connect
from tests.triggerer import run_to_its_end

Use = Callable[[str, VirtualClock], Any]
TASK: dict[str, Any] = {"task_id": "task", "campaign_id": "cd-1"}


def ended(trigger: AccountTrigger, clock: VirtualClock) -> None:
    event = run_to_its_end(trigger, clock)
    value_of(event.payload, str)


def typed(*arguments: str) -> Use:
    """Return the use by a command."""

    def run(conn_id: str, clock: VirtualClock) -> None:
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--conn-id", conn_id])
        if end.value.code:
            raise CampaignConfigError if end.value.code == 2 else CampaignError

    return run


USES: dict[str, Use] = {
    "stop": lambda conn_id, _: StopSmsCampaignOperator(**TASK, campaign_conn_id=conn_id).execute({}),
    "sweep": lambda conn_id, _: StopActiveCampaignsOperator(task_id="task", campaign_conn_id=conn_id).execute({}),
    "sensor": lambda conn_id, _: CampaignStatusSensor(**TASK, campaign_conn_id=conn_id).execute({}),
    "trigger": lambda conn_id, clock: ended(CampaignWaitTrigger("cd-1", ["Stopped"], 60.0, conn_id), clock),
    "hook": lambda conn_id, _: KoreHook(conn_id).client.get_campaign("cd-1"),
    "any hook": lambda conn_id, _: CampaignHook.for_conn_id(conn_id).client.get_campaign("cd-1"),
    "command live": typed("live"),
    "command stop-active": typed("stop-active", "--yes"),
}
each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    sandbox.add_campaign("cd-1", status="Stopped")
    return sandbox


@each_use
def test_blanks_around_a_connection_id_mean_nothing(sandbox: Sandbox, clock: VirtualClock, use: Use) -> None:
    use(" campaign_default\n", clock)
    assert sandbox.requests


def test_a_deferred_wait_has_the_id_without_blanks(sandbox: Sandbox) -> None:
    sandbox.set_status("cd-1", "Active")
    sensor = CampaignStatusSensor(**TASK, campaign_conn_id=" campaign_default ", deferrable=True)
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute({})
    for trigger in (deferral.value.trigger, CampaignStatusTrigger("cd-1", " campaign_default ")):
        assert vars(trigger)["campaign_conn_id"] == "campaign_default"


@each_use
def test_a_connection_that_is_not_found_is_named_and_may_be_retried(
    clock: VirtualClock, capsys: pytest.CaptureFixture[str], use: Use
) -> None:
    """Neither in the environment nor in the database, which is not there."""
    with pytest.raises(CampaignError) as caught:
        use("nobody", clock)
    is_command = not str(caught.value)
    assert isinstance(caught.value, AirflowFailException) == is_command
    assert "'nobody'" in str(caught.value) + capsys.readouterr().err
