"""Waiting, in the triggerer, until the account's request budget lets a task send again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_campaign.client.clock import CLOCK_ROUNDING, Clock
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.permits import PermitSchedule

MIN_DEFERRAL = 10.0
"""Seconds for which a task stays deferred: one that resumes sooner can be failed by a stale event of the executor."""

RESUME_TIME = 30.0
"""Seconds that a deferred task is given to get a worker, before its next step or its last attempt is due."""


class CampaignPermitTrigger(BaseTrigger):
    """
    Wait until the account's request budget may let a task send again, and resume it. It sends nothing itself.

    :param refused_at: When the platform refused the task's request (seconds since the epoch).
    :param deadline: When the task's time is up (seconds since the epoch).
    :param refusals: How often the task was refused so far.
    :param outcome_unknown: Whether an earlier request of the task may have been heard.
    :param retry_after: Seconds that the platform asked to wait, None where it did not say.
    :param limit: Requests that the platform accepts in a window, None where it documents no limit.
    :param window: Seconds of that window.
    """

    def __init__(
        self,
        campaign_id: str,
        campaign_conn_id: str,
        refused_at: float,
        deadline: float,
        refusals: int = 1,
        outcome_unknown: bool = False,
        retry_after: float | None = None,
        limit: int | None = None,
        window: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.refused_at = refused_at
        self.deadline = deadline
        self.refusals = refusals
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after
        self.limit = limit
        self.window = window

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{CampaignPermitTrigger.__module__}.{CampaignPermitTrigger.__qualname__}", {
            "campaign_id": self.campaign_id,
            "campaign_conn_id": self.campaign_conn_id,
            "refused_at": self.refused_at,
            "deadline": self.deadline,
            "refusals": self.refusals,
            "outcome_unknown": self.outcome_unknown,
            "retry_after": self.retry_after,
            "limit": self.limit,
            "window": self.window,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Yield one event: with a permit, or shortly before the deadline.

        What the task has to know is in the event: ``dags test`` drops the arguments that it was deferred with.
        """
        await PermitQueue.for_account(self.campaign_conn_id, clock=CampaignHook.clock).wait(self)
        payload = {"deadline": self.deadline, "refusals": self.refusals, "outcome_unknown": self.outcome_unknown}
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]


class PermitQueue:
    """Give permits to the tasks of one account that wait in this process, one after the other."""

    _queues: ClassVar[WeakValueDictionary[Hashable, PermitQueue]] = WeakValueDictionary()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._schedule = PermitSchedule()
        self._turn = asyncio.Lock()
        self._waiting = 0

    @classmethod
    def for_account(cls, campaign_conn_id: str, clock: Clock) -> PermitQueue:
        """Return the queue of all on this event loop that use the same connection, for as long as somebody does."""
        return cls._queues.setdefault((asyncio.get_running_loop(), campaign_conn_id), cls(clock))

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits for a permit."""
        return self._waiting == 0

    def note_request(self, campaign_id: str, at: float) -> None:
        self._schedule.note_request(campaign_id, at)

    async def wait(self, trigger: CampaignPermitTrigger) -> None:
        """Return once a task has its permit, or must make its last attempt without one."""
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, trigger.deadline - RESUME_TIME - self._clock.time())):
                await self._wait_for_turn(trigger)
        except TimeoutError:
            self._schedule.note_request(trigger.campaign_id, self._clock.time())
        finally:
            self._waiting -= 1

    async def _wait_for_turn(self, trigger: CampaignPermitTrigger) -> None:
        self._schedule.set_limit(trigger.limit, trigger.window)
        self._schedule.note_refusal(
            trigger.campaign_id, trigger.refused_at, trigger.retry_after, had_permit=trigger.refusals > 1
        )
        await self._sleep_until(trigger.refused_at + max(MIN_DEFERRAL, trigger.retry_after or 0.0))
        async with self._turn:
            while self._schedule.next_at - self._clock.time() > CLOCK_ROUNDING:
                await self._sleep_until(self._schedule.next_at)
            self._schedule.give(trigger.campaign_id, self._clock.time())

    async def _sleep_until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self._clock.time()))
