"""Runs of a DAG that sweeps, as Airflow makes them: scheduled, late, retried and deferred, and no waiting."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.task_runs import DagRun, Outcome, TaskRunner
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.kinds import Connect
from tests.odd_texts import check_storable

MONDAY = datetime(2027, 2, 1, tzinfo=UTC)  # no zone that the tests use changes its clock in this month
MAX_SLOT_WAIT = 60.0  # seconds that a deferrable task may keep its slot without sending anything
WINDOW = 60.0  # seconds of Kore.ai's rate limit
HOURS = daily("UTC", ("09:00", "21:00"))
A_MINUTE, A_DAY = timedelta(minutes=1), timedelta(days=1)


def on_monday(time: str) -> datetime:
    """Return a time of the Monday on which most tests begin, such as ``20:55``."""
    hour, minute = map(int, time.split(":"))
    return MONDAY + timedelta(hours=hour, minutes=minute)


END = on_monday("21:00")  # of ``HOURS``


class Dag:
    """A DAG of one task that sweeps, with the same arguments in every run, and what Airflow knows of its runs."""

    def __init__(self, clock: VirtualClock, dag_id: str = "closing", **arguments: Any) -> None:
        self.clock, self.dag_id, self.arguments = clock, dag_id, arguments
        self.runner = TaskRunner(clock)
        self.runner.has_state_store = True

    def scheduled(self, date: datetime) -> Run:
        """Return a run that is scheduled for a date; it begins when a try of it is made."""
        return Run(self, DagRun(self.dag_id, "scheduled", date))

    def triggered(self) -> Run:
        return Run(self, DagRun(self.dag_id, "manual", self.clock.date))

    def sweep(self, **arguments: Any) -> Outcome:
        """Make the first try of a run that is triggered by hand, now."""
        return self.triggered().attempt(**arguments)

    def guard(self, date: datetime, **arguments: Any) -> Outcome:
        """Wait until a date, and make the first try of the run that is scheduled for it."""
        self.clock.go_to(date)
        return self.scheduled(date).attempt(**arguments)


class Run:
    def __init__(self, dag: Dag, dag_run: DagRun) -> None:
        self.dag, self.dag_run, self.date, self.tries = dag, dag_run, dag_run.date, 0
        dag.runner.runs.append(dag_run)

    def attempt(self, *, map_index: int = -1, at: datetime | None = None, **arguments: Any) -> Outcome:
        """Make the next try, now or at a time, through all its deferrals."""
        if at is not None:
            self.dag.clock.go_to(at)
        self.tries += 1
        arguments = {**self.dag.arguments, **arguments, "dag": DAG(self.dag.dag_id, schedule=None)}
        try:
            task = StopActiveCampaignsOperator(task_id="sweep", **arguments)
        except CampaignConfigError as error:  # the DAG can't be read
            return Outcome("failed", error=error)
        outcome = self.dag.runner.attempt(task, self.dag_run, self.tries, map_index)
        assert {*outcome.triggers} <= {"DateTimeTrigger", "TimeDeltaTrigger"}, "it waits in one that is not Airflow's"
        check_storable([outcome.result, *outcome.carried])
        return outcome


Types = tuple[str, ...]
Log = pytest.LogCaptureFixture


class Account(Sandbox):
    """An account that is swept, and what it has received."""

    def use(self, platform: str, connect: Connect) -> Types:
        """Connect to ``v1``, ``v2`` or ``sonarly``, and return the types of its campaigns."""
        is_sonarly = platform == "sonarly"
        connect(self.sonarly_connection() if is_sonarly else self.kore_connection(platform))
        return ("sonarly",) if is_sonarly else ("sms", "voice")

    def add(self, count: int, types: Types = ("sms",), prefix: str = "c", **details: Any) -> None:
        for number in range(count):
            self.add_campaign(f"{prefix}-{number}", types[number % len(types)], **details)

    def received(self, action: str) -> list[ReceivedRequest]:
        return [request for request in self.requests if request.action == action]

    @property
    def stops(self) -> list[str | None]:
        """Whom the requests to stop were about, in their order."""
        return [request.campaign_id for request in self.received("stop")]

    @property
    def asked_about(self) -> set[str | None]:
        """Whom any request was about, lists aside."""
        return {request.campaign_id for request in self.requests if request.campaign_id is not None}

    @property
    def live(self) -> set[str]:
        return {campaign.id for campaign in self.campaigns() if campaign.live}

    def ended_at(self, campaign_id: str) -> datetime:
        """Return when a campaign was last Stopped or Completed."""
        history, clock = self.campaign(campaign_id).history, cast(VirtualClock, self.config.clock)
        at = next(since for since, word in reversed(history) if word in ("Stopped", "Completed"))
        return MONDAY + timedelta(seconds=at - clock.reading(MONDAY))

    @property
    def most_in_a_window(self) -> int:
        """How many requests the platform has received in any sixty seconds."""
        times = sorted(request.at for request in self.requests)
        return max((sum(1 for at in times if since <= at < since + WINDOW) for since in times), default=0)

    def longest_wait_in_slot(self, outcome: Outcome) -> float:
        """Return the longest time that a try kept its slot without sending anything, in seconds."""
        times, gaps = [request.at for request in self.requests], [0.0]
        for began, ended in outcome.in_slot:
            marks = sorted([began, *(at for at in times if began <= at <= ended), ended])
            gaps += [later - earlier for earlier, later in itertools.pairwise(marks)]
        return max(gaps)


def ids(count: int, prefix: str = "c") -> list[str]:
    return sorted(f"{prefix}-{number}" for number in range(count))


def plant(folder: Path, name: str, *campaigns: dict[str, Any], beside: str = "sweep.try1.json") -> None:
    """Put a record beside that of a try, which says that it knows these campaigns, too."""
    [genuine] = folder.rglob(beside)
    record = json.loads(genuine.read_bytes())
    model = record["campaigns"][0]
    record["campaigns"] += [{**model, **campaign} for campaign in campaigns]
    (genuine.parent / name).write_text(json.dumps(record))


PLANTED = {"name": "Sale", "campaign_type": "sms", "status": "Active", "confirmed_at": None}
ATTESTED = {"status": "Stopped", "confirmed_at": "2027-02-01T00:00:00+00:00", "message": "Campaign Stopped"}
