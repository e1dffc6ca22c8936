"""An asset watcher fires each time that its campaign reaches a status, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import json
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


async def watched(
    sandbox: Sandbox, campaign_id: str, *statuses: str | None, triggerer: Triggerer | None = None, **given: Any
) -> tuple[list[int], list[Any]]:
    """
    Watch a campaign that goes through some statuses (None: time passes), by a trigger with the arguments given.

    :returns: How many events had been fired before, and after each status; and what they carried.
    """
    store = given.pop("store", None)
    trigger: Any = CampaignStatusTrigger(campaign_id, **given)
    trigger.asset_state_store, fired, counts = store, list[Any](), list[int]()

    async def watch() -> None:
        async for event in (triggerer or Triggerer()).events(trigger):
            fired.append(event.payload)

    task = asyncio.create_task(watch())
    for status in (None, *statuses):
        if status:
            sandbox.set_status(campaign_id, status)
        await asyncio.sleep(2 * INTERVAL)
        counts.append(len(fired))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return counts, fired


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
    counts, fired = run(watched(sandbox, campaign_id, "Active", "Stopped", "Completed", "Active", "Stopped"), clock)
    assert counts == [0, 0, 1, 1, 1, 2]
    assert (fired[0]["campaign_id"], fired[0]["status"]) == (campaign_id, "Stopped")


def test_an_asset_does_not_fire_again_when_others_begin_to_wait(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.config.clock_offset = 60.0
    first, *others = (sandbox.add_campaign().id for _ in range(3))

    async def scene() -> list[int]:
        triggerer, now = Triggerer(), SYSTEM_CLOCK.time()
        statuses = ("Stopped", None, None, "Active", "Stopped")
        watching = asyncio.create_task(watched(sandbox, first, *statuses, triggerer=triggerer))
        await asyncio.sleep(4 * INTERVAL)
        waits = [CampaignWaitTrigger(each, ["Stopped"], 3600.0, since=now) for each in others]
        ends = asyncio.gather(*map(triggerer.first, waits))
        await asyncio.sleep(4 * INTERVAL)
        for each in others:
            sandbox.set_status(each, "Stopped")
        await ends
        return (await watching)[0]

    assert run(scene(), clock) == [0, 1, 1, 1, 1, 2]


def test_an_asset_fires_once_for_what_happened_meanwhile(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign_id, store, counts = sandbox.add_campaign().id, KeptState(), list[int]()
    for status in ("Active", "Stopped", "Stopped", "Active", "Stopped"):
        sandbox.set_status(campaign_id, status)
        counts += run(watched(sandbox, campaign_id, store=store), clock)[0]
    assert counts == [0, 1, 0, 0, 1]


def test_failures_and_a_status_that_can_never_come_are_logged_at_each_poll(
    sandbox: Sandbox, clock: VirtualClock, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign_id = sandbox.add_campaign().id
    assert run(watched(sandbox, campaign_id, "Stopped", "Active", target_statuses="Stoped"), clock)[1] == []
    for kind in ("error", "unauthorized", "not_found", "html", "reset"):
        sandbox.add_fault(Fault(kind, count=2))
    assert len(run(watched(sandbox, campaign_id, *["Active"] * 8, "Stopped"), clock)[1]) == 1
    text = caplog.text + capsys.readouterr().out  # where Airflow 3 logs to
    assert text.count("target_statuses is 'Stoped', which is no status of Kore.ai") > 1
    assert "Nothing was sent" not in text
    assert f"Campaign {campaign_id} can't be watched: Status of campaign" in text
