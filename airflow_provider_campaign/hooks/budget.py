"""Spending an account's requests: bursts up to what the platform's window allows, then waiting for it to pass."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from airflow_provider_campaign.exceptions import CampaignTimeoutError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.calls import Target
from airflow_provider_campaign.hooks.retry import Deadline

log = logging.getLogger(__name__)

WINDOW_MARGIN = 0.25
"""Seconds added to the platform's window, for clocks that don't run alike."""

WAIT_WORTH_TELLING = 5.0
"""Seconds; a wait from here on gets a line in the log."""


class RequestBudget:
    """
    The requests that one operation may make, over all its threads; installs itself on the hook.

    A request counts until a window has passed since its answer came: the platform has counted it before that.

    :param hook: Whose requests are counted, and held back where its platform limits them.
    :param deadline: When there is no point in waiting any more.
    """

    def __init__(self, hook: CampaignHook, deadline: Deadline) -> None:
        self.requests = 0
        self.left_at: dict[Target, datetime] = {}
        """When a request for a target last left (UTC)."""
        self._limit = hook.rate_limit
        self._window = (hook.rate_window or 0.0) + WINDOW_MARGIN
        self._deadline = deadline
        self._answered: deque[float] = deque(maxlen=self._limit)
        self._under_way = 0
        self._quiet_until = 0.0
        self._queue = threading.Lock()
        self._changed = threading.Condition()
        hook.request_slot = self.slot

    @contextmanager
    def slot(self, target: Target) -> Iterator[None]:
        """
        Hold back a request until it may leave, and count it.

        :raises CampaignTimeoutError: When it may not leave before the deadline.
        """
        with self._queue:
            self._wait_for_slot()
            self.left_at[target] = datetime.now(UTC)
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._answered.append(self._deadline.clock.monotonic())
                self._changed.notify_all()

    def leave_alone(self, seconds: float) -> None:
        """Let nothing leave for so many seconds: the platform has refused, somebody else spends requests too."""
        with self._changed:
            self._quiet_until = max(self._quiet_until, self._deadline.clock.monotonic() + seconds)

    def _wait_for_slot(self) -> None:
        clock = self._deadline.clock
        while True:
            with self._changed:
                while (free_at := self._free_at()) is None:
                    self._changed.wait()
                seconds = free_at - clock.monotonic()
                if seconds <= 0:
                    self._under_way += 1
                    self.requests += 1
                    return
            if seconds > self._deadline.remaining:
                raise CampaignTimeoutError("The time is up before the account's request budget allows another.")
            if seconds >= WAIT_WORTH_TELLING:
                log.info("The account's requests are spent: going on in %.0f s", seconds)
            clock.sleep(seconds)

    def _free_at(self) -> float | None:
        """Return when the next request may leave; None while that depends on those under way."""
        if self._limit is None:
            return self._quiet_until
        too_many = len(self._answered) + self._under_way - self._limit
        if too_many < 0:
            return self._quiet_until
        if too_many >= len(self._answered):
            return None
        return max(self._quiet_until, self._answered[too_many] + self._window)
