"""A form in a live Airflow: what is live after a run is what the form said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")

from airflow_provider_campaign.sandbox import Sandbox
from tests.system.live_airflow import LiveAirflow

pytestmark = pytest.mark.timeout(400)

DAGS = """
from airflow.sdk import DAG, Param

from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator

with DAG(
    "form",
    schedule=None,
    params={
        "dry_run": Param(True, type="boolean"),
        "campaign_types": Param(["sms", "voice"], type="array", examples=["sms", "voice"]),
        "name_pattern": Param("*", type=["null", "string"]),
        "reason": Param(None, type=["null", "string"]),
    },
):
    StopActiveCampaignsOperator(
        task_id="sweep",
        dry_run="{{ params.dry_run }}",
        campaign_types="{{ params.campaign_types }}",
        name_pattern="{{ params.name_pattern }}",
        reason="{{ params.reason }}",
    )
"""

REASON = {"reason": "complaint 4711"}
EVERYTHING = {"evening-sms", "evening-voice", "morning-sms"}
SUBMISSIONS: list[tuple[dict[str, Any], str, set[str]]] = [
    ({**REASON}, "success", EVERYTHING),
    ({**REASON, "dry_run": False}, "success", set()),
    ({**REASON, "dry_run": False, "campaign_types": ["voice"]}, "success", {"evening-sms", "morning-sms"}),
    ({**REASON, "dry_run": False, "name_pattern": "Evening*"}, "success", {"morning-sms"}),
    ({**REASON, "dry_run": False, "campaign_types": []}, "failed", EVERYTHING),
    ({**REASON, "dry_run": False, "name_pattern": None}, "failed", EVERYTHING),
    ({"dry_run": False}, "success", set()),  # the reason was left empty, which is none not to stop
]


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(platform: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow]:
    folder = tmp_path_factory.mktemp("dags")
    (Path(folder) / "form.py").write_text(DAGS)
    environment = {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(platform.kore_connection("v2"))}
    with LiveAirflow(folder, parallelism=2, env=environment) as live:
        yield live


@pytest.mark.parametrize(
    ("form", "state", "live"), SUBMISSIONS, ids=lambda part: str(sorted(part) if isinstance(part, set) else part)
)
def test_what_is_live_after_a_run_is_what_the_form_said(
    airflow: LiveAirflow, platform: Sandbox, form: dict[str, Any], state: str, live: set[str]
) -> None:
    platform.reset()
    for campaign_id in EVERYTHING:
        when, kind = campaign_id.split("-")
        platform.add_campaign(campaign_id, kind, name=f"{when.capitalize()} campaign")
    run = airflow.trigger_dag("form", form)["dag_run_id"]
    assert airflow.wait_for_run("form", run)["state"] == state
    assert {campaign.id for campaign in platform.campaigns() if campaign.live} == live
    if state == "failed":
        assert platform.requests == []
