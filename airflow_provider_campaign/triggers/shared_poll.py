"""The poll that all triggers waiting on one account share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from airflow.providers.common.compat.connection import get_async_connection
from asgiref.sync import sync_to_async

from airflow_provider_campaign.client.clock import Clock
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.account_poller import AccountPoller, AccountSnapshot
from airflow_provider_campaign.operations.wait import PendingWait
from airflow_provider_campaign.platforms.base import Platform

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CLOCKS_APART = 0.1
"""Seconds by which the loop's clock may be ahead of the one that deadlines are read from."""

MIN_POLL_INTERVAL = 10.0
"""Seconds between two polls where the ends of waits ask for more of them than the poll interval does."""

MAX_THREADS = 8
"""Polls at the same time; those of other providers' triggers have threads of their own."""

_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="campaign-poll")


async def run_in_thread(function: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    """
    Call a function in a thread.

    Not by ``asyncio.to_thread``: what asks the triggerer's supervisor in there, if only to have a secret masked, must
    find the way back to this event loop, or the triggerer ends (seen on Airflow 3.1.8).
    """
    return await sync_to_async(function, thread_sensitive=False, executor=_threads)(*arguments, **named)


class _LookupError(Exception):
    """The connection can't be looked up now."""


class SharedPoll:
    """Poll an account on behalf of the triggers of this process, off the event loop."""

    _polls: ClassVar[WeakValueDictionary[Hashable, SharedPoll]] = WeakValueDictionary()

    def __init__(self, campaign_conn_id: str, *, clock: Clock) -> None:
        self.campaign_conn_id = campaign_conn_id.strip()
        self._clock = clock
        self._waits: set[PendingWait] = set()
        self._poller: AccountPoller | None = None
        self._has_polled = False
        self._quiet_until = 0.0
        self._time_is_up = asyncio.Event()

    @classmethod
    def for_key(cls, key: Hashable, campaign_conn_id: str, *, clock: Clock) -> SharedPoll:
        """Return the poll that everybody on this event loop with this key shares, for as long as somebody does."""
        poll = cls(campaign_conn_id, clock=clock)
        return cls._polls.setdefault((asyncio.get_running_loop(), key), poll)

    @property
    def description(self) -> str:
        """The connection, as messages name it."""
        return self._poller.client.description if self._poller else f"connection {self.campaign_conn_id!r}"

    @property
    def platform(self) -> Platform | None:
        """The platform, once the connection was looked up."""
        return self._poller.client.platform if self._poller else None

    @contextmanager
    def subscribed(self, wait: PendingWait) -> Iterator[None]:
        """Have the poll ask for what is waited for, as long as the block lasts, and once more at its deadline."""
        timer = None
        if wait.deadline is not None:
            left = wait.deadline - self._clock.time() + CLOCKS_APART
            timer = asyncio.get_running_loop().call_later(left, self._time_is_up.set)
        self._waits.add(wait)
        try:
            yield
        finally:
            self._waits.discard(wait)
            if timer:
                timer.cancel()

    async def snapshots(self, intervals: Iterator[float]) -> AsyncIterator[AccountSnapshot]:
        """
        Poll again and again, and yield what each poll shows.

        :param intervals: Seconds before each poll; a longer delay that the platform asks for is kept, and a wait
            that is over shortens either.
        """
        for interval in intervals:
            await self._sleep(interval)
            if self._waits:
                yield await self._poll()

    async def _sleep(self, interval: float) -> None:
        least = min(interval, MIN_POLL_INTERVAL)
        await asyncio.sleep(least)
        if not self._has_overdue():
            with suppress(TimeoutError):
                async with asyncio.timeout(max(interval, self._quiet_until - self._clock.monotonic() + least) - least):
                    await self._time_is_up.wait()
        self._time_is_up.clear()

    def _has_overdue(self) -> bool:
        now = self._clock.time()
        return any(wait.deadline is not None and wait.deadline <= now for wait in self._waits)

    async def _poll(self) -> AccountSnapshot:
        """Poll once. Report a failure only after re-reading the connection: somebody may have changed it."""
        try:
            if self._poller is None:
                self._poller = await self._new_poller()
            snapshot = await run_in_thread(self._poller.poll, list(self._waits))
        except _LookupError as error:
            log.warning("Looking the connection %s up failed, retrying: %s", self.campaign_conn_id, error)
            return AccountSnapshot(began=self._clock.time(), problem=str(error))
        except CampaignError as error:
            self._poller = None
            if not self._has_polled:
                return AccountSnapshot(error=error)
            self._has_polled = False
            log.warning("Looking the connection %s up again: %s", self.campaign_conn_id, error)
            return AccountSnapshot(began=self._clock.time(), problem=str(error))
        except Exception as error:  # noqa: BLE001 what nobody foresaw about one poll ends nobody's wait
            unexpected = as_campaign_error(error, f"Poll of the account ({self.description})")
            self._poller = None
            return AccountSnapshot(began=self._clock.time(), problem=str(unexpected))
        self._has_polled = True
        self._quiet_until = self._clock.monotonic() + snapshot.delay
        return snapshot

    async def _new_poller(self) -> AccountPoller:
        """
        Look the connection up.

        :raises CampaignConfigError: When it is not one of a campaign platform.
        :raises _LookupError: When it is not found, or can't be looked up now.
        """
        try:
            connection = await get_async_connection(self.campaign_conn_id)
        except Exception as error:  # whatever a secrets backend or Airflow's API raises may pass
            raise _LookupError(f"The connection {self.campaign_conn_id!r} can't be looked up: {error}.") from error
        hook = await run_in_thread(CampaignHook.for_connection, connection)
        return await run_in_thread(lambda: AccountPoller(hook.client))
