"""An argument that would quietly make a task do nothing is an error, before anything is sent."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException
from airflow.serialization import serialized_objects

from airflow_provider_campaign.arguments import EVIDENCE
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.operators import campaign
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from tests.commands import Command
from tests.kinds import Connect

HOURS = {"frequency": "DAILY", "timezone": "America/New_York", "days": [{"start": "8:00 AM", "end": "9:00 PM"}]}
UNRENDERED = "{{ params.x }}"


class Argument(NamedTuple):
    """What an argument takes and what it does not."""

    good: tuple[Any, ...]
    bad: tuple[Any, ...]  # also as what a template renders to
    unknown: tuple[Any, ...] = ()  # what is refused once the platform is known


RECORDS_PATH = f"file://{tempfile.gettempdir()}/campaign-records"
BOOLEAN = Argument(
    (True, False, "true", "False", "YES", "no", "1", "0", "on", "Off"), ("", "maybe", "None", None, 2, [], UNRENDERED)
)
SECONDS = Argument((300, 0.5, "300", timedelta(minutes=5)), (0, -1, "soon", "", None, True, [], float("nan")))
ARGUMENTS = {
    "campaign_id": Argument(("cd-1", "7", 7), ("", " ", "None", None, 7.5, True, "a/b", "..", [], UNRENDERED)),
    "campaign_conn_id": Argument(("campaign_default", " campaign_default\t"), ("", "None", None, 7, UNRENDERED)),
    "campaign_type": Argument(("sms",), ("", "None", 7, UNRENDERED), ("email",)),
    "campaign_types": Argument(
        (["sms"], ("sms", "voice"), "sms", "sms, voice", "['sms', 'voice']", '["sms"]'),
        ("", "None", None, [], "[]", {}, "{}", 7, [None], ["sms", ""], "['sms'", UNRENDERED),
        ("email",),
    ),
    "statuses": Argument(
        (["Active"], "active, PREPARING", "['Paused']"),
        ("", "None", None, [], {}, 7, "Stopped", ["Active", "completed"], UNRENDERED),
        (["Activ"], "Activ"),
    ),
    "name_pattern": Argument(
        ("Evening *", "[ab]*", "[[]x]"), ("", " ", "None", 7, [], "E [", "A*,B*", ["A*|B*"], UNRENDERED)
    ),
    "campaign_ids": Argument((["cd-1"], ("cd-1",), "cd-1", "['cd-1', 'cd-1']", "*"), ([], "[]", {}, 7.5)),
    "dry_run": BOOLEAN,
    "reason": Argument(("complaint", "", "None", 7, None, "x" * 10_000, "a\n\x1b\ud800", UNRENDERED), ()),
    "records_path": Argument((RECORDS_PATH,), ("", " ", "None", 7, "records", "file://mnt/records", "://x")),
    "ignore_missing": BOOLEAN,
    "stop_first": BOOLEAN,
    "wait_for_completion": BOOLEAN,
    "deferrable": Argument((False, "false", "no"), BOOLEAN.bad),
    "switch_schedules_off": Argument((False, "false", "no"), BOOLEAN.bad),  # True needs calling hours
    "margin": Argument((0, "0", timedelta(0), *SECONDS.good), SECONDS.bad[1:]),
    "look_ahead": Argument((0, timedelta(hours=2), *SECONDS.good), SECONDS.bad[1:]),
    "start_from_trigger": Argument((False, "no"), BOOLEAN.bad),
    "poll_interval": Argument((1, 30, "30", timedelta(seconds=30)), (0.5, *SECONDS.bad)),
    "timeout": SECONDS,
    "target_statuses": Argument(
        (["Stopped"], "stopped, Completed", "['Stopped']"), ("", "None", None, [], {}, 7, UNRENDERED), (["Stoped"],)
    ),
    "calling_hours": Argument(
        (HOURS, json.dumps(HOURS), str(HOURS)),
        ("", "None", 7, [], {}, "9 to 5", {**HOURS, "timezone": "EST"}, UNRENDERED),
    ),
}
SINGLE = {"campaign_id": "cd-1"}
OPERATORS: dict[type[Any], dict[str, Any]] = {
    campaign.StopCampaignOperator: {**SINGLE, "campaign_type": "sms"},
    campaign.StartCampaignOperator: {**SINGLE, "campaign_type": "sms"},
    campaign.DeleteCampaignOperator: {**SINGLE, "campaign_type": "sms"},
    CampaignStatusSensor: SINGLE,
    campaign.StopActiveCampaignsOperator: {},
}
CASES = [(operator, name) for operator in OPERATORS for name in operator.readers]
each_case = pytest.mark.parametrize(
    ("operator", "name"), CASES, ids=lambda part: part if isinstance(part, str) else part.__name__
)


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection())
    return sandbox


def build(operator: type[Any], **arguments: Any) -> Any:
    return operator(task_id="task", **{**OPERATORS[operator], **arguments})


def run(task: Any, **params: Any) -> Any:
    """Render a task's templates and execute it, as Airflow does."""
    task.render_template_fields({"params": params})
    return task.execute({})


def settle(sandbox: Sandbox, operator: type[Any]) -> None:
    """Put the campaign into the state in which the operator has nothing to wait for."""
    sandbox.reset()
    status = "Ready" if operator is campaign.StartCampaignOperator else "Stopped"
    for campaign_id in ("cd-1", "7"):
        sandbox.add_campaign(campaign_id, status="Active" if operator is campaign.StopCampaignOperator else status)


def refused(name: str, act: Callable[[], object]) -> None:
    with pytest.raises(CampaignConfigError) as caught:
        act()
    assert re.search(rf"{name}|callingHours|campaigns of type", str(caught.value)), caught.value


@each_case
def test_what_is_wrong_is_refused_before_anything_is_sent(sandbox: Sandbox, operator: type[Any], name: str) -> None:
    settle(sandbox, operator)
    is_template = name in operator.template_fields and name not in EVIDENCE
    if name not in operator.template_fields:
        refused(name, lambda: build(operator, **{name: "{{ params.x }}"}))
    for value in (*ARGUMENTS[name].bad, *ARGUMENTS[name].unknown):
        refused(name, lambda value=value: build(operator, **{name: value}).execute({}))  # type: ignore[misc]
        if is_template and isinstance(value, str | None) and value != UNRENDERED:
            task = build(operator, **{name: "{{ params.x }}"})
            refused(name, lambda task=task, value=value: run(task, x=value))  # type: ignore[misc]
    if is_template:  # what renders to None is no argument that was left out
        with DAG("native", schedule=None, render_template_as_native_obj=True):
            task = build(operator, **{name: "{{ params.x }}"})
        refused(name, lambda: run(task, x=None))
    assert sandbox.requests == []


@each_case
def test_what_is_right_is_taken_as_it_is_and_from_a_template(sandbox: Sandbox, operator: type[Any], name: str) -> None:
    for value in ARGUMENTS[name].good:
        settle(sandbox, operator)
        task = build(operator, **{name: value})
        if name in operator.template_fields:
            task = build(operator, **{name: "{{ params.x }}"})
        with suppress(AirflowSkipException):  # a start outside of the calling hours that it has read
            run(task, x=value)


@pytest.mark.parametrize("name", inspect.signature(CampaignStatusTrigger).parameters)
def test_a_watcher_takes_what_the_others_take(name: str) -> None:
    assert CampaignStatusTrigger("cd-1")
    for value in ARGUMENTS[name].good:
        CampaignStatusTrigger(**{"campaign_id": "cd-1", name: value})
    for value in ARGUMENTS[name].bad:
        refused(name, lambda value=value: CampaignStatusTrigger(**{"campaign_id": "cd-1", name: value}))  # type: ignore[misc]


USES = {
    "live --conn-id": "campaign_conn_id",
    "live --campaign-types": "campaign_types",
    "live --statuses": "statuses",
    "live --name-pattern": "name_pattern",
    "live --timeout": "timeout",
    "stop-active --yes --statuses": "statuses",
    "status": "campaign_id",
    "stop --campaign-type sms": "campaign_id",
    "stop cd-1 --campaign-type": "campaign_type",
}
"""Which argument of an operator follows the first words of a command."""


@pytest.mark.parametrize("use", USES)
def test_a_command_takes_what_the_others_take(sandbox: Sandbox, command: Command, use: str) -> None:
    argument = ARGUMENTS[USES[use]]
    for values, status in ((argument.good, 0), ((*argument.bad, *argument.unknown), 2)):
        for value in (each for each in values if isinstance(each, str)):
            settle(sandbox, campaign.StopCampaignOperator)
            shown = command(*use.split(), value)
            assert shown.status == status, value
            assert status == 0 or ("Nothing was sent" in shown.stderr and sandbox.requests == [])


def test_the_table_has_every_argument() -> None:
    assert {name for operator in OPERATORS for name in operator.readers} == ARGUMENTS.keys()
    for operator in OPERATORS:
        assert {*operator.template_fields} <= {*operator.readers}


@pytest.mark.parametrize("action", ["Stop", "Start", "Delete"])
def test_an_operator_of_one_type_takes_no_other(action: str) -> None:
    for own, other in (("Sms", "voice"), ("Voice", "sms")):
        name = f"{action}{own}CampaignOperator"
        with pytest.raises(CampaignConfigError, match=f"campaign_type is '{other}', but {name} is for"):
            getattr(campaign, name)(task_id="task", campaign_id="cd-1", campaign_type=other)


def test_a_mistyped_status_of_kores_gets_the_word_that_was_meant(sandbox: Sandbox) -> None:
    with pytest.raises(CampaignConfigError, match=r"'Stoped', which is no status of Kore\.ai.*Did you mean Stopped\?"):
        CampaignStatusSensor(task_id="task", campaign_id="cd-1", target_statuses=["Stoped"]).execute({})


def test_airflow_can_still_print_what_a_task_would_render(sandbox: Sandbox) -> None:
    """``airflow tasks test --dry-run`` calls a method that has the argument's name."""
    task = campaign.StopActiveCampaignsOperator(task_id="task", dry_run="{{ params.dry }}")
    task.render_template_fields({"params": {"dry": True}})
    task.dry_run()
    assert sandbox.requests == []


@pytest.mark.parametrize("value", [False, True, "{{ params.dry }}"])
def test_a_dag_with_a_dry_run_argument_can_be_serialized(value: Any) -> None:
    with DAG("evening", schedule=None) as dag:
        campaign.StopActiveCampaignsOperator(task_id="task", dry_run=value)
        campaign.StopActiveCampaignsOperator.partial(task_id="mapped").expand(dry_run=[True, False])
    names = vars(serialized_objects)
    serializer: Any = names.get("DagSerialization") or names["SerializedDAG"]  # the one from Airflow 3.2 on
    task, _ = serializer.to_dict(dag)["dag"]["tasks"]
    assert str(value) in json.dumps(task)
