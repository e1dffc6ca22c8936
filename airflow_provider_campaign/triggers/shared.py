"""The poll that all triggers waiting on one account share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.watching import AccountWatch, Sightings, Wait
from airflow_provider_campaign.version_compat import AirflowRuntimeError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CLOCKS_APART = 0.1
"""Seconds by which the loop's clock may be ahead of the one that deadlines are read from."""

HASTE = 10.0
"""Seconds between two looks where the ends of waits ask for more of them than the poll interval does."""


async def off_the_loop(function: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    """
    Call a function in a thread.

    Not by ``asyncio.to_thread``: what asks the triggerer's supervisor in there, if only to have a secret masked, must
    find the way back to this event loop, or the triggerer ends (seen on Airflow 3.1.8).
    """
    return await sync_to_async(function, thread_sensitive=False)(*arguments, **named)


class AccountPoll:
    """
    Look at an account on behalf of the triggers of this process, off the event loop.

    :param campaign_conn_id: The connection id.
    """

    _polls: ClassVar[WeakValueDictionary[Hashable, AccountPoll]] = WeakValueDictionary()

    def __init__(self, campaign_conn_id: str) -> None:
        self.campaign_conn_id = campaign_conn_id
        self._waits: set[Wait] = set()
        self._watch: AccountWatch | None = None
        self._has_looked = False
        self._quiet_until = 0.0
        self._time_is_up = asyncio.Event()

    @classmethod
    def shared(cls, key: Hashable, campaign_conn_id: str) -> AccountPoll:
        """Return the poll that everybody on this event loop with this key shares, for as long as somebody does."""
        return cls._polls.setdefault((asyncio.get_running_loop(), key), cls(campaign_conn_id))

    @property
    def where(self) -> str:
        """The connection, as messages name it."""
        return self._watch.hook.where if self._watch else f"connection {self.campaign_conn_id!r}"

    @contextmanager
    def joined(self, wait: Wait) -> Iterator[None]:
        """Have the poll look for what is waited for, as long as the block lasts, and once more at its deadline."""
        timer = None
        if wait.deadline is not None:
            left = wait.deadline - time.time() + CLOCKS_APART
            timer = asyncio.get_running_loop().call_later(left, self._time_is_up.set)
        self._waits.add(wait)
        try:
            yield
        finally:
            self._waits.discard(wait)
            if timer:
                timer.cancel()

    async def sightings(self, pauses: Iterator[float]) -> AsyncIterator[Sightings]:
        """
        Look again and again, and yield what is seen.

        :param pauses: Seconds before each look; a longer pause that the platform asks for is kept, and a wait
            that is over shortens one.
        """
        for pause in pauses:
            await self._pause(pause)
            if self._waits:
                yield await self._look()

    async def _pause(self, seconds: float) -> None:
        least = max(min(seconds, HASTE), self._quiet_until - time.monotonic())
        await asyncio.sleep(least)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds - least)):
                await self._time_is_up.wait()
        self._time_is_up.clear()

    async def _look(self) -> Sightings:
        """
        Look once at the account.

        A failure is told once the connection was looked up for this very look: somebody may have changed it.
        """
        try:
            if self._watch is None:
                self._watch = await self._new_watch()
            seen = await off_the_loop(self._watch.look, list(self._waits))
        except CampaignError as error:
            self._watch = None
            if not self._has_looked:
                return Sightings(error=error)
            self._has_looked = False
            log.warning("Will look the connection %s up again: %s", self.campaign_conn_id, error)
            return Sightings()
        except AirflowRuntimeError as error:
            log.warning("The connection %s can't be looked up now, will try again: %s", self.campaign_conn_id, error)
            return Sightings()
        self._has_looked = True
        self._quiet_until = time.monotonic() + seen.pause
        return seen

    async def _new_watch(self) -> AccountWatch:
        """
        Look the connection up.

        :raises CampaignConfigError: When there is no such connection, or it is not one of a campaign platform.
        """
        try:
            connection = await get_async_connection(self.campaign_conn_id)
        except AirflowNotFoundException as error:
            raise CampaignConfigError(f"{error}. Create the connection, or give the id of another one.") from error
        return AccountWatch(await off_the_loop(CampaignHook.for_connection, connection))
