"""An asset watcher fires each time that its campaign reaches a status, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider_campaign.client.clock import SYSTEM_CLOCK
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, run
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from airflow_provider_campaign.triggers.wait import CampaignWaitTrigger
from tests.kinds import KINDS, SONARLY, Connect, Kind
from tests.triggerer import Triggerer

INTERVAL = 30.0


class KeptState(dict[str, str]):
    """What Airflow keeps of an asset for its trigger."""

    async def aget(self, key: str) -> Any:
        return json.loads(self.get(key, "null"))

    async def aset(self, key: str, value: Any) -> None:
        self[key] = json.dumps(value)


class Watched:
    """A campaign that is watched, and the payloads of the events that this has fired."""

    def __init__(self, sandbox: Sandbox, campaign_id: str) -> None:
        self.sandbox, self.campaign_id = sandbox, campaign_id
        self.fired: list[Any] = []

    async def becomes(self, *statuses: str) -> int:
        """Return how many events have been fired once the campaign went through some statuses."""
        for status in statuses:
            self.sandbox.set_status(self.campaign_id, status)
            await asyncio.sleep(2 * INTERVAL)
        return len(self.fired)


@asynccontextmanager
async def watched(
    sandbox: Sandbox,
    campaign_id: str,
    target_statuses: str = "Stopped",
    triggerer: Triggerer | None = None,
    store: KeptState | None = None,
) -> AsyncIterator[Watched]:
    trigger: Any = CampaignStatusTrigger(campaign_id, target_statuses=target_statuses, poll_interval=INTERVAL)
    trigger.asset_state_store, campaign = store, Watched(sandbox, campaign_id)

    async def watch() -> None:
        async for event in (triggerer or Triggerer()).events(trigger):
            campaign.fired.append(event.payload)

    task = asyncio.create_task(watch())
    await asyncio.sleep(2 * INTERVAL)
    yield campaign
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    return sandbox


@pytest.mark.parametrize(("kind", "status"), [(KINDS[0], "Stopped"), (KINDS[3], "Active"), (SONARLY, "Stopped")])
def test_an_asset_fires_each_time_that_the_status_is_reached(
    sandbox: Sandbox, clock: VirtualClock, kind: Kind, connect: Connect, status: str
) -> None:
    connect(kind.connection(sandbox))
    campaign_id = kind.add_campaign(sandbox, status=status).id

    async def scene() -> None:
        async with watched(sandbox, campaign_id) as campaign:
            assert campaign.fired == []
            assert await campaign.becomes("Active", "Stopped") == 1
            assert (campaign.fired[0]["campaign_id"], campaign.fired[0]["status"]) == (campaign_id, "Stopped")
            assert await campaign.becomes("Completed", "Active") == 1
            assert await campaign.becomes("Stopped") == 2

    run(scene(), clock)


def test_an_asset_does_not_fire_again_when_others_begin_to_wait(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.config.clock_offset = 60.0
    first, *others = (sandbox.add_campaign().id for _ in range(3))

    async def scene() -> None:
        triggerer, now = Triggerer(), SYSTEM_CLOCK.time()
        async with watched(sandbox, first, triggerer=triggerer) as campaign:
            assert await campaign.becomes("Stopped") == 1
            waits = [CampaignWaitTrigger(each, ["Stopped"], 3600.0, since=now) for each in others]
            ends = asyncio.gather(*map(triggerer.first, waits))
            await asyncio.sleep(4 * INTERVAL)
            assert len(campaign.fired) == 1
            for each in others:
                sandbox.set_status(each, "Stopped")
            await ends
            assert await campaign.becomes("Active", "Stopped") == 2

    run(scene(), clock)


def test_an_asset_fires_once_for_what_happened_meanwhile(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign_id, store, fired = sandbox.add_campaign().id, KeptState(), list[int]()

    async def scene() -> None:
        for status in ("Active", "Stopped", "Stopped", "Active", "Stopped"):
            sandbox.set_status(campaign_id, status)
            async with watched(sandbox, campaign_id, store=store) as campaign:
                fired.append(len(campaign.fired))

    run(scene(), clock)
    assert fired == [0, 1, 0, 0, 1]


def test_failures_and_a_status_that_can_never_come_are_logged_at_each_poll(
    sandbox: Sandbox, clock: VirtualClock, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign_id = sandbox.add_campaign().id

    async def scene() -> None:
        async with watched(sandbox, campaign_id, "Stoped") as campaign:
            assert await campaign.becomes("Stopped", "Active") == 0
        async with watched(sandbox, campaign_id) as campaign:
            for kind in ("error", "unauthorized", "not_found", "html", "reset"):
                sandbox.add_fault(Fault(kind, count=2))
            assert await campaign.becomes(*["Active"] * 8, "Stopped") == 1

    run(scene(), clock)
    text = caplog.text + capsys.readouterr().out  # where Airflow 3 logs to
    assert text.count("target_statuses is 'Stoped', which is no status of Kore.ai") > 1
    assert "Nothing was sent" not in text
    assert f"Campaign {campaign_id} can't be watched: Status of campaign" in text
