"""The wait of a deferred task, in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import asdict
from datetime import UTC
from typing import Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_campaign.arguments import check_documented, read_statuses
from airflow_provider_campaign.campaign import Campaign, WaitCondition, status_condition
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.account_poller import AccountSnapshot
from airflow_provider_campaign.operations.wait import LastSeen, PendingWait, is_met, old_news, timeout_error
from airflow_provider_campaign.triggers.base import AccountTrigger
from airflow_provider_campaign.triggers.shared_poll import SharedPoll, run_in_thread
from airflow_provider_campaign.triggers.wait_outcome import WaitOutcome

FINAL_POLL_GRACE = 75.0
"""Seconds after a deadline in which a wait is still read: one window of the platform's limit, and a bit."""

TRIGGERER_GRACE = 120.0
"""Seconds after the deadline before the scheduler ends the wait, should the triggerer not do it."""


class CampaignWaitTrigger(AccountTrigger):
    """
    Wait until a campaign's status is one of the targets, and end the task that waits.

    :param target_statuses: The statuses to wait for, compared without regard to case.
    :param failure_statuses: Those from which no target can come; what the sensor takes for such if None.
    :param timeout: Seconds that the task may take, as messages name them.
    :param deadline: When that time is up (seconds since the epoch); if None, by when Airflow has the task time out.
    :param result: What the task has to return so far, completed by what is seen; None to return the status.
    :param end_task: Whether to end the task right here instead of resuming it on a worker.
    """

    def __init__(
        self,
        campaign_id: str,
        target_statuses: Collection[str],
        timeout: float,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        failure_statuses: Collection[str] | None = None,
        campaign_type: str | None = None,
        poll_interval: float = 30.0,
        max_interval: float | None = None,
        since: float | None = None,
        deadline: float | None = None,
        result: dict[str, Any] | None = None,
        end_task: bool = False,
    ) -> None:
        super().__init__(campaign_id, campaign_conn_id, campaign_type, poll_interval, max_interval, since)
        self.target_statuses = target_statuses if isinstance(target_statuses, str) else list(target_statuses)
        self.timeout = timeout
        self.failure_statuses = None if failure_statuses is None else list(failure_statuses)
        self.deadline = deadline
        self.result = result
        self.end_task = end_task

    @property
    def condition(self) -> WaitCondition:
        """What is waited for; an error if a template rendered to no target at all."""
        targets = read_statuses("target_statuses", self.target_statuses)
        if self.failure_statuses is None:
            return status_condition(targets)
        return WaitCondition(targets, tuple(self.failure_statuses))

    @property
    def ends_at(self) -> float:
        """When the wait is over (seconds since the epoch)."""
        if self.deadline is not None:
            return self.deadline
        cut_off = getattr(self, "timeout_after", None)  # set by Airflow
        if cut_off is None:
            return CampaignHook.clock.time() + self.timeout
        return float(cut_off.replace(tzinfo=UTC).timestamp()) - TRIGGERER_GRACE

    async def events(self, poll: SharedPoll, snapshots: AsyncIterator[AccountSnapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that ends the wait."""
        try:
            ends_at = self.ends_at
            wait = PendingWait(
                self.campaign_id,
                self.condition,
                self.campaign_type,
                self.since,
                ends_at,
                waiter=object(),
                last_seen=self._last_seen,
            )
        except CampaignConfigError as error:
            yield await self._end(WaitOutcome.of_error(error))
            return
        with poll.subscribed(wait):
            outcome = await self._outcome(wait, ends_at, poll, snapshots)
        yield await self._end(outcome)

    @property
    def _last_seen(self) -> LastSeen | None:
        """What the response to a stop or start has shown; None for a sensor's wait."""
        if self.result is None or self.since is None:
            return None
        return LastSeen.in_response(self.result["updated_at"], self.since)

    async def _outcome(
        self, wait: PendingWait, ends_at: float, poll: SharedPoll, snapshots: AsyncIterator[AccountSnapshot]
    ) -> WaitOutcome:
        """Wait until there is something to say. After the deadline it must be read once more."""
        last_status, problem = (self.result or {}).get("status", "unknown"), None
        try:
            async with asyncio.timeout(max(0.0, ends_at - CampaignHook.clock.time()) + FINAL_POLL_GRACE):
                async for snapshot in snapshots:
                    problem = snapshot.problem
                    if poll.platform:
                        check_documented("target_statuses", wait.condition.success, poll.platform, nothing_sent=False)
                    if error := snapshot.error_for(self.campaign_id):
                        return WaitOutcome.of_error(error)
                    if campaign := snapshot.campaigns.get(self.campaign_id):
                        if not wait.accepts(campaign, snapshot.began):
                            problem = old_news(campaign)
                        elif is_met(campaign, wait.condition, poll.description):
                            return self._success(campaign)
                        else:
                            last_status = campaign.status
                        if snapshot.began >= ends_at:
                            break
        except TimeoutError:
            self.log.warning("Campaign %s could not be read after the deadline", self.campaign_id)
        except CampaignError as error:
            return WaitOutcome.of_error(error)
        seconds = round(self.timeout)
        timed_out = timeout_error(self.campaign_id, poll.description, wait.condition, last_status, seconds, problem)
        return WaitOutcome.of_error(timed_out)

    def _success(self, campaign: Campaign) -> WaitOutcome:
        self.log.info("Campaign %s is %s", campaign.id, campaign.status)
        return WaitOutcome(campaign.status if self.result is None else campaign.completing(self.result).as_dict())

    async def _end(self, outcome: WaitOutcome) -> TriggerEvent:
        """End the task here, if it may, or hand the outcome to a worker."""
        if self.end_task and outcome.error is None and await self._push_xcom(outcome.value):
            event = TaskSuccessEvent()
            event.payload = asdict(outcome)  # ``dags test`` resumes the task even so
            return event
        return TriggerEvent(asdict(outcome))  # type: ignore[no-untyped-call]

    async def _push_xcom(self, value: Any) -> bool:
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
            await run_in_thread(XCom.set, key="return_value", value=value, **names)
        except Exception as error:  # noqa: BLE001 whatever an XCom backend raises, a worker may do better
            self.log.warning("The XCom can't be pushed here, a worker will do it: %s", error)
            return False
        return True
