"""Handing a wait over to the triggerer."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_campaign.triggers.campaign import TRIGGERER_GRACE, CampaignStatusTrigger


def defer_wait(task: BaseOperator, seconds: float, seen: bool, **wait: Any) -> NoReturn:
    """
    Defer a task that has just looked at its campaign.

    :param task: An operator or sensor with the method ``execute_complete``.
    :param seconds: How long the wait may take.
    :param seen: Whether it saw the campaign, short of the target.
    :param wait: The other arguments of :class:`CampaignStatusTrigger`.
    """
    now = time.time()
    task.defer(
        trigger=CampaignStatusTrigger(
            for_task=True,
            since=now if seen else None,
            timeout=seconds,
            deadline=now + seconds,
            end_task=ends_in_trigger(task),
            **wait,
        ),
        method_name="execute_complete",
        timeout=timedelta(seconds=seconds + TRIGGERER_GRACE),
    )
    raise AssertionError("defer never returns")


def ends_in_trigger(task: BaseOperator) -> bool:
    """
    Tell whether the trigger may end the task without a worker, because a worker would have nothing left to do.

    A task that resumes on a worker right after it was deferred can be failed by a stale event of the executor
    (apache/airflow issues 66374, 67287, 72716); one that its trigger ends can not.
    """
    left_to_do = (
        task.outlets,
        task.on_success_callback,
        getattr(task, "_post_execute_hook", None),
        type(task).post_execute is not BaseOperator.post_execute,
        not task.do_xcom_push,
        task.multiple_outputs,
    )
    return not any(left_to_do)
