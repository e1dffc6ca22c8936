"""The poll that all triggers waiting on one account share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from airflow.providers.common.compat.connection import get_async_connection
from asgiref.sync import sync_to_async

from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK, Clock
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignError, CampaignUnavailableError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.text import sanitize
from airflow_provider_campaign.waiting.account_poller import AccountPoller
from airflow_provider_campaign.waiting.pending import PendingWait, Snapshot

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CLOCKS_APART = 0.1
"""Seconds by which the loop's clock may be ahead of the one that deadlines are read from."""

MIN_EXTRA_INTERVAL = 10.0
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


class SharedPoll:
    """
    Poll an account on behalf of the triggers of this process, off the event loop.

    :param clock: What deadlines are read from.
    """

    _polls: ClassVar[WeakValueDictionary[Hashable, SharedPoll]] = WeakValueDictionary()

    def __init__(self, campaign_conn_id: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self.campaign_conn_id = campaign_conn_id.strip()
        self.clock = clock
        self._waits: list[PendingWait] = []
        self._poller: AccountPoller | None = None
        self._has_polled = False
        self._quiet_until = 0.0

    @classmethod
    def for_key(cls, key: Hashable, campaign_conn_id: str) -> SharedPoll:
        """Return the poll that all triggers on this event loop with this key share, as long as there are any."""
        return cls._polls.setdefault((asyncio.get_running_loop(), key), cls(campaign_conn_id))

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
        """Poll for a wait as long as the block lasts, and once more at its deadline."""
        self._waits.append(wait)
        try:
            yield
        finally:
            self._waits.remove(wait)

    async def snapshots(self, intervals: Iterator[float]) -> AsyncIterator[Snapshot]:
        """
        Poll again and again, and yield what each poll shows.

        :param intervals: Seconds before each poll; a longer delay that the platform asks for is kept, and a wait
            that ends shortens either.
        """
        for interval in intervals:
            await self._sleep(interval)
            if self._waits:
                yield await self._poll()

    async def _sleep(self, interval: float) -> None:
        """Sleep until the next poll; the waits, and so the first deadline among them, may change meanwhile."""
        least = min(interval, MIN_EXTRA_INTERVAL)
        ends = max(self.clock.monotonic() + interval, self._quiet_until + least)
        await asyncio.sleep(least)
        while (left := ends - self.clock.monotonic()) > 0:
            deadlines = (wait.deadline for wait in self._waits if wait.deadline is not None)
            until_deadline = min(deadlines, default=float("inf")) - self.clock.time()
            if until_deadline <= 0:
                return
            await asyncio.sleep(min(left, until_deadline + CLOCKS_APART, MIN_EXTRA_INTERVAL))

    async def _poll(self) -> Snapshot:
        """Poll once. Report a failure only after looking the connection up again: it may have changed."""
        began = self.clock.time()
        try:
            if self._poller is None:
                self._poller = AccountPoller(await self._look_up())
            snapshot = await run_in_thread(self._poller.poll, list(self._waits))
        except Exception as error:  # noqa: BLE001 an unexpected error ends no wait
            failure = as_campaign_error(error, f"Poll of the account ({self.description})")
            return await self._after(failure, began)
        self._has_polled = True
        self._quiet_until = self.clock.monotonic() + snapshot.delay
        return snapshot

    async def _after(self, failure: CampaignError, began: float) -> Snapshot:
        """Return what is reported of a failure; it is final right after a look-up, if another one shows no change."""
        failed, self._poller = self._poller, None
        is_final = not (self._has_polled or isinstance(failure, CampaignUnavailableError))
        self._has_polled = False
        if is_final and failed:
            try:
                client = await self._look_up()
                if not _is_same(client, failed.client):
                    self._poller, is_final = AccountPoller(client), False
            except Exception as error:  # noqa: BLE001 as of a poll
                failure = as_campaign_error(error, f"Looking the connection {self.campaign_conn_id!r} up")
                is_final = not isinstance(failure, CampaignUnavailableError)
        if is_final:
            return Snapshot(began, error=failure)
        log.warning("Looking the connection %s up again: %s", self.campaign_conn_id, failure)
        return Snapshot(began, problem=str(failure))

    async def _look_up(self) -> CampaignClient:
        """
        Return a client of the account that the connection stands for now.

        :raises CampaignConfigError: When it is not one of a campaign platform.
        :raises CampaignUnavailableError: When it is not found, or can't be looked up now.
        """
        try:
            connection = await get_async_connection(self.campaign_conn_id)
        except Exception as error:  # whatever a secrets backend or Airflow's API raises may pass
            raise CampaignUnavailableError(
                f"The connection {self.campaign_conn_id!r} can't be looked up: {sanitize(error, ())}."
            ) from error
        return await run_in_thread(lambda: CampaignHook.for_connection(connection).client)


def _is_same(one: CampaignClient, other: CampaignClient) -> bool:
    """Return whether two clients send the same requests to the same address."""
    return (one.platform, one.transport.base_url) == (other.platform, other.transport.base_url)
