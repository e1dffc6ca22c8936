"""The page docs/what-happens-when.md says what is really seen: each row is played here, or names the test that does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.campaign import (
    DeleteSmsCampaignOperator,
    StartSmsCampaignOperator,
    StopActiveCampaignsOperator,
    StopCampaignOperator,
    StopSmsCampaignOperator,
)
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.calling_hours import daily
from tests.certificates import Authority
from tests.kinds import SILENT, Connect
from tests.servers import RawServer

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "what-happens-when.md").read_text()
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


class Row(dict[str, str]):
    """A row of one of the page's tables: its cells, by the head of their column."""

    @property
    def name(self) -> str:
        return self.get("what happened") or self["what is wrong"]

    @property
    def faults(self) -> list[str]:
        return re.findall("`(.*?)`", self.get("fault", ""))

    @property
    def quotes(self) -> list[str]:
        return re.findall("`([^`]*)`", self.get("message", ""))


def rows() -> Iterator[Row]:
    heads: list[str] = []
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in LINK.sub(r"\1", line).strip("| ").split(" | ")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif "---" not in line:
            yield Row(zip(heads, cells, strict=True))


ROWS = {row.name: row for row in rows()}
SEEN = {name: row for name, row in ROWS.items() if "message" in row}


class Place(NamedTuple):
    """Where a scene is played: an account on the sandbox, by a clock that needs no waiting."""

    sandbox: Sandbox
    connect: Connect
    clock: VirtualClock
    folder: Path


@pytest.fixture
def place(clock: VirtualClock, connect: Connect, tmp_path: Path) -> Iterator[Place]:
    with Sandbox(clock=clock) as sandbox:
        yield Place(sandbox, connect, clock, tmp_path)


Scene = Callable[[Place], object]
TASK: dict[str, Any] = {"task_id": "task", "campaign_id": "cd-1"}
NO_CONTEXT: Any = {}
RETRY: Any = {"ti": SimpleNamespace(try_number=2)}


def task(kind: type[Any], context: Any = NO_CONTEXT, **arguments: Any) -> Callable[[], object]:
    """Return what a task on the campaign of the scene does."""
    fixed = {"task_id": "task"} if kind is StopActiveCampaignsOperator else TASK
    return lambda: kind(**{**fixed, **arguments}).execute(context)


stop = task(StopSmsCampaignOperator)
sweep = task(StopActiveCampaignsOperator, timeout=100)


def scene(
    act: Callable[[], object] = stop,
    *faults: Fault,
    connection: dict[str, Any] | None = None,
    before: Callable[[Place], object] = lambda place: None,
    **campaign: Any,
) -> Scene:
    """Return a scene: a campaign, what fails, what else is the case before, and what is done then."""

    def play(place: Place) -> object:
        usual, other = place.sandbox.kore_connection(), connection or {}
        place.connect({**usual, **other, "extra": {**usual["extra"], **other.get("extra", {})}})
        place.sandbox.add_campaign("cd-1", **campaign)
        for fault in faults:
            place.sandbox.add_fault(fault)
        before(place)
        return act()

    return play


IMPATIENT: dict[str, Any] = {"extra": {"retry_budget": 1}}


def failing(fault: str) -> Scene:
    """Return the scene in which a stop meets a fault that lasts, except the one that is over once it was met."""
    impatient = {"timeout": 0.2 if fault in (*SILENT, "slow") else 30, "retry_budget": 1}
    lasting = Fault(fault, action="stop", count=1 if fault == "lost" else None)
    return scene(stop, lasting, connection={"extra": impatient})


def is_older(place: Place) -> None:
    place.sandbox.config.status_lag = 60
    place.clock.advance(60)
    place.sandbox.set_status("cd-1", "Active")


def is_completed_meanwhile(place: Place) -> None:
    place.clock.at(20, lambda: place.sandbox.set_status("cd-1", "Completed"))


def is_open_again(verified: int, scheduled: int = 3) -> Scene:
    """Begin a run, scheduled hours ago, within the calling hours; the last successful one was hours before, too."""

    def play(place: Place) -> object:
        now, hour = place.clock.date, timedelta(hours=1)
        hours = daily("UTC", (f"{now - hour:%H:%M}", f"{now + 9 * hour:%H:%M}"))
        dates = {"data_interval_end": scheduled, "prev_data_interval_end_success": verified}
        context: Any = {name: now - hours_ago * hour for name, hours_ago in dates.items()}
        context |= {"dag_run": SimpleNamespace(run_type="scheduled"), "ti": None}
        return scene(task(StopActiveCampaignsOperator, context, calling_hours=hours))(place)

    return play


def is_redialing(place: Place) -> None:
    place.sandbox.add_campaign("cd-9")
    place.sandbox.set_status("cd-9", "Redialing", documented=False)


def is_not_trusted(place: Place) -> object:
    with RawServer(lambda connection: None, Authority(place.folder).server_context()) as server:
        return scene(connection={"host": server.url})(place)


def guarded(hours: dict[str, Any], context: Any = NO_CONTEXT) -> Scene:
    return scene(task(StartSmsCampaignOperator, context, calling_hours=hours))


def rotated(**extra: Any) -> Scene:
    """Return the scene in which the platform has new credentials before its first response, and the connection, too."""

    def rotate(place: Place) -> None:
        place.sandbox.config.client_secret = "a-new-secret-" * 8
        connection = place.sandbox.kore_connection()
        place.connect({**connection, "extra": {**connection["extra"], **extra}})

    return scene(connection=IMPATIENT, before=lambda place: place.sandbox.on_request(lambda _: rotate(place)))


SCENES: dict[str, tuple[Scene, ...]] = {
    **{row.name: tuple(failing(fault) for fault in row.faults) for row in ROWS.values() if row.faults},
    "The platform could not be reached": (
        scene(connection=IMPATIENT, before=lambda place: place.sandbox.stop()),
        scene(connection={"host": "https://nobody.invalid", **IMPATIENT}),
    ),
    "The credentials were refused, but the connection has others by now": (rotated(),),
    "The credentials were refused, and the connection is to another account by now": (rotated(account_id="other"),),
    "The credentials were refused, and the connection can't be looked up again, or has a wrong field": (
        rotated(iid=7),
    ),
    "It had been stopped, or had completed, before": (scene(status="Stopped"), scene(status="Completed")),
    "It has not started: it is Ready, Scheduled, or Rescheduled": (scene(status="Scheduled"),),
    "It did not stop in time": (scene(task(StopSmsCampaignOperator, timeout=60), stoppable=False),),
    "It reads as stopped, but that may be older than the stop, and the time ran out": (
        scene(task(StopSmsCampaignOperator, timeout=20), before=is_older, status="Stopped", stop_delay=100),
    ),
    "A start with `calling_hours` ran outside of them, or in their last five minutes": (guarded({"open": False}),),
    "A retry of a start found the campaign live outside its calling hours": (guarded({"open": False}, RETRY),),
    "No rule of a start's `calling_hours` matches the campaign": (guarded({"open": True, "name_pattern": "?"}),),
    "It completed before a start was verified": (
        scene(task(StartSmsCampaignOperator), before=is_completed_meanwhile, status="Ready", start_delay=60),
    ),
    "It can no longer reach the awaited status": (scene(task(CampaignStatusSensor), status="Completed"),),
    "A stop, start, or delete got a 404, but the status read shows the campaign": tuple(
        scene(task(kind), campaign_type="voice")
        for kind in (StopSmsCampaignOperator, StartSmsCampaignOperator, DeleteSmsCampaignOperator)
    ),
    "It was live when it was deleted": (scene(task(DeleteSmsCampaignOperator)),),
    "A deferred task resumed with data that this version does not understand": (
        scene(lambda: StopSmsCampaignOperator(**TASK).execute_complete({}, {"status": "Stopped"})),
    ),
    "It was deleted while a task waited for it": (
        scene(stop_delay=300, before=lambda place: place.clock.at(30, lambda: place.sandbox.remove_campaign("cd-1"))),
    ),
    "It left some campaigns": (scene(sweep, stoppable=False),),
    "The whole account refused all stops, or its lists": (scene(sweep, Fault("forbidden", action="stop", count=None)),),
    "Everything that the run was scheduled to close was open again when it began, and was verified": (
        is_open_again(3),
    ),
    "The same, and no run has verified that end": (is_open_again(30),),
    "An end has passed since the last successful run, and the hours have started again": (is_open_again(30, 0),),
    "A listing failed": (scene(sweep, Fault("error", action="list", skip=2)),),
    "No listing succeeded until the end": (scene(sweep, Fault("error", action="list", skip=2, count=None)),),
    "A list contradicts itself, or has an unreadable row": (
        scene(sweep, Fault("contradiction", how="short", count=None)),
        scene(sweep, Fault("unreadable_row", campaign_id="cd-1", count=None)),
    ),
    "A page of a list was refused, longer than 8 MiB, or too slow": (
        scene(sweep, Fault("bad_request", rows=50, count=None)),
    ),
    "The stop of one campaign was refused again and again (400, 401, 403, 404, 409) while a list shows it as live": (
        scene(sweep, Fault("not_found", action="stop", campaign_id="cd-1", count=None)),
    ),
    "A live campaign is in an undocumented status": (scene(sweep, before=is_redialing),),
    "A campaign was started again after its stop was requested": (
        scene(
            sweep, before=lambda place: place.sandbox.add_campaign("slow", stop_delay=60), restarts=1, restart_delay=5
        ),
    ),
    "A field of the connection is missing or wrong": (scene(connection={"extra": {"iid": None}}),),
    "There is no such connection, or a place that may have it did not answer": (
        scene(task(StopSmsCampaignOperator, campaign_conn_id="nobody")),
    ),
    "The connection is of another type": (scene(connection={"conn_type": "http"}),),
    "`http://` to a host that is not this machine": (scene(connection={"host": "http://campaigns.example"}),),
    "The host's certificate is not trusted": (is_not_trusted,),
    "A campaign id that is empty, `None`, or looks like a path": tuple(
        scene(task(StopSmsCampaignOperator, campaign_id=campaign_id)) for campaign_id in ("", "None", "../cd-1")
    ),
    "Kore.ai without a campaign type": (scene(task(StopCampaignOperator)),),
    "An argument is unreadable, or would leave nothing to do": (scene(task(StopActiveCampaignsOperator, statuses=[])),),
    "A template that rendered to nothing": tuple(
        scene(task(StopSmsCampaignOperator, campaign_conn_id=rendered)) for rendered in ("None", "")
    ),
    "An action that the platform does not have": (
        scene(
            lambda: CampaignHook.for_conn_id("campaign_default").get_conn().switch_schedule_off("Evening"),
            before=lambda place: place.connect(place.sandbox.sonarly_connection()),
        ),
    ),
}
ELSEWHERE = {
    "The platform could not be reached",
    "A proxy refused, did not answer, or is a SOCKS proxy",
    "The account was rate-limited until the time ran out (deferrable)",
    "A delete was tried again, and the campaign is not there",
    "A deferred sweep resumed with data that this version does not understand",
    "The connection, or which campaigns to stop, changed while a sweep was deferred",
}
"""What tests in other places see, where no sandbox is: each quotes what the row does."""

BECOMES = {
    "A DAG is paused, or a connection id is mistyped": "test_an_account_without_records",
    "A sweep was a dry run, or its scope left campaigns out": "test_each_closing_of_a_month",
    "A run came late, or failed": "test_each_closing_of_a_month",
    "A campaign was started after its closing": "test_each_closing_of_a_month",
    "A record was changed or removed": "test_a_record_that_is_changed_or_missing",
    "A campaign was started while closed, and no part of Airflow runs": "test_a_paused_dag_is_4",
    "The DAG is paused, or the scheduler is dead": "test_a_paused_dag_is_4",
    "A run left a record that verifies no end": "test_a_record_that_verifies_nothing_is_4",
    "An account can't be listed": "test_an_account_that_can_not_be_listed_is_no_all_clear",
    "The records path can't be written": "test_a_records_path_that_cannot_be_written_fails",
    "The task is ended by SIGTERM or its `execution_timeout`": "test_a_sweep_in_the_middle_of_its",
    "The worker is killed between request and response": "test_what_a_killed_task_had",
    "The task's process alone is killed, for example when memory runs out": "test_what_a_killed_task_had",
    "The triggerer is killed": "test_waits_survive_the_loss_of_the_triggerer",
    "A deferred task's connection can't be looked up, or is not there": "test_a_connection_that_can",
    "The scheduler or the database restarts": "test_a_sweep_goes_on_while_a_part_of_airflow",
    "A sweep is killed": "test_a_sweep_that_is_killed_in_the_middle",
}
"""How the name of the test begins that sees what becomes of a task."""


def test_every_row_has_its_scene_or_its_test() -> None:
    assert SEEN.keys() == {*SCENES, *ELSEWHERE}
    assert ROWS.keys() - SEEN.keys() == BECOMES.keys()
    assert {fault for row in ROWS.values() for fault in row.faults} == FAULT_KINDS.keys()
    assert all(row.quotes or next(iter(row.values())).startswith(("none", "the ")) for row in SEEN.values())
    assert {name for name, test in BECOMES.items() if f"\ndef {test}" not in other_tests()} == set()


@cache
def other_tests() -> str:
    paths = (path for path in (REPOSITORY / "tests").rglob("test_*.py") if path != Path(__file__))
    return "".join(path.read_text() for path in paths)


CASES = [
    (name, plays)
    for name, row in SEEN.items()
    for plays in ([(play,) for play in SCENES[name]] if row.faults else [SCENES.get(name, ())])
]
"""Each row with its scenes; one with several faults is played for each, and each shows all that the row quotes."""


@pytest.mark.parametrize(("name", "plays"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_messages_and_retries_are_as_documented(
    place: Place, empty_database: None, caplog: pytest.LogCaptureFixture, name: str, plays: tuple[Scene, ...]
) -> None:
    row, seen = SEEN[name], other_tests() if name in ELSEWHERE else ""
    for play in plays:
        place.sandbox.reset()
        error, result = outcome_of(play, place)
        seen += f"{error!s}\n{type(error).__name__}\n"
        for key, value in result.items() if isinstance(result, dict) else ():
            seen += f"{key}: {json.dumps(value)}\n{value}\n"
        if "tried again" in row:
            check_tried_again(row["tried again"], error)
        else:
            assert isinstance(error, CampaignConfigError), error
            assert place.sandbox.requests == []
    seen += caplog.text
    assert [quote for quote in row.quotes if quote not in seen] == []


def outcome_of(play: Scene, place: Place) -> tuple[BaseException | None, Any]:
    try:
        return None, play(place)
    except (CampaignError, AirflowSkipException) as error:
        return error, None


def check_tried_again(says: str, error: BaseException | None) -> None:
    """Compare what a row says of retries with what Airflow makes of the error."""
    if "by Airflow" in says:
        assert isinstance(error, CampaignError)
        assert not isinstance(error, AirflowFailException)
    elif says.endswith("no"):
        assert isinstance(error, AirflowFailException)
    else:
        assert error is None or isinstance(error, AirflowSkipException)


def test_the_example_of_a_message_is_a_real_one(place: Place) -> None:
    (example,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert " ".join(example.split()) == str(outcome_of(failing("forbidden"), place)[0])
