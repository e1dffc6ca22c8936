"""The wait for a campaign's status in the triggerer."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Collection, Hashable, Iterator
from datetime import UTC
from typing import Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_campaign.campaign import Campaign, CampaignStatus, Goal, confirmed, status_goal
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.waiting import is_reached, timed_out
from airflow_provider_campaign.hooks.watching import Sightings, Wait
from airflow_provider_campaign.triggers.outcome import WaitOutcome
from airflow_provider_campaign.triggers.reaching import Reaching
from airflow_provider_campaign.triggers.shared import AccountPoll, off_the_loop
from airflow_provider_campaign.version_compat import AirflowRuntimeError, BaseEventTrigger

FIRST_PAUSE = (0.5, 1.0)
"""The first look comes after this part of a poll interval, at random, so that waits don't move in step."""

GATHERING = 1.0
"""Seconds before the first look where nobody has looked yet: triggers that start together look together."""

LAST_LOOK = 40.0
"""Seconds after a deadline that the last look may take."""

TRIGGERER_GRACE = 60.0
"""Seconds after the deadline before the scheduler ends the wait, should the triggerer not do it."""


class CampaignStatusTrigger(BaseEventTrigger):
    """
    Wait until a campaign's status is one of the targets.

    In an ``AssetWatcher`` it fires each time that the campaign reaches a target, with the keys ``campaign_id``,
    ``status``, ``name`` and ``updated_at``. For a deferred task it ends the wait.

    :param campaign_id: The campaign's id on its platform.
    :param campaign_conn_id: The connection id; its type says which platform it is.
    :param target_statuses: The statuses to wait for, compared without regard to case.
    :param impossible_statuses: Those from which no target can come; what the sensor takes for such if None.
    :param campaign_type: ``sms`` or ``voice`` where it is known; it saves a request a look.
    :param poll_interval: Seconds between two looks.
    :param for_task: Whether a task waits, which needs one end, rather than an asset.
    :param since: When the task saw the campaign short of the target (seconds since the epoch), None if never.
    :param timeout: Seconds that the task's wait may take, None for no end.
    :param deadline: When that time is up (seconds since the epoch); if None, by when Airflow has the task time out.
    :param record: What a task has to return so far, completed by what is seen; None to return the status.
    :param end_task: Whether to end the task right here instead of resuming it on a worker.
    :param max_interval: Seconds; where given, the interval doubles from look to look up to this.
    """

    def __init__(
        self,
        campaign_id: str,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        target_statuses: Collection[str] = (CampaignStatus.STOPPED.value,),
        impossible_statuses: Collection[str] | None = None,
        campaign_type: str | None = None,
        poll_interval: float = 30.0,
        for_task: bool = False,
        since: float | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        record: dict[str, Any] | None = None,
        end_task: bool = False,
        max_interval: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.target_statuses = [target_statuses] if isinstance(target_statuses, str) else list(target_statuses)
        self.impossible_statuses = impossible_statuses
        self.campaign_type = campaign_type
        self.poll_interval = poll_interval
        self.for_task = for_task
        self.since = since
        self.timeout = timeout
        self.deadline = deadline
        self.record = record
        self.end_task = end_task
        self.max_interval = max_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        impossible = self.impossible_statuses
        arguments = {
            "campaign_id": self.campaign_id,
            "campaign_conn_id": self.campaign_conn_id,
            "target_statuses": self.target_statuses,
            "impossible_statuses": None if impossible is None else list(impossible),
            "campaign_type": self.campaign_type,
            "poll_interval": self.poll_interval,
            "for_task": self.for_task,
            "since": self.since,
            "timeout": self.timeout,
            "deadline": self.deadline,
            "record": self.record,
            "end_task": self.end_task,
            "max_interval": self.max_interval,
        }
        return f"{CampaignStatusTrigger.__module__}.{CampaignStatusTrigger.__qualname__}", arguments

    @property
    def goal(self) -> Goal:
        """What is waited for."""
        if self.impossible_statuses is None:
            return status_goal(self.target_statuses)
        return Goal(tuple(self.target_statuses), tuple(self.impossible_statuses))

    @property
    def ends_at(self) -> float | None:
        """When the task's wait is over (seconds since the epoch)."""
        cut_off = getattr(self, "timeout_after", None)  # set by Airflow
        if self.timeout is None or self.deadline is not None or cut_off is None:
            return self.deadline
        return float(cut_off.replace(tzinfo=UTC).timestamp()) - TRIGGERER_GRACE

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this trigger alone: on Airflow lines before 3.3, or with an interval that grows."""
        poll = AccountPoll(self.campaign_conn_id)
        async for event in self._events(poll, poll.sightings(self._pauses())):
            yield event

    def shared_stream_key(self) -> Hashable | None:
        """Share one poll with all that wait on the account at the same pace."""
        return None if self.max_interval else (self.campaign_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Sightings]:
        """Poll for all that share the account."""
        trigger = cls(**kwargs)
        poll = AccountPoll.shared(trigger.shared_stream_key(), trigger.campaign_conn_id)
        async for seen in poll.sightings(trigger._pauses()):
            yield seen

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Sightings]) -> AsyncIterator[TriggerEvent]:
        """Pick what concerns this trigger's campaign."""
        poll = AccountPoll.shared(self.shared_stream_key(), self.campaign_conn_id)
        async for event in self._events(poll, shared_stream):
            yield event

    def _pauses(self) -> Iterator[float]:
        """Yield the seconds before each look."""
        yield GATHERING if self.since is None else self.poll_interval * random.uniform(*FIRST_PAUSE)
        for doublings in itertools.count():
            grown = self.poll_interval * 2 ** min(doublings, 32)
            yield min(grown, self.max_interval) if self.max_interval else self.poll_interval

    async def _events(self, poll: AccountPoll, stream: AsyncIterator[Sightings]) -> AsyncIterator[TriggerEvent]:
        try:
            goal = self.goal
        except CampaignConfigError as empty:  # a template rendered to nothing
            yield await self._end(WaitOutcome.of_error(empty))
            return
        wait = Wait(self.campaign_id, goal, self.campaign_type, self.since, self.ends_at, waiter=object())
        with poll.joined(wait):
            if self.for_task:
                yield await self._end(await self._outcome(wait, poll, stream))
                return
            reaching = await Reaching.restored(goal, getattr(self, "asset_state_store", None), self.campaign_id)
            async for seen in stream:
                if error := seen.error_for(self.campaign_id):
                    self.log.error("Nothing is seen of campaign %s: %s", self.campaign_id, error)
                elif (campaign := seen.campaigns.get(self.campaign_id)) and await reaching.by(campaign):
                    yield TriggerEvent(_asset_payload(campaign))  # type: ignore[no-untyped-call]

    async def _outcome(self, wait: Wait, poll: AccountPoll, stream: AsyncIterator[Sightings]) -> WaitOutcome:
        """Wait until there is something to say; the look that begins at the deadline is the last."""
        last = (self.record or {}).get("status", "unknown")
        left = None if wait.deadline is None else max(0.0, wait.deadline - time.time()) + LAST_LOOK
        try:
            async with asyncio.timeout(left):
                async for seen in stream:
                    if error := seen.error_for(self.campaign_id):
                        return WaitOutcome.of_error(error)
                    campaign = seen.campaigns.get(self.campaign_id)
                    if campaign is not None:
                        last = campaign.status
                        if is_reached(campaign, wait.goal, poll.where):
                            return self._reached(campaign)
                    if wait.deadline is not None and seen.began >= wait.deadline:
                        break
        except TimeoutError:
            self.log.warning("The last look at campaign %s was not over in time", self.campaign_id)
        except CampaignError as error:
            return WaitOutcome.of_error(error)
        return WaitOutcome.of_error(timed_out(self.campaign_id, poll.where, wait.goal, last, round(self.timeout or 0)))

    def _reached(self, campaign: Campaign) -> WaitOutcome:
        self.log.info("Campaign %s is %s", campaign.id, campaign.status)
        return WaitOutcome(campaign.status if self.record is None else confirmed(self.record, campaign))

    async def _end(self, outcome: WaitOutcome) -> TriggerEvent:
        """End the task here, if it may, or hand the outcome to a worker."""
        if self.end_task and outcome.error is None and await self._return(outcome.value):
            event = TaskSuccessEvent()
            event.payload = outcome.as_payload()  # ``dags test`` resumes the task even so
            return event
        return TriggerEvent(outcome.as_payload())  # type: ignore[no-untyped-call]

    async def _return(self, value: Any) -> bool:
        """
        Push what the task returns, and tell whether that went well.

        ``TaskSuccessEvent(xcoms=...)`` would do it too, but Airflow 3 then stores it encoded twice, so that the next
        task is given a text of JSON, and passes the XCom backend by.
        """
        task = self.task_instance
        if task is None:  # ``dags test`` on Airflow 2.11
            return False
        names = {"dag_id": task.dag_id, "run_id": task.run_id, "task_id": task.task_id, "map_index": task.map_index}
        try:
            await off_the_loop(XCom.set, key="return_value", value=value, **names)
        except AirflowRuntimeError as error:
            self.log.warning("The XCom can't be pushed here, a worker will do it: %s", error)
            return False
        return True


def _asset_payload(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign_id": campaign.id,
        "status": campaign.status,
        "name": campaign.name,
        "updated_at": campaign.updated_at,
    }
