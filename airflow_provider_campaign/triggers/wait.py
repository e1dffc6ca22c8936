"""The wait of a deferred task: how a task hands it to the triggerer, and gets its outcome back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator, XCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.arguments import read_statuses
from airflow_provider_campaign.campaign import Campaign, WaitCondition, status_condition
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.triggers.base import AccountTrigger, SharedPoll, run_in_thread
from airflow_provider_campaign.waiting.pending import PendingWait, Snapshot

FINAL_POLL_GRACE = 75.0  # seconds after a deadline in which a wait is read: a window of the platform's limit, and a bit
TRIGGERER_GRACE = 120.0  # seconds after the deadline before the scheduler ends the wait, should the triggerer not do it

Value = TypeVar("Value", str, dict[str, Any])


def event_payload(value: Any = None, error: CampaignError | None = None) -> dict[str, Any]:
    """Return what an event carries: the value that the task returns, or the error that it would have raised."""
    return {"value": value, "error": error and type(error).__name__, "message": str(error or "")}


def value_of(payload: Any, kind: type[Value]) -> Value:
    """
    Return the value that an event carries: the status of a sensor, or the result of a stop or start.

    :raises CampaignError: What ended the wait; or, for a retry, when the event carries anything else: what is unknown
        is no success.
    """
    match payload:
        case {"error": str(name), "message": str(message)}:
            raise getattr(exceptions, name if name in exceptions.__all__ else CampaignError.__name__)(message)
        case {"error": None, "value": value} if isinstance(value, kind):
            if isinstance(value, str) or value.keys() >= Campaign("", "").as_dict().keys():
                return value
    raise CampaignError(
        f"The wait ended with an unreadable event: {payload!r:.300}. Whether the campaign has reached its status "
        "is not known: look at it in the platform's console, or clear the task, which reads the status first."
    )


@dataclass(eq=False, repr=False)
class CampaignWaitTrigger(AccountTrigger):
    """
    Wait until a campaign's status is one of the targets, and end the task that waits.

    :param target_statuses: The statuses to wait for, compared without regard to case.
    :param timeout: Seconds that the task may take, as messages name them.
    :param failure_statuses: Those from which no target can come; what the sensor takes for such if None.
    :param deadline: The end of that time (seconds since the epoch); if None, by when Airflow has the task time out.
    :param result: What the task has to return so far, completed by what is seen; None to return the status.
    :param end_task: Whether to end the task right here instead of resuming it on a worker.
    """

    campaign_id: str
    target_statuses: Collection[str]
    timeout: float
    campaign_conn_id: str = CampaignHook.default_conn_name
    failure_statuses: Collection[str] | None = None
    campaign_type: str | None = None
    poll_interval: float = 30.0
    since: float | None = None
    deadline: float | None = None
    result: dict[str, Any] | None = None
    end_task: bool = False

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    async def events(self, poll: SharedPoll, snapshots: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        try:
            wait = self._wait(SYSTEM_CLOCK.time())
            with poll.subscribed(wait):
                campaign = await self._reached(wait, poll, snapshots)
            self.log.info("Campaign %s is %s", campaign.id, campaign.status)
            value = campaign.status if self.result is None else campaign.completing(self.result).as_dict()
        except CampaignError as error:
            yield TriggerEvent(event_payload(error=error))  # type: ignore[no-untyped-call]
            return
        if self.end_task and await self._push_xcom(value):
            event = TaskSuccessEvent()
            event.payload = event_payload(value)  # ``dags test`` resumes the task even so
            yield event
        else:
            yield TriggerEvent(event_payload(value))  # type: ignore[no-untyped-call]

    def _wait(self, now: float) -> PendingWait:
        """Return what is waited for; raise if a template rendered to no target at all."""
        targets, failures = read_statuses("target_statuses", self.target_statuses), self.failure_statuses
        condition = status_condition(targets) if failures is None else WaitCondition(targets, tuple(failures))
        ends_at = self.deadline
        if ends_at is None:
            cut_off = getattr(self, "timeout_after", None)  # set by Airflow
            ends_at = cut_off.replace(tzinfo=UTC).timestamp() - TRIGGERER_GRACE if cut_off else now + self.timeout
        wait = PendingWait(self.campaign_id, condition, self.campaign_type, deadline=ends_at)
        if self.result is not None:
            wait.last_status = self.result.get("status")
            wait.acted_at, wait.changed_at = self.since, seconds_of(self.result["updated_at"])
        return wait

    async def _reached(self, wait: PendingWait, poll: SharedPoll, snapshots: AsyncIterator[Snapshot]) -> Campaign:
        """Return the campaign once it has reached a target. After the deadline it must be read once more."""
        deadline = wait.deadline or 0.0
        try:
            async with asyncio.timeout(max(0.0, deadline - SYSTEM_CLOCK.time()) + FINAL_POLL_GRACE):
                async for snapshot in snapshots:
                    if campaign := wait.reached(snapshot, poll.description):
                        return campaign
                    if self.campaign_id in snapshot.campaigns and snapshot.began >= deadline:
                        break
        except TimeoutError:
            self.log.warning("Campaign %s could not be read after the deadline", self.campaign_id)
        raise wait.timed_out(round(self.timeout), poll.description)

    async def _push_xcom(self, value: Any) -> bool:
        """Push what the task returns, and return whether that went well."""
        # With TaskSuccessEvent(xcoms=...) Airflow 3 stores it encoded twice, and passes the XCom backend by.
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


def defer_wait(
    task: BaseOperator, seconds: float, *, resume_with: dict[str, Any] | None = None, **wait: Any
) -> NoReturn:
    """
    Defer a task that has just polled its campaign, and that has the method ``execute_complete``.

    :param resume_with: What ``execute_complete`` is given on a worker, if there is something left to do.
    :param wait: The other arguments of :class:`CampaignWaitTrigger`.
    """
    now, end_task = SYSTEM_CLOCK.time(), resume_with is None and can_finish_in_triggerer(task)
    task.defer(
        trigger=CampaignWaitTrigger(since=now, deadline=now + seconds, end_task=end_task, **wait),
        method_name="execute_complete",
        kwargs=resume_with,
        timeout=timedelta(seconds=seconds + TRIGGERER_GRACE),
    )
    raise AssertionError("defer never returns")


def can_finish_in_triggerer(task: BaseOperator) -> bool:
    """
    Return whether the trigger may end the task, because a worker would have nothing left to do.

    A task that resumes on a worker right after it was deferred can be failed by a stale event of the executor
    (apache/airflow issues 66374, 67287, 72716); one that its trigger ends can not.
    """
    overrides_post_execute = type(task).post_execute is not BaseOperator.post_execute
    has_post_execute = overrides_post_execute or getattr(task, "_post_execute_hook", None) is not None
    execute_complete = getattr(type(task), "execute_complete", None)
    completes_itself = not getattr(execute_complete, "__module__", "").startswith("airflow_provider_campaign.")
    has_callbacks = bool(task.outlets or task.on_success_callback or has_post_execute)
    return task.do_xcom_push and not (has_callbacks or completes_itself or task.multiple_outputs)
