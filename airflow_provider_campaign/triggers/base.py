"""What the triggers have in common: one poll for all of them that wait on an account."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignUnavailableError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.text import sanitize
from airflow_provider_campaign.waiting.account_poller import AccountPoller
from airflow_provider_campaign.waiting.pending import PendingWait, Snapshot

log = logging.getLogger(__name__)

Result = TypeVar("Result")

BATCH_DELAY = 1.0  # seconds before a campaign is read first: triggers that start together poll together
INITIAL_JITTER = (0.5, 1.0)  # the first poll of another comes after this part of an interval: waits don't move in step
MAX_SLEEP = 10.0  # seconds after which a sleep notices that a wait has reached its deadline
MAX_THREADS = 8  # polls at the same time; those of other providers' triggers have threads of their own

_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="campaign-poll")


async def run_in_thread(function: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    # Not by asyncio.to_thread: what asks the triggerer's supervisor in there, if only to have a secret masked, must
    # find the way back to this event loop, or the triggerer ends (seen on Airflow 3.1.8).
    return await sync_to_async(function, thread_sensitive=False, executor=_threads)(*arguments, **named)


class SharedPoll:
    """Poll an account on behalf of the triggers of this process, off the event loop."""

    _polls: ClassVar[WeakValueDictionary[Hashable, SharedPoll]] = WeakValueDictionary()

    def __init__(self, campaign_conn_id: str) -> None:
        self.campaign_conn_id = campaign_conn_id.strip()
        self.description = f"connection {self.campaign_conn_id!r}"
        self.platform: Platform | None = None  # until the connection is looked up
        self._waits: list[PendingWait] = []
        self._poller: AccountPoller | None = None
        self._has_failed = False

    @classmethod
    def shared_by(cls, trigger: AccountTrigger) -> SharedPoll:
        """Return the poll that all triggers on this event loop with this one's key share, as long as there are any."""
        key = asyncio.get_running_loop(), trigger.shared_stream_key()
        return cls._polls.setdefault(key, cls(trigger.campaign_conn_id))

    @contextmanager
    def subscribed(self, wait: PendingWait) -> Iterator[None]:
        """Poll for a wait as long as the block lasts."""
        self._waits.append(wait)
        try:
            yield
        finally:
            self._waits.remove(wait)

    async def snapshots(self, trigger: AccountTrigger) -> AsyncIterator[Snapshot]:
        """Poll again and again at a trigger's interval, or later if the platform asks for that; yield what is shown."""
        is_new = trigger.since is None
        await self._sleep(BATCH_DELAY if is_new else trigger.poll_interval * random.uniform(*INITIAL_JITTER))
        while True:
            snapshot = Snapshot()
            if self._waits:
                snapshot = await self._poll()
                yield snapshot
            await self._sleep(max(trigger.poll_interval, snapshot.delay))

    async def _sleep(self, seconds: float) -> None:
        """Sleep until the next poll, or until a wait has reached its deadline; which waits there are may change."""
        ends = SYSTEM_CLOCK.monotonic() + seconds
        while (left := ends - SYSTEM_CLOCK.monotonic()) > 0:
            await asyncio.sleep(min(left, MAX_SLEEP))
            if any(wait.deadline is not None and wait.deadline <= SYSTEM_CLOCK.time() for wait in self._waits):
                return

    async def _poll(self) -> Snapshot:
        """Poll once. A failure that concerns all is final if it comes twice, the second time after a new look-up."""
        began = SYSTEM_CLOCK.time()
        try:
            if self._poller is None:
                self._poller = AccountPoller(await self._look_up())
                self.description, self.platform = self._poller.client.description, self._poller.client.platform
            snapshot = await run_in_thread(self._poller.poll, list(self._waits))
        except Exception as error:  # noqa: BLE001 an unexpected error ends no wait
            snapshot = Snapshot(began, error=as_campaign_error(error, f"Poll of the account ({self.description})"))
        if snapshot.error is None:
            self._has_failed = False
            return snapshot
        self._poller = None
        is_passing = isinstance(snapshot.error, CampaignUnavailableError)
        if self._has_failed and not is_passing:
            return snapshot
        self._has_failed = not is_passing
        log.warning("Looking the connection %s up again: %s", self.campaign_conn_id, snapshot.error)
        return Snapshot(began, problem=str(snapshot.error))

    async def _look_up(self) -> CampaignClient:
        try:
            connection = await get_async_connection(self.campaign_conn_id)
        except Exception as error:  # whatever a secrets backend or Airflow's API raises may pass
            raise CampaignUnavailableError(
                f"The connection {self.campaign_conn_id!r} can't be looked up: {sanitize(error, ())}."
            ) from error
        return await run_in_thread(lambda: CampaignHook.for_connection(connection).client)


class AccountTrigger(BaseEventTrigger):
    """A trigger that is given what each poll of its account shows."""

    campaign_id: str
    campaign_conn_id: str
    campaign_type: str | None
    poll_interval: float
    since: float | None = None  # when the campaign was last seen short of the target (seconds since the epoch)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: each is kept in the attribute of its name, a tuple as a list."""
        kind = type(self)
        values = {name: getattr(self, name) for name in inspect.signature(kind).parameters}
        arguments = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return f"{kind.__module__}.{kind.__qualname__}", arguments

    @abstractmethod
    def events(self, poll: SharedPoll, snapshots: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield what this trigger fires, given what each poll shows."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this trigger alone, on Airflow versions before 3.3."""
        poll = SharedPoll(self.campaign_conn_id)
        async for event in self.events(poll, poll.snapshots(self)):
            yield event

    def shared_stream_key(self) -> Hashable:
        """Share one poll with all that wait on the account at the same pace."""
        return self.campaign_conn_id, self.poll_interval

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Poll for all that share the account."""
        trigger = cls(**kwargs)
        async for snapshot in SharedPoll.shared_by(trigger).snapshots(trigger):
            yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Pick what concerns this trigger's campaign."""
        async for event in self.events(SharedPoll.shared_by(self), shared_stream):
            yield event
