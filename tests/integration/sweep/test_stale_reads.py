"""A sweep takes what is older than its stops for no news."""

from __future__ import annotations

import pytest

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import KINDS, SONARLY, Connect, Kind

LAG = 60.0


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3], SONARLY], ids=lambda kind: kind.label)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_campaigns_that_were_stopped_and_started_again_are_not_stopped_by_lists_that_lag(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, kind: Kind, count: int
) -> None:
    connect(kind.connection(sandbox))
    campaigns = [kind.add_campaign(sandbox, stop_delay=3 * LAG) for _ in range(count)]
    for status in ("Stopped", "Active"):
        clock.advance(2 * LAG)
        for campaign in campaigns:
            sandbox.set_status(campaign.id, status)
    clock.advance(LAG / 6)

    def lag_behind() -> None:
        sandbox.config.list_lag = sandbox.config.status_lag = LAG

    clock.at(clock.passed + 0.5, lag_behind)  # once all are listed and asked to stop
    result = StopActiveCampaignsOperator(task_id="sweep").execute({})
    assert len(result["stopped"]) == count
    assert {campaign.status for campaign in campaigns} == {"Stopped"}
