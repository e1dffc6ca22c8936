"""Following what changes in a list: read newest first, back to where it was read before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.list_reader import ListReader
from airflow_provider_campaign.exceptions import CampaignError, CampaignRateLimitError
from airflow_provider_campaign.operations.wait import PendingWait

CLOCK_TOLERANCE = 600.0
"""Seconds that the platform's clock and ours may differ by."""

COMMIT_LAG = 5.0
"""Seconds by which a change may show up in a list later than the time it bears."""

PAGE_ROWS = 100
"""Rows of a page, where it has to be guessed how many pages are left."""


@dataclass
class Watermark:
    """
    How far a list has been read.

    :param newest: The time of the last change that was seen (seconds since the epoch, by the platform's clock).
    :param seen_at: When it was seen first, by our monotonic clock.
    :param lag: Seconds before it in which changes may still show up.
    """

    newest: float
    seen_at: float = 0.0
    lag: float = COMMIT_LAG

    def advance(self, newest: float, now: float) -> None:
        """Note the time of the last change in a list that was read at this moment."""
        if newest > self.newest:
            self.newest, self.seen_at, self.lag = newest, now, COMMIT_LAG
        elif now - self.seen_at >= COMMIT_LAG:
            self.lag = 0.0


@dataclass
class _Pass:
    """One way through the list, over one or several polls."""

    reader: ListReader
    statuses: frozenset[str]
    waits: frozenset[PendingWait]
    back_to: float
    newest: float
    is_over: bool = False


class ListTracker:
    """
    Follow the list of one type for those who wait.

    A list that comes sorted is read back to the last change that is known. One whose own times show that it is not
    sorted proves something only as a whole. Either is given up where reading on costs more than asking for each
    campaign.

    :param watermark: Up to when changes are known (seconds since the epoch).
    """

    def __init__(self, client: CampaignClient, campaign_type: str | None, watermark: float) -> None:
        self._client = client
        self._campaign_type = campaign_type
        self._watermark = Watermark(watermark)
        self._is_sorted = client.platform.sorts_lists
        self._pass: _Pass | None = None
        self._failures = 0
        self.covered: frozenset[PendingWait] = frozenset()
        """The waits that the last poll would have shown a change for."""
        self.was_given_up = False
        """Whether the last poll gave the list up, so that each campaign has to be asked for once."""

    @property
    def is_failing(self) -> bool:
        """Whether the last page that was requested could not be had."""
        return self._failures > 0

    def poll(
        self,
        waits: Collection[PendingWait],
        statuses: Collection[str],
        back_to: Collection[float],
        deadline: Deadline,
        unseen: Callable[[], int],
        max_pages: int,
    ) -> Iterator[Campaign]:
        """
        Yield the campaigns that have changed; what is cut off is resumed by the next poll.

        :param back_to: Further moments from which on changes matter (seconds since the epoch).
        :param unseen: Returns for how many campaigns nothing was read yet.
        :raises CampaignError: When a page can't be had.
        """
        self.covered, self.was_given_up = frozenset(), False
        current = self._pass
        if current is None or not current.reader.pages_read or not current.statuses >= set(statuses):
            current = self._begin(waits, statuses, back_to)
        for _ in range(max_pages):
            page = self._read_page(current, deadline)
            self._note(current, page)
            yield from page
            if current.is_over or current.reader.is_finished:
                self._finish(current)
                return
            if not self._is_worthwhile(current, unseen()):
                self._give_up(current)
                return

    def _begin(self, waits: Collection[PendingWait], statuses: Collection[str], back_to: Collection[float]) -> _Pass:
        reader = self._client.read_list(self._campaign_type, statuses, newest_first=True)
        known_until = self._watermark.newest - self._watermark.lag
        self._pass = _Pass(
            reader, frozenset(statuses), frozenset(waits), min([known_until, *back_to]), self._watermark.newest
        )
        return self._pass

    def _read_page(self, current: _Pass, deadline: Deadline) -> Collection[Campaign]:
        """Return the next page. One that fails twice may fail for ever: what changes now is at the top."""
        try:
            page = current.reader.read_page(deadline)
        except CampaignRateLimitError:
            raise
        except CampaignError:
            self._failures += 1
            if self._failures > 1:
                self._pass = None
            raise
        self._failures = 0
        return page

    def _note(self, current: _Pass, page: Collection[Campaign]) -> None:
        """Note the times in a page: are they sorted, which is the newest, does it reach back far enough."""
        times = [seconds_of(campaign.updated_at) for campaign in page]
        known = [time for time in times if time is not None]
        if len(known) < len(times) or any(later > earlier for earlier, later in itertools.pairwise(known)):
            self._is_sorted = False
        latest = self._client.clock.time() + CLOCK_TOLERANCE  # a date far in the future must not hide the others
        current.newest = max([current.newest, *(time for time in known if time <= latest)])
        current.is_over = self._is_sorted and bool(known) and known[-1] <= current.back_to

    def _is_worthwhile(self, current: _Pass, unseen: int) -> bool:
        if self._is_sorted:
            return current.reader.pages_read < unseen
        total = current.reader.total
        pages_left = 0 if total is None else -(-total // PAGE_ROWS) - current.reader.pages_read
        return max(pages_left, current.reader.pages_read) < unseen

    def _finish(self, current: _Pass) -> None:
        self._pass = None
        current.reader.check()
        self.covered = current.waits
        self._watermark.advance(current.newest, self._client.clock.monotonic())

    def _give_up(self, current: _Pass) -> None:
        """Leave the rest of the list to direct reads, and begin anew from its top."""
        self._pass = None
        self.was_given_up = True
        if self._is_sorted:
            self._watermark.advance(current.newest, self._client.clock.monotonic())
