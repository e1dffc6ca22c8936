"""Who may send again, and when, once an account's requests are spent: as many in a window as the platform accepts."""

from __future__ import annotations

import math

PERMIT_SHARE = 0.95
"""The part of the platform's limit that tasks may use; polls and other programs have the rest."""

EXPLAINED_SHARE = 0.9
"""The part of those permits from which on the requests that are known explain a refusal."""

PERMIT_SPREAD = 0.3
"""The part of a window over which its permits are spread, so that tasks don't resume all at once."""

START_DELAY = 3.0
"""Seconds that a task is taken to need from its permit to its request, until it has told."""

DEFAULT_LIMIT = 60
"""Requests in a window, where the platform documents no limit but refuses for the rate."""

DEFAULT_WINDOW = 60.0
"""Seconds of a window, where the platform documents none."""


class PermitSchedule:
    """
    Say when the next task may send, given what is known of the account's requests.

    Known are those that tasks have told of, and those that permits were given for. A refusal that these don't explain
    shows that others spend requests too: then a whole window has to pass. Where a task with a permit was refused so,
    there are half as many permits in a window, and twice as many again after a window without such a refusal.
    """

    def __init__(self) -> None:
        self.set_limit(None, None)
        self._size = self._most
        self._sent_at: dict[str, float] = {}
        """By campaign, when a task's last request was sent, or is about to be."""
        self._opens_at = -math.inf
        self._last_permit_at = -math.inf
        self._permits = 0
        """How many were given since the number in a window has changed."""

    def set_limit(self, limit: int | None, window: float | None) -> None:
        """
        Go by what the platform documents.

        :param limit: Requests that it accepts in a window, None where it documents no limit.
        :param window: Seconds, likewise.
        """
        self._most = max(1, int((limit or DEFAULT_LIMIT) * PERMIT_SHARE))
        self._window = window or DEFAULT_WINDOW
        self._interval = self._window * PERMIT_SPREAD / self._most

    @property
    def next_at(self) -> float:
        """When the next permit may be given."""
        sent_at = sorted(self._sent_at.values())
        size = min(self._size, self._most)
        free_at = sent_at[-size] + self._window if len(sent_at) >= size else -math.inf
        return max(self._opens_at, self._last_permit_at + self._interval, free_at)

    def note_request(self, campaign_id: str, at: float) -> None:
        """Note when a task has sent a request that was accepted."""
        self._sent_at[campaign_id] = at
        if len(self._sent_at) > 3 * self._most:
            newest = sorted(self._sent_at.items(), key=lambda sent: sent[1])[-2 * self._most :]
            self._sent_at = dict(newest)

    def note_refusal(self, campaign_id: str, at: float, retry_after: float | None, *, had_permit: bool) -> None:
        """
        Give no permit until what has led to a refusal no longer counts.

        :param retry_after: Seconds that the platform asked to wait, None where it did not say.
        """
        self._sent_at.pop(campaign_id, None)
        known = sum(at - self._window < moment <= at for moment in self._sent_at.values())
        if at < self._opens_at or known >= self._most * EXPLAINED_SHARE:
            return
        self._opens_at = at + (self._window if retry_after is None else retry_after)
        if had_permit:
            self._size, self._permits = max(1, self._size // 2), 0

    def give(self, campaign_id: str, now: float) -> None:
        """Note that a task is given a permit."""
        self.note_request(campaign_id, now + START_DELAY)
        self._last_permit_at = now
        self._permits += 1
        if self._permits > self._size:
            self._size, self._permits = min(self._most, 2 * self._size), 0
