"""A task process that is told to end, the way that each Airflow version tells it; see test_termination.py."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from airflow_provider_campaign.operators.campaign import (
    StopActiveCampaignsOperator,
    StopSmsCampaignOperator,
)
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.sweep.traffic import Traffic

TASKS: dict[str, Callable[[], Any]] = {
    "sweep": lambda: StopActiveCampaignsOperator(task_id="sweep", campaign_types=("sms",)),
    "stop": lambda: StopSmsCampaignOperator(task_id="stop", campaign_id="c-0", poll_interval=60),
    "recorded stop": lambda: StopSmsCampaignOperator(
        task_id="stop", campaign_id="c-0", records_path=os.environ["AIRFLOW__CAMPAIGN__RECORDS_PATH"]
    ),
    "sensor": lambda: CampaignStatusSensor(task_id="sensor", campaign_id="c-0", poke_interval=1),
}


class Terminated(BaseException):
    """What Airflow raises in its signal handler."""


def raise_once_locked(number: int) -> None:
    """Raise when this thread has taken so many conditions' locks since a sweep began to stop, and holds the last."""
    has_begun = False

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal has_begun, number
        has_begun = has_begun or frame.f_code is Traffic.send.__code__
        if has_begun and event == "return" and frame.f_code is threading.Condition.__enter__.__code__:
            number -= 1
            if not number:
                raise Terminated

    sys.setprofile(profile)


def run(name: str, how: str, environment: Mapping[str, str]) -> None:
    """Run a task until its end."""
    os.environ.update(environment)
    task = TASKS[name]()

    def terminate(*_: object) -> None:
        if how == "on_kill and go on":  # Airflow 3
            task.on_kill()
        elif how == "on_kill and raise":  # Airflow 2.11
            task.on_kill()
            raise Terminated
        else:  # an execution_timeout: on_kill comes when ``execute`` is left
            raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    if how.isdecimal():
        raise_once_locked(int(how))
    try:
        task.execute({})
    except Terminated:
        task.on_kill()
        raise
