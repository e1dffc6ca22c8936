"""Each example DAG, run by Airflow itself against the sandbox, leaves the platform as it says."""

from __future__ import annotations

import ast
import json
import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import airflow
from packaging.version import Version

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.seeds import SEEDS
from tests.airflow_process import SharedAirflow
from tests.smtp_server import SmtpServer

EXAMPLE_DAGS = Path(__file__).parents[3] / "example_dags"
TUTORIAL = Path(__file__).parents[3] / "docs" / "try-your-own-dag.md"
DELETED = "deleted"


@dataclass(frozen=True)
class Example:
    """What a DAG does to the sandbox's own campaigns."""

    changes: Mapping[str, str]  # the campaigns that are different afterwards, each with its status then
    form: Mapping[str, Any] = field(default_factory=dict)  # what somebody fills into the form of its params
    variables: Mapping[str, str] = field(default_factory=dict)  # of the environment
    since: str = "2.11"  # the first Airflow version that it runs on
    task_id: str | None = None  # run this task alone, where ``dags test`` can't run the DAG
    failure: str = ""  # what Airflow's command says in the end where it fails, as it should

    def command(self, dag_id: str) -> list[str]:
        if self.task_id:
            return ["tasks", "test", dag_id, self.task_id, "2026-01-02"]
        return ["dags", "test", dag_id, *(["--conf", json.dumps(self.form)] if self.form else [])]


HALF_A_DAY = timedelta(hours=12)
STARTS = ("morning_start", "start_of_window")
CLOSINGS = ("calling_hours_guard", "closing_with_alarms", "deadline_alert", "end_of_window", "several_accounts")
"""These act on what time it is: on calling hours that are open, or closed."""

SMS_AND_VOICE = ("cd-sms-evening-1", "cd-sms-evening-2", "cd-voice-evening-1", "cd-voice-evening-2")
ALL_STOPPED = dict.fromkeys(SMS_AND_VOICE, "Stopped")
ALL_SONARLY_STOPPED = dict.fromkeys(("650000000000000000000001", "650000000000000000000002"), "Stopped")

EMERGENCIES = [
    {"from": "2026-01-01T00:00", "until": "2100-01-01T00:00", "open": True},
    {"from": "2026-01-01T00:00", "until": None},
]

EXAMPLES = {
    "account_with_rules": Example(ALL_STOPPED, variables={"AIRFLOW_VAR_CAMPAIGN_EMERGENCY": json.dumps(EMERGENCIES)}),
    "calling_hours_guard": Example(ALL_STOPPED),
    "closing_with_alarms": Example(ALL_STOPPED),
    # With a deadline, ``dags test`` fails once all tasks have succeeded (seen on 3.1.8 and 3.3.2).
    "deadline_alert": Example(ALL_STOPPED, since="3.1", task_id="stop_active_campaigns"),
    "end_of_window_by_day": Example({}),
    "emergency_stop": Example(
        {"cd-voice-evening-1": "Stopped", "650000000000000000000001": "Stopped", "650000000000000000000002": "Stopped"},
        form={
            "connections": ["campaign_default", "sonarly"],
            "campaign_types": ["voice"],
            "name_pattern": ["[RA]*", "W*"],
            "reason": "the test says so",
        },
    ),
    "emergency_stop, of which a part fails": Example(
        {}, form={"name_pattern": ["["], "reason": "the report must not hide it"}, failure="DagRun failed"
    ),
    "emergency_stop, of given campaigns": Example(
        {"cd-sms-evening-1": "Stopped", "cd-voice-evening-2": "Stopped"},
        form={"campaign_ids": ["cd-sms-evening-1", "cd-voice-evening-2"]},
    ),
    "end_of_window": Example(ALL_STOPPED),
    "incident_alarm": Example({}),
    "kore_v2": Example({"cd-voice-evening-1": DELETED}),
    "mapped_stop": Example({"cd-sms-evening-1": "Stopped", "cd-sms-evening-2": "Stopped"}),
    "morning_start": Example({"cd-sms-morning-1": "Active"}),
    "morning_start_at_night": Example({}),
    "my_evening": Example({**ALL_STOPPED, **ALL_SONARLY_STOPPED}),
    "report_on_asset": Example({}, since="3.0"),
    "several_accounts": Example({**ALL_STOPPED, **ALL_SONARLY_STOPPED}),
    "sonarly": Example({"650000000000000000000001": "Stopped"}),
    "start_of_window": Example({"cd-sms-morning-1": "Active", "cd-voice-tomorrow-1": "Active"}),
    "stop_campaigns": Example({"cd-sms-evening-1": DELETED, "cd-voice-evening-1": "Stopped"}),
}


def dag_id_of(name: str) -> str:
    """Return the DAG of an example; what follows a comma tells several runs of the same DAG apart."""
    return name.partition(",")[0]


def changes(sandbox: Sandbox) -> dict[str, str]:
    present = {campaign.id: campaign.status for campaign in sandbox.campaigns()}
    now = {campaign_id: present.get(campaign_id, DELETED) for campaign_id, *_ in SEEDS}
    return {campaign_id: now[campaign_id] for campaign_id, _, before, _ in SEEDS if now[campaign_id] != before}


def with_hours(file: Path, folder: Path, suffix: str, opens_in: timedelta) -> Path:
    """Return a copy of a DAG whose calling hours, twelve of them, open in a while, or have opened a while ago."""
    opens = datetime.now(UTC) + opens_in
    hours = {"frequency": "DAILY", "timezone": "UTC", "start": f"{opens:%H:%M}", "end": f"{opens + HALF_A_DAY:%H:%M}"}
    text, count = re.subn(r"^CALLING_HOURS = \{.*?\}$", f"CALLING_HOURS = {hours}", file.read_text(), flags=re.M | re.S)
    assert count == 1
    copy = folder / f"{file.stem}{suffix}.py"
    copy.write_text(text.replace(f'dag_id="{file.stem}"', f'dag_id="{copy.stem}"'))
    return copy


def all_dags(folder: Path) -> dict[str, Path]:
    """Return the files of the example DAGs by id, and that of the page for those who write their own."""
    (dag,) = re.findall(r"^```python\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    my_evening = folder / "my_evening.py"
    my_evening.write_text(dag)
    files = {file.stem: file for file in (*EXAMPLE_DAGS.glob("*.py"), my_evening)}
    for name in STARTS:
        files[name] = with_hours(EXAMPLE_DAGS / f"{name}.py", folder, "", -HALF_A_DAY / 2)
        files[f"{name}_at_night"] = with_hours(EXAMPLE_DAGS / f"{name}.py", folder, "_at_night", HALF_A_DAY / 2)
    for name in CLOSINGS:
        file = files[name]
        files[f"{name}_by_day"] = with_hours(file, folder, "_by_day", -HALF_A_DAY / 2)
        files[name] = with_hours(file, folder, "", HALF_A_DAY / 2)
    return files


def test_each_example_dag_changes_what_it_names_and_no_more(shared_airflow: SharedAirflow, tmp_path: Path) -> None:
    others = ("my_evening", *(name for name in EXAMPLES if name.endswith(("_at_night", "_by_day"))))
    assert {file.stem for file in EXAMPLE_DAGS.glob("*.py")} == {dag_id_of(name) for name in EXAMPLES} - {*others}
    files, version, found = all_dags(tmp_path), Version(airflow.__version__), {}
    examples = {name: example for name, example in EXAMPLES.items() if version >= Version(example.since)}
    for name, example in examples.items():
        shared_airflow.use_dags(files[dag_id_of(name)])  # alone: Airflow parses all that are there, for each run
        with Sandbox(campaigns=len(SEEDS)) as sandbox, SmtpServer() as smtp:
            connections = {**sandbox.connections(), "smtp_default": smtp.connection}
            command = example.command(dag_id_of(name))
            done = shared_airflow.run("-m", "airflow", *command, connections=connections, **example.variables)
            assert bool(done.status) == bool(example.failure), done.output
            assert example.failure in done.output
            found[name] = changes(sandbox)
    assert found == {name: example.changes for name, example in examples.items()}


def test_the_account_with_rules_is_open_as_it_says() -> None:
    example = runpy.run_path(str(EXAMPLE_DAGS / "account_with_rules.py"))
    rules = CallingRules.read([{**rule, "overrides": []} for rule in example["RULES"]])
    assert not rules.warnings
    christmas = datetime(example["YEAR"], 12, 25, 20, tzinfo=UTC)  # at noon or later, everywhere in the country
    novembers = [christmas.replace(month=11, day=day) for day in range(22, 29)]
    [thanksgiving] = [day for day in novembers if f"{day:%a}" == "Thu"]
    for name in ("FL-1", "Oklahoma 1", "TX-1", "CA-1", "Evening reminder"):
        campaign = Campaign("cd-1", "Active", name, "sms")
        closed = [day for day in (*novembers, christmas) if not rules.is_open(campaign, day)]
        assert closed == [thanksgiving, christmas], name
    day = christmas.replace(month=6, day=1, hour=12)
    assert [f"{rule.name} {end:%H:%M}" for rule, end in rules.ends(day, day + timedelta(days=1))] == [
        "Florida 00:00",
        "Oklahoma 01:00",
        "others 01:00",
        "Texas 02:00",
        "California 04:00",
    ]


def test_every_example_dag_says_what_it_is_for_and_an_emergency_finds_its_dag_unpaused() -> None:
    unpaused = set()
    for file in EXAMPLE_DAGS.glob("*.py"):
        calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        [dag] = [call for call in calls if ast.unparse(call.func) == "DAG"]
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in dag.keywords}
        assert {"description", "doc_md", "tags"} <= {*keywords}, file.name
        unpaused |= {file.stem} if keywords.get("is_paused_upon_creation") == "False" else set()
    assert unpaused == {"emergency_stop", "incident_alarm"}
