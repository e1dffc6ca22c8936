"""What the triggers have in common: one poll for all waits on an account."""

from __future__ import annotations

import inspect
import itertools
import random
from abc import abstractmethod
from collections.abc import AsyncIterator, Hashable, Iterator
from typing import Any

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import TriggerEvent

from airflow_provider_campaign.triggers.shared_poll import SharedPoll
from airflow_provider_campaign.waiting.pending import Snapshot

INITIAL_JITTER = (0.5, 1.0)
"""The first poll comes after this part of a poll interval, at random, so that waits don't move in step."""

BATCH_DELAY = 1.0
"""Seconds before the first poll of a campaign that was not read yet: triggers that start together poll together."""


class AccountTrigger(BaseEventTrigger):
    """
    A trigger that is given what each poll of its account shows.

    :param campaign_type: ``sms`` or ``voice`` if known; it saves a request a poll.
    :param poll_interval: Seconds between two polls.
    :param max_interval: Seconds; where given, the interval doubles from poll to poll up to this.
    :param since: When the campaign was last seen short of the target (seconds since the epoch), None if never.
    """

    def __init__(
        self,
        campaign_id: str,
        campaign_conn_id: str,
        campaign_type: str | None,
        poll_interval: float,
        max_interval: float | None = None,
        since: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.campaign_type = campaign_type
        self.poll_interval = poll_interval
        self.max_interval = max_interval
        self.since = since

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: each is kept in the attribute of its name."""
        kind = type(self)
        names = inspect.signature(kind).parameters
        return f"{kind.__module__}.{kind.__qualname__}", {name: getattr(self, name) for name in names}

    @abstractmethod
    def events(self, poll: SharedPoll, snapshots: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield what this trigger fires, given what each poll shows."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this trigger alone: on Airflow versions before 3.3, or with an interval that grows."""
        poll = SharedPoll(self.campaign_conn_id)
        async for event in self.events(poll, poll.snapshots(self._intervals())):
            yield event

    def shared_stream_key(self) -> Hashable | None:
        """Share one poll with all that wait on the account at the same pace."""
        return None if self.max_interval else (self.campaign_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Poll for all that share the account."""
        trigger = cls(**kwargs)
        poll = SharedPoll.for_key(trigger.shared_stream_key(), trigger.campaign_conn_id)
        async for snapshot in poll.snapshots(trigger._intervals()):
            yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Pick what concerns this trigger's campaign."""
        poll = SharedPoll.for_key(self.shared_stream_key(), self.campaign_conn_id)
        async for event in self.events(poll, shared_stream):
            yield event

    def _intervals(self) -> Iterator[float]:
        """Yield the seconds before each poll."""
        yield BATCH_DELAY if self.since is None else self.poll_interval * random.uniform(*INITIAL_JITTER)
        for doublings in itertools.count():
            grown = self.poll_interval * 2 ** min(doublings, 32)
            yield min(grown, self.max_interval) if self.max_interval else self.poll_interval
