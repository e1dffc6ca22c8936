"""What the triggerer does with a trigger, in this process: alone, or through Airflow's own shared streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock, run
from airflow_provider_campaign.triggers.base import AccountTrigger
from airflow_provider_campaign.version_compat import SHARED_STREAMS

WAYS = ["alone", "shared"] if SHARED_STREAMS else ["alone"]


class Triggerer:
    """Run triggers: ``alone`` as on Airflow versions before 3.3, or ``shared``."""

    def __init__(self, way: str = WAYS[-1]) -> None:
        self._streams: Any = None
        self._ids = iter(range(1_000_000))
        if way == "shared":
            from airflow.triggers.shared_stream import SharedStreamManager

            self._streams = SharedStreamManager()

    async def events(self, trigger: AccountTrigger) -> AsyncIterator[TriggerEvent]:
        """Yield what a trigger fires; it went through the database before."""
        _, arguments = trigger.serialize()
        again = type(trigger)(**arguments)
        task_instance: Any = SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=3)
        again.task_instance = task_instance
        for given in ("timeout_after", "asset_state_store"):
            if hasattr(trigger, given):
                setattr(again, given, getattr(trigger, given))
        key = again.shared_stream_key() if self._streams else None
        if key is None:
            async for event in again.run():
                yield event
            return
        trigger_id = next(self._ids)
        stream = self._streams.subscribe(trigger_id=trigger_id, trigger=again, key=key)
        try:
            async for event in again.filter_shared_stream(stream):
                yield event
        finally:
            await self._streams.unsubscribe(trigger_id, key)

    async def first(self, trigger: AccountTrigger) -> TriggerEvent:
        events = self.events(trigger)
        try:
            return await anext(events)
        finally:
            await events.aclose()  # type: ignore[attr-defined]


def run_to_its_end(trigger: AccountTrigger, clock: VirtualClock, way: str = WAYS[-1]) -> TriggerEvent:
    return run(Triggerer(way).first(trigger), clock)
