"""Handing the wait for a campaign's status over to the triggerer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.triggers.wait import TRIGGERER_GRACE, CampaignWaitTrigger
from airflow_provider_campaign.version_compat import has_post_execute

MIN_DEFERRAL = 10.0
"""Seconds for which a task stays deferred: one that resumes sooner can be failed by a stale event of the executor."""

RESUME_TIME = 30.0
"""Seconds that a deferred task is given to get a worker, before its next step or its last attempt is due."""


def defer_wait(
    task: BaseOperator,
    seconds: float,
    *,
    timeout: float,
    is_seen: bool,
    resume_with: dict[str, Any] | None = None,
    **wait: Any,
) -> NoReturn:
    """
    Defer a task that has just polled its campaign.

    :param task: An operator or sensor with the method ``execute_complete``.
    :param seconds: How long the wait may take.
    :param timeout: How long the task was given in all, as messages name it.
    :param is_seen: Whether it saw the campaign, short of the target.
    :param resume_with: What ``execute_complete`` is given on a worker, where it has something left to do.
    :param wait: The other arguments of :class:`CampaignWaitTrigger`.
    """
    now = CampaignHook.clock.time()
    task.defer(
        trigger=CampaignWaitTrigger(
            since=now if is_seen else None,
            timeout=timeout,
            deadline=now + seconds,
            end_task=resume_with is None and can_finish_in_triggerer(task),
            **wait,
        ),
        method_name="execute_complete",
        kwargs=resume_with,
        timeout=timedelta(seconds=seconds + TRIGGERER_GRACE),
    )
    raise AssertionError("defer never returns")


def can_finish_in_triggerer(task: BaseOperator) -> bool:
    """
    Tell whether the trigger may end the task without a worker, because a worker would have nothing left to do.

    A task that resumes on a worker right after it was deferred can be failed by a stale event of the executor
    (apache/airflow issues 66374, 67287, 72716); one that its trigger ends can not.
    """
    package = __name__.partition(".")[0]
    execute_complete = getattr(type(task), "execute_complete", None)
    left_to_do = (
        task.outlets,
        task.on_success_callback,
        has_post_execute(task),
        not task.do_xcom_push,
        task.multiple_outputs,
        getattr(execute_complete, "__module__", "").partition(".")[0] != package,  # a subclass has its own
    )
    return not any(left_to_do)
