"""The poll that all triggers waiting on one account share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Self

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.watching import AccountWatch, Sightings, Wait
from airflow_provider_campaign.version_compat import AirflowRuntimeError

log = logging.getLogger(__name__)


class AccountPoll:
    """
    Look at an account on behalf of the triggers of this process, off the event loop.

    :param campaign_conn_id: The connection id.
    """

    _polls: ClassVar[dict[Hashable, AccountPoll]] = {}

    def __init__(self, campaign_conn_id: str) -> None:
        self.campaign_conn_id = campaign_conn_id
        self._waits: dict[int, Wait] = {}
        self._watch: AccountWatch | None = None
        self._quiet_until = 0.0

    @classmethod
    def shared(cls, key: Hashable, campaign_conn_id: str) -> Self:
        """Return the poll that everybody with this key shares."""
        poll = cls._polls.get(key)
        if not isinstance(poll, cls):
            poll = cls._polls[key] = cls(campaign_conn_id)
        return poll

    @contextmanager
    def joined(self, wait: Wait) -> Iterator[None]:
        """Have the poll look for what is waited for, as long as the block lasts."""
        self._waits[id(wait)] = wait
        try:
            yield
        finally:
            del self._waits[id(wait)]

    async def sightings(self, pauses: Iterator[float]) -> AsyncIterator[Sightings | CampaignError]:
        """
        Look again and again, and yield what is seen, or the error that keeps everybody from seeing anything.

        :param pauses: Seconds before each look; a longer pause that the platform asks for is kept.
        """
        for pause in pauses:
            await asyncio.sleep(max(pause, self._quiet_until - time.monotonic()))
            if self._waits:
                yield await self._look()

    async def hook(self) -> CampaignHook:
        """
        Return the account's hook; the connection is looked up when it is needed first, and again after an error.

        :raises CampaignConfigError: When there is no such connection, or it is not one of a campaign platform.
        """
        if self._watch is None:
            try:
                connection = await get_async_connection(self.campaign_conn_id)
            except AirflowNotFoundException as error:
                raise CampaignConfigError(f"{error}. Create the connection, or give the id of another one.") from error
            self._watch = AccountWatch(await asyncio.to_thread(CampaignHook.for_connection, connection))
        return self._watch.hook

    def is_quiet(self) -> bool:
        """Tell whether the platform wants to be left alone at the moment."""
        return self._quiet_until > time.monotonic()

    async def _look(self) -> Sightings | CampaignError:
        try:
            await self.hook()
            assert self._watch is not None  # noqa: S101
            seen = await asyncio.to_thread(self._watch.look, list(self._waits.values()))
        except CampaignError as error:
            self._watch = None
            return error
        except AirflowRuntimeError as error:
            log.warning("The connection %s can't be looked up now, will try again: %s", self.campaign_conn_id, error)
            return Sightings()
        self._quiet_until = time.monotonic() + seen.pause
        return seen
